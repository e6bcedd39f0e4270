// What the CPU backend promises beyond right numbers: bits that do not depend on threads, errors, values that are not
// numbers, and prepared steps that may be shared.
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "config/precision.h"
#include "ops/op_cases.h"
#include "snug/diagnostic.h"

namespace snug::ops_test {
namespace {

/// Our own kernels at a size of several chunks each.
std::vector<StepCase> large_steps() {
  const Shape x{3, 61, 53, 24}, pooled{3, 31, 27, 24}, c{24}, flat{100'003}, rows{900, 37};
  const auto values = [](const Shape& shape, std::uint64_t seed) { return random_values(shape, seed); };
  const Values stats(6, 0.0), control{0.1, 3, 1};
  PoolAttributes pool;
  pool.window = {.kernel = {3, 3}, .stride = {2, 2}, .pad_begin = {1, 1}, .pad_end = {1, 1}};
  Values index(static_cast<std::size_t>(pooled.elements()));
  for (std::size_t i = 0; i < index.size(); ++i) index[i] = static_cast<double>(i * 7 % 9);
  Values labels(900);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<double>(i % 37);
  const Values positive(24, 0.7);
  return {
      {"batchnorm_forward",
       Op::batchnorm_forward,
       BatchNormAttributes{},
       {in(x, values(x, 1)), in(c, positive), in(c, values(c, 2)), inout(c, values(c, 3)), inout(c, positive), out(x),
        out(c), out(c)}},
      {"batchnorm_backward",
       Op::batchnorm_backward,
       BatchNormAttributes{},
       {in(x, values(x, 1)), in(c, positive), in(c, values(c, 2)), in(c, values(c, 3)), in(c, positive), out(x), out(c),
        out(c), in(x, values(x, 4))}},
      {"maxpool_forward", Op::maxpool_forward, pool, {in(x, values(x, 1)), out(pooled), out(pooled, Kind::byte)}},
      {"maxpool_backward",
       Op::maxpool_backward,
       pool,
       {in(pooled, values(pooled, 1)), in(pooled, index, Kind::byte), out(x)}},
      {"avgpool_forward", Op::avgpool_forward, pool, {in(x, values(x, 1)), out(pooled)}},
      {"gelu", Op::activation_forward, ActivationAttributes{ActivationFunction::gelu}, {in(x, values(x, 1)), out(x)}},
      {"dropout",
       Op::dropout_forward,
       DropoutAttributes{.rate = 0.3, .seed = 5, .layer = 2, .sample_offset = 9},
       {in(x, values(x, 1)), in({3}, control, Kind::wide), out(x)}},
      {"scale_channels_backward",
       Op::scale_channels_backward,
       NoAttributes{},
       {in(x, values(x, 1)), in(x, values(x, 2)), in({3, 1, 1, 24}, random_values(72, 3)), out(x), out({3, 1, 1, 24})}},
      {"softmax", Op::softmax_forward, NoAttributes{}, {in(rows, values(rows, 1)), out(rows)}},
      {"crossentropy",
       Op::softmax_crossentropy,
       LossAttributes{.label_smoothing = 0.1, .mean_over = 900, .class_weights = false, .gradient = true},
       {in(rows, values(rows, 1)), in({900}, labels, Kind::number), inout({6}, stats, Kind::wide), out(rows)}},
      {"gradient_norm",
       Op::gradient_norm,
       GradientNormAttributes{.segments = {{3, 70'000}, {70'016, 29'000}}},
       {in(flat, values(flat, 1)), inout({6}, stats, Kind::wide), out({1}, Kind::wide)}},
      {"adam",
       Op::adam_update,
       UpdateAttributes{.segments = {{0, 100'003}}, .weight_decay = 0.01},
       {in(flat, values(flat, 1)), in({3}, control, Kind::wide), in({6}, stats, Kind::wide),
        inout(flat, values(flat, 2)), inout(flat, values(flat, 3)), inout(flat, random_values(flat, 4, 0, 1))}},
  };
}

/// Equal bits; NaN equals NaN.
void expect_same(const std::vector<Values>& a, const std::vector<Values>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].size(), b[i].size());
    for (std::size_t k = 0; k < a[i].size(); ++k) {
      ASSERT_TRUE(a[i][k] == b[i][k] || (std::isnan(a[i][k]) && std::isnan(b[i][k])))
          << "operand " << i << " element " << k << ": " << a[i][k] << " and " << b[i][k];
    }
  }
}

TEST(CpuBackend, own_kernels_give_the_same_bits_with_any_number_of_threads) {
  const auto one = make_cpu_backend({.threads = 1});
  for (const StepCase& step : large_steps()) {
    SCOPED_TRACE(step.name);
    const std::vector<Values> expected = run_step(*one, DType::f32, step);
    for (const int threads : {2, 3, 7}) {
      SCOPED_TRACE(threads);
      expect_same(run_step(*make_cpu_backend({.threads = threads}), DType::f32, step), expected);
    }
  }
}

std::string algorithm_of(Backend& backend, const StepCase& step, DType real) {
  Program program;
  ProgramBuilder builder(program);
  Step made{.op = step.op, .phase = Phase::backward, .attributes = step.attributes, .operands = {}, .layer = {}};
  for (std::size_t i = 0; i < step.args.size(); ++i) {
    const DType type = stays_wide(step, i) ? DType::f32 : real;
    made.operands.push_back(
        {builder.add_tensor({.name = std::to_string(i), .shape = step.args[i].shape, .dtype = type}),
         step.args[i].access});
  }
  return backend.prepare(program, made).algorithm;
}

TEST(CpuBackend, own_weight_gradients_give_the_same_bits_with_any_number_of_threads) {
  int own = 0;
  for (const DType real : {DType::f32, DType::bf16}) {
    if (real == DType::bf16 && cannot_compute(Precision::bf16, this_processor())) continue;
    const auto one = make_cpu_backend({.threads = 1});
    for (const StepCase& exact : large_weight_gradient_cases()) {
      const StepCase step = rounded(exact, real);
      SCOPED_TRACE(step.name + " in " + std::string(to_string(real)));
      const std::vector<Values> expected = run_step(*one, real, step);
      for (const int threads : {2, 3}) {
        const auto several = make_cpu_backend({.threads = threads});
        if (algorithm_of(*several, step, real) != "conv:own") continue;  // the library promises less
        ++own;
        expect_same(run_step(*several, real, step), expected);
      }
    }
  }
  EXPECT_GE(own, this_processor().avx512 ? 4 * 2 : 0) << "the cases miss what they are for";
}

/// Image `i` of each operand that has one image or more for each of `images`; the others whole.
StepCase image_of(const StepCase& step, std::int64_t i, std::int64_t images, std::int64_t count) {
  StepCase part = step;
  for (Arg& arg : part.args) {
    if (arg.shape.rank() != 4 || arg.shape[0] != images) continue;
    const auto size = static_cast<std::ptrdiff_t>(arg.shape.elements() / images);
    arg.shape = {count, arg.shape[1], arg.shape[2], arg.shape[3]};
    if (!arg.values.empty())
      arg.values = Values(arg.values.begin() + i * size, arg.values.begin() + (i + count) * size);
  }
  return part;
}

TEST(CpuBackend, winograd_gives_the_same_bits_with_any_number_of_threads_and_images) {
  int own = 0;
  const auto one = make_cpu_backend({.threads = 1});
  for (const StepCase& exact : winograd_cases()) {
    if (cannot_compute(Precision::bf16, this_processor())) break;
    const StepCase step = rounded(exact, DType::bf16);
    SCOPED_TRACE(step.name);
    if (algorithm_of(*one, step, DType::bf16) != "conv:winograd") continue;
    ++own;
    const std::vector<Values> expected = run_step(*one, DType::bf16, step);
    for (const int threads : {2, 3})
      expect_same(run_step(*make_cpu_backend({.threads = threads}), DType::bf16, step), expected);
    const std::int64_t images = step.args[0].shape[0], half = images / 2 + 1;
    const StepCase part = image_of(step, images - half, images, half);
    if (algorithm_of(*one, part, DType::bf16) != "conv:winograd") continue;
    const Values last = run_step(*one, DType::bf16, part).back(), &all = expected.back();
    ASSERT_TRUE(std::equal(last.rbegin(), last.rend(), all.rbegin()));
  }
  if (own == 0) GTEST_SKIP() << "this processor has no AVX512_BF16, or AMX, which is faster still";
  EXPECT_GE(own, 10) << "the cases miss what they are for";
}

TEST(CpuBackend, a_step_may_run_on_another_thread_than_it_was_prepared_on) {
  const auto cpu = make_cpu_backend({.threads = 2});
  const Shape x{4, 20, 20, 16}, w{16, 3, 3, 16};
  ConvAttributes conv;
  conv.window = {.kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}};
  const StepCase step{"conv", Op::conv_forward, conv, {in(x, random_values(x, 1)), in(w, random_values(w, 2)), out(x)}};
  const std::vector<Values> expected = run_step(*cpu, DType::f32, step);
  std::vector<Values> actual;
  std::thread([&] { actual = run_step(*cpu, DType::f32, step); }).join();
  expect_same(actual, expected);
}

TEST(CpuBackend, equal_steps_share_what_was_prepared_but_not_their_memory) {
  const auto cpu = make_cpu_backend({.threads = 2});
  const auto reference = make_reference_backend();
  const Shape x{5, 40}, w{9, 40}, y{5, 9};
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const StepCase step{"dense",
                        Op::dense_forward,
                        DenseAttributes{},
                        {in(x, random_values(x, seed)), in(w, random_values(w, seed + 10)), out(y)}};
    expect_close(run_step(*cpu, DType::f32, step)[2], run_step(*reference, DType::f64, step)[2], 1e-6, "y");
  }
}

TEST(CpuBackend, what_is_not_a_number_stays_so) {
  const auto cpu = make_cpu_backend({.threads = 1});
  const double nan = std::nan("");
  const double inf = std::numeric_limits<double>::infinity();
  const auto pooled = run_step(*cpu, DType::f32,
                               {.name = "maxpool",
                                .op = Op::maxpool_forward,
                                .attributes = PoolAttributes{{.kernel = {2, 2}, .stride = {2, 2}}},
                                .args = {in({1, 2, 4, 1}, {1, nan, -inf, -inf, 2, 3, -inf, -inf}), out({1, 1, 2, 1}),
                                         out({1, 1, 2, 1}, Kind::byte)},
                                .poisoned = true});
  EXPECT_TRUE(std::isnan(pooled[1][0]));
  EXPECT_EQ(pooled[1][1], -inf);
  EXPECT_EQ(pooled[2], (Values{1, 0})) << "the first of equal pixels, also of -infinity";
}

/// The finding that preparing a step ends with.
Diagnostic finding_of(const StepCase& step, DType real = DType::f32) {
  const auto cpu = make_cpu_backend({.threads = 1});
  try {
    static_cast<void>(run_step(*cpu, real, step));
  } catch (const Error& error) {
    return error.findings().at(0);
  }
  return {.code = "none", .where = {}, .what = {}, .fix = {}};
}

TEST(CpuBackend, says_what_it_cannot_run) {
  const Shape x{1, 16, 16, 1};
  const StepCase relu{"relu", Op::activation_forward, ActivationAttributes{}, {in(x, random_values(x, 1)), out(x)}};
  EXPECT_EQ(finding_of(relu).code, "none");
  EXPECT_EQ(finding_of(relu, DType::f64).code, "I401");
  EXPECT_NE(finding_of(relu, DType::f64).what.find("operand 0 is fp64, expects fp32"), std::string::npos);
  const StepCase pool{"pool",
                      Op::maxpool_forward,
                      PoolAttributes{{.kernel = {16, 16}, .stride = {16, 16}}},
                      {in(x, random_values(x, 1)), out({1, 1, 1, 1}), out({1, 1, 1, 1}, Kind::byte)}};
  EXPECT_EQ(finding_of(pool).code, "A490");
  const StepCase gelu{"gelu",
                      Op::activation_backward,
                      ActivationAttributes{ActivationFunction::gelu},
                      {in(x, random_values(x, 1)), out(x), in(x, random_values(x, 2))},
                      Saved::output};
  EXPECT_EQ(finding_of(gelu).code, "I401");
  for (const Diagnostic& finding : {finding_of(pool), finding_of(gelu), finding_of(relu, DType::f64)}) {
    EXPECT_LE(finding.what.size(), 160U);
    EXPECT_FALSE(finding.fix.empty());
  }
}

}  // namespace
}  // namespace snug::ops_test
