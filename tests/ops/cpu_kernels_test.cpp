// Every instruction set's table computes the same: each kernel against its definition in double.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "backend/cpu/kernels/kernels.h"
#include "base/rng.h"

namespace snug::cpu {
namespace {

using Floats = std::vector<float>;

Floats random_floats(std::int64_t count, std::uint64_t seed, float low = -1, float high = 1) {
  Random random(seed);
  Floats values(static_cast<std::size_t>(count));
  for (float& value : values) value = low + (high - low) * random.uniform();
  return values;
}

void expect_near(const Floats& actual, const std::vector<double>& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double largest = 1e-30;
  for (const double value : expected) largest = std::max(largest, std::abs(value));
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_LE(std::abs(static_cast<double>(actual[i]) - expected[i]), tolerance * largest) << what << " at " << i;
  }
}

/// Runs a check on every table that this processor can run.
class CpuKernels : public testing::Test {
 protected:
  template <class Check>
  static void on_every_table(const Check& check) {
    int tables = 0;
    for (const Kernels* table : usable_kernels()) {
      if (table == nullptr) continue;
      SCOPED_TRACE(table->instruction_set);
      check(*table);
      ++tables;
    }
    EXPECT_GE(tables, 1);
  }
};

struct FunctionCase {
  const char* name;
  std::function<double(double)> value;
  bool from_output;
};

const std::vector<FunctionCase> kFunctions{
    {"relu", [](double x) { return std::max(x, 0.0); }, true},
    {"relu6", [](double x) { return std::clamp(x, 0.0, 6.0); }, true},
    {"leaky_relu", [](double x) { return x > 0 ? x : 0.01 * x; }, true},
    {"silu", [](double x) { return x / (1 + std::exp(-x)); }, false},
    {"gelu", [](double x) { return 0.5 * x * (1 + std::erf(x * std::sqrt(0.5))); }, false},
    {"sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, true},
    {"tanh", [](double x) { return std::tanh(x); }, true},
};

TEST_F(CpuKernels, activations_and_their_slopes) {
  Floats x;
  for (int i = -12'000; i <= 12'000; ++i) x.push_back((static_cast<float>(i) + 0.5F) / 1'000);
  const Floats ones(x.size(), 1);
  const auto count = static_cast<std::int64_t>(x.size());
  on_every_table([&](const Kernels& kernels) {
    for (std::size_t f = 0; f < kFunctions.size(); ++f) {
      const FunctionCase& function = kFunctions[f];
      SCOPED_TRACE(function.name);
      Floats y(x.size()), slope(x.size());
      kernels.activation.f32.forward[f](y.data(), x.data(), count);
      kernels.activation.f32.backward_from_input[f](slope.data(), ones.data(), x.data(), count);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double at = static_cast<double>(x[i]);
        // Small values to small relative error too: a shift of the origin would show.
        ASSERT_NEAR(y[i], function.value(at), 4e-7 * std::abs(function.value(at)) + 2e-7 * std::abs(at)) << at;
        const double h = 1e-6;
        ASSERT_NEAR(slope[i], (function.value(at + h) - function.value(at - h)) / (2 * h), 1e-6) << at;
      }
      if (!function.from_output) continue;
      Floats again(x.size());
      kernels.activation.f32.backward_from_output[f](again.data(), ones.data(), y.data(), count);
      for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(again[i], slope[i], 4e-7) << x[i];
    }
  });
}

TEST_F(CpuKernels, activations_at_the_ends_of_the_range) {
  const Floats x{-3e38F, -200, -90, 90, 200, 3e38F, std::nanf("")};
  const std::vector<Floats> expected{
      {0, 0, 0, 90, 200, 3e38F}, {0, 0, 0, 6, 6, 6},        {-3e36F, -2, -0.9F, 90, 200, 3e38F},
      {0, 0, 0, 90, 200, 3e38F}, {0, 0, 0, 90, 200, 3e38F}, {0, 0, 0, 1, 1, 1},
      {-1, -1, -1, 1, 1, 1}};
  on_every_table([&](const Kernels& kernels) {
    for (std::size_t f = 0; f < kFunctions.size(); ++f) {
      SCOPED_TRACE(kFunctions[f].name);
      Floats y(x.size());
      kernels.activation.f32.forward[f](y.data(), x.data(), static_cast<std::int64_t>(x.size()));
      for (std::size_t i = 0; i < expected[f].size(); ++i) {
        EXPECT_NEAR(y[i], expected[f][i], 1e-6F * std::max(1.0F, std::abs(expected[f][i]))) << x[i];
      }
      EXPECT_TRUE(std::isnan(y.back())) << "a value that is not a number must stay one";
    }
  });
}

/// Rounding to nearest even as IEEE 754 describes it: what is cut off is compared with one half.
std::uint16_t narrowed(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t cut = bits & 0xFFFF, kept = bits >> 16;
  if (std::isnan(value)) return static_cast<std::uint16_t>(kept | 0x40);
  return static_cast<std::uint16_t>(kept + (cut > 0x8000 || (cut == 0x8000 && kept % 2 == 1) ? 1 : 0));
}

TEST_F(CpuKernels, casts_round_to_nearest_even_and_keep_nan) {
  Floats x;
  for (std::uint64_t bits = 0; bits <= 0xFFFF'FFFF; bits += 0x1'0001 / 3)
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  for (const std::uint32_t bits :
       {0x3F80'8000U, 0x3F81'8000U, 0x7F7F'FFFFU, 0x7F80'0000U, 0x7F80'0001U, 0xFFFF'FFFFU, 0x0000'8000U, 0x8000'8001U})
    x.push_back(std::bit_cast<float>(bits));
  const auto count = static_cast<std::int64_t>(x.size());
  on_every_table([&](const Kernels& kernels) {
    std::vector<Bf16> y(x.size());
    kernels.cast.narrow(y.data(), x.data(), count);
    Floats back(x.size());
    kernels.cast.widen(back.data(), y.data(), count);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(y[i].bits, narrowed(x[i])) << std::hex << std::bit_cast<std::uint32_t>(x[i]);
      ASSERT_EQ(std::bit_cast<std::uint32_t>(back[i]), std::uint32_t{y[i].bits} << 16);
    }
  });
}

/// What is stored in bf16 is what is stored in fp32, rounded.
TEST_F(CpuKernels, bf16_kernels_round_what_the_fp32_kernels_compute) {
  Floats x = random_floats(1003, 7, -8, 8), dy = random_floats(1003, 8);
  for (Floats* values : {&x, &dy})
    for (float& value : *values) value = std::bit_cast<float>(std::uint32_t{narrowed(value)} << 16);
  const auto count = static_cast<std::int64_t>(x.size());
  on_every_table([&](const Kernels& kernels) {
    std::vector<Bf16> low_x(x.size()), low_dy(x.size()), low(x.size());
    kernels.cast.narrow(low_x.data(), x.data(), count);
    kernels.cast.narrow(low_dy.data(), dy.data(), count);
    Floats wide(x.size());
    const auto expect_rounded = [&](const char* what) {
      for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(low[i].bits, narrowed(wide[i])) << what << " of " << x[i];
    };
    for (std::size_t f = 0; f < kFunctions.size(); ++f) {
      kernels.activation.f32.forward[f](wide.data(), x.data(), count);
      kernels.activation.bf16.forward[f](low.data(), low_x.data(), count);
      expect_rounded(kFunctions[f].name);
      kernels.activation.f32.backward_from_input[f](wide.data(), dy.data(), x.data(), count);
      kernels.activation.bf16.backward_from_input[f](low.data(), low_dy.data(), low_x.data(), count);
      expect_rounded(kFunctions[f].name);
    }
    kernels.elementwise.f32.add(wide.data(), x.data(), dy.data(), count);
    kernels.elementwise.bf16.add(low.data(), low_x.data(), low_dy.data(), count);
    expect_rounded("sum");
    kernels.elementwise.f32.multiply(wide.data(), x.data(), 1.7F, count);
    kernels.elementwise.bf16.multiply(low.data(), low_x.data(), 1.7F, count);
    expect_rounded("product");
  });
}

struct RowsCase {
  std::int64_t rows, channels;
};
const std::vector<RowsCase> kRows{{1, 1},  {7, 1},    {1000, 1}, {333, 3}, {50, 6},  {129, 8}, {65, 20},
                                  {9, 33}, {100, 64}, {31, 100}, {5, 130}, {3, 515}, {64, 32}, {2, 16}};

/// Sums over the rows of each channel of term(row's element).
std::vector<double> channel_sums(const RowsCase& c, const std::function<double(std::size_t, std::size_t)>& term) {
  std::vector<double> sums(static_cast<std::size_t>(c.channels), 0.0);
  for (std::size_t i = 0; i < static_cast<std::size_t>(c.rows * c.channels); ++i) {
    const std::size_t channel = i % sums.size();
    sums[channel] += term(i, channel);
  }
  return sums;
}

TEST_F(CpuKernels, channel_statistics) {
  on_every_table([&](const Kernels& kernels) {
    for (const RowsCase& c : kRows) {
      SCOPED_TRACE(std::to_string(c.rows) + " × " + std::to_string(c.channels));
      const Floats x = random_floats(c.rows * c.channels, 1, 4, 6);
      const auto n = static_cast<std::size_t>(c.channels);
      Floats mean(n), squares(n);
      kernels.channel.f32.statistics({x.data(), c.channels}, c.rows, c.channels, fold_of(c.channels), mean.data(),
                                     squares.data());
      auto expected = channel_sums(c, [&](std::size_t i, std::size_t) { return static_cast<double>(x[i]); });
      for (double& value : expected) value /= static_cast<double>(c.rows);
      expect_near(mean, expected, 1e-6, "mean");
      expect_near(squares,
                  channel_sums(c, [&](std::size_t i,
                                      std::size_t k) { return std::pow(static_cast<double>(x[i]) - expected[k], 2); }),
                  c.rows == 1 ? 1 : 1e-5, "squares");
    }
  });
}

TEST_F(CpuKernels, channel_gradient_sums_and_products) {
  on_every_table([&](const Kernels& kernels) {
    for (const RowsCase& c : kRows) {
      SCOPED_TRACE(std::to_string(c.rows) + " × " + std::to_string(c.channels));
      const Floats dy = random_floats(c.rows * c.channels, 2);
      const Floats z = random_floats(c.rows * c.channels, 3);
      const Floats center = random_floats(c.channels, 4);
      const auto n = static_cast<std::size_t>(c.channels);
      Floats sum(n), product(n), dot(n);
      const std::int64_t fold = fold_of(c.channels);
      Floats wide;
      for (std::int64_t f = 0; f < fold; ++f) wide.insert(wide.end(), center.begin(), center.end());
      kernels.channel.f32.gradient_sums[kIdentity](dy.data(), {z.data(), c.channels}, c.rows, c.channels, fold,
                                                   {wide.data(), wide.data(), wide.data()}, sum.data(), product.data());
      kernels.channel.f32.products(dy.data(), z.data(), c.rows, c.channels, dot.data());
      const auto at = [](const Floats& v, std::size_t i) { return static_cast<double>(v[i]); };
      expect_near(sum, channel_sums(c, [&](std::size_t i, std::size_t) { return at(dy, i); }), 1e-5, "sum");
      expect_near(product,
                  channel_sums(c, [&](std::size_t i, std::size_t k) { return at(dy, i) * (at(z, i) - at(center, k)); }),
                  1e-5, "product");
      expect_near(dot, channel_sums(c, [&](std::size_t i, std::size_t) { return at(dy, i) * at(z, i); }), 1e-5, "dot");
    }
  });
}

TEST(Fold, widths_fill_vectors_and_fit_the_buffers) {
  for (std::int64_t channels = 1; channels <= 3000; ++channels) {
    const std::int64_t fold = fold_of(channels);
    ASSERT_GE(fold, 1);
    if (fold == 1) continue;
    ASSERT_LE(fold * channels, kMaxFoldedWidth) << channels;
    ASSERT_EQ(fold * channels % 16, 0) << channels;
  }
}

TEST_F(CpuKernels, dropout_draws_the_documented_numbers) {
  constexpr std::uint64_t kKey = 0x1234'5678'9ABC'DEF0, kCounter = (std::uint64_t{7} << 32) | 3;
  constexpr double kRate = 0.3;
  const auto threshold = static_cast<std::uint32_t>(std::ceil(kRate * 0x1p24));
  const Floats x = random_floats(1003, 5, 1, 2);
  on_every_table([&](const Kernels& kernels) {
    for (const std::int64_t first : {0, 4, 16'384}) {
      Floats y(x.size());
      kernels.elementwise.f32.dropout(y.data(), x.data(), static_cast<std::int64_t>(x.size()), first, kKey, kCounter,
                                      threshold, 2);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const std::uint64_t element = static_cast<std::uint64_t>(first) + i;
        const bool kept = static_cast<double>(to_unit(philox(kKey, kCounter, element / 4)[element % 4])) >= kRate;
        ASSERT_EQ(y[i], kept ? 2 * x[i] : 0) << i;
      }
    }
  });
}

TEST_F(CpuKernels, softmax_sums) {
  on_every_table([&](const Kernels& kernels) {
    for (const std::int64_t n : {1, 3, 10, 63, 64, 65, 1000}) {
      const Floats x = random_floats(n, 6, -30, 30);
      Floats e(x.size());
      const float largest = kernels.softmax.maximum(x.data(), n);
      EXPECT_EQ(largest, *std::ranges::max_element(x));
      const float sum = kernels.softmax.exponentials(e.data(), x.data(), largest, n);
      EXPECT_EQ(sum, kernels.softmax.exponentials(nullptr, x.data(), largest, n));
      double expected = 0, total = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double value = std::exp(static_cast<double>(x[i] - largest));
        ASSERT_NEAR(e[i], value, 3e-7 * value + 1e-37);
        expected += value;
        total += static_cast<double>(x[i]);
      }
      EXPECT_NEAR(sum, expected, 1e-6 * expected);
      EXPECT_NEAR(kernels.softmax.sum(x.data(), n), total, 1e-3);
    }
  });
}

TEST_F(CpuKernels, sum_of_squares_outgrows_single_precision) {
  const Floats x(1000, 1e25F);
  on_every_table(
      [&](const Kernels& kernels) { EXPECT_NEAR(kernels.update.sum_of_squares(x.data(), 1000) / 1e53, 1, 1e-6); });
}

}  // namespace
}  // namespace snug::cpu
