// The page's three pictures. Each is an SVG that stretches with the window (labels are HTML beside it, so that they do
// not), in units of steps or samples to the right and of kHeight for the whole height.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <utility>

#include "base/text.h"
#include "report/html.h"
#include "report/plan_page.h"

namespace snug {

namespace {

constexpr double kHeight = 10'000;          // units: a hundredth is less than a pixel of any screen
constexpr std::size_t kMostNames = 4;       // of tensors in one buffer
constexpr std::size_t kMostPhases = 12;     // more parts of a batch than this have no labels
constexpr double kNarrow = 0.15;            // of the width: a phase's name may not fit on a phone
constexpr double kTop = 1.06;               // room above the highest value
constexpr std::int64_t kFarAwayBudget = 2;  // a budget of more than this many times the total is only mentioned

/// Bytes to units from the top.
class Scale {
 public:
  explicit Scale(double most) : most_(std::max(most, 1.0)) {}
  [[nodiscard]] double length(std::int64_t bytes) const { return static_cast<double>(bytes) / most_ * kHeight; }
  [[nodiscard]] std::string y(std::int64_t bytes) const { return short_number(kHeight - length(bytes)); }
  [[nodiscard]] double most() const { return most_; }

 private:
  double most_;
};

/// "1.5 GiB" for a power of two or a multiple of one.
std::string tick_label(double bytes) {
  static constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < kUnits.size(); ++unit) bytes /= 1024;
  return fmt::format("{} {}", short_number(bytes), kUnits[unit]);
}

std::string byte_labels(const Scale& scale) {
  const double step = std::exp2(std::floor(std::log2(scale.most() / 3)));  // three to six of them
  std::string labels = R"(<div class="ys" aria-hidden="true">)";
  for (int i = 0; i * step <= scale.most(); ++i)
    labels += fmt::format(R"(<span style="bottom:{}%">{}</span>)", short_number(100 * i * step / scale.most()),
                          tick_label(i * step));
  return labels + "</div>\n";
}

std::string count_labels(std::string_view what, std::int64_t most) {
  double step = 1;  // 1, 2 or 5 times a power of ten; at most five of them
  for (int i = 0; static_cast<double>(most) / step > 5; ++i) step *= i % 3 == 1 ? 2.5 : 2;
  std::string labels = R"(<div class="xs" aria-hidden="true">)";
  const auto right = static_cast<double>(most);
  for (int i = 0; i * step <= 0.96 * right; ++i)  // none is cut off at the right
    labels += fmt::format(R"(<span style="left:{}%">{}{}</span>)", short_number(100 * i * step / right),
                          i > 0 ? "" : what, format_count(static_cast<std::int64_t>(i * step)));
  return labels + "</div>\n";
}

/// Where forward, backward and update are, above a picture of steps.
std::string phase_labels(std::span<const PlanStep> steps) {
  struct Run {
    std::string_view phase;
    std::size_t begin = 0, end = 0;
  };
  std::vector<Run> runs;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (runs.empty() || runs.back().phase != steps[i].phase) runs.push_back({steps[i].phase, i, i});
    runs.back().end = i + 1;
  }
  std::string labels = R"(<div class="phases" aria-hidden="true">)";
  const auto percent = [&](std::size_t count) {
    return short_number(100 * static_cast<double>(count) / static_cast<double>(steps.size()));
  };
  if (runs.size() <= kMostPhases) {
    for (const Run& run : runs) {
      const std::size_t steps_of = run.end - run.begin;
      const bool narrow = static_cast<double>(steps_of) < kNarrow * static_cast<double>(steps.size());
      if (narrow && run.end == steps.size()) {  // its name stands to the left of where it ends
        labels += fmt::format(R"(<span class="last">{}</span>)", run.phase);
      } else {
        labels += fmt::format(R"(<span style="left:{}%;width:{}%" title="{}">{}</span>)", percent(run.begin),
                              percent(steps_of), run.phase, narrow ? "" : run.phase);
      }
    }
  }
  return labels + "</div>\n";
}

std::string peak_mark(const PlanPage& page) {
  const double left = 100 * (static_cast<double>(page.plan.peak.step) + 0.5) /
                      static_cast<double>(std::max<std::size_t>(page.plan.steps.size(), 1));
  return fmt::format(R"(<div class="mark{}" style="left:{}%" aria-hidden="true"><span>peak</span></div>)",
                     left > 80 ? " left" : "", short_number(left));
}

std::string level(const Scale& scale, std::int64_t bytes, std::string_view kind, std::string_view text) {
  return fmt::format(R"(<div class="level {}" style="bottom:{}%" aria-hidden="true"><span>{} {}</span></div>)", kind,
                     short_number(scale.length(bytes) / kHeight * 100), text, format_bytes(bytes));
}

