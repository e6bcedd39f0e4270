// Curves that stretch with the window: lines are SVG, names and numbers are HTML beside it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"
#include "report/html.h"
#include "report/run_page.h"

namespace snug {

namespace {

constexpr std::size_t kMostDots = 60;     // more would be a line of their own
constexpr std::size_t kMostPoints = 500;  // of a line: more than its pixels on a phone

struct Axis {
  double low = 0, high = 1;
  /// Percent of the way from low to high.
  [[nodiscard]] std::string at(double value) const { return short_number(100 * (value - low) / (high - low)); }
};

Axis fit(double low, double high, bool from_zero) {
  if (from_zero) low = std::min(low, 0.0);
  if (high > low) return {low, high};
  const double room = low == 0 ? 1 : std::abs(low) / 10;
  return {low - room, high + room};
}

struct Axes {
  Axis x, y;
};

Axes axes_of(const Curve& curve) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  double left = kInfinity, right = -kInfinity, low = kInfinity, high = -kInfinity;
  for (const CurveSeries& series : curve.series) {
    for (const auto& [x, y] : series.points) {
      if (!std::isfinite(y)) continue;
      left = std::min(left, x), right = std::max(right, x);
      low = std::min(low, y), high = std::max(high, y);
    }
  }
  if (!(left <= right)) return {};
  Axes axes{.x = fit(left, right, false), .y = fit(low, high, curve.from_zero)};
  if (curve.x_high > curve.x_low) axes.x = {curve.x_low, curve.x_high};
  const double room = (axes.y.high - axes.y.low) / 20;
  if (!(curve.percent && axes.y.high <= 1 && axes.y.high + room > 1)) axes.y.high += room;
  if (!curve.from_zero) axes.y.low -= room;
  return axes;
}

std::string value_text(const Curve& curve, double value) {
  if (curve.percent) return fmt::format("{:.4g} %", 100 * value);
  const double size = std::abs(value);
  if (size >= 1e4) return format_count(std::llround(value));
  return size != 0 && size < 1e-3 ? fmt::format("{:.2e}", value) : fmt::format("{:.4g}", value);
}

/// Multiples of `step` on an axis.
std::vector<double> marks(const Axis& axis, double step) {
  std::vector<double> values;
  const auto first = static_cast<std::int64_t>(std::ceil(axis.low / step - 1e-6));
  const auto last = static_cast<std::int64_t>(std::floor(axis.high / step + 1e-6));
  for (std::int64_t i = first; i <= last; ++i) values.push_back(static_cast<double>(i) * step);
  return values;
}

std::string y_labels(const Curve& curve, const Axis& y, std::string& grid) {
  std::string labels = R"(<div class="ys" aria-hidden="true">)";
  const double step = axis_step(y.high - y.low);
  for (const double shown : marks(y, step)) {
    labels += fmt::format(R"(<span style="bottom:{}%">{}</span>)", y.at(shown), value_text(curve, shown));
    grid += fmt::format(R"(<path class="grid" d="M0 {0}H100"/>)", short_number(100 - std::stod(y.at(shown))));
  }
  return labels + "</div>\n";
}

std::string x_labels(const Curve& curve, const Axis& x) {
  const bool whole = !(curve.x_high > curve.x_low);  // epochs and steps, no shares
  const double step = whole ? std::max(1.0, axis_step(x.high - x.low)) : axis_step(x.high - x.low);
  std::string labels = R"(<div class="xs" aria-hidden="true">)";
  bool first = true;
  for (const double value : marks(x, step)) {
    const std::string text = whole ? format_count(std::llround(value)) : fmt::format("{:.3g} %", 100 * value);
    labels += fmt::format(R"(<span class="{}" style="left:{}%">{}{}</span>)", value > x.high - step / 2 ? "last" : "",
                          x.at(value), first ? curve.x_name + " " : "", text);
    first = false;
  }
  return labels + "</div>\n";
}

std::string line(const CurveSeries& series, const Axes& axes) {
  std::string path;
  bool drawn = false;
  const std::size_t stride = series.points.size() / kMostPoints + 1;
  for (std::size_t i = 0; i < series.points.size(); ++i) {
    if (i % stride != 0 && i + 1 != series.points.size()) continue;
    const auto& [x, y] = series.points[i];
    const bool shown = std::isfinite(y);
    if (shown)
      path += fmt::format("{}{} {}", drawn ? "L" : "M", axes.x.at(x), short_number(100 - std::stod(axes.y.at(y))));
    drawn = shown;
  }
  return fmt::format(R"(<path class="line {}" d="{}"/>)", series.ink, path) + "\n";
}

std::string dots(const Curve& curve, const CurveSeries& series, const Axes& axes) {
  std::string text;
  if (series.points.size() > kMostDots) return text;
  for (const auto& [x, y] : series.points) {
    if (!std::isfinite(y)) continue;
    text += fmt::format(R"(<i class="point {}" style="left:{}%;bottom:{}%" title="{}, {} {:.4g}: {}"></i>)", series.ink,
                        axes.x.at(x), axes.y.at(y), html_text(series.name), curve.x_name, x, value_text(curve, y));
  }
  return text;
}

/// "Loss; training from 2.3 to 0.4" for who does not see the picture.
std::string description(const Curve& curve) {
  std::string text = curve.title;
  for (const CurveSeries& series : curve.series) {
    std::vector<double> values;
    for (const auto& [x, y] : series.points)
      if (std::isfinite(y)) values.push_back(y);
    if (values.empty()) continue;
    text += fmt::format("; {} from {} to {}", series.name, value_text(curve, values.front()),
                        value_text(curve, values.back()));
  }
  return text;
}

}  // namespace

double axis_step(double range) {
  double step = std::pow(10, std::floor(std::log10(range / 3)));
  for (const double factor : {5.0, 2.0}) {
    if (range / (factor * step) >= 3) return factor * step;
  }
  return step;
}

std::string curve_figure(const Curve& curve) {
  const bool empty = std::ranges::all_of(curve.series, [](const CurveSeries& series) {
    return std::ranges::none_of(series.points, [](const auto& point) { return std::isfinite(point.second); });
  });
  if (empty) return {};
  const Axes axes = axes_of(curve);
  std::string grid, lines, points, legend;
  const std::string ys = y_labels(curve, axes.y, grid);
  for (const CurveSeries& series : curve.series) {
    lines += line(series, axes);
    points += dots(curve, series, axes);
    if (curve.series.size() > 1)
      legend += fmt::format(R"(<li><i class="{}"></i>{}</li>)", series.ink, html_text(series.name));
  }
  std::string mark;
  if (curve.mark > 0 && !curve.mark_name.empty()) {
    const double left = std::stod(axes.x.at(curve.mark));
    mark = fmt::format(R"(<div class="mark{}" style="left:{}%" aria-hidden="true"><span>{}</span></div>)",
                       left > 70 ? " left" : "", short_number(left), html_text(curve.mark_name));
  }
  return fmt::format(
             "<figure class=\"curve\"><h3>{}</h3>{}<div class=\"plot small\"><div class=\"stage\"><div "
             "class=\"phases\"></div>\n{}<div class=\"area\"><svg viewBox=\"0 0 100 100\" preserveAspectRatio=\"none\" "
             "role=\"img\" aria-label=\"{}\">{}{}</svg>{}{}</div>\n",
             html_text(curve.title), legend.empty() ? "" : "<ul class=\"legend\">" + legend + "</ul>", ys,
             html_text(description(curve)), grid, lines, mark, points) +
         x_labels(curve, axes.x) + "</div></div></figure>\n";
}

}  // namespace snug
