// Forward steps, losses and updates of the reference backend against numbers worked out by hand.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "ops/op_cases.h"

namespace snug::ops_test {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

std::vector<Values> run(Op op, const Attributes& attributes, const std::vector<Arg>& args,
                        Saved chosen = Saved::input) {
  const auto backend = make_reference_backend();
  return run_step(
      *backend, DType::f64,
      {.name = std::string(to_string(op)), .op = op, .attributes = attributes, .args = args, .chosen = chosen});
}

void expect_near(const Values& actual, const Values& expected, double error = 1e-12) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], error) << "element " << i;
}

TEST(ReferenceForward, normalize_input) {
  const auto result =
      run(Op::normalize_input, NormalizeAttributes{.divisor = 10},
          {in({1, 1, 2, 2}, {0, 10, 20, 30}, Kind::byte), in({2}, {0.5, 1}), in({2}, {2, 4}), out({1, 1, 2, 2})});
  expect_near(result[3], {-1, 0, 3, 8});
}

TEST(ReferenceForward, normalize_input_gathers) {
  // Of two images of 2×3, 1…6 and 11…16: the second upside down and mirrored, then one row down; the first, two columns
  // to the right, of which what is beside it is mirrored.
  const auto result = run(Op::normalize_input, NormalizeAttributes{.divisor = 1, .gathered = true},
                          {in({2, 2, 3, 1}, {1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16}, Kind::byte), in({1}, {1}),
                           in({1}, {2}), in({2, 4}, {1, 1, 0, 3, 0, 0, 2, 4}, Kind::number), out({2, 2, 3, 1})});
  expect_near(result[4], {24, 22, 20, -2, -2, -2, 4, 2, 0, 10, 8, 6});
}

TEST(ReferenceForward, conv_pads_with_zeros_and_strides) {
  // A 3×3 image 1…9 under a 2×2 kernel of ones, stride 2, one pixel of padding above and left.
  const ConvAttributes attributes{.window = {.kernel = {2, 2}, .stride = {2, 2}, .pad_begin = {1, 1}}, .bias = true};
  const auto result = run(Op::conv_forward, attributes,
                          {in({1, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9}), in({1, 2, 2, 1}, {1, 1, 1, 1}),
                           in({1}, {0.5}), out({1, 2, 2, 1})});
  expect_near(result[3], {1.5, 5.5, 11.5, 28.5});
}

TEST(ReferenceForward, conv_tells_rows_from_columns_and_dilates) {
  // A 4×4 image 1…16; kernel rows 3 apart, columns 2 apart: y = x + 10 · x(+2 columns) + 100 · x(+3 rows)
  // + 1000 · x(+3 rows, +2 columns).
  const ConvAttributes attributes{.window = {.kernel = {2, 2}, .dilation = {3, 2}}};
  const auto result = run(Op::conv_forward, attributes,
                          {in({1, 4, 4, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}),
                           in({1, 2, 2, 1}, {1, 10, 100, 1000}), out({1, 1, 2, 1})});
  expect_near(result[2], {1 + 30 + 1300 + 15000, 2 + 40 + 1400 + 16000});
}

TEST(ReferenceForward, groups_see_only_their_channels) {
  // Channels (1, 2, 3, 4); group 0 sums the first two, group 1 weighs the last two by 1 and 10.
  const auto result = run(Op::conv_forward, ConvAttributes{.groups = 2},
                          {in({1, 1, 1, 4}, {1, 2, 3, 4}), in({2, 1, 1, 2}, {1, 1, 1, 10}), out({1, 1, 1, 2})});
  expect_near(result[2], {3, 43});
}

TEST(ReferenceForward, dense) {
  const auto result = run(Op::dense_forward, DenseAttributes{.bias = true},
                          {in({1, 3}, {1, 2, 3}), in({2, 3}, {1, 0, 0, 1, 1, 1}), in({2}, {10, 20}), out({1, 2})});
  expect_near(result[3], {11, 26});
}

TEST(ReferenceForward, batchnorm_normalizes_biased_and_keeps_the_unbiased_variance) {
  // 1, 2, 3, 6: mean 3, biased variance 3.5, unbiased 14 ÷ 3.
  const auto result = run(Op::batchnorm_forward, BatchNormAttributes{.epsilon = 0.5, .momentum = 0.25},
                          {in({4, 1, 1, 1}, {1, 2, 3, 6}), in({1}, {2}), in({1}, {10}), inout({1}, {4}),
                           inout({1}, {8}), out({4, 1, 1, 1}), out({1}), out({1})});
  expect_near(result[3], {0.75 * 4 + 0.25 * 3});
  expect_near(result[4], {0.75 * 8 + 0.25 * 14 / 3});
  expect_near(result[5], {8, 9, 10, 13});
  expect_near(result[6], {3});
  expect_near(result[7], {0.5});
}

