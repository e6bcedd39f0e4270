// Cases of the steps that have no backward step: input, copies, losses, updates.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include <fmt/format.h>

#include "base/sample_place.h"
#include "ops/op_cases.h"

namespace snug::ops_test {

std::vector<StepCase> input_cases() {
  std::vector<StepCase> cases;
  const Shape gray{3, 5, 7, 1}, color{2, 9, 8, 3}, many{1, 3, 3, 13};
  const auto add = [&](const Shape& shape, Kind kind, double divisor) {
    Values pixels = random_values(shape, 1, 0, 256);
    if (kind == Kind::byte) std::ranges::transform(pixels, pixels.begin(), [](double p) { return std::floor(p); });
    const Shape c{shape.back()};
    cases.push_back({.name = "normalize input " + to_string(shape),
                     .op = Op::normalize_input,
                     .attributes = NormalizeAttributes{.divisor = divisor},
                     .args = {in(shape, pixels, kind), in(c, random_values(c, 2, 0, 1)),
                              in(c, random_values(c, 3, 0.5, 4)), out(shape)}});
  };
  add(gray, Kind::byte, 255);
  add(color, Kind::byte, 255);
  add(many, Kind::byte, 1);
  add(color, Kind::real, 1);
  add(gray, Kind::real, 255);
  return cases;
}

std::vector<StepCase> gathered_input_cases() {
  std::vector<StepCase> cases;
  // Images that move by less, and by more, than their size, every turn, and the same one twice.
  const auto add = [&](const Shape& kept, std::int64_t batch, Kind kind) {
    Values pixels = random_values(kept, 1, 0, 256);
    if (kind == Kind::byte) std::ranges::transform(pixels, pixels.begin(), [](double p) { return std::floor(p); });
    const Shape c{kept.back()}, y{batch, kept[1], kept[2], kept[3]};
    Values places;
    for (std::int64_t i = 0; i < batch; ++i) {
      const std::int64_t turns = i % 8;
      const bool reflected = (turns & SamplePlace::reflected) != 0;
      const std::int64_t most = reflected ? std::min(kept[1], kept[2]) - 1 : kept[1] + 1;
      for (const std::int64_t number :
           {(i * 5) % kept[0], (i * 3) % (2 * most + 1) - most, (i * 7 + 2) % (2 * most + 1) - most, turns})
        places.push_back(static_cast<double>(number));
    }
    cases.push_back({.name = fmt::format("gather {} of {}", batch, to_string(kept)),
                     .op = Op::normalize_input,
                     .attributes = NormalizeAttributes{.divisor = 255, .gathered = true},
                     .args = {in(kept, pixels, kind), in(c, random_values(c, 2, 0, 1)),
                              in(c, random_values(c, 3, 0.5, 4)), in({batch, 4}, places, Kind::number), out(y)}});
  };
  add({5, 4, 6, 3}, 16, Kind::byte);
  add({7, 5, 5, 1}, 11, Kind::byte);
  add({3, 3, 2, 13}, 9, Kind::byte);
  add({4, 3, 3, 8}, 24, Kind::byte);
  add({5, 4, 6, 3}, 8, Kind::real);
  return cases;
}

std::vector<StepCase> copy_cases() {
  std::vector<StepCase> cases;
  const Shape x{2, 3, 5, 7};
  const auto add = [&](std::string name, std::int64_t from_pitch, std::int64_t to_pitch, std::int64_t begin) {
    Arg source = in(x, random_values(x, 1));
    source.pitch = from_pitch;
    source.begin = from_pitch > 0 ? begin : 0;
    Arg target = out(x);
    target.pitch = to_pitch;
    target.begin = to_pitch > 0 ? begin : 0;
    cases.push_back({.name = std::move(name), .op = Op::copy, .attributes = NoAttributes{}, .args = {source, target}});
  };
  add("copy packed", 0, 0, 0);
  add("copy into a slice", 0, 19, 5);
  add("copy from a slice", 16, 0, 9);
  add("copy between slices", 16, 33, 3);
  Arg rows = out({4, 3});
  rows.pitch = 10;
  rows.begin = 7;
  cases.push_back({.name = "copy rows into a slice",
                   .op = Op::copy,
                   .attributes = NoAttributes{},
                   .args = {in({4, 3}, random_values(12, 2)), rows}});
  cases.push_back({.name = "fill",
                   .op = Op::fill,
                   .attributes = FillAttributes{.value = 0},
                   .args = {out({TrainStats::count}, Kind::wide)}});
  cases.push_back(
      {.name = "fill 0.5", .op = Op::fill, .attributes = FillAttributes{.value = 0.5}, .args = {out({3, 5, 7, 3})}});
  cases.push_back({.name = "wait", .op = Op::wait, .attributes = NoAttributes{}, .args = {in(x, random_values(x, 3))}});
  cases.push_back({.name = "add stats",
                   .op = Op::add_stats,
                   .attributes = NoAttributes{},
                   .args = {in({TrainStats::count}, {1.5, 2, 3, 4, 5, 1}, Kind::wide),
                            inout({TrainStats::count}, {10, 20, 30, 40, 50, 0}, Kind::wide)}});
  return cases;
}

// ---- losses ---------------------------------------------------------------------------------------------------

namespace {

struct LossCase {
  Op op = Op::softmax_crossentropy;
  std::int64_t samples = 1, width = 1;
  double label_smoothing = 0;
  bool class_weights = false;
  double mean_over = 0;  ///< 0: the samples; larger: a part of an accumulated batch
};

/// Class numbers; rows that sum to 1 (the first ones one-hot); zeros and ones; or targets.
Arg labels_of(const LossCase& c) {
  const Shape rows{c.samples, c.width};
  Values values = random_values(rows, 11, 0, 1);
  switch (c.op) {
    case Op::softmax_crossentropy: {
      Values numbers;
      for (std::int64_t n = 0; n < c.samples; ++n) numbers.push_back(static_cast<double>((n * 7 + 2) % c.width));
      return in({c.samples}, numbers, Kind::number);
    }
    case Op::softmax_crossentropy_rows:
      for (std::int64_t n = 0; n < c.samples; ++n) {
        double sum = 0;
        const auto row = values.begin() + n * c.width;
        if (n % 2 == 0) {
          std::fill_n(row, c.width, 0.0);
          *(row + n % c.width) = 1;
        }
        std::for_each_n(row, c.width, [&](double v) { sum += v; });
        std::for_each_n(row, c.width, [&](double& v) { v = static_cast<double>(static_cast<float>(v / sum)); });
      }
      return in(rows, values);
    case Op::sigmoid_crossentropy:
      for (double& value : values) value = value < 0.4 ? 1 : 0;
      return in(rows, values);
    default: return in(rows, random_values(rows, 12, -2, 2));
  }
}

double weight_of_labels(const LossCase& c, const Arg& labels, const Values& class_weights) {
  double sum = 0;
  for (std::int64_t n = 0; n < c.samples; ++n) {
    if (c.op == Op::softmax_crossentropy) {
      sum += class_weights[static_cast<std::size_t>(labels.values[static_cast<std::size_t>(n)])];
      continue;
    }
    for (std::int64_t k = 0; k < c.width; ++k) {
      sum += labels.values[static_cast<std::size_t>(n * c.width + k)] * class_weights[static_cast<std::size_t>(k)];
    }
  }
  return static_cast<double>(static_cast<float>(sum));
}

void append_loss_cases(std::vector<StepCase>& cases, const LossCase& c) {
  const Shape outputs{c.samples, c.width};
  const double mean_over = c.mean_over > 0 ? c.mean_over : static_cast<double>(c.samples);
  const Arg labels = labels_of(c);
  std::vector<Arg> args{in(outputs, random_values(outputs, 10, -4, 4)), labels};
  if (c.class_weights) {
    const Values weights = random_values(c.width, 13, 0.25, 3);
    args.push_back(in({c.width}, weights));
    args.push_back(in({1}, {weight_of_labels(c, labels, weights)}));
    cases.push_back({.name = "weight sum",
                     .op = Op::weight_sum,
                     .attributes = NoAttributes{},
                     .args = {labels, in({c.width}, weights), out({1})}});
  }
  args.push_back(inout({TrainStats::count}, {1, 2, 3, 4, 5, 0}, Kind::wide));
  const LossAttributes evaluation{
      .label_smoothing = c.label_smoothing, .mean_over = mean_over, .class_weights = c.class_weights};
  const std::string name = std::string(to_string(c.op)) + " " + to_string(outputs);
  cases.push_back({.name = name + " without gradient", .op = c.op, .attributes = evaluation, .args = args});
  LossAttributes training = evaluation;
  training.gradient = true;
  args.push_back(out(outputs));
  cases.push_back({.name = name, .op = c.op, .attributes = training, .args = args});
}

}  // namespace

std::vector<StepCase> loss_cases() {
  const std::vector<LossCase> table{
      {.op = Op::softmax_crossentropy, .samples = 1, .width = 2},
      {.op = Op::softmax_crossentropy, .samples = 7, .width = 10},
      {.op = Op::softmax_crossentropy, .samples = 5, .width = 33, .label_smoothing = 0.1},
      {.op = Op::softmax_crossentropy, .samples = 6, .width = 3, .class_weights = true},
      {.op = Op::softmax_crossentropy, .samples = 6, .width = 5, .label_smoothing = 0.2, .class_weights = true},
      {.op = Op::softmax_crossentropy, .samples = 3, .width = 7, .mean_over = 8},
      {.op = Op::softmax_crossentropy, .samples = 41, .width = 1000, .label_smoothing = 0.1},
      {.op = Op::softmax_crossentropy_rows, .samples = 5, .width = 7},
      {.op = Op::softmax_crossentropy_rows, .samples = 4, .width = 10, .label_smoothing = 0.1},
      {.op = Op::softmax_crossentropy_rows, .samples = 6, .width = 4, .class_weights = true},
      {.op = Op::softmax_crossentropy_rows, .samples = 2, .width = 3, .mean_over = 5},
      {.op = Op::sigmoid_crossentropy, .samples = 9, .width = 1},
      {.op = Op::sigmoid_crossentropy, .samples = 4, .width = 1, .label_smoothing = 0.1, .mean_over = 6},
      {.op = Op::sigmoid_crossentropy, .samples = 5, .width = 6},
      {.op = Op::mean_squared_error, .samples = 6, .width = 1},
      {.op = Op::mean_squared_error, .samples = 3, .width = 5, .mean_over = 7},
  };
  std::vector<StepCase> cases;
  for (const LossCase& c : table) append_loss_cases(cases, c);
  return cases;
}

double loss_divisor(const StepCase& step) {
  const auto& attributes = std::get<LossAttributes>(step.attributes);
  return attributes.class_weights ? step.args[3].values[0] : attributes.mean_over;
}

// ---- updates --------------------------------------------------------------------------------------------------

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Random values in the segments, NaN between them.
Values flat_values(const Segments& segments, std::int64_t size, std::uint64_t seed, double low, double high) {
  const Values values = random_values(size, seed, low, high);
  Values result(static_cast<std::size_t>(size), kNan);
  for (const Segment& segment : segments) {
    std::copy_n(values.begin() + segment.begin, segment.count, result.begin() + segment.begin);
  }
  return result;
}

struct UpdateCase {
  std::string name;
  Op op = Op::sgd_update;
  UpdateAttributes attributes;
  double rate = 0.1, step = 0;
  double norm_squared = 4;
  double not_finite = 0;
};

StepCase update_case(const UpdateCase& c, const Segments& segments, std::int64_t size) {
  UpdateAttributes attributes = c.attributes;
  attributes.segments = segments;
  const Shape flat{size};
  const auto values = [&](std::uint64_t seed, double low = -1, double high = 1) {
    return flat_values(segments, size, seed, low, high);
  };
  const Arg stats = in({TrainStats::count}, {1, 1, 0, 0, 1, c.not_finite}, Kind::wide);
  StepCase step{.name = c.name + " of " + std::to_string(size), .op = c.op, .attributes = attributes, .args = {}};
  if (c.op == Op::ema_update) {
    step.args = {in(flat, values(21)), stats, inout(flat, values(22))};
    return step;
  }
  step.args = {in(flat, values(21)), in({Control::count}, {c.rate, c.step}, Kind::wide), stats};
  if (attributes.clip_norm > 0) step.args.push_back(in({1}, {c.norm_squared}, Kind::wide));
  if (attributes.scaled) step.args.push_back(in({LossScale::count}, {512, 3, 2}, Kind::wide));
  step.args.push_back(inout(flat, values(22)));
  if (c.op == Op::adam_update) {
    step.args.push_back(inout(flat, values(23, -0.1, 0.1)));
    step.args.push_back(inout(flat, values(24, 0.01, 0.2)));
  } else if (attributes.momentum > 0) {
    step.args.push_back(inout(flat, values(23)));
  }
  return step;
}

StepCase norm_case(const std::string& name, const Segments& segments, std::int64_t size, bool accumulate,
                   double poison = 0) {
  Values g = flat_values(segments, size, 25, -2, 2);
  if (poison != 0) g[static_cast<std::size_t>(segments.back().begin)] = poison;
  return {.name = name + " of " + std::to_string(size),
          .op = Op::gradient_norm,
          .attributes = GradientNormAttributes{.segments = segments, .accumulate = accumulate},
          .args = {in({size}, g), inout({TrainStats::count}, {1, 1, 0, 0, 1, 0}, Kind::wide),
                   accumulate ? inout({1}, {2.5}, Kind::wide) : out({1}, Kind::wide)},
          .poisoned = poison != 0};
}

StepCase scale_case(const std::string& name, double not_finite, const Values& scaling) {
  return {.name = name,
          .op = Op::update_loss_scale,
          .attributes = LossScaleAttributes{.growth_steps = 4},
          .args = {in({TrainStats::count}, {1, 1, 0, 0, 1, not_finite}, Kind::wide),
                   inout({LossScale::count}, scaling, Kind::wide)}};
}

}  // namespace

