// 1×1 convolutions on (emulated) tensor cores, plain and with norms around them: at sizes around their tiles against
// the reference backend.
#include <gtest/gtest.h>

#include "backend/cuda/steps/cuda_backend.h"
#include "ops/agreement.h"
#include "ops/op_cases.h"

namespace snug::kernels_test {
namespace {

using namespace ops_test;

struct Case {
  std::int64_t rows = 1, channels = 8, filters = 8;
  bool bias = false, accumulate = false;
};

/// Forward, data and weight gradients, as a convolution of `rows` pixels.
std::vector<StepCase> steps(const Case& c) {
  const Shape x{1, c.rows, 1, c.channels}, w{c.filters, 1, 1, c.channels}, y{1, c.rows, 1, c.filters};
  const std::string name =
      std::to_string(c.rows) + " rows, " + std::to_string(c.channels) + " to " + std::to_string(c.filters);
  StepCase forward{.name = name,
                   .op = Op::conv_forward,
                   .attributes = ConvAttributes{.bias = c.bias},
                   .args = {in(x, random_values(x, 1)), in(w, random_values(w, 2))}};
  if (c.bias) forward.args.push_back(in({c.filters}, random_values(c.filters, 3)));
  forward.args.push_back(out(y));
  const StepCase data{.name = name + ": data",
                      .op = Op::conv_backward_data,
                      .attributes = ConvAttributes{},
                      .args = {in(y, random_values(y, 4)), in(w, random_values(w, 5)), out(x)}};
  StepCase weights{.name = name + ": weights",
                   .op = Op::conv_backward_weights,
                   .attributes = ConvAttributes{.accumulate = c.accumulate},
                   .args = {in(x, random_values(x, 6)), in(y, random_values(y, 7))}};
  weights.args.push_back(c.accumulate ? inout(w, random_values(w, 8)) : out(w));
  return {forward, data, weights};
}

TEST(KernelConv1x1, agrees_with_the_reference) {
  const auto kernels = make_kernel_backend();
  const auto reference = make_reference_backend();
  const Case table[] = {
      {.rows = 1, .channels = 8, .filters = 8},
      {.rows = 37, .channels = 32, .filters = 16, .bias = true},
      {.rows = 128, .channels = 64, .filters = 128, .accumulate = true},
      {.rows = 131, .channels = 40, .filters = 136, .bias = true},
      {.rows = 2'051, .channels = 8, .filters = 8},  // two parts of a weight gradient
  };
  for (const Case& c : table) {
    for (const StepCase& step : steps(c)) expect_agreement(*kernels, *reference, step, DType::bf16);
  }
}

TEST(KernelConv1x1, agrees_with_norms_around_it) {
  using enum ActivationFunction;
  const auto kernels = make_kernel_backend();
  const auto reference = make_reference_backend();
  const FusedProduct table[] = {
      {.rows = 1, .attributes = {.norm = true, .activation = relu}},
      {.rows = 2, .channels = 16, .attributes = {.statistics = true}},
      {.rows = 37, .channels = 32, .filters = 24, .attributes = {.norm = true, .addend = true, .accumulate = true}},
      {.rows = 128, .channels = 64, .filters = 128, .attributes = {.norm = true, .activation = relu6}, .slice = true},
      {.rows = 131,
       .channels = 40,
       .filters = 136,
       .attributes = {.norm = true, .activation = leaky_relu, .statistics = true, .addend = true}},
      {.rows = 257,
       .channels = 136,
       .filters = 40,
       .attributes = {.norm = true, .activation = relu, .statistics = true, .addend = true, .residual = true}},
      {.rows = 300, .channels = 24, .filters = 8, .attributes = {.activation = relu6, .residual = true}, .slice = true},
      {.rows = 3, .channels = 2'048, .filters = 16, .attributes = {.norm = true, .activation = relu}},
      {.rows = 5, .channels = 8, .filters = 2'048, .attributes = {.statistics = true}},
  };
  for (const FusedProduct& product : table) {
    for (const StepCase& step : fused_product_cases(product)) expect_agreement(*kernels, *reference, step, DType::bf16);
  }
}

/// Moments are merged about their means: a large mean does not swallow the deviation.
TEST(KernelConv1x1, measures_beside_a_large_mean) {
  const auto kernels = make_kernel_backend();
  const auto reference = make_reference_backend();
  StepCase step = fused_product_cases({.rows = 700, .channels = 24, .attributes = {.statistics = true}})[0];
  for (double& value : step.args[0].values) value += 200;
  step = rounded(step, DType::bf16);
  const std::vector<Values> expected = run_step(*reference, DType::f64, step);
  const std::vector<Values> actual = run_step(*kernels, DType::bf16, step);
  for (const std::size_t operand : {2U, 3U, 5U, 6U})
    expect_close(actual[operand], expected[operand], 1e-5, "operand " + std::to_string(operand));
}

/// 65 parts of sums are joined in 33 groups.
TEST(KernelConv1x1, joins_many_parts) {
  const auto kernels = make_kernel_backend();
  const auto reference = make_reference_backend();
  const std::vector<StepCase> steps = fused_product_cases({.rows = 8'209, .attributes = {.statistics = true}});
  for (const StepCase& exact : {steps[0], steps[1]}) {
    const StepCase step = rounded(exact, DType::bf16);
    const std::vector<Values> expected = run_step(*reference, DType::f64, step);
    const std::vector<Values> actual = run_step(*kernels, DType::bf16, step);
    for (std::size_t i = 0; i < step.args.size(); ++i) {
      if (step.args[i].access != Access::in)
        expect_close(actual[i], expected[i], 0x1p-7, "operand " + std::to_string(i));
    }
  }
}

TEST(KernelConv1x1, gives_the_same_bits_again) {
  const auto kernels = make_kernel_backend();
  const FusedProduct product{
      .rows = 389,
      .channels = 72,
      .filters = 24,
      .attributes = {.norm = true, .activation = ActivationFunction::relu, .statistics = true, .addend = true}};
  for (const StepCase& step : fused_product_cases(product)) {
    const StepCase narrow = rounded(step, DType::bf16);
    EXPECT_EQ(run_step(*kernels, DType::bf16, narrow), run_step(*kernels, DType::bf16, narrow)) << step.name;
  }
}

}  // namespace
}  // namespace snug::kernels_test
