#include "cli/calibrate.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "ops/op.h"
#include "runtime/runtime.h"

namespace snug {

namespace {

constexpr int kRepeats = 5;
constexpr std::int64_t kProductSide = 1024;         // 2 GFLOP: some milliseconds
constexpr std::int64_t kCopyElements = 16LL << 20;  // 64 MiB each way: beyond the caches of a few cores

struct Operation {
  Op op;
  Attributes attributes;
  std::vector<Shape> inputs;
  Shape output;
};

/// A program of one step; the inputs lie in the input arena, which is there without anybody writing it first.
Program one_step(const Operation& operation) {
  Program program;
  ProgramBuilder builder(program);
  Step step{.op = operation.op, .phase = Phase::eval, .attributes = operation.attributes};
  for (const Shape& shape : operation.inputs) {
    const std::string name = "x" + std::to_string(step.operands.size());
    step.operands.push_back(
        {builder.add_tensor({.name = name, .shape = shape, .role = Role::input, .arena = Arena::input}), Access::in});
  }
  step.operands.push_back({builder.add_tensor({.name = "y", .shape = operation.output}), Access::out});
  builder.add_step(std::move(step));
  return program;
}

/// Seconds of the fastest run, after one that is not counted.
double best_seconds(const Program& program, Backend& backend) {
  const Plan plan = plan_programs({program}, backend);
  Runtime runtime(plan);
  runtime.run(0);
  double best = 0;
  for (int i = 0; i < kRepeats; ++i) {
    const double seconds = runtime.run_timed(0).front();
    best = i == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

}  // namespace

Ceiling measure_ceiling(Backend& backend) {
  const Shape square{kProductSide, kProductSide};
  const Program product = one_step(
      {.op = Op::dense_forward, .attributes = DenseAttributes{}, .inputs = {square, square}, .output = square});
  const Shape flat{1, 1, kCopyElements / 64, 64};
  const Program copy = one_step({.op = Op::copy, .attributes = NoAttributes{}, .inputs = {flat}, .output = flat});
  const double product_seconds = best_seconds(product, backend);
  const double copy_seconds = best_seconds(copy, backend);
  return {.flops_per_second = static_cast<double>(step_cost(product, product.steps.front()).flops) / product_seconds,
          .bytes_per_second = static_cast<double>(step_cost(copy, copy.steps.front()).bytes) / copy_seconds};
}

}  // namespace snug
