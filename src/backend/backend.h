// What executes steps. Implementations: cpu/ (oneDNN and our own kernels), reference/ (double, naive, tests only).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "program/program.h"

namespace snug {

/// The addresses of a step's operands, in order, and of its workspace (null without one).
/// An operand's address is that of its view's first element.
struct StepArguments {
  void* const* operands = nullptr;
  void* workspace = nullptr;
  void* stream = nullptr;  ///< of a device: the queue that the step goes into
};

/// What one step became on a backend: its algorithm, the scratch it needs, and the call that runs it.
struct PreparedStep {
  std::string algorithm;  ///< for people: "conv:jit_avx512_core"
  std::int64_t workspace_bytes = 0;
  /// Allocates nothing; absent where only planning is possible. On a device it enqueues and never waits.
  std::function<void(const StepArguments&)> run;
  /// Makes what running needs and planning does not, machine code; again it does nothing. Absent where there is no such
  /// thing. `run` does it where nobody has, and allocates then.
  std::function<void()> load;
};

class Backend {
 public:
  virtual ~Backend() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Chooses how to run one step (its operands' shapes, types and strides, its attributes and the chosen alternative;
  /// not the workspace operand). Answers may be cached by exactly these. Throws Error when it cannot run it.
  [[nodiscard]] virtual PreparedStep prepare(const Program& program, const Step& step) = 0;
  /// Whether it computes this step, which stands for several (is_fused_product, is_pooled_norm, with what it needs
  /// beside it). A program has such steps only where the backend that it is planned for says so.
  [[nodiscard]] virtual bool fuses(const Program& /*program*/, const Step& /*step*/) const { return false; }
  /// A better way to run the step than `prepare` chose, where it may take so many bytes of scratch; nothing where there
  /// is none. It takes no more than them.
  [[nodiscard]] virtual std::optional<PreparedStep> prepare_within(const Program& /*program*/, const Step& /*step*/,
                                                                   std::int64_t /*workspace_bytes*/) {
    return std::nullopt;
  }
  /// The most scratch that `prepare` would give the step, where that is known without asking a library. A search goes
  /// by it; a plan never does.
  [[nodiscard]] virtual std::optional<std::int64_t> scratch_bound(const Program& /*program*/, const Step& /*step*/) {
    return std::nullopt;
  }
};

struct CpuOptions {
  int threads = 0;  ///< 0: all cores
};
[[nodiscard]] std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options);
/// f64 programs only.
[[nodiscard]] std::unique_ptr<Backend> make_reference_backend();

}  // namespace snug