std::vector<StepCase> scaled_loss_cases() {
  const std::vector<UpdateCase> table{
      {.name = "scaled sgd", .attributes = {.weight_decay = 5e-4, .scaled = true, .momentum = 0.9}},
      {.name = "scaled sgd, clipped",
       .attributes = {.clip_norm = 1e-3, .scaled = true, .momentum = 0.9, .nesterov = true}},
      {.name = "scaled sgd, skipped", .attributes = {.scaled = true}, .not_finite = 1},
      {.name = "scaled adam", .op = Op::adam_update, .attributes = {.scaled = true}, .step = 7},
      {.name = "scaled adamw, clipped",
       .op = Op::adam_update,
       .attributes = {.weight_decay = 0.1, .clip_norm = 1e-3, .scaled = true, .decoupled = true},
       .step = 2},
  };
  const Segments gaps{{0, 5}, {16, 33}, {64, 1}, {80, 16}}, large{{0, 20000}, {20032, 20001}};
  std::vector<StepCase> cases;
  for (const UpdateCase& c : table) {
    cases.push_back(update_case(c, gaps, 100));
    cases.push_back(update_case(c, large, 40033));
  }
  for (const Shape& shape : {Shape{1, 1}, Shape{7, 10}, Shape{33, 1000}})
    cases.push_back(
        {.name = "scale gradient " + to_string(shape),
         .op = Op::scale_gradient,
         .attributes = NoAttributes{},
         .args = {inout(shape, random_values(shape, 31)), in({LossScale::count}, {4096, 0, 0}, Kind::wide)}});
  cases.push_back(scale_case("loss scale, a clean step", 0, {1024, 1, 0}));
  cases.push_back(scale_case("loss scale, enough clean steps", 0, {1024, 3, 5}));
  cases.push_back(scale_case("loss scale, at its most", 0, {LossScale::kMost, 3, 5}));
  cases.push_back(scale_case("loss scale, overflow", 1, {1024, 3, 5}));
  cases.push_back(scale_case("loss scale, at its least", 1, {1, 0, 30}));
  return cases;
}

