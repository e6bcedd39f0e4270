// The curve of `tune` as a picture: images a second above, bytes below, over the batch.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "base/text.h"
#include "report/bench.h"

namespace snug {

namespace {

constexpr double kWidth = 860, kHeight = 600;
constexpr double kLeft = 92, kRight = 826;
constexpr double kMarkRow = 64, kMarkHeight = 20;
constexpr double kRateTop = kMarkRow + 2 * kMarkHeight, kRateBottom = 330;
constexpr double kBytesTop = 402, kBytesBottom = 540;
constexpr std::array<Ink, 4> kInks{Ink::first, Ink::second, Ink::third, Ink::fourth};

/// Numbers to places along one axis.
struct Axis {
  double low = 0, high = 1, at_low = 0, at_high = 1;
  bool logarithmic = false;
  [[nodiscard]] double at(double value) const {
    const auto scaled = [&](double v) { return logarithmic ? std::log2(v) : v; };
    const double span = scaled(high) - scaled(low);
    const double share = span > 0 ? (scaled(value) - scaled(low)) / span : 0.5;
    return at_low + share * (at_high - at_low);
  }
};

/// 1, 2 or 5 times a power of ten, for about `count` steps up to `most`.
double round_step(double most, int count) {
  const double raw = most / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (const double step : {1.0, 2.0, 5.0})
    if (step * power >= raw) return step * power;
  return 10 * power;
}

std::string rate_text(double images_per_second) {
  return images_per_second < 100 ? fmt::format("{:.1f}", images_per_second)
                                 : format_count(std::llround(images_per_second));
}

struct Series {
  std::string name;
  Ink ink = Ink::first;
  std::vector<const TunedPoint*> points;
};

class Curve {
 public:
  explicit Curve(const TuneReport& report) : report_(report) {
    drawing_.width = kWidth;
    drawing_.height = kHeight;
    for (const TunedPoint& point : report.curve) add(point);
    scale();
  }

  Drawing draw() {
    titles();
    rate_axis();
    bytes_axis();
    batch_axis();
    for (const Series& series : series_) draw(series);
    with_data();
    marks();
    return std::move(drawing_);
  }

 private:
  void add(const TunedPoint& point) {
    const std::int64_t parts = point.micro_batch > 0 ? (point.batch + point.micro_batch - 1) / point.micro_batch : 1;
    const std::string name = parts > 1 ? fmt::format("{}, {} parts", point.precision, parts) : point.precision;
    auto series = std::ranges::find(series_, name, &Series::name);
    if (series == series_.end()) {
      series_.push_back({.name = name, .ink = kInks[series_.size() % kInks.size()], .points = {}});
      series = series_.end() - 1;
    }
    series->points.push_back(&point);
  }

  void scale() {
    double least_bytes = static_cast<double>(report_.budget_bytes), most_bytes = least_bytes, most_rate = 0;
    auto least_batch = static_cast<double>(report_.curve.front().batch), most_batch = least_batch;
    for (const TunedPoint& point : report_.curve) {
      least_bytes = std::min(least_bytes, static_cast<double>(std::max<std::int64_t>(1, point.planned_bytes)));
      most_bytes = std::max(most_bytes, static_cast<double>(point.planned_bytes));
      most_rate = std::max({most_rate, point.images_per_second, point.high});
      least_batch = std::min(least_batch, static_cast<double>(point.batch));
      most_batch = std::max(most_batch, static_cast<double>(point.batch));
    }
    if (least_batch == most_batch) most_batch *= 2;
    batch_ = {least_batch, most_batch, kLeft + 12, kRight - 12, true};
    rate_ = {0, 1.08 * most_rate, kRateBottom, kRateTop, false};
    bytes_ = {std::exp2(std::floor(std::log2(least_bytes))), 1.25 * most_bytes, kBytesBottom, kBytesTop, true};
  }

  void text(DrawnPoint at, std::string words, Ink ink = Ink::muted, Anchor anchor = Anchor::start, double size = 13,
            bool bold = false) {
    drawing_.shapes.emplace_back(
        DrawnText{.at = at, .text = std::move(words), .ink = ink, .anchor = anchor, .size = size, .bold = bold});
  }
  void line(std::vector<DrawnPoint> points, Ink ink, double width = 1, bool dashed = false) {
    drawing_.shapes.emplace_back(DrawnLine{std::move(points), ink, width, dashed});
  }

  void titles() {
    drawing_.title = fmt::format("{}: images a second and memory by batch", report_.model);
    text({24, 32}, fmt::format("{} on {}", report_.model, report_.conditions.processor), Ink::text, Anchor::start, 17,
         true);
    text({24, 54}, "images a second");
    text({24, 380}, "planned memory");
    text({kLeft, kHeight - 14}, "batch");
    text({kRight, kHeight - 14},
         fmt::format("{} threads, {}, snug {} {}", report_.conditions.threads, report_.conditions.date.substr(0, 10),
                     report_.conditions.version, report_.conditions.commit),
         Ink::muted, Anchor::end, 12);
  }

  void rate_axis() {
    const double step = round_step(rate_.high, 5);
    for (int i = 0; i * step <= rate_.high; ++i) {
      const double value = i * step;
      line({{kLeft, rate_.at(value)}, {kRight, rate_.at(value)}}, Ink::grid);
      const std::string label = step < 1 ? fmt::format("{:.1f}", value) : format_count(std::llround(value));
      text({kLeft - 10, rate_.at(value) + 4}, label, Ink::muted, Anchor::end);
    }
  }

