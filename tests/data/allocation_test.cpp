// The loader's promise that a running epoch takes no memory: every `new` of this program is counted.
#include <atomic>
#include <cstdlib>
#include <new>

#include "data/files.h"
#include "data/loader.h"

namespace {

std::atomic<long> allocations = 0;

void* counted(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace snug {
namespace {

TEST(Allocation, NeitherReaderNorWorkersAllocateWithinAnEpoch) {
  const TempFolder folder;
  const auto data =
      open_source(array_source(folder.write("x.npy", npy(">i2", "(300, 6, 6)", counting(300 * 72))),
                               folder.write("y.npy", npy("|u1", "(300,)", std::string(300, '\1'))), DataFormat::numpy),
                  {}, {6, 6, 1}, 1);
  Loader loader(data, {.batch = 16,
                       .shuffle = true,
                       .workers = 2,
                       .augment = {{.where = {}, .what = RandomCrop{.size = 6, .pad = 1}}}});
  loader.start_epoch(0);
  ASSERT_NE(loader.next(), nullptr);  // by now the workers have their scratch
  while (loader.next() != nullptr) {}
  const long before = allocations;
  ASSERT_GT(before, 0) << "the counter must count";
  loader.start_epoch(1);
  while (loader.next() != nullptr) {}
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace snug
