// The same comparison at shapes that are hard on tiles: every number of channels, one pixel, primes, many channels on
// few pixels, and enough pixels for several blocks of every sum.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "backend/cuda/steps/cuda_backend.h"
#include "base/rng.h"
#include "emulator/emulator.h"
#include "emulator/half.h"
#include "kernels/batchnorm.cuh"
#include "kernels/batchnorm_pool.cuh"
#include "kernels/bias.cuh"
#include "kernels/dropout.cuh"
#include "kernels/elementwise.cuh"
#include "kernels/input.cuh"
#include "kernels/philox.h"
#include "ops/agreement.h"
#include "ops/op_cases.h"

namespace snug::kernels_test {
namespace {

using namespace ops_test;

void expect_all(const std::vector<StepCase>& steps) {
  const auto kernels = make_kernel_backend();
  const auto reference = make_reference_backend();
  for (const StepCase& step : steps) {
    expect_agreement(*kernels, *reference, step, DType::f32);
    if (has_narrow_operands(step)) expect_agreement(*kernels, *reference, step, DType::bf16);
  }
}

/// The cases of a shape. Products of many channels take the reference minutes: they have tables of their own.
std::vector<StepCase> steps_of_shape(const Shape& image) {
  std::vector<GradientCase> cases = cases_of_shape(image);
  if (image.elements() > 2'000) std::erase_if(cases, [](const GradientCase& c) { return is_product(c.forward.op); });
  return steps_of(cases);
}

TEST(KernelShapes, every_number_of_channels) {
  for (const std::int64_t channels : {1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 24, 31, 32, 33, 40, 65})
    expect_all(steps_of_shape({2, 3, 4, channels}));
}

TEST(KernelShapes, one_pixel) {
  for (const std::int64_t channels : {1, 8, 37}) expect_all(steps_of_shape({7, 1, 1, channels}));
}

TEST(KernelShapes, many_channels_on_few_pixels) {
  for (const std::int64_t channels : {509, 1024, 2048}) expect_all(steps_of_shape({2, 2, 1, channels}));
}

TEST(KernelShapes, several_tiles_of_channels) { expect_all(steps_of_shape({2, 7, 5, 264})); }

/// Enough rows that every sum over them has several parts, on the 16-byte path and on the other.
TEST(KernelShapes, several_parts_of_every_sum) {
  for (const std::int64_t channels : {8, 3}) {
    std::vector<StepCase> steps = steps_of_shape({1, 67, 71, channels});
    std::erase_if(steps, [](const StepCase& step) {
      return step.op != Op::batchnorm_forward && step.op != Op::batchnorm_backward &&
             step.op != Op::batchnorm_inference_backward && step.op != Op::scale_channels_backward &&
             step.op != Op::adaptive_avgpool_forward;
    });
    expect_all(steps);
  }
}

// ---- depthwise ----------------------------------------------------------------------------------------------------

struct DepthwiseCase {
  Shape input;
  std::int64_t kernel = 3, stride = 1, pad = 1, dilation = 1;
  bool bias = false, accumulate = false;
};

/// Forward, data and weight gradients with one filter per channel.
std::vector<StepCase> depthwise_steps(const DepthwiseCase& c) {
  const std::int64_t channels = c.input[3];
  ConvAttributes a{.window = {.kernel = {c.kernel, c.kernel},
                              .stride = {c.stride, c.stride},
                              .dilation = {c.dilation, c.dilation},
                              .pad_begin = {c.pad, c.pad},
                              .pad_end = {c.pad, c.pad}},
                   .groups = channels,
                   .bias = c.bias};
  const auto extent = [&](std::int64_t in) {
    return (in + 2 * c.pad - c.dilation * (c.kernel - 1) - 1) / c.stride + 1;
  };
  const Shape w{channels, c.kernel, c.kernel, 1};
  const Shape y{c.input[0], extent(c.input[1]), extent(c.input[2]), channels};
  const std::string name = "depthwise " + to_string(c.input) + " by " + std::to_string(c.kernel);
  StepCase forward{.name = name,
                   .op = Op::conv_forward,
                   .attributes = a,
                   .args = {in(c.input, random_values(c.input, 1)), in(w, random_values(w, 2))}};
  if (c.bias) forward.args.push_back(in({channels}, random_values(channels, 3)));
  forward.args.push_back(out(y));
  StepCase weights{.name = name + ": weights",
                   .op = Op::conv_backward_weights,
                   .attributes = {},
                   .args = {in(c.input, random_values(c.input, 4)), in(y, random_values(y, 5))}};
  ConvAttributes weights_attributes = a;
  weights_attributes.accumulate = c.accumulate;
  weights.attributes = weights_attributes;
  weights.args.push_back(c.accumulate ? inout(w, random_values(w, 6)) : out(w));
  if (c.bias) weights.args.push_back(c.accumulate ? inout({channels}, random_values(channels, 7)) : out({channels}));
  a.bias = false;
  StepCase data{.name = name + ": data",
                .op = Op::conv_backward_data,
                .attributes = a,
                .args = {in(y, random_values(y, 8)), in(w, random_values(w, 9)), out(c.input)}};
  return {forward, weights, data};
}

TEST(KernelShapes, depthwise) {
  const DepthwiseCase table[] = {
      {.input = {1, 1, 1, 2}, .kernel = 1, .pad = 0},
      {.input = {2, 7, 5, 3}},
      {.input = {2, 9, 8, 16}, .stride = 2, .bias = true},
      {.input = {3, 11, 13, 40}, .kernel = 5, .stride = 2, .pad = 2, .accumulate = true},
      {.input = {1, 10, 9, 264}, .kernel = 3, .pad = 2, .dilation = 2, .bias = true, .accumulate = true},
      {.input = {2, 8, 8, 64}, .kernel = 7, .pad = 3},  // filters beyond 48 KiB of shared memory: narrower tiles
      {.input = {2, 14, 15, 256}, .kernel = 7, .pad = 3},
      {.input = {4, 33, 31, 8}},  // several parts
      {.input = {2, 3, 3, 1030}},
  };
  for (const DepthwiseCase& c : table) expect_all(depthwise_steps(c));
}

// ---- what a table of steps does not show --------------------------------------------------------------------------

/// What memory holds, by bits: NaN equals itself.
template <class T>
std::vector<std::uint32_t> bits(const std::vector<T>& values) {
  std::vector<std::uint32_t> result;
  result.reserve(values.size());
  for (const T value : values) result.push_back(std::bit_cast<std::uint32_t>(static_cast<float>(value)));
  return result;
}

std::vector<float> numbers(std::int64_t count, std::uint64_t seed) {
  const Values values = random_values(count, seed);
  return {values.begin(), values.end()};
}

struct NormRun {
  std::vector<float> y, mean, inverse_std;
};

NormRun run_norm(const kernels::BatchNorm& norm, const std::vector<float>& x) {
  const auto c = static_cast<std::size_t>(norm.channels);
  NormRun run{std::vector<float>(x.size(), NAN), std::vector<float>(c, NAN), std::vector<float>(c, NAN)};
  const std::vector<float> gamma = numbers(norm.channels, 2), beta = numbers(norm.channels, 3);
  std::vector<float> running_mean(c), running_var(c, 1);
  std::vector<std::byte> workspace(
      static_cast<std::size_t>(kernels::batchnorm_workspace_bytes(norm.rows, norm.channels)));
  kernels::batchnorm_forward(norm, {.x = x.data(), .gamma = gamma.data(), .beta = beta.data(), .y = run.y.data()},
                             running_mean.data(), running_var.data(), run.mean.data(), run.inverse_std.data(),
                             workspace.data(), nullptr);
  return run;
}

TEST(KernelBits, the_order_of_blocks_changes_nothing) {
  const kernels::BatchNorm norm{.rows = 5'003, .channels = 12, .activation = kernels::Activation::relu};
  const std::vector<float> x = numbers(norm.rows * norm.channels, 1);
  emulator::set_seed(1);
  const NormRun first = run_norm(norm, x);
  for (std::uint64_t seed = 2; seed < 5; ++seed) {
    emulator::set_seed(seed);
    const NormRun again = run_norm(norm, x);
    EXPECT_EQ(bits(again.y), bits(first.y));
    EXPECT_EQ(bits(again.mean), bits(first.mean));
    EXPECT_EQ(bits(again.inverse_std), bits(first.inverse_std));
  }
}

TEST(KernelBits, apply_gives_what_forward_gave) {
  for (const int channels : {8, 7}) {
    const kernels::BatchNorm norm{.rows = 611, .channels = channels, .activation = kernels::Activation::relu6};
    const std::vector<float> x = numbers(norm.rows * norm.channels, 1);
    const NormRun run = run_norm(norm, x);
    const std::vector<float> gamma = numbers(channels, 2), beta = numbers(channels, 3);
    std::vector<float> y(x.size(), NAN);
    kernels::batchnorm_apply(norm, {.x = x.data(), .gamma = gamma.data(), .beta = beta.data(), .y = y.data()},
                             run.mean.data(), run.inverse_std.data(), nullptr);
    EXPECT_EQ(bits(y), bits(run.y));
  }
}

/// Elements as they are stored: what a launcher of `data` takes.
std::vector<std::uint16_t> stored(const std::vector<float>& values, kernels::Data data) {
  std::vector<std::uint16_t> words(values.size() * (data == kernels::Data::f32 ? 2 : 1));
  if (data == kernels::Data::f32) {
    std::memcpy(words.data(), values.data(), values.size() * sizeof(float));
    return words;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    words[i] = data == kernels::Data::f16 ? emulator::float_to_half(values[i])
                                          : static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(values[i]) >> 16);
  }
  return words;
}

/// A norm, relu and max pool in one sweep each way against the three, one after another.
TEST(KernelBits, a_norm_with_its_pool_gives_what_both_gave) {
  const kernels::SlidingWindow resnet{.kernel = {3, 3}, .stride = {2, 2}, .pad = {1, 1}};
  const kernels::SlidingWindow dilated{.kernel = {2, 3}, .stride = {2, 1}, .dilation = {2, 1}, .pad = {0, 1}};
  for (const kernels::Data data : {kernels::Data::f32, kernels::Data::bf16, kernels::Data::f16}) {
    for (const int channels : {8, 7, 40}) {
      for (const bool is_resnet : {true, false}) {
        const kernels::Pool pool{.data = data,
                                 .x = {.n = 3, .h = 27, .w = 31, .c = channels},
                                 .y_h = is_resnet ? 14 : 13,
                                 .y_w = is_resnet ? 16 : 31,
                                 .window = is_resnet ? resnet : dilated};
        const kernels::BatchNorm norm{.data = data,
                                      .rows = pool.x.n * pool.x.h * pool.x.w,
                                      .channels = channels,
                                      .activation = kernels::Activation::relu};
        const std::int64_t outputs = pool.x.n * pool.y_h * pool.y_w * channels;
        const auto x = stored(numbers(norm.rows * channels, 1), data), dy = stored(numbers(outputs, 2), data);
        const std::vector<float> gamma = numbers(channels, 3), beta = numbers(channels, 4), mean = numbers(channels, 5);
        const std::vector<float> inverse_std(static_cast<std::size_t>(channels), 1.75F);
        std::vector<float> scratch(static_cast<std::size_t>(kernels::batchnorm_workspace_bytes(norm.rows, channels) /
                                                            static_cast<std::int64_t>(sizeof(float))));
        const std::size_t width = data == kernels::Data::f32 ? 2 : 1, out = static_cast<std::size_t>(outputs);
        std::vector<std::uint16_t> map(x.size()), y(out * width), dmap(x.size()), dx(x.size());
        std::vector<std::uint8_t> index(out);
        std::vector<float> dgamma(mean.size()), dbeta(mean.size());
        kernels::batchnorm_apply(norm, {.x = x.data(), .gamma = gamma.data(), .beta = beta.data(), .y = map.data()},
                                 mean.data(), inverse_std.data(), nullptr);
        kernels::maxpool_forward(pool, map.data(), y.data(), index.data(), nullptr);
        kernels::maxpool_backward(pool, dy.data(), index.data(), dmap.data(), nullptr);
        kernels::batchnorm_backward(norm,
                                    {.dy = dmap.data(),
                                     .gamma = gamma.data(),
                                     .beta = beta.data(),
                                     .mean = mean.data(),
                                     .inverse_std = inverse_std.data(),
                                     .saved = x.data(),
                                     .dx = dx.data(),
                                     .dgamma = dgamma.data(),
                                     .dbeta = dbeta.data()},
                                    scratch.data(), nullptr);

        std::vector<std::uint16_t> fused_y(y.size()), fused_dx(x.size());
        std::vector<std::uint8_t> fused_index(out);
        std::vector<float> fused_dgamma(mean.size()), fused_dbeta(mean.size());
        kernels::batchnorm_maxpool_forward(pool,
                                           {.x = x.data(),
                                            .gamma = gamma.data(),
                                            .beta = beta.data(),
                                            .mean = mean.data(),
                                            .inverse_std = inverse_std.data(),
                                            .y = fused_y.data(),
                                            .index = fused_index.data()},
                                           nullptr);
        kernels::batchnorm_maxpool_backward(pool,
                                            {.dy = dy.data(),
                                             .index = fused_index.data(),
                                             .gamma = gamma.data(),
                                             .beta = beta.data(),
                                             .mean = mean.data(),
                                             .inverse_std = inverse_std.data(),
                                             .x = x.data(),
                                             .dx = fused_dx.data(),
                                             .dgamma = fused_dgamma.data(),
                                             .dbeta = fused_dbeta.data()},
                                            scratch.data(), nullptr);
        EXPECT_EQ(fused_y, y);
        EXPECT_EQ(fused_index, index);
        EXPECT_EQ(fused_dx, dx);
        EXPECT_EQ(bits(fused_dgamma), bits(dgamma));
        EXPECT_EQ(bits(fused_dbeta), bits(dbeta));
      }
    }
  }
}

TEST(KernelBits, a_small_variance_beside_a_large_mean_stays) {
  const kernels::BatchNorm norm{.rows = 2'048, .channels = 5};
  std::vector<float> x = numbers(norm.rows * norm.channels, 1);
  std::vector<double> mean(5), variance(5);
  for (float& value : x) value = 1e4F + 0.01F * 1.7320508F * value;  // uniform: standard deviation 0.01
  for (std::size_t i = 0; i < x.size(); ++i) mean[i % 5] += static_cast<double>(x[i]) / 2'048;
  for (std::size_t i = 0; i < x.size(); ++i) variance[i % 5] += std::pow(static_cast<double>(x[i]) - mean[i % 5], 2);
  const NormRun run = run_norm(norm, x);
  for (std::size_t c = 0; c < 5; ++c) {
    const double expected = 1 / std::sqrt(variance[c] / 2'048 + 1e-5);
    EXPECT_NEAR(static_cast<double>(run.inverse_std[c]) / expected, 1, 1e-4);
  }
}

TEST(KernelBits, statistics_show_what_is_not_finite) {
  const kernels::BatchNorm norm{.rows = 300, .channels = 4};
  std::vector<float> x = numbers(norm.rows * norm.channels, 1);
  x[4 * 170 + 2] = NAN;
  x[4 * 211 + 3] = INFINITY;
  const NormRun run = run_norm(norm, x);
  EXPECT_TRUE(std::isfinite(run.inverse_std[0]) && std::isfinite(run.inverse_std[1]));
  EXPECT_TRUE(std::isnan(run.mean[2]) && std::isnan(run.inverse_std[2]));
  EXPECT_FALSE(std::isfinite(run.mean[3]) && std::isfinite(run.inverse_std[3]));
}

TEST(KernelBits, dropout_draws_the_host_s_numbers) {
  constexpr std::uint64_t kKey = random_key(7, RandomStream::dropout, 3);
  const double step = 41;
  for (const std::int64_t elements : {1, 6, 64, 1'030}) {
    std::vector<float> x(static_cast<std::size_t>(3 * elements), 1), y(x.size(), NAN);
    kernels::dropout(kernels::Data::f32, {.rate = 0.3, .key = kKey, .sample_offset = 5}, &step, x.data(), y.data(), 3,
                     elements, nullptr);
    for (std::int64_t n = 0; n < 3; ++n) {
      for (std::int64_t e = 0; e < elements; ++e) {
        const auto words =
            philox(kKey, 41ULL << 32 | static_cast<std::uint64_t>(5 + n), static_cast<std::uint64_t>(e / 4));
        const bool kept = static_cast<double>(to_unit(words[static_cast<std::size_t>(e % 4)])) >= 0.3;
        ASSERT_EQ(y[static_cast<std::size_t>(n * elements + e)], kept ? static_cast<float>(1 / 0.7) : 0.0F);
      }
    }
  }
}

TEST(KernelBits, images_are_padded_to_more_channels) {
  const std::int64_t pixels = 301;
  std::vector<std::uint8_t> images(static_cast<std::size_t>(pixels * 3));
  for (std::size_t i = 0; i < images.size(); ++i) images[i] = static_cast<std::uint8_t>(i * 37 % 256);
  const float mean[] = {0.4F, 0.5F, 0.6F}, inverse_std[] = {4, 5, 3};
  for (const int padded : {3, 4, 8}) {
    std::vector<std::uint16_t> y(static_cast<std::size_t>(pixels * padded), 0xFFFF);
    kernels::normalize_input(true, kernels::Data::bf16, 255, images.data(), mean, inverse_std, y.data(), pixels, 3,
                             padded, nullptr);
    for (std::int64_t i = 0; i < pixels * padded; ++i) {
      const auto c = static_cast<std::size_t>(i % padded);
      const float pixel = c < 3 ? images[static_cast<std::size_t>(i / padded * 3) + c] : 0.0F;
      const float expected = c < 3 ? (pixel / 255 - mean[c]) * inverse_std[c] : 0.0F;
      ASSERT_EQ(y[static_cast<std::size_t>(i)], emulator::float_to_bf16(expected)) << "element " << i;
    }
  }
}

TEST(KernelBits, casts_round_to_nearest_even) {
  std::vector<float> x = numbers(1'003, 1);
  x[0] = NAN, x[1] = INFINITY, x[2] = 1.0F + 0x1p-8F, x[3] = 1.0F + 0x3p-8F, x[4] = 1e30F, x[5] = -0.0F;
  for (const std::size_t skew : {0, 1}) {
    std::vector<std::uint16_t> bf16(x.size(), 0xAAAA), half(x.size(), 0xAAAA);
    const auto n = static_cast<std::int64_t>(x.size() - skew);
    kernels::cast(kernels::Data::f32, kernels::Data::bf16, x.data() + skew, bf16.data() + skew, n, nullptr);
    kernels::cast(kernels::Data::f32, kernels::Data::f16, x.data() + skew, half.data() + skew, n, nullptr);
    for (std::size_t i = skew; i < x.size(); ++i) {
      ASSERT_EQ(bf16[i], emulator::float_to_bf16(x[i])) << x[i];
      ASSERT_EQ(half[i], emulator::float_to_half(x[i])) << x[i];
    }
  }
}

TEST(KernelBits, bias_and_activation) {
  for (const int channels : {1, 7, 8, 132}) {
    const std::int64_t rows = 77;
    const std::vector<float> x = numbers(rows * channels, 1), bias = numbers(channels, 2);
    std::vector<float> y(x.size(), NAN);
    kernels::bias_activation(kernels::Data::f32, kernels::Activation::leaky_relu, x.data(), bias.data(), y.data(), rows,
                             channels, nullptr);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const float sum = x[i] + bias[i % static_cast<std::size_t>(channels)];
      ASSERT_EQ(y[i], sum > 0 ? sum : 0.01F * sum);
    }
  }
}

}  // namespace
}  // namespace snug::kernels_test