TEST(ReferenceForward, activations) {
  const Shape shape{1, 5};
  const auto values = [&](ActivationFunction function) {
    return run(Op::activation_forward, ActivationAttributes{function}, {in(shape, {-2, -0.5, 0, 1, 7}), out(shape)})[1];
  };
  expect_near(values(ActivationFunction::relu), {0, 0, 0, 1, 7});
  expect_near(values(ActivationFunction::relu6), {0, 0, 0, 1, 6});
  expect_near(values(ActivationFunction::leaky_relu), {-0.02, -0.005, 0, 1, 7});
  // Published values: σ(1) = 0.7310585786, Φ(1) = 0.8413447461, tanh 1 = 0.7615941560.
  EXPECT_NEAR(values(ActivationFunction::sigmoid)[3], 0.7310585786300049, 1e-15);
  EXPECT_NEAR(values(ActivationFunction::silu)[3], 0.7310585786300049, 1e-15);
  EXPECT_NEAR(values(ActivationFunction::gelu)[3], 0.8413447460685429, 1e-15);
  EXPECT_NEAR(values(ActivationFunction::tanh)[3], 0.7615941559557649, 1e-15);
}

TEST(ReferenceForward, softmax_survives_large_numbers) {
  const auto result =
      run(Op::softmax_forward, NoAttributes{}, {in({2, 2}, {1000, 1000 + std::log(3), -1e4, 0}), out({2, 2})});
  expect_near(result[1], {0.25, 0.75, 0, 1});
}

TEST(ReferenceForward, pools_use_only_pixels_inside) {
  // 3×3 image −1…−9 under 2×2 windows, stride 2, reaching one pixel past the image.
  const PoolAttributes attributes{{.kernel = {2, 2}, .stride = {2, 2}, .pad_end = {1, 1}}};
  const Arg x = in({1, 3, 3, 1}, {-1, -2, -3, -4, -5, -6, -7, -8, -9});
  const auto largest = run(Op::maxpool_forward, attributes, {x, out({1, 2, 2, 1}), out({1, 2, 2, 1}, Kind::byte)});
  expect_near(largest[1], {-1, -3, -7, -9});
  expect_near(largest[2], {0, 0, 0, 0});
  expect_near(run(Op::avgpool_forward, attributes, {x, out({1, 2, 2, 1})})[1], {-3, -4.5, -7.5, -9});
}

TEST(ReferenceForward, maxpool_keeps_the_place_of_the_first_of_equal_pixels) {
  const PoolAttributes attributes{{.kernel = {2, 3}, .stride = {2, 3}}};
  const auto result =
      run(Op::maxpool_forward, attributes,
          {in({1, 2, 6, 1}, {0, 1, 2, 3, 3, 3, 0, 2, 2, 3, 4, 4}), out({1, 1, 2, 1}), out({1, 1, 2, 1}, Kind::byte)});
  expect_near(result[1], {2, 4});
  expect_near(result[2], {2, 4});  // row · 3 + column
}

TEST(ReferenceForward, adaptive_pool_cells_overlap) {
  const auto result =
      run(Op::adaptive_avgpool_forward, NoAttributes{}, {in({1, 1, 5, 1}, {1, 2, 3, 4, 10}), out({1, 1, 2, 1})});
  expect_near(result[1], {2, 17.0 / 3});
}

TEST(ReferenceForward, dropout_scales_what_it_keeps_and_repeats_its_mask) {
  const DropoutAttributes attributes{.rate = 0.25, .seed = 5, .layer = 3};
  const Shape x{8, 500}, part{3, 500};
  const Arg control = in({Control::count}, {0, 7}, Kind::wide);
  const Values mask = run(Op::dropout_forward, attributes, {in(x, Values(4000, 3)), control, out(x)})[2];
  std::int64_t kept = 0;
  for (const double value : mask) {
    EXPECT_TRUE(value == 0 || value == 4) << value;
    kept += value == 4 ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(kept) / 4000, 0.75, 0.03);
  EXPECT_EQ(run(Op::dropout_backward, attributes, {in(x, Values(4000, 3)), control, out(x)})[2], mask);
  // Samples 5 to 7 done on their own draw what they drew in the whole batch.
  DropoutAttributes later = attributes;
  later.sample_offset = 5;
  const Values of_part = run(Op::dropout_forward, later, {in(part, Values(1500, 3)), control, out(part)})[2];
  EXPECT_EQ(of_part, Values(mask.begin() + 2500, mask.end()));
  const Arg next = in({Control::count}, {0, 8}, Kind::wide);
  EXPECT_NE(run(Op::dropout_forward, attributes, {in(x, Values(4000, 3)), next, out(x)})[2], mask);
}

