// Executes a plan: arenas are allocated once, addresses are bound once, a run is a loop over calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/device.h"
#include "planner/planner.h"

namespace snug {

struct RuntimeOptions {
  /// false: every storage of every program has memory of its own, and after each step the storages that died, like all
  /// transient ones before the first step, are filled with NaN. Slow; proves the plan's lifetimes.
  bool reuse_memory = true;
  /// Steps of other queues are done where they are launched, or at the last moment: where somebody waits for them. Both
  /// must make the same bits: on a device they are done some time in between.
  bool late_queues = false;
  /// Where the plan's backend runs; null: in this process.
  std::shared_ptr<Device> device{};
  /// On a device: from its second run on a program is one graph, which is recorded then.
  bool graphs = true;
};

/// The first tensor of a step that is not finite.
struct NotFinite {
  std::string layer, tensor, op;
  std::int64_t element = 0;
  double value = 0;
};

class Runtime {
 public:
  /// Allocates the arenas, that of the host too (zeroed; in this process aligned to 4 KiB and touched). Throws Error M…
  /// when the memory cannot be had. Keeps what it needs of the plan.
  explicit Runtime(const Plan& plan, const RuntimeOptions& options = {});
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// Runs all steps of programs[program]; on a device enqueues them. What a device's step says against it is an Error
  /// G… with the step, its layer and what was asked.
  void run(int program);
  /// Whether its next run only enqueues: on a device the first loads what libraries need, and the second records.
  [[nodiscard]] bool settled(int program) const;
  /// The same as `run`, looking at every floating output after its step: the first that is not finite, by program
  /// order.
  [[nodiscard]] std::optional<NotFinite> run_watched(int program);
  /// The same as `run`, step by step: `look` sees each packed fp32 tensor whose name begins with `prefix` once the last
  /// step that writes it is done (what works on all of a flat storage counts as none).
  using Look = std::function<void(std::string_view name, std::span<const float> values)>;
  void run_showing(int program, std::string_view prefix, const Look& look);
  /// Bytes of a tensor (persistent or input arena; packed) of any program by name; empty when there is none, and on a
  /// device. Where programs differ in its size (images of a full and of a partial batch), all of the largest.
  [[nodiscard]] std::span<std::byte> bytes(std::string_view tensor);
  /// Its size, wherever its memory is; 0 when there is none.
  [[nodiscard]] std::int64_t size_bytes(std::string_view tensor) const;
  /// The first bytes of such a tensor, wherever its memory is: for the runs that follow, and after those before.
  /// Reading waits for them; so does writing, but to the input arena. `offset_bytes`: where in the tensor it is
  /// written.
  void write(std::string_view tensor, std::span<const std::byte> from, std::int64_t offset_bytes = 0);
  void read(std::string_view tensor, std::span<std::byte> to);
  /// Of a small tensor, what the runs before make of it, without waiting for them: `take` does, in the order of `post`.
  /// Two may be on their way.
  void post(std::string_view tensor);
  void take(std::span<std::byte> to);
  /// On a device: inputs are again those of the run before the last, or of the last where there was one only.
  void rewrite_previous_inputs();
  template <class T>
  [[nodiscard]] std::span<T> values(std::string_view tensor) {
    const std::span<std::byte> raw = bytes(tensor);
    return {reinterpret_cast<T*>(raw.data()), raw.size() / sizeof(T)};
  }
  /// Whether the tensor exists, and what it is (the largest of that name); null when there is none.
  [[nodiscard]] const TensorInfo* find(std::string_view tensor) const;
  /// What the arenas took of the system (whole pages), or of the device.
  [[nodiscard]] std::int64_t arena_bytes() const;
  /// The same as `run`; seconds of each step, by StepId, on a device by its clock.
  std::vector<double> run_timed(int program);
  /// Runs one behind the other as a training has them, `before` ahead of each; seconds of each, on a device by its
  /// clock.
  std::vector<double> run_in_a_row(int program, std::size_t times, const std::function<void()>& before = {});
  /// For everything that was enqueued.
  void wait();

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