std::string open_svg(std::string_view kind, double width, std::string_view description) {
  return fmt::format(R"(<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">)",
                     kind, short_number(width), short_number(kHeight), html_text(description)) +
         "\n";
}

std::string names(const PlacedBuffer& buffer) {
  std::string text;
  for (std::size_t i = 0; i < std::min(buffer.tensors.size(), kMostNames); ++i)
    text += (i > 0 ? ", " : "") + buffer.tensors[i];
  if (buffer.tensors.size() > kMostNames) text += fmt::format(" and {} more", buffer.tensors.size() - kMostNames);
  return text;
}

std::string describe(const PlacedBuffer& buffer) {
  const std::string layer = buffer.layer.empty() ? "" : fmt::format(" · layer {}", buffer.layer);
  return fmt::format("{}{} · {} · {} ({} bytes) at {} · steps {} to {}", names(buffer), layer, to_string(buffer.role),
                     format_bytes(buffer.size_bytes), format_count(buffer.size_bytes), format_count(buffer.offset),
                     buffer.life.first, buffer.life.last - 1);
}

std::string rectangle(const PlacedBuffer& buffer, const Scale& scale) {
  return fmt::format(R"(<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>)",
                     to_string(buffer.role), buffer.life.first, scale.y(buffer.offset + buffer.size_bytes),
                     buffer.life.last - buffer.life.first,
                     short_number(std::max(scale.length(buffer.size_bytes), 0.01)), html_text(describe(buffer))) +
         "\n";
}

std::string legend(std::span<const std::pair<std::string_view, std::string_view>> entries) {
  std::string text = R"(<ul class="legend">)";
  for (const auto& [kind, label] : entries) text += fmt::format(R"(<li><i class="{}"></i>{}</li>)", kind, label);
  return text + "</ul>\n";
}

/// The area between two curves that change at whole steps.
std::string area(std::string_view kind, const std::vector<std::int64_t>& low, const std::vector<std::int64_t>& high,
                 const Scale& scale) {
  std::string path = fmt::format("M0 {}", scale.y(high.front()));
  for (std::size_t i = 1; i < high.size(); ++i) {
    if (high[i] != high[i - 1]) path += fmt::format("H{}V{}", i, scale.y(high[i]));
  }
  path += fmt::format("H{}V{}", high.size(), scale.y(low.back()));
  for (std::size_t i = low.size() - 1; i > 0; --i) {
    if (low[i] != low[i - 1]) path += fmt::format("H{}V{}", i, scale.y(low[i - 1]));
  }
  return fmt::format(R"(<path class="{}" d="{}H0Z"/>)", kind, path) + "\n";
}

/// Bytes alive at every step, by what the memory curve tells apart.
struct LiveBytes {
  std::vector<std::int64_t> gradients, activations, workspace;
};

LiveBytes live_bytes(std::span<const PlacedBuffer> buffers, std::size_t steps) {
  const std::vector<std::int64_t> none(steps, 0);
  LiveBytes live{none, none, none};
  for (const PlacedBuffer& buffer : buffers) {
    std::vector<std::int64_t>& row = buffer.role == Role::gradient    ? live.gradients
                                     : buffer.role == Role::workspace ? live.workspace
                                                                      : live.activations;
    for (std::int64_t step = buffer.life.first; step < buffer.life.last; ++step)
      row[static_cast<std::size_t>(step)] += buffer.size_bytes;
  }
  return live;
}

bool budget_in_sight(const PlanReport& plan) { return plan.budget_bytes <= kFarAwayBudget * plan.total_bytes; }

std::string plot(std::string_view kind, std::string_view label, const std::string& inside) {
  return fmt::format(R"(<div class="plot {}" tabindex="0" role="group" aria-label="{}"><div class="stage">)", kind,
                     label) +
         "\n" + inside + "</div></div>\n";
}

}  // namespace

std::string floor_plan(const PlanPage& page) {
  const PlanReport& plan = page.plan;
  std::int64_t height = 0;
  for (const PlacedBuffer& buffer : page.buffers) height = std::max(height, buffer.offset + buffer.size_bytes);
  const Scale scale(static_cast<double>(height));
  const auto steps = static_cast<double>(plan.steps.size());
  const std::string description = fmt::format(
      "{} buffers over {} steps in an arena of {}. Memory peaks at step {} with {} alive; the table below names them.",
      page.buffers.size(), plan.steps.size(), format_bytes(height), plan.peak.step,
      format_bytes(plan.lower_bound_bytes));
  std::string picture =
      phase_labels(plan.steps) + byte_labels(scale) + "<div class=\"area\">\n" + open_svg("floor", steps, description);
  for (const PlacedBuffer& buffer : page.buffers) picture += rectangle(buffer, scale);
  picture += "</svg>\n" + peak_mark(page) + "</div>\n" + count_labels("step ", std::ssize(plan.steps));
  static constexpr std::pair<std::string_view, std::string_view> kRoles[] = {
      {"activation", "activations"}, {"gradient", "gradients"}, {"workspace", "workspace"}};
  return legend(kRoles) + plot("zoom", "floor plan; scrolls when enlarged", picture);
}