// ---- losses ---------------------------------------------------------------------------------------------------

Arg fresh_stats() { return inout({TrainStats::count}, Values(TrainStats::count, 0), Kind::wide); }

TEST(ReferenceLoss, sparse_crossentropy_of_equal_logits_is_log_classes) {
  const LossAttributes attributes{.mean_over = 2, .gradient = true};
  const auto result =
      run(Op::softmax_crossentropy, attributes,
          {in({2, 4}, {1, 1, 1, 1, 0, 9, 0, 0}), in({2}, {0, 0}, Kind::number), fresh_stats(), out({2, 4})});
  const double second = std::log(std::exp(0) * 3 + std::exp(9));
  expect_near(result[2], {std::log(4) + second, 2, 1, 2, 2, 0}, 1e-9);  // the first sample counts as right: a tie
  expect_near(Values(result[3].begin(), result[3].begin() + 4), {-0.375, 0.125, 0.125, 0.125});
}

TEST(ReferenceLoss, class_weights_and_smoothing) {
  // One sample of class 1 with weight 3: targets 0.1, 0.9 after smoothing 0.2; both log-probabilities are −log 2.
  const LossAttributes attributes{.label_smoothing = 0.2, .class_weights = true, .gradient = true};
  const auto result =
      run(Op::softmax_crossentropy, attributes,
          {in({1, 2}, {0, 0}), in({1}, {1}, Kind::number), in({2}, {1, 3}), in({1}, {3}), fresh_stats(), out({1, 2})});
  expect_near(result[4], {3 * std::log(2), 3, 0, 1, 1, 0});
  expect_near(result[5], {0.5 - 0.1, 0.5 - 0.9});
}

TEST(ReferenceLoss, top_five_counts_places_before_the_label) {
  const LossAttributes attributes{.mean_over = 2};
  const auto result =
      run(Op::softmax_crossentropy, attributes,
          {in({2, 7}, {6, 5, 4, 3, 2, 1, 0, 6, 5, 4, 3, 2, 1, 0}), in({2}, {4, 5}, Kind::number), fresh_stats()});
  EXPECT_EQ(result[2][TrainStats::correct], 0);
  EXPECT_EQ(result[2][TrainStats::correct_top5], 1);
  EXPECT_EQ(result[2][TrainStats::samples], 2);
}

TEST(ReferenceLoss, rows_of_one_hot_labels_equal_class_numbers) {
  const Values logits = random_values(15, 3, -3, 3);
  const LossAttributes attributes{.label_smoothing = 0.1, .mean_over = 3, .gradient = true};
  const auto numbers = run(Op::softmax_crossentropy, attributes,
                           {in({3, 5}, logits), in({3}, {4, 0, 2}, Kind::number), fresh_stats(), out({3, 5})});
  const auto rows =
      run(Op::softmax_crossentropy_rows, attributes,
          {in({3, 5}, logits), in({3, 5}, {0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0}), fresh_stats(), out({3, 5})});
  expect_near(rows[2], numbers[2]);
  expect_near(rows[3], numbers[3]);
}

TEST(ReferenceLoss, sigmoid_is_stable_and_averages_outputs) {
  const LossAttributes attributes{.mean_over = 2, .gradient = true};
  const auto result = run(Op::sigmoid_crossentropy, attributes,
                          {in({2, 2}, {800, -800, 0, 0}), in({2, 2}, {1, 0, 1, 0}), fresh_stats(), out({2, 2})});
  expect_near(result[2], {std::log(2), 2, 1, 0, 2, 0});  // 0 is not on the side of a one
  expect_near(result[3], {0, 0, -0.125, 0.125});
}

TEST(ReferenceLoss, mean_squared_error) {
  const LossAttributes attributes{.mean_over = 4, .gradient = true};
  const auto result =
      run(Op::mean_squared_error, attributes, {in({1, 2}, {1, 4}), in({1, 2}, {3, 1}), fresh_stats(), out({1, 2})});
  expect_near(result[2], {(4 + 9) / 2.0, 1, 0, 0, 1, 0});
  expect_near(result[3], {-4 / 8.0, 6 / 8.0});
}

TEST(ReferenceLoss, a_loss_that_is_not_finite_sets_the_flag) {
  const auto result =
      run(Op::mean_squared_error, LossAttributes{}, {in({1, 1}, {kInf}), in({1, 1}, {0}), fresh_stats()});
  EXPECT_EQ(result[2][TrainStats::not_finite], 1);
}

// ---- updates --------------------------------------------------------------------------------------------------

