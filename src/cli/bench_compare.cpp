#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/common.h"
#include "report/bench.h"
#include "tune/statistics.h"

namespace snug {

namespace {

constexpr int kSlower = 7;  // an exit code of its own: scripts tell it from faults
constexpr double kInterval = 0.95;
constexpr double kDefaultThreshold = 0.02;
constexpr std::size_t kLeastTimes = 8;

BenchRuns read_runs(const std::string& file) {
  try {
    return read_bench(read_text(file), file);
  } catch (const std::system_error& error) {
    throw Error({.code = "C909",
                 .where = file,
                 .what = error.what(),
                 .fix = fmt::format("snug bench model CONFIG --json > {}", file)});
  }
}

double parse_threshold(const Arguments& arguments) {
  const auto text = arguments.text("threshold");
  if (!text) return kDefaultThreshold;
  const auto percent =
      text->ends_with('%') ? parse_number(std::string_view(*text).substr(0, text->size() - 1)) : std::nullopt;
  if (!percent || *percent < 0 || *percent >= 100) {
    throw Error({.code = "C904",
                 .where = "--threshold",
                 .what = fmt::format("--threshold expects a percentage from 0% to below 100%, got '{}'", *text),
                 .fix = "--threshold 2%"});
  }
  return *percent / 100;
}

std::size_t times_of(const Runs& runs) {
  std::size_t count = 0;
  for (const auto& run : runs) count += run.size();
  return count;
}

void require_comparable(const BenchRuns& before, const BenchRuns& after, const std::string& file) {
  if (before.bench != after.bench) {
    throw Error(
        {.code = "C933",
         .where = file,
         .what = fmt::format("it is a result of `bench {}`, the other of `bench {}`", after.bench, before.bench),
         .fix = fmt::format("snug bench {} … --json > {}", before.bench, file)});
  }
  for (const BenchRuns* runs : {&before, &after}) {
    if (times_of(runs->milliseconds) >= kLeastTimes) continue;
    throw Error({.code = "C933",
                 .where = file,
                 .what = fmt::format("{} times say nothing about noise: at least {} are needed",
                                     times_of(runs->milliseconds), kLeastTimes),
                 .fix = fmt::format("snug bench {} … --steps 20 --json", before.bench)});
  }
}

std::vector<std::string> differences_of(const BenchRuns& before, const BenchRuns& after) {
  std::vector<std::string> list;
  if (before.what != after.what) list.push_back(fmt::format("{} → {}", before.what, after.what));
  for (const auto& [name, value] : before.conditions) {
    const auto other = std::ranges::find(after.conditions, name, [](const auto& pair) { return pair.first; });
    if (name == "model" || name == "data") continue;
    if (other != after.conditions.end() && other->second != value)
      list.push_back(fmt::format("{} {} → {}", name, value, other->second));
  }
  return list;
}

int run(const Arguments& arguments) {
  const double threshold = parse_threshold(arguments);
  const std::string &first = arguments.positional()[0], &second = arguments.positional()[1];
  const BenchRuns before = read_runs(first), after = read_runs(second);
  require_comparable(before, after, second);
  const Interval interval = ratio_interval(before.milliseconds, after.milliseconds, kInterval);
  Comparison result{.bench = before.bench,
                    .what = fmt::format("{}, batch {}", before.what, before.batch),
                    .ratio = ratio_of_medians(before.milliseconds, after.milliseconds),
                    .low = interval.low,
                    .high = interval.high,
                    .share = kInterval,
                    .threshold = threshold,
                    .runs_before = before.milliseconds.size(),
                    .runs_after = after.milliseconds.size(),
                    .times_before = times_of(before.milliseconds),
                    .times_after = times_of(after.milliseconds),
                    .differences = differences_of(before, after),
                    .bytes_before = before.planned_bytes,
                    .bytes_after = after.planned_bytes};
  result.before = median_of_runs(before.milliseconds);
  result.after = median_of_runs(after.milliseconds);
  // The medians must differ by more than the threshold, and the whole interval lie beyond half of it: neither noise
  // alone nor a difference that is real and tiny counts.
  if (result.ratio > 1 + threshold && interval.low > 1 + threshold / 2) result.change = Change::slower;
  if (result.ratio < 1 - threshold && interval.high < 1 - threshold / 2) result.change = Change::faster;
  print_result(arguments, to_json(result), to_text(result));
  return result.change == Change::slower ? kSlower : 0;
}

}  // namespace

Command bench_compare_command() {
  return {.name = "bench compare",
          .arguments = "A.json B.json",
          .summary = "what changed from A to B beyond noise; exit code 7 when B is slower",
          .example = "snug bench compare A.json B.json --threshold 2%",
          .least_arguments = 2,
          .most_arguments = 2,
          .options = {{"threshold", "P%", "differences up to this are none (2%)"}},
          .run = run};
}

}  // namespace snug
