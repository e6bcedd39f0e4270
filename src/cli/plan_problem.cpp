#include "cli/plan_problem.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "base/ensure.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/common.h"
#include "data/problem_csv.h"
#include "memory/placement.h"

namespace snug {

namespace {

constexpr double kTimeLimitSeconds = 30;

Error usage(std::string_view code, std::string where, std::string what, std::string fix) {
  return Error({.code = std::string(code), .where = std::move(where), .what = std::move(what), .fix = std::move(fix)});
}

/// What is said of a network has no meaning here.
void refuse_config_options(const Arguments& arguments) {
  for (const std::string_view option : {"batch", "budget", "arena-budget", "set", "data-root", "device"}) {
    if (!arguments.has(option)) continue;
    throw usage("C901", fmt::format("--{}", option), fmt::format("--{} goes with a CONFIG, not with --problem", option),
                fmt::format("snug plan --problem {}", arguments.text("problem").value_or("")));
  }
  (void)thread_count(arguments);  // taken as every command takes it; the search runs on one core
}

std::optional<std::int64_t> read_capacity(const Arguments& arguments) {
  const auto text = arguments.text("capacity");
  if (!text) return std::nullopt;
  // A number is exact to the last byte; with a unit it goes through a floating-point number.
  auto bytes = parse_integer(*text);
  if (!bytes) bytes = parse_size_bytes(*text);
  if (bytes && *bytes >= 0) return bytes;
  throw usage("C904", "--capacity",
              fmt::format("--capacity expects a number of bytes or a size, got '{}'", shorten(*text, 40)),
              "--capacity 1048576");
}

double read_time_limit(const Arguments& arguments) {
  const auto text = arguments.text("time-limit");
  if (!text) return kTimeLimitSeconds;
  const auto seconds = parse_number(*text);
  if (seconds && *seconds >= 0) return *seconds;
  throw usage("C904", "--time-limit",
              fmt::format("--time-limit expects a number of seconds, got '{}'", shorten(*text, 40)), "--time-limit 60");
}

/// Whether the solution can be written is known before the work is done.
void require_writable(const std::string& path, const std::string& problem) {
  std::error_code ignored;
  if (std::filesystem::equivalent(path, problem, ignored)) {
    throw usage("C914", "--out " + path, fmt::format("{} is the problem itself", brief_name(path)),
                "--out solution.csv");
  }
  std::string why;
  try {
    if (path.empty()) why = "it has no name";
    if (std::filesystem::is_directory(path)) why = "it is a folder";
    if (why.empty()) const AtomicFile probe(path);
  } catch (const std::system_error& error) {
    why = error.code().message();
  }
  if (why.empty()) return;
  throw usage("C914", "--out " + path, fmt::format("{} cannot be written: {}", brief_name(path), why),
              "--out solution.csv");
}

ProblemTable read_table(const std::string& path) {
  Findings findings;
  auto file = open_file(path, FileUse::images, findings);
  if (!file) {
    for (Diagnostic& finding : findings)
      finding.fix = "snug plan --problem FILE.csv, with the columns id,lower,upper,size";
    throw Error(std::move(findings));
  }
  auto table = read_problem(*std::move(file), findings);
  if (!table) throw Error(std::move(findings));
  return *std::move(table);
}

struct ProblemResult {
  std::size_t buffers = 0;
  Placement placement;
  std::optional<std::int64_t> capacity;
  double seconds = 0;
  [[nodiscard]] bool fits() const { return !capacity || placement.height_bytes <= *capacity; }
};

std::string to_json(const ProblemResult& result) {
  const nlohmann::ordered_json json{{"buffers", result.buffers},
                                    {"height", result.placement.height_bytes},
                                    {"capacity", result.capacity.value_or(0)},
                                    {"lower_bound", result.placement.lower_bound_bytes},
                                    {"proven_bound", result.placement.proven_bound_bytes},
                                    {"optimal", result.placement.optimal},
                                    {"seconds", result.seconds}};
  return json.dump();
}

/// What to do when the capacity is not met, in one line.
std::string advice(const Placement& placement, std::int64_t capacity) {
  if (placement.lower_bound_bytes > capacity) {
    return fmt::format("no placement is within {}: give at least --capacity {}", format_count(capacity),
                       placement.lower_bound_bytes);
  }
  if (placement.proven_bound_bytes > capacity) {
    return fmt::format("no placement is within {} (proven): --capacity {} is met", format_count(capacity),
                       placement.height_bytes);
  }
  return fmt::format("none within {} was found, nor proven that there is none: a longer --time-limit, or --capacity {}",
                     format_count(capacity), placement.height_bytes);
}

std::string advice(const ProblemResult& result, const Arguments& arguments) {
  if (result.capacity && !result.fits()) return advice(result.placement, *result.capacity);
  const auto out = arguments.text("out");
  if (!out) return "--out solution.csv writes the offsets";
  if (!result.placement.optimal && !result.capacity) {
    return "a longer --time-limit may find a lower one or prove this the least";
  }
  return fmt::format("the offsets are in {}", *out);
}

std::string to_text(const ProblemResult& result, const Arguments& arguments) {
  const Placement& placement = result.placement;
  const double ratio = placement.lower_bound_bytes == 0 ? 1
                                                        : static_cast<double>(placement.height_bytes) /
                                                              static_cast<double>(placement.lower_bound_bytes);
  std::string text = fmt::format("{} buffers placed in {} bytes ({})\n", format_count(std::int64_t(result.buffers)),
                                 format_count(placement.height_bytes), format_bytes(placement.height_bytes));
  text += fmt::format("lower bound {} bytes, the largest sum alive at one time: {:.4f} × it, {}\n",
                      format_count(placement.lower_bound_bytes), ratio,
                      placement.optimal ? "proven the least" : "not proven the least");
  if (result.capacity) {
    text += fmt::format("capacity {} bytes: {}\n", format_count(*result.capacity), result.fits() ? "met" : "not met");
  }
  return text + fmt::format("searched for {:.2f} s; {}\n", result.seconds, advice(result, arguments));
}

}  // namespace

void refuse_problem_options(const Arguments& arguments) {
  for (const std::string_view option : {"capacity", "time-limit", "out"}) {
    if (!arguments.has(option)) continue;
    throw usage("C901", fmt::format("--{}", option), fmt::format("--{} goes with --problem alone", option),
                "snug plan --problem FILE.csv");
  }
}

int run_plan_problem(const Arguments& arguments) {
  refuse_config_options(arguments);
  const std::string path = arguments.text("problem").value_or("");
  const SolveOptions options{.capacity_bytes = read_capacity(arguments),
                             .time_limit_seconds = read_time_limit(arguments)};
  const ProblemTable table = read_table(path);
  if (const auto out = arguments.text("out")) require_writable(*out, path);
  const auto start = std::chrono::steady_clock::now();
  ProblemResult result{
      .buffers = table.buffers.size(), .placement = solve(table.buffers, options), .capacity = options.capacity_bytes};
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto faults = validate(table.buffers, result.placement.offsets, 1, result.placement.height_bytes);
  ensure(faults.empty(), faults.empty() ? "" : faults.front());
  if (const auto out = arguments.text("out")) write_text(*out, solution_csv(table, result.placement.offsets));
  print_result(arguments, to_json(result), to_text(result, arguments));
  return result.fits() ? 0 : 4;
}

}  // namespace snug
