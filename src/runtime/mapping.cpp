#include "runtime/mapping.h"

#include <fmt/core.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/text.h"
#include "snug/diagnostic.h"

namespace snug {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// Address space of `size` bytes; its start is a multiple of `alignment`. Null when the system refuses.
std::byte* map_aligned(std::size_t size, std::size_t alignment) {
  const std::size_t spare = alignment > kPage ? alignment : 0;
  void* raw = mmap(nullptr, size + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(raw);
  if (spare == 0) return begin;
  const std::size_t head = (alignment - reinterpret_cast<std::uintptr_t>(begin) % alignment) % alignment;
  const std::size_t tail = spare - head;
  if (head > 0) munmap(begin, head);
  if (tail > 0) munmap(begin + head + size, tail);
  return begin + head;
}

}  // namespace

Mapping::Mapping(std::int64_t bytes, std::string_view purpose) {
  if (bytes <= 0) return;
  const std::size_t size = (static_cast<std::size_t>(bytes) + kPage - 1) / kPage * kPage;
  const bool large = size >= 2 * kHugePage;
  std::byte* begin = map_aligned(size, large ? kHugePage : kPage);
  if (begin == nullptr) {
    const int why = errno;
    throw Error({.code = "M302",
                 .where = std::string(purpose),
                 .what = fmt::format("the {} needs {} and the system refuses it: {}", purpose, format_bytes(bytes),
                                     std::strerror(why)),
                 .fix = fmt::format("memory.budget = \"{}MiB\"", std::max<std::int64_t>(1, bytes / 2 >> 20))});
  }
  if (large) madvise(begin, size, MADV_HUGEPAGE);  // fewer page faults and TLB misses; refusing does no harm
  bytes_ = {begin, static_cast<std::size_t>(bytes)};
  // Touched now, so that no step meets a page fault and memory that is not there shows at once.
  for (std::size_t at = 0; at < size; at += kPage) *static_cast<volatile std::byte*>(begin + at) = std::byte{0};
}

Mapping::Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (!bytes_.empty()) munmap(bytes_.data(), static_cast<std::size_t>(mapped_bytes()));
}

std::int64_t Mapping::mapped_bytes() const {
  return static_cast<std::int64_t>((bytes_.size() + kPage - 1) / kPage * kPage);
}

}  // namespace snug
