// Runs one step of a hand-made program on a backend, with every operand in memory of its own, and looks at what the
// step did: the values it wrote, and that it wrote nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "program/program.h"

namespace snug::ops_test {

using Values = std::vector<double>;

/// What an operand's elements are: `real` is what the backend under test computes in (f32, or f64 on the reference); in
/// bf16 some of them stay f32 (`stays_wide`).
enum class Kind : std::uint8_t { real, byte, number, wide };  // wide: f64 everywhere (control, statistics)

/// One operand of a step under test.
struct Arg {
  Shape shape;
  Access access = Access::in;
  Values values;  ///< of in and inout; outputs start as NaN (bytes as 255)
  Kind kind = Kind::real;
  int from = -1;           ///< takes its values from this operand of the forward step, after it ran
  std::int64_t pitch = 0;  ///< > 0: a slice of a tensor with so many channels…
  std::int64_t begin = 0;  ///< …which begins at this one
};

[[nodiscard]] Arg in(const Shape& shape, Values values, Kind kind = Kind::real);
[[nodiscard]] Arg out(const Shape& shape, Kind kind = Kind::real);
[[nodiscard]] Arg inout(const Shape& shape, Values values, Kind kind = Kind::real);

struct StepCase {
  std::string name;
  Op op = Op::fill;
  Attributes attributes;
  std::vector<Arg> args;
  Saved chosen = Saved::input;
  bool poisoned = false;  ///< an input is not finite: outputs may be so too
};

/// A forward step with the backward steps that belong to it.
struct BackwardCase {
  StepCase step;
  int dy = 0;                                  ///< its operand with the gradient of the forward step's output
  std::vector<std::pair<int, int>> gradients;  ///< (its operand, the forward operand that it is the gradient of)
};
struct GradientCase {
  StepCase forward;
  int output = 0;  ///< the forward operand that dy belongs to
  std::vector<BackwardCase> backward;
};
/// The operand of a backward step that is operand `index` of the forward step.
[[nodiscard]] Arg saved(const StepCase& forward, int index);
/// The step with every `from` replaced by values.
[[nodiscard]] StepCase complete(StepCase step, const std::vector<Values>& forward_values);

/// Whether a real operand is f32 though activations are bf16: parameters but weights, gradients of parameters, losses.
[[nodiscard]] bool stays_wide(const StepCase& step, std::size_t operand);

/// The step with every real number cut to one that the operand holds when activations are `real`.
[[nodiscard]] StepCase rounded(StepCase step, DType real = DType::f32);

struct RunOptions {
  std::optional<InPlace> in_place;  ///< this output lies over this input
  std::int64_t skew_elements = 0;   ///< every view begins so many elements into its storage
};

/// The values of all operands after the step. Fails the current test when the step wrote outside of its outputs.
[[nodiscard]] std::vector<Values> run_step(Backend& backend, DType real, const StepCase& step,
                                           const RunOptions& options = {});

/// Random numbers that f32 holds exactly, uniform in [low, high), a function of `seed`.
[[nodiscard]] Values random_values(std::int64_t count, std::uint64_t seed, double low = -1, double high = 1);
[[nodiscard]] Values random_values(const Shape& shape, std::uint64_t seed, double low = -1, double high = 1);

/// Compares the backward steps with central differences of the forward step, in double on the reference backend:
/// every gradient within 1e-6 of its largest element, and none zero everywhere.
void expect_gradients(const GradientCase& gradient_case);

/// Compares `analytic` with central differences of dy · (output of the forward step) in operand `operand`.
void expect_gradient(Backend& backend, const GradientCase& gradient_case, int operand, const Values& dy,
                     const Values& analytic);

/// Expects |actual − expected| ≤ tolerance · (tiny + max |expected|) for every element; NaN never passes.
void expect_close(const Values& actual, const Values& expected, double tolerance, const std::string& what);

}  // namespace snug::ops_test
