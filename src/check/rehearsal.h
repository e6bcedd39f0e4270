// A training program on the CPU that can be looked at while it runs: what the measuring checks work with.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "planner/planner.h"
#include "runtime/arena_memory.h"
#include "train/setup.h"

namespace snug {

class Rehearsal {
 public:
  /// What a visitor sees once a step has run.
  struct View {
    const Program& program;
    const Step& step;
    /// The values of an operand as floats (of packed f32 and bf16 tensors; empty else).
    std::function<std::span<const float>(std::size_t operand)> values;
  };
  using Visitor = std::function<void(const View&)>;

  /// Lowers, plans and takes the memory of `batch` samples; parameters are initialised as a run's are. Null when that
  /// needs more than `most_bytes`.
  [[nodiscard]] static std::unique_ptr<Rehearsal> make(const RunSetup& setup, std::int64_t batch, int threads,
                                                       std::int64_t most_bytes);

  void load(const Batch& batch);
  /// One training step at a rate; 0 leaves the weights (but not running statistics) as they are.
  void run(double learning_rate, const Visitor& visitor = {});
  /// The loss of the last step, and whether something was not finite.
  [[nodiscard]] double loss();
  [[nodiscard]] bool not_finite();
  [[nodiscard]] std::int64_t batch() const { return batch_; }
  [[nodiscard]] const Program& program() const { return plan_.programs.front().program; }
  /// A parameter, its state, or what the host exchanges with the program; empty when there is none.
  [[nodiscard]] std::span<float> values(std::string_view tensor);

 private:
  class Values;
  Rehearsal(const RunSetup& setup, Plan plan, std::int64_t batch);
  template <class T>
  [[nodiscard]] std::span<T> typed(std::string_view tensor);
  [[nodiscard]] std::byte* address(TensorId tensor) const;

  Plan plan_;
  std::int64_t batch_ = 0, step_ = 0;
  ArenaMemory persistent_, transient_, input_;
  std::vector<float> widened_;  ///< of bf16 values
};

}  // namespace snug
