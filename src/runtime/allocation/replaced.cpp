// Replaces operator new and delete: counts allocations, and serves those made inside a step from a fixed pool.
//
// A pool is a stack of blocks. A block on top is popped when it is given back; when none is left the pool is empty
// again. Blocks that outlive their step stay where they are and the stack goes on above them.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "runtime/allocation/step_pool.h"
#include "runtime/runtime.h"

extern "C" int omp_get_thread_num() __attribute__((weak));  // absent where nothing uses OpenMP

namespace snug {
namespace {

constexpr std::size_t kPoolBytes = std::size_t{64} << 10;  // a library call takes a few KiB
constexpr int kPools = 64;                                 // threads that ever run steps; later ones use the heap

/// Before each block: the top of the stack without and with it.
struct Header {
  std::size_t top_before = 0, top_after = 0;
};
constexpr std::size_t kHeaderBytes = __STDCPP_DEFAULT_NEW_ALIGNMENT__;
static_assert(sizeof(Header) <= kHeaderBytes);

struct Pool {
  std::atomic_flag busy;
  std::size_t top = 0;   // bytes in use
  std::size_t base = 0;  // below it lie blocks that outlived their step
  std::int64_t live = 0;
  std::int64_t outlived = 0;
};

class Lock {
 public:
  explicit Lock(Pool& pool) : pool_(pool) {
    while (pool_.busy.test_and_set(std::memory_order_acquire)) {}
  }
  ~Lock() { pool_.busy.clear(std::memory_order_release); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  Pool& pool_;
};

// Zero-initialised: pages that no thread uses take no memory. They outlive every block in them.
constinit Pool pools[kPools];
alignas(64) std::byte pool_bytes[kPools][kPoolBytes];
constinit std::atomic<int> pools_taken{0};
constinit std::atomic<int> pool_runs{0};  // StepPools alive, on any thread
constinit std::atomic<int> heap_runs{0};  // those of StepMemory::heap
constinit std::atomic<std::int64_t> worker_allocations{0};

struct Thread {
  std::int64_t allocations = 0;
  int pool_runs = 0;  // StepPools alive on this thread
  int heap_runs = 0;
  int pool = -1;
};
constinit thread_local Thread self;

bool is_openmp_worker() { return omp_get_thread_num != nullptr && omp_get_thread_num() > 0; }

Pool* own_pool() {
  if (self.pool < 0) self.pool = pools_taken.fetch_add(1, std::memory_order_relaxed);
  return self.pool < kPools ? &pools[self.pool] : nullptr;
}

std::byte* bytes_of(const Pool& pool) { return pool_bytes[&pool - pools]; }

void* take(Pool& pool, std::size_t size, std::size_t alignment) {
  const Lock lock(pool);
  const std::size_t block = (pool.top + kHeaderBytes + alignment - 1) / alignment * alignment;
  if (alignment > 64 || size > kPoolBytes || block + size > kPoolBytes) return nullptr;
  const std::size_t top = (block + size + kHeaderBytes - 1) / kHeaderBytes * kHeaderBytes;
  new (bytes_of(pool) + block - kHeaderBytes) Header{pool.top, top};
  pool.top = top;
  ++pool.live;
  return bytes_of(pool) + block;
}

/// The pool in which `address` lies, or null.
Pool* pool_of(const void* address) {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  const auto begin = reinterpret_cast<std::uintptr_t>(&pool_bytes[0][0]);
  return at >= begin && at < begin + sizeof pool_bytes ? &pools[(at - begin) / kPoolBytes] : nullptr;
}

void give_back(Pool& pool, std::byte* block) {
  const Lock lock(pool);
  const auto offset = static_cast<std::size_t>(block - bytes_of(pool));
  if (offset < pool.base) {
    --pool.outlived;
  } else {
    --pool.live;
    const auto* header = reinterpret_cast<const Header*>(block - kHeaderBytes);
    if (header->top_after == pool.top) pool.top = header->top_before;
  }
  if (pool.live > 0) return;
  if (pool.outlived == 0) pool.base = 0;
  pool.top = pool.base;
}

void* from_heap(std::size_t size, std::size_t alignment) {
  if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return std::malloc(size);
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  if (size == 0) size = 1;
  const bool on_heap = heap_runs.load(std::memory_order_relaxed) > 0;
  const bool on_pool = pool_runs.load(std::memory_order_relaxed) > 0;
  const bool own_run = self.heap_runs > 0 || self.pool_runs > 0;
  const bool worker = !own_run && (on_heap || on_pool) && is_openmp_worker();
  if (self.heap_runs > 0 || (worker && on_heap)) return from_heap(size, alignment);
  if (self.pool_runs > 0 || worker) {
    Pool* pool = own_pool();
    void* block = pool != nullptr ? take(*pool, size, alignment) : nullptr;
    if (block != nullptr) return block;
  }
  if (worker) {
    worker_allocations.fetch_add(1, std::memory_order_relaxed);
  } else {
    ++self.allocations;
  }
  return from_heap(size, alignment);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  for (;;) {
    if (void* block = allocate(size, alignment)) return block;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

void release(void* block) noexcept {
  if (Pool* pool = pool_of(block)) {
    give_back(*pool, static_cast<std::byte*>(block));
  } else {
    std::free(block);
  }
}

constexpr std::size_t kDefault = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

}  // namespace

StepPool::StepPool(StepMemory memory) : memory_(memory) {
  const bool on_heap = memory == StepMemory::heap;
  ++(on_heap ? self.heap_runs : self.pool_runs);
  (on_heap ? heap_runs : pool_runs).fetch_add(1, std::memory_order_relaxed);
}

StepPool::~StepPool() {
  end_step();
  const bool on_heap = memory_ == StepMemory::heap;
  (on_heap ? heap_runs : pool_runs).fetch_sub(1, std::memory_order_relaxed);
  --(on_heap ? self.heap_runs : self.pool_runs);
}

void StepPool::end_step() {
  if (self.pool < 0 || self.pool >= kPools) return;
  Pool& pool = pools[self.pool];
  const Lock lock(pool);
  if (pool.live == 0) return;
  self.allocations += pool.live;
  pool.outlived += pool.live;
  pool.live = 0;
  pool.base = pool.top;
}

AllocationCounter::AllocationCounter()
    : before_(self.allocations + worker_allocations.load(std::memory_order_relaxed)) {}
std::int64_t AllocationCounter::count() const {
  return self.allocations + worker_allocations.load(std::memory_order_relaxed) - before_;
}

}  // namespace snug

// The replaceable functions of the standard; the rest of the family ends in these.
void* operator new(std::size_t size) { return snug::allocate_or_throw(size, snug::kDefault); }
void* operator new[](std::size_t size) { return snug::allocate_or_throw(size, snug::kDefault); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return snug::allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return snug::allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return snug::allocate(size, snug::kDefault); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return snug::allocate(size, snug::kDefault); }
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return snug::allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return snug::allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* block) noexcept { snug::release(block); }
void operator delete[](void* block) noexcept { snug::release(block); }
void operator delete(void* block, std::size_t) noexcept { snug::release(block); }
void operator delete[](void* block, std::size_t) noexcept { snug::release(block); }
void operator delete(void* block, std::align_val_t) noexcept { snug::release(block); }
void operator delete[](void* block, std::align_val_t) noexcept { snug::release(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { snug::release(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { snug::release(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { snug::release(block); }
void operator delete[](void* block, const std::nothrow_t&) noexcept { snug::release(block); }
