#include "cli/calibrate.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "ops/op.h"
#include "runtime/runtime.h"

namespace snug {

namespace {

constexpr int kRepeats = 6;
constexpr std::int64_t kProductSide = 1536;                                  // 7 GFLOP: tens of milliseconds
constexpr std::int64_t kConvSide = 28, kConvChannels = 256, kConvBatch = 8;  // as much in a 3×3 convolution
constexpr std::int64_t kCopyElements = 16LL << 20;  // 64 MiB each way: beyond the caches of a few cores

struct Operation {
  Op op;
  Attributes attributes;
  std::vector<Shape> inputs;
  Shape output;
};

/// A program of one step; the inputs lie in the input arena, which is there without anybody writing it first.
Program one_step(const Operation& operation, DType dtype) {
  Program program;
  ProgramBuilder builder(program);
  Step step{.op = operation.op, .phase = Phase::eval, .attributes = operation.attributes};
  for (const Shape& shape : operation.inputs) {
    const std::string name = "x" + std::to_string(step.operands.size());
    step.operands.push_back(
        {builder.add_tensor({.name = name, .shape = shape, .dtype = dtype, .role = Role::input, .arena = Arena::input}),
         Access::in});
  }
  step.operands.push_back({builder.add_tensor({.name = "y", .shape = operation.output, .dtype = dtype}), Access::out});
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

/// FLOP or bytes of the step a second.
double best_rate(const Program& program, Backend& backend, std::int64_t Cost::*amount) {
  return static_cast<double>(step_cost(program, program.steps.front()).*amount) / best_seconds(program, backend);
}

}  // namespace

DeviceRates measure_ceiling(Backend& backend, DType dtype) {
  const Shape square{kProductSide, kProductSide};
  const Shape image{kConvBatch, kConvSide, kConvSide, kConvChannels};
  const Window window{.kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}};
  const Program product = one_step(
      {.op = Op::dense_forward, .attributes = DenseAttributes{}, .inputs = {square, square}, .output = square}, dtype);
  const Program conv = one_step({.op = Op::conv_forward,
                                 .attributes = ConvAttributes{.window = window},
                                 .inputs = {image, {kConvChannels, 3, 3, kConvChannels}},
                                 .output = image},
                                dtype);
  const Shape flat{1, 1, kCopyElements / 64, 64};
  const Program copy =
      one_step({.op = Op::copy, .attributes = NoAttributes{}, .inputs = {flat}, .output = flat}, DType::f32);
  return {
      .flops_per_second = std::max(best_rate(product, backend, &Cost::flops), best_rate(conv, backend, &Cost::flops)),
      .bytes_per_second = best_rate(copy, backend, &Cost::bytes)};
}

}  // namespace snug
