// What `bench` says to people.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <utility>

#include "base/text.h"
#include "report/bench.h"
#include "report/table.h"
#include "tune/statistics.h"

namespace snug {

namespace {

std::string per_second(double count, std::string_view unit) {
  static constexpr std::array<std::pair<double, const char*>, 4> kScales{
      {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}}};
  for (const auto& [scale, letter] : kScales) {
    if (count >= scale) return fmt::format("{:.3g} {}{}/s", count / scale, letter, unit);
  }
  return fmt::format("{:.0f} {}/s", count, unit);
}

std::string rate_text(double images_per_second) {
  return images_per_second < 100 ? fmt::format("{:.1f}", images_per_second)
                                 : format_count(std::llround(images_per_second));
}

/// One line that says on what.
std::string conditions_text(const Conditions& c) {
  std::string text = "  ";
  if (c.device != "cpu") text += c.device;
  if (c.gpu_clock_mhz > 0) text += fmt::format(" at {:.0f} MHz", c.gpu_clock_mhz);
  if (c.device != "cpu") text += ", ";
  text += fmt::format("{}, {} of {} cores", c.processor, c.threads, c.cores);
  if (c.clock_mhz > 0) text += fmt::format(" at {:.0f} MHz", c.clock_mhz);
  text += fmt::format("; load {:.2f}; snug {} {}\n", c.load, c.version, c.commit);
  return text;
}

/// Cells of what took `ms`: FLOP and bytes a second, the share of the limit and what it is.
std::vector<std::string> rate_cells(const BenchCost& cost, double ms) {
  if (ms <= 0) return {"–", "–", "–", ""};
  const auto rate = [ms](std::int64_t amount) {
    return fmt::format("{:.1f}", static_cast<double>(amount) / ms * 1e-6);
  };
  return {rate(cost.flops), rate(cost.bytes), fmt::format("{:.0f} %", 100 * cost.limit_ms() / ms),
          std::string(to_string(cost.bound()))};
}

constexpr const char* kInterruptedText = "  interrupted: this is what was measured\n";

std::string of_all(double ms, double all) { return fmt::format("{:.1f} %", all > 0 ? 100 * ms / all : 0); }

std::string kinds_table(const BenchReport& report) {
  Table table({"kind of step", ">steps", ">ms", ">of all", ">GFLOP/s", ">GB/s", ">of limit", "limit"});
  for (const BenchKind& kind : report.kinds) {
    std::vector<std::string> cells{kind.name, std::to_string(kind.steps), fmt::format("{:.3f}", kind.ms),
                                   of_all(kind.ms, report.layers_ms)};
    std::ranges::move(rate_cells(kind.cost, kind.ms), std::back_inserter(cells));
    table.add_row(std::move(cells));
  }
  return table.text();
}

std::string layers_table(const BenchReport& report) {
  Table table({"layer", ">ms", ">of all", ">forward", ">backward", ">GFLOP/s", ">GB/s", ">of limit", "limit"});
  const auto add = [&](const BenchLayer& layer, bool parted) {
    std::vector<std::string> cells{layer.name, fmt::format("{:.3f}", layer.ms()), of_all(layer.ms(), report.layers_ms),
                                   parted ? fmt::format("{:.3f}", layer.forward_ms) : "",
                                   parted ? fmt::format("{:.3f}", layer.backward_ms) : ""};
    std::ranges::move(rate_cells(layer.cost, layer.ms()), std::back_inserter(cells));
    table.add_row(std::move(cells));
  };
  bool update = false;  // it has its place among the layers
  for (const BenchLayer& layer : report.layers) {
    if (!update && report.update.ms() > 0 && report.update.ms() >= layer.ms()) {
      add(report.update, false);
      update = true;
    }
    if (layer.ms() > 0) add(layer, true);
  }
  if (!update && report.update.ms() > 0) add(report.update, false);
  return table.text();
}

std::string limits_text(const BenchReport& report) {
  const DeviceLimits& limits = report.limits;
  std::string text =
      fmt::format("  {:.0f} % of the FLOP that it can do: {} of {}\n", 100 * report.flops_share,
                  per_second(report.flops_per_second, "FLOP"), per_second(limits.flops_per_second, "FLOP"));
  text += fmt::format("  {:.0f} % of the bytes that it can move: {}; memory does {}, the caches {}\n",
                      100 * report.bytes_share, per_second(report.bytes_per_second, "B"),
                      per_second(limits.memory_bytes_per_second, "B"), per_second(limits.cache_bytes_per_second, "B"));
  text += fmt::format("  {:.0f} % of the limit: {:.2f} ms if each step took what binds it, FLOP or bytes\n",
                      report.step.median > 0 ? 100 * report.cost.limit_ms() / report.step.median : 0,
                      report.cost.limit_ms());
  if (!report.raised.empty())
    text += fmt::format("  (steps here went beyond the copy or product that measured the limit of {}: they set it)\n",
                        fmt::join(report.raised, " and "));
  return text;
}

}  // namespace

std::string_view to_string(Bound bound) {
  constexpr std::array<std::string_view, 3> kNames{"FLOP", "memory", "cache"};
  return kNames[static_cast<std::size_t>(bound)];
}

