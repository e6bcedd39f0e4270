// 1×1 convolutions on (emulated) tensor cores: at sizes around their tiles against the reference backend, and the
// moments of their epilogue against sums in double.
#include "kernels/conv1x1.cuh"

#include <gtest/gtest.h>

#include <cmath>

#include "backend/cuda/steps/cuda_backend.h"
#include "emulator/half.h"
#include "ops/agreement.h"

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

std::vector<std::uint16_t> bf16_numbers(std::int64_t count, std::uint64_t seed, double shift) {
  std::vector<std::uint16_t> result;
  for (const double value : random_values(count, seed))
    result.push_back(emulator::float_to_bf16(static_cast<float>(value + shift)));
  return result;
}

double number(std::uint16_t bits) { return static_cast<double>(emulator::bf16_to_float(bits)); }

TEST(KernelConv1x1, measures_its_output) {
  const kernels::Conv1x1 conv{.rows = 333, .channels = 24, .filters = 136};
  const auto filters = static_cast<std::size_t>(conv.filters);
  const auto x = bf16_numbers(conv.rows * conv.channels, 1, 2),
             w = bf16_numbers(std::int64_t{conv.filters} * conv.channels, 2, 0.1);
  alignas(16) static std::uint16_t y[333 * 136];
  std::vector<float> moments(static_cast<std::size_t>(kernels::conv1x1_moments_bytes(conv)) / sizeof(float), NAN);
  std::vector<float> mean(filters, NAN), inverse_std(filters, NAN), running_mean(filters, 1), running_var(filters, 1);
  kernels::conv1x1_forward(conv, x.data(), w.data(), nullptr, kernels::Activation::none, y, moments.data(), nullptr);
  kernels::conv1x1_statistics(conv, moments.data(), {}, running_mean.data(), running_var.data(), mean.data(),
                              inverse_std.data(), nullptr);
  for (std::size_t o = 0; o < filters; ++o) {
    std::vector<double> outputs;
    for (std::int64_t row = 0; row < conv.rows; ++row) {
      double sum = 0;
      for (std::int64_t c = 0; c < conv.channels; ++c) {
        sum += number(x[static_cast<std::size_t>(row * conv.channels + c)]) *
               number(w[o * static_cast<std::size_t>(conv.channels) + static_cast<std::size_t>(c)]);
      }
      outputs.push_back(sum);
      ASSERT_NEAR(number(y[static_cast<std::size_t>(row) * filters + o]), sum, std::abs(sum) * 0x1p-8 + 1e-4);
    }
    double average = 0, squares = 0;
    for (const double value : outputs) average += value / 333;
    for (const double value : outputs) squares += (value - average) * (value - average);
    ASSERT_NEAR(static_cast<double>(mean[o]), average, 1e-5 * (1 + std::abs(average)));
    const double expected = 1 / std::sqrt(squares / 333 + 1e-5);
    ASSERT_NEAR(static_cast<double>(inverse_std[o]) / expected, 1, 1e-5);
    ASSERT_NEAR(static_cast<double>(running_mean[o]), 0.9 + 0.1 * average, 1e-5 * (1 + std::abs(average)));
    ASSERT_NEAR(static_cast<double>(running_var[o]), 0.9 + 0.1 * squares / 332, 1e-5 * (1 + squares / 332));
  }
}

}  // namespace
}  // namespace snug::kernels_test