  void bytes_axis() {
    const double octaves = std::log2(bytes_.high / bytes_.low);
    const double factor = std::exp2(std::max(1.0, std::ceil(octaves / 5)));
    for (int i = 0; bytes_.low * std::pow(factor, i) <= bytes_.high; ++i) {
      const double value = bytes_.low * std::pow(factor, i);
      line({{kLeft, bytes_.at(value)}, {kRight, bytes_.at(value)}}, Ink::grid);
      text({kLeft - 10, bytes_.at(value) + 4}, format_bytes(std::llround(value)), Ink::muted, Anchor::end);
    }
    const double limit = bytes_.at(static_cast<double>(report_.budget_bytes));
    line({{kLeft, limit}, {kRight, limit}}, Ink::mark, 1.5, true);
    text({kRight, limit - 6},
         fmt::format("limit {}, largest batch {}", format_bytes(report_.budget_bytes),
                     format_count(report_.largest.batch)),
         Ink::mark, Anchor::end);
  }

  void batch_axis() {
    double last = -100;
    for (int i = 0; std::exp2(i) <= batch_.high; ++i) {
      const double batch = std::exp2(i);
      if (batch < batch_.low) continue;
      const double x = batch_.at(batch);
      if (x - last < 46) continue;
      last = x;
      line({{x, kRateBottom}, {x, kRateBottom + 5}}, Ink::muted);
      line({{x, kBytesBottom}, {x, kBytesBottom + 5}}, Ink::muted);
      text({x, kRateBottom + 20}, format_count(std::llround(batch)), Ink::muted, Anchor::middle);
      text({x, kBytesBottom + 20}, format_count(std::llround(batch)), Ink::muted, Anchor::middle);
    }
    line({{kLeft, kRateBottom}, {kRight, kRateBottom}}, Ink::muted);
    line({{kLeft, kBytesBottom}, {kRight, kBytesBottom}}, Ink::muted);
  }

  [[nodiscard]] DrawnPoint rate_at(const TunedPoint& point) const {
    return {batch_.at(static_cast<double>(point.batch)), rate_.at(point.images_per_second)};
  }
  [[nodiscard]] DrawnPoint bytes_at(const TunedPoint& point) const {
    return {batch_.at(static_cast<double>(point.batch)),
            bytes_.at(static_cast<double>(std::max<std::int64_t>(1, point.planned_bytes)))};
  }

  void draw(const Series& series) {
    DrawnLine rates{.points = {}, .ink = series.ink, .width = 2}, bytes = rates;
    for (const TunedPoint* point : series.points) {
      rates.points.push_back(rate_at(*point));
      bytes.points.push_back(bytes_at(*point));
    }
    drawing_.shapes.emplace_back(rates);
    drawing_.shapes.emplace_back(bytes);
    for (const TunedPoint* point : series.points) {
      const double x = rate_at(*point).x;
      if (point->samples > 1) line({{x, rate_.at(point->low)}, {x, rate_.at(point->high)}}, series.ink, 4);
      drawing_.shapes.emplace_back(
          DrawnDot{.at = rate_at(*point),
                   .radius = 3.5,
                   .ink = series.ink,
                   .title = fmt::format("batch {}, {}: {:.4g} img/s, {}", point->batch, series.name,
                                        point->images_per_second, format_bytes(point->planned_bytes))});
      drawing_.shapes.emplace_back(
          DrawnDot{.at = bytes_at(*point),
                   .radius = 3,
                   .ink = series.ink,
                   .title = fmt::format("batch {}: {} planned, {} measured", point->batch,
                                        format_bytes(point->planned_bytes), format_bytes(point->measured_bytes))});
    }
    if (series_.size() > 1) {
      const DrawnPoint end = rates.points.back();
      text({end.x - 8, end.y - 12}, series.name, series.ink, Anchor::end, 13, true);
    }
  }

  /// Where the data are slower than the device, the line that no batch can pass.
  void with_data() {
    if (!report_.data || report_.data->loader <= 0 || report_.data->loader > rate_.high) return;
    const double y = rate_.at(report_.data->loader);
    line({{kLeft, y}, {kRight, y}}, Ink::fourth, 1.5, true);
    text({kLeft + 6, y - 6}, fmt::format("the loader: {} img/s", rate_text(report_.data->loader)), Ink::fourth);
  }

  /// Knee and fastest: a ring, a line down to the bytes, and words above the curve, one row each: they never meet it.
  void marks() {
    const auto mark = [&](std::size_t i, const std::string& name, double row) {
      const TunedPoint& point = report_.curve[i];
      const DrawnPoint at = rate_at(point);
      line({{at.x, row + 6}, {at.x, kRateBottom}}, Ink::mark, 1, true);
      drawing_.shapes.emplace_back(DrawnDot{.at = at, .radius = 6, .ink = Ink::mark, .title = name});
      const bool left = at.x > 0.5 * (kLeft + kRight);
      text({left ? at.x - 6 : at.x + 6, row + 10},
           fmt::format("{}: batch {}, {} img/s", name, format_count(point.batch), rate_text(point.images_per_second)),
           Ink::mark, left ? Anchor::end : Anchor::start, 13, true);
    };
    if (report_.best == report_.fastest) {
      mark(report_.best, "knee and fastest", kMarkRow);
    } else {
      mark(report_.fastest, "fastest", kMarkRow);
      mark(report_.best, "knee", kMarkRow + kMarkHeight);
    }
  }

  const TuneReport& report_;
  Drawing drawing_;
  std::vector<Series> series_;
  Axis batch_, rate_, bytes_;
};

}  // namespace

Drawing tune_curve(const TuneReport& report) { return Curve(report).draw(); }

}  // namespace snug
