#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "check/check.h"
#include "cli/bench_costs.h"
#include "cli/bench_network.h"
#include "cli/checked.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/conditions.h"
#include "cli/signals.h"
#include "cli/target.h"
#include "report/bench.h"

namespace snug {

namespace {

constexpr std::int64_t kDefaultRounds = 20, kDefaultBatch = 16;
constexpr std::string_view kName = "op";  // of the layer in the network around it

[[noreturn]] void throw_input(const std::string& text) {
  throw Error({.code = "C904",
               .where = "--input",
               .what = fmt::format("--input expects HEIGHTxWIDTHxCHANNELS, or a number for dense, got '{}'", text),
               .fix = "--input 56x56x64"});
}

/// Height, width and channels; {1, 1, n} for one number.
std::array<std::int64_t, 3> parse_input(const std::string& text) {
  std::vector<std::int64_t> numbers;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('x', begin), text.size());
    const auto number = parse_integer(text.substr(begin, end - begin));
    if (!number || *number < 1) throw_input(text);
    numbers.push_back(*number);
    begin = end + 1;
  }
  if (numbers.size() == 1) return {1, 1, numbers[0]};
  if (numbers.size() != 3) throw_input(text);
  return {numbers[0], numbers[1], numbers[2]};
}

std::string without_braces(std::string layer) {
  const std::size_t begin = layer.find_first_not_of(" {"), end = layer.find_last_not_of(" }");
  // Braces that belong to a list inside stay.
  if (layer.find('{') == std::string::npos || layer.find_first_not_of(' ') != layer.find('{')) return layer;
  return begin == std::string::npos ? "" : layer.substr(begin, end - begin + 1);
}

/// A network with the layer in its middle: a layer with parameters before it, so that it has a gradient to hand on,
/// and an output behind it.
std::string config_text(const std::string& layer, const std::array<std::int64_t, 3>& input, bool flat, bool pool) {
  std::string layers = "  { batchnorm = true, name = \"before\" },\n";
  if (flat) layers += "  { flatten = true, name = \"flat\" },\n";
  layers += fmt::format("  {{ block = [ {{ {} }} ], name = \"{}\" }},\n", layer, kName);
  if (pool) layers += "  { global_avgpool = true },\n";
  return fmt::format("name = \"op\"\n[model]\ninput = [{}, {}, {}]\nlayers = [\n{}  {{ dense = 2 }},\n]\n[train]\n",
                     input[0], input[1], input[2], layers);
}

/// Whether the layer's output is a map, which a dense layer does not take.
bool makes_map(const Graph& graph) {
  for (const Layer& layer : graph.layers)
    if (layer.path.starts_with(fmt::format("{}.", kName))) return layer.output.rank() == 3;
  return true;
}

Config config_of(const Arguments& arguments, const std::array<std::int64_t, 3>& input) {
  const std::string layer = without_braces(arguments.positional()[0]);
  ConfigOptions options = config_options(arguments);
  options.model_only = true;
  const bool flat = input[0] == 1 && input[1] == 1 && layer.find("dense") != std::string::npos;
  for (const bool pool : {false, true}) {
    Config config = parse_config(config_text(layer, input, flat, pool), "bench op", options);
    std::vector<Diagnostic> ignored;
    if (pool || !makes_map(build_graph(config.model, ignored))) return config;
  }
  return {};
}

int run(const Arguments& arguments) {
  const std::optional<Computer> computer = run_target(arguments);
  const std::string shape = arguments.text("input").value_or("56x56x64");
  const std::int64_t rounds = arguments.integer("steps", 1).value_or(kDefaultRounds);
  const int threads = thread_count(arguments);
  Config config = config_of(arguments, parse_input(shape));
  config.train.batch = {.kind = BatchChoice::Kind::number,
                        .number = arguments.integer("batch", 1).value_or(kDefaultBatch)};
  std::vector<Diagnostic> findings;
  Graph graph = build_graph(config.model, findings);
  for (Diagnostic& finding : check_config(config, graph, computer ? computer->processor : this_processor()))
    findings.push_back(std::move(finding));
  if (has_errors(findings)) throw Error(findings);
  const RunSetup setup = setup_without_data(config, std::move(graph), findings);
  if (has_errors(findings)) throw Error(findings);
  const Conditions conditions = conditions_here("bench op", arguments, threads);
  BenchNetwork network(
      config, setup,
      {.threads = threads, .computer = computer, .gpu = gpu_number_of(arguments), .stop = &StopSignals::flag()});
  const std::vector<bool> counted = steps_of_layer(network.program(), kName);
  if (std::ranges::find(counted, true) == counted.end()) {
    throw Error({.code = "C932",
                 .where = arguments.positional()[0].substr(0, 60),
                 .what = "this layer has no step of its own: it becomes part of the layer before it",
                 .fix = "snug bench op 'conv = 64, kernel = 3, activation = \"relu\"'   # time it with that one"});
  }
  const StopSignals signals;
  BenchReport report = measure_layer(network, kName, rounds);
  report.conditions = conditions;
  report.bench = "op";
  report.model = fmt::format("{} on {}", without_braces(arguments.positional()[0]), shape);
  report.start.seconds = report.start.plan_seconds + report.start.memory_seconds + report.start.first_step_seconds;
  print_result(arguments, to_json(report), to_text(report));
  return report.interrupted ? kInterrupted : 0;
}

}  // namespace

Command bench_op_command() {
  return {.name = "bench op",
          .arguments = "LAYER",
          .summary = "one layer with given shapes, forward and backward: time, FLOP/s, bytes/s, what limits it",
          .example = "snug bench op 'conv=128,kernel=3,padding=1' --input 28x28x128 --batch 64",
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {{"input", "HxWxC", "what the layer reads (56x56x64); a number for dense"},
                      {"batch", "N", "images at a time (16)"},
                      {"steps", "N", "times to run it (20)"},
                      kSetOption,
                      kComputeDeviceOption,
                      kThreadsOption},
          .run = run};
}

}  // namespace snug