std::string memory_curve(const PlanPage& page) {
  const PlanReport& plan = page.plan;
  const std::int64_t most = std::max(plan.total_bytes, budget_in_sight(plan) ? plan.budget_bytes : 0);
  const Scale scale(kTop * static_cast<double>(most));
  const LiveBytes live = live_bytes(page.buffers, plan.steps.size());
  const std::string description =
      fmt::format("Bytes in use at each of {} steps: at most {} of a budget of {}, at step {}.", plan.steps.size(),
                  format_bytes(plan.total_bytes), format_bytes(plan.budget_bytes), plan.peak.step);
  std::string picture = phase_labels(plan.steps) + byte_labels(scale) + "<div class=\"area\">\n" +
                        open_svg("memory", static_cast<double>(plan.steps.size()), description);
  std::vector<std::int64_t> low(plan.steps.size(), 0);
  const auto add = [&](std::string_view kind, const std::vector<std::int64_t>& bytes) {
    std::vector<std::int64_t> high = low;
    for (std::size_t i = 0; i < high.size(); ++i) high[i] += bytes[i];
    picture += area(kind, low, high, scale);
    low = std::move(high);
  };
  const auto constant = [&](std::int64_t bytes) { return std::vector<std::int64_t>(plan.steps.size(), bytes); };
  add("driver", constant(plan.breakdown.driver + plan.breakdown.library));
  add("weight", constant(plan.allocated.persistent));
  add("input", constant(plan.allocated.input + plan.allocated.data));
  add("gradient", live.gradients);
  add("activation", live.activations);
  add("workspace", live.workspace);
  picture += R"(<line class="cursor" y1="0" y2="10000"/>)"
             "\n</svg>\n" +
             peak_mark(page);
  picture += level(scale, plan.total_bytes, "total", "taken");
  if (budget_in_sight(plan)) picture += level(scale, plan.budget_bytes, "budget", "budget");
  picture += "</div>\n" + count_labels("step ", std::ssize(plan.steps));
  static constexpr std::pair<std::string_view, std::string_view> kParts[] = {
      {"workspace", "workspace"},
      {"activation", "activations"},
      {"gradient", "gradients"},
      {"input", "input"},
      {"weight", "weights, optimizer, statistics"},
      {"driver", "driver, library"}};
  return legend(kParts) + plot("", "memory over the step", picture);
}

std::string batch_curve(const PlanPage& page) {
  const PlanReport& plan = page.plan;
  std::int64_t widest = 1;
  std::int64_t most = plan.budget_bytes;
  for (const BatchPoint& point : page.batches) {
    widest = std::max(widest, point.batch);
    most = std::max(most, point.total_bytes);
  }
  const Scale scale(kTop * static_cast<double>(most));
  const double right = 1.02 * static_cast<double>(widest);
  std::string line;
  std::string dots;
  for (const BatchPoint& point : page.batches) {
    line += fmt::format("{}{} {}", line.empty() ? "M" : "L", short_number(static_cast<double>(point.batch)),
                        scale.y(point.total_bytes));
    dots += fmt::format(R"(<i class="dot {}{}" style="left:{}%;bottom:{}%" title="batch {}: {}"></i>)",
                        point.fits ? "fits" : "fails", point.batch == plan.batch ? " chosen" : "",
                        short_number(100 * static_cast<double>(point.batch) / right),
                        short_number(100 * scale.length(point.total_bytes) / kHeight), format_count(point.batch),
                        format_bytes(point.total_bytes));
  }
  const std::string description =
      fmt::format("Bytes needed by {} batch sizes up to {}, against the budget of {}; the table below has them.",
                  page.batches.size(), format_count(widest), format_bytes(plan.budget_bytes));
  std::string picture = byte_labels(scale) + "<div class=\"area\">\n" + open_svg("batches", right, description) +
                        fmt::format(R"(<path class="line" d="{}"/>)", line) + "\n</svg>\n" +
                        level(scale, plan.budget_bytes, "budget", "budget") + dots + "</div>\n" +
                        count_labels("batch ", static_cast<std::int64_t>(right));
  return plot("", "bytes by batch size", picture);
}

}  // namespace snug