Arg control(double rate, double step = 0) { return in({Control::count}, {rate, step}, Kind::wide); }
Arg stats(double not_finite = 0) { return in({TrainStats::count}, {0, 0, 0, 0, 0, not_finite}, Kind::wide); }
const Segments kOne{{0, 1}};

TEST(ReferenceUpdate, sgd) {
  // g + 0.1 · w = 0.7; v = 0.5 · 2 + 0.7 = 1.7; plain w − 0.1 · v, Nesterov w − 0.1 · (0.7 + 0.5 · 1.7).
  UpdateAttributes attributes{.segments = kOne, .weight_decay = 0.1, .momentum = 0.5};
  const std::vector<Arg> args{in({1}, {0.5}), control(0.1), stats(), inout({1}, {2}), inout({1}, {2})};
  auto result = run(Op::sgd_update, attributes, args);
  expect_near(result[3], {2 - 0.17});
  expect_near(result[4], {1.7});
  attributes.nesterov = true;
  result = run(Op::sgd_update, attributes, args);
  expect_near(result[3], {2 - 0.1 * (0.7 + 0.85)});
}

TEST(ReferenceUpdate, clipping_scales_by_the_norm) {
  const UpdateAttributes attributes{.segments = {{0, 2}}, .clip_norm = 1};
  const auto result = run(Op::sgd_update, attributes,
                          {in({2}, {3, 4}), control(1), stats(), in({1}, {25}, Kind::wide), inout({2}, {0, 0})});
  expect_near(result[4], {-0.6, -0.8}, 1e-6);
}

TEST(ReferenceUpdate, the_first_step_of_adam_is_the_rate) {
  const UpdateAttributes attributes{.segments = kOne};
  const auto result =
      run(Op::adam_update, attributes,
          {in({1}, {-0.003}), control(0.1), stats(), inout({1}, {1}), inout({1}, {0}), inout({1}, {0})});
  EXPECT_NEAR(result[3][0], 1.1, 1e-6);  // ε beside 0.003
}

TEST(ReferenceUpdate, adam_corrects_its_moments) {
  // Step 2 (one done): m = 0.9 · 0.1 + 0.1 · 2 = 0.29, v = 0.999 · 0.4 + 0.001 · 4 = 0.4036.
  const UpdateAttributes attributes{.segments = kOne, .epsilon = 0.5};
  const auto result =
      run(Op::adam_update, attributes,
          {in({1}, {2}), control(0.1, 1), stats(), inout({1}, {1}), inout({1}, {0.1}), inout({1}, {0.4})});
  expect_near(result[4], {0.29});
  expect_near(result[5], {0.4036});
  expect_near(result[3], {1 - 0.1 * (0.29 / 0.19) / (std::sqrt(0.4036 / 0.001999) + 0.5)});
}

TEST(ReferenceUpdate, adamw_decays_beside_the_gradient) {
  UpdateAttributes attributes{.segments = kOne, .weight_decay = 0.5};
  const std::vector<Arg> args{in({1}, {0}), control(0.1), stats(), inout({1}, {2}), inout({1}, {0}), inout({1}, {0})};
  EXPECT_NEAR(run(Op::adam_update, attributes, args)[3][0], 1.9, 1e-6);  // the decay is all of the gradient
  attributes.decoupled = true;
  EXPECT_NEAR(run(Op::adam_update, attributes, args)[3][0], 2 * (1 - 0.05), 1e-12);
}

TEST(ReferenceUpdate, a_flag_skips_the_update) {
  const UpdateAttributes attributes{.segments = kOne, .ema_decay = 0.5};
  EXPECT_EQ(run(Op::sgd_update, attributes, {in({1}, {1}), control(1), stats(1), inout({1}, {3})})[3], Values{3});
  EXPECT_EQ(run(Op::ema_update, attributes, {in({1}, {1}), stats(1), inout({1}, {3})})[2], Values{3});
  EXPECT_EQ(run(Op::ema_update, attributes, {in({1}, {1}), stats(0), inout({1}, {3})})[2], Values{2});
}

TEST(ReferenceUpdate, gradient_norm_leaves_gaps_out_and_flags_infinity) {
  const GradientNormAttributes attributes{.segments = {{0, 1}, {2, 1}}, .accumulate = true};
  const Arg sum = inout({1}, {100}, Kind::wide);
  const auto finite = run(Op::gradient_norm, attributes, {in({3}, {3, kInf, 4}), fresh_stats(), sum});
  expect_near(finite[2], {125});
  EXPECT_EQ(finite[1][TrainStats::not_finite], 0);
  const auto infinite = run(Op::gradient_norm, attributes, {in({3}, {3, 0, kInf}), fresh_stats(), sum});
  EXPECT_EQ(infinite[1][TrainStats::not_finite], 1);
}

}  // namespace
}  // namespace snug::ops_test