Bound BenchCost::bound() const {
  if (flops_ms >= memory_ms && flops_ms >= cache_ms) return Bound::flops;
  return memory_ms >= cache_ms ? Bound::memory : Bound::cache;
}

Timing timing_of(std::vector<double> milliseconds) {
  Timing timing{
      .median = quantile(milliseconds, 0.5), .p5 = quantile(milliseconds, 0.05), .p95 = quantile(milliseconds, 0.95)};
  timing.milliseconds = std::move(milliseconds);
  return timing;
}

std::string to_text(const BenchReport& report) {
  const Timing& step = report.step;
  std::string text = fmt::format("{} on {}: batch {}, {}, {} threads, {} steps\n", report.model, report.device,
                                 report.batch, report.precision, report.threads, step.milliseconds.size());
  text += conditions_text(report.conditions);
  text += fmt::format("  {} img/s (p5 {}, p95 {}); {:.2f} ms a step (p5 {:.2f}, p95 {:.2f})\n",
                      rate_text(report.images_per_second), rate_text(report.images_per_second_p5),
                      rate_text(report.images_per_second_p95), step.median, step.p5, step.p95);
  if (report.interrupted) text += kInterruptedText;
  text += limits_text(report);
  text += fmt::format("  memory: planned {}, measured {}\n", format_bytes(report.planned_bytes),
                      format_bytes(report.measured_bytes));
  text += fmt::format("  start-up: {:.2f} s (plan {:.2f}, memory and weights {:.2f}, first step {:.2f})\n",
                      report.start.seconds, report.start.plan_seconds, report.start.memory_seconds,
                      report.start.first_step_seconds);
  if (report.joules_per_step) {
    text += fmt::format("  energy: {:.3g} J a step, {:.1f} images a joule\n", *report.joules_per_step,
                        static_cast<double>(report.batch) / *report.joules_per_step);
  }
  text += "\nmeasured step by step: every call of the program timed by itself";
  if (report.bench == "model") {
    text += fmt::format(", {:.2f} ms together ({:+.1f} % of a step)", report.layers_ms,
                        step.median > 0 ? 100 * (report.layers_ms / step.median - 1) : 0);
  }
  text += "\n";
  return text + layers_table(report) + "\n" + kinds_table(report);
}

std::string to_text(const DeviceBench& bench) {
  std::string text = fmt::format("{}\n", bench.conditions.device) + conditions_text(bench.conditions);
  Table copies({"copy in", ">each way", ">best", ">median"});
  for (const CopyFigure& copy : bench.copies)
    copies.add_row({copy.what, format_bytes(copy.bytes), per_second(copy.bytes_per_second, "B"),
                    per_second(copy.median_bytes_per_second, "B")});
  Table products({"product", "of", ">best", ">median"});
  for (const ProductFigure& product : bench.products)
    products.add_row({product.type, product.shape, per_second(product.flops_per_second, "FLOP"),
                      per_second(product.median_flops_per_second, "FLOP")});
  if (bench.interrupted) text += kInterruptedText;
  return text + copies.text() + "  read and written bytes are both counted\n" + products.text() +
         fmt::format("  the least that a step takes: {:.1f} µs\n", bench.least_seconds * 1e6);
}

std::string to_text(const LoaderBench& bench) {
  std::string text = fmt::format("{}: {} images, batch {}, {} workers\n", bench.data, format_count(bench.samples),
                                 bench.batch, bench.workers);
  text += conditions_text(bench.conditions);
  text += fmt::format("  {} img/s, {} of pixels; {:.2f} ms a batch (p5 {:.2f}, p95 {:.2f})\n",
                      rate_text(bench.images_per_second), per_second(bench.bytes_per_second, "B"),
                      bench.batch_time.median, bench.batch_time.p5, bench.batch_time.p95);
  if (bench.interrupted) text += kInterruptedText;
  return text + fmt::format("  {} batches in {:.1f} s; the first after {:.2f} s\n", bench.batches, bench.seconds,
                            bench.first_batch_seconds);
}

std::string to_text(const Comparison& c) {
  const auto percent = [](double ratio) { return fmt::format("{:+.1f} %", 100 * (ratio - 1)); };
  std::string text = fmt::format("{}: {:.4g} → {:.4g} ms an image\n", c.what, c.before, c.after);
  text += fmt::format("  time {} ({:.0f} % interval {} to {}; {} runs of {} times, then {} of {})\n", percent(c.ratio),
                      100 * c.share, percent(c.low), percent(c.high), c.runs_before, c.times_before, c.runs_after,
                      c.times_after);
  if (c.bytes_before != c.bytes_after && c.bytes_before > 0 && c.bytes_after > 0)
    text += fmt::format("  planned memory {} → {}\n", format_bytes(c.bytes_before), format_bytes(c.bytes_after));
  for (const std::string& difference : c.differences) text += fmt::format("  not the same: {}\n", difference);
  switch (c.change) {
    case Change::none: text += fmt::format("no change beyond noise and {:.1f} %\n", 100 * c.threshold); break;
    case Change::faster: text += fmt::format("faster by more than {:.1f} %\n", 100 * c.threshold); break;
    case Change::slower: text += fmt::format("SLOWER by more than {:.1f} %\n", 100 * c.threshold); break;
  }
  return text;
}

}  // namespace snug
