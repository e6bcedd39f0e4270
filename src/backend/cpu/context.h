// What every prepare function of this backend needs: threads, kernels, the step's operands, and loops over chunks.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "backend/backend.h"
#include "backend/cpu/kernels/kernels.h"
#include "base/ensure.h"

namespace snug::cpu {

inline constexpr DType kF32 = DType::f32, kF64 = DType::f64, kBf16 = DType::bf16;

/// The element type of tensors stored as T.
template <class T>
inline constexpr DType kStored = std::is_same_v<T, Bf16> ? DType::bf16 : DType::f32;

struct Library;  ///< oneDNN's engine and stream; see onednn.h

/// Owned by the backend; prepared steps copy what they use.
struct CpuContext {
  int threads = 1;
  const Kernels* kernels = nullptr;
  std::shared_ptr<Library> library;
};

/// The operands and attributes of one step.
class StepView {
 public:
  StepView(const Program& program, const Step& step) : program_(program), step_(step) {}

  /// Operands without the workspace.
  [[nodiscard]] std::size_t count() const { return step_.operands.size() - (step_.has_workspace ? 1 : 0); }
  [[nodiscard]] const TensorInfo& operator[](std::size_t i) const {
    ensure(i < count(), "a step has fewer operands than its op needs");
    return program_[step_.operands[i].tensor];
  }
  [[nodiscard]] const Shape& shape(std::size_t i) const { return (*this)[i].shape; }
  [[nodiscard]] std::int64_t elements(std::size_t i) const { return shape(i).elements(); }
  [[nodiscard]] const Step& step() const { return step_; }
  template <class T>
  [[nodiscard]] const T& attributes() const {
    const T* found = std::get_if<T>(&step_.attributes);
    ensure(found != nullptr, "a step lacks the attributes of its op");
    return *found;
  }
  /// Throws Error unless the operands are as many, of these types, and packed (`pitched_allowed`: or not).
  void expect(std::initializer_list<DType> types, bool pitched_allowed = false) const;
  /// Throws an Error of the step's layer that says why it cannot be run.
  [[noreturn]] void cannot_run(std::string_view why) const;

 private:
  const Program& program_;
  const Step& step_;
};

/// prepare<T>() for the type that operand `i` is stored in.
template <class Prepare>
[[nodiscard]] PreparedStep by_storage(const StepView& step, std::size_t i, const Prepare& prepare) {
  return step[i].dtype == kBf16 ? prepare.template operator()<Bf16>() : prepare.template operator()<float>();
}

template <class T = float>
[[nodiscard]] T* operand(const StepArguments& arguments, std::size_t i) {
  return static_cast<T*>(arguments.operands[i]);
}

/// Hands out parts of a step's workspace as offsets, each aligned to a cache line.
class WorkspaceLayout {
 public:
  static constexpr std::int64_t kAlignment = 64;
  /// The offset of `count` elements of T.
  template <class T>
  std::int64_t add(std::int64_t count) {
    return add_bytes(count * static_cast<std::int64_t>(sizeof(T)));
  }
  std::int64_t add_bytes(std::int64_t bytes) {
    const std::int64_t offset = bytes_;
    bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return offset;
  }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }

 private:
  std::int64_t bytes_ = 0;
};

template <class T = float>
[[nodiscard]] T* scratch(const StepArguments& arguments, std::int64_t offset) {
  return reinterpret_cast<T*>(static_cast<std::byte*>(arguments.workspace) + offset);
}

/// Work below this many elements is not worth waking threads for. Never changes a result.
inline constexpr std::int64_t kSerialElements = 16'384;
/// Elements of a chunk of an elementwise loop: 64 KiB of floats.
inline constexpr std::int64_t kChunkElements = 16'384;

/// The segments cut into pieces of at most kChunkElements: by shape alone.
[[nodiscard]] Segments chunks_of(const Segments& segments);

/// body(i) for i of [0, count). Each i must do the same work whichever thread runs it: no result may depend on threads.
template <class Body>
void parallel_for(int threads, std::int64_t count, const Body& body) {
  if (threads <= 1 || count <= 1) {
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(threads)
  for (std::int64_t i = 0; i < count; ++i) body(i);
}

/// body(thread, begin, end) for each thread's share of [0, count): for work that needs scratch of the thread's own.
template <class Body>
void parallel_shares(int threads, std::int64_t count, const Body& body) {
  parallel_for(threads, threads,
               [&](std::int64_t thread) { body(thread, count * thread / threads, count * (thread + 1) / threads); });
}

/// body(begin, count) for chunks of an elementwise loop over `total` elements.
template <class Body>
void parallel_elements(int threads, std::int64_t total, const Body& body) {
  const std::int64_t chunks = (total + kChunkElements - 1) / kChunkElements;
  parallel_for(total <= kSerialElements ? 1 : threads, chunks, [&](std::int64_t i) {
    const std::int64_t begin = i * kChunkElements;
    body(begin, std::min(kChunkElements, total - begin));
  });
}

/// Rows of `width` elements in a chunk that is worth a thread.
inline std::int64_t rows_per_chunk(std::int64_t width) {
  return std::max<std::int64_t>(1, kChunkElements / std::max<std::int64_t>(1, width));
}

/// body(row) for rows of `width` elements.
template <class Body>
void parallel_rows(int threads, std::int64_t rows, std::int64_t width, const Body& body) {
  const std::int64_t chunk = rows_per_chunk(width);
  parallel_for(threads, (rows + chunk - 1) / chunk, [&](std::int64_t i) {
    for (std::int64_t row = i * chunk; row < std::min(rows, (i + 1) * chunk); ++row) body(row);
  });
}

}  // namespace snug::cpu
