// Executes a plan: arenas are allocated once, addresses are bound once, a run is a loop over calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "planner/planner.h"

namespace snug {

struct RuntimeOptions {
  /// false: every storage of every program has memory of its own, and after each step the storages that died, like all
  /// transient ones before the first step, are filled with NaN. Slow; proves the plan's lifetimes.
  bool reuse_memory = true;
  /// Steps of other queues are done where they are launched, or at the last moment: where somebody waits for them. Both
  /// must make the same bits: on a device they are done some time in between.
  bool late_queues = false;
};

/// The first tensor of a step that is not finite.
struct NotFinite {
  std::string layer, tensor, op;
  std::int64_t element = 0;
  double value = 0;
};

class Runtime {
 public:
  /// Allocates the arenas, that of the host too (aligned to 4 KiB, touched, zeroed). Throws Error M… when the memory
  /// cannot be had. Keeps what it needs of the plan.
  explicit Runtime(const Plan& plan, const RuntimeOptions& options = {});
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// Runs all steps of programs[program].
  void run(int program);
  /// The same, looking at every floating output after its step: the first that is not finite, by program order.
  [[nodiscard]] std::optional<NotFinite> run_watched(int program);
  /// Bytes of a tensor (persistent or input arena; packed) of any program by name; empty when there is none. Where
  /// programs differ in its size (images of a full and of a partial batch), all of the largest.
  [[nodiscard]] std::span<std::byte> bytes(std::string_view tensor);
  template <class T>
  [[nodiscard]] std::span<T> values(std::string_view tensor) {
    const std::span<std::byte> raw = bytes(tensor);
    return {reinterpret_cast<T*>(raw.data()), raw.size() / sizeof(T)};
  }
  /// Whether the tensor exists, and what it is (the largest of that name); null when there is none.
  [[nodiscard]] const TensorInfo* find(std::string_view tensor) const;
  /// What the arenas took of the system: whole pages.
  [[nodiscard]] std::int64_t arena_bytes() const;
  /// Seconds per step of the last `run_timed`, by StepId.
  std::vector<double> run_timed(int program);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Counts heap allocations of this thread while it lives (and of OpenMP's workers while they run its steps).
/// Memory that a library takes and gives back within one step comes from a fixed pool and is not counted: it reaches no
/// heap. Nor is the first run of a program, in which libraries generate the kernels that they keep. Always 0 in
/// sanitizer builds, where allocation is not replaced.
class AllocationCounter {
 public:
  AllocationCounter();
  AllocationCounter(const AllocationCounter&) = delete;
  AllocationCounter& operator=(const AllocationCounter&) = delete;
  [[nodiscard]] std::int64_t count() const;

 private:
  [[maybe_unused]] std::int64_t before_ = 0;
};

}  // namespace snug