std::vector<StepCase> update_cases() {
  const std::vector<UpdateCase> table{
      {.name = "sgd", .attributes = {}},
      {.name = "sgd, decay", .attributes = {.weight_decay = 0.01}},
      {.name = "sgd, momentum", .attributes = {.weight_decay = 5e-4, .momentum = 0.9}},
      {.name = "sgd, nesterov", .attributes = {.weight_decay = 5e-4, .momentum = 0.9, .nesterov = true}},
      {.name = "sgd, clipped", .attributes = {.weight_decay = 0.1, .clip_norm = 0.5, .momentum = 0.9}},
      {.name = "sgd, below the clip", .attributes = {.clip_norm = 5}},
      {.name = "sgd, skipped", .attributes = {.momentum = 0.9}, .not_finite = 1},
      {.name = "adam, first step", .op = Op::adam_update, .attributes = {}, .rate = 1e-2},
      {.name = "adam, later, decay", .op = Op::adam_update, .attributes = {.weight_decay = 0.1}, .step = 17},
      {.name = "adam, other betas, clipped",
       .op = Op::adam_update,
       .attributes = {.clip_norm = 1, .beta1 = 0.5, .beta2 = 0.9, .epsilon = 1e-3},
       .step = 2},
      {.name = "adam, skipped", .op = Op::adam_update, .attributes = {}, .not_finite = 1},
      {.name = "adamw", .op = Op::adam_update, .attributes = {.weight_decay = 0.1, .decoupled = true}, .step = 999},
      {.name = "ema", .op = Op::ema_update, .attributes = {.ema_decay = 0.999}},
      {.name = "ema, skipped", .op = Op::ema_update, .attributes = {.ema_decay = 0.5}, .not_finite = 1},
  };
  const Segments one{{0, 1}}, gaps{{0, 5}, {16, 33}, {64, 1}, {80, 16}}, whole{{0, 257}},
      large{{0, 20000}, {20032, 20001}};
  std::vector<StepCase> cases;
  for (const UpdateCase& c : table) {
    cases.push_back(update_case(c, one, 1));
    cases.push_back(update_case(c, gaps, 100));
    cases.push_back(update_case(c, whole, 257));
    cases.push_back(update_case(c, large, 40033));
  }
  cases.push_back(norm_case("gradient norm", gaps, 100, false));
  cases.push_back(norm_case("gradient norm, added", gaps, 100, true));
  cases.push_back(norm_case("gradient norm", whole, 257, false));
  cases.push_back(norm_case("gradient norm", large, 40033, false));
  cases.push_back(norm_case("gradient norm with inf", gaps, 100, false, std::numeric_limits<double>::infinity()));
  cases.push_back(norm_case("gradient norm with nan", whole, 257, true, kNan));
  return cases;
}

}  // namespace snug::ops_test
