#include <algorithm>

#include "cli/command.h"
#include "cli/common.h"
#include "cli/target.h"
#include "graph/graph.h"
#include "lowering/lowering.h"
#include "report/reports.h"
#include "report/terminal.h"

namespace snug {

namespace {

SummaryReport summarize(const Graph& graph, std::string name) {
  SummaryReport report{
      .name = std::move(name), .input = graph.input, .parameters = 0, .flops_forward = 0, .layers = {}};
  for (const Layer& layer : graph.layers) {
    const Shape batched = layer.output.with_batch(1);
    report.layers.push_back({.name = layer.path,
                             .type = layer.type,
                             .output = {batched.extents().begin(), batched.extents().end()},
                             .parameters = 0,
                             .flops = 0});
  }
  for (const Node& node : graph.nodes) {
    const std::int64_t parameters = parameter_count(node);
    const std::int64_t flops = forward_flops(graph, node);
    report.parameters += parameters;
    report.flops_forward += flops;
    if (!node.layer.valid()) continue;
    report.layers[node.layer.index()].parameters += parameters;
    report.layers[node.layer.index()].flops += flops;
  }
  return report;
}

/// The steps of one training step as lowered for the config's batch, or for one image.
std::string program_text(const Config& config, const Graph& graph, std::vector<Diagnostic>& findings) {
  LoweringOptions options{.dtype = activation_dtype(config.train.precision), .train = config.train};
  if (config.train.batch.kind == BatchChoice::Kind::number) options.batch = config.train.batch.number;
  options.parts = std::min(config.train.accumulate, options.batch);
  options.frozen = frozen_nodes(graph, config.train.freeze, config.where("train.freeze"), findings);
  if (has_errors(findings)) throw Error(findings);
  return print(lower(graph, options));
}

int run(const Arguments& arguments) {
  if (arguments.has("program") && arguments.has("json")) {
    throw Error({.code = "C911",
                 .where = "--program",
                 .what = "--program prints text for people and has no JSON form",
                 .fix = "leave out --program or --json"});
  }
  require_device(arguments);
  (void)thread_count(arguments);  // taken as every command takes it; nothing here is slow
  const Config config = read_config(arguments.positional()[0], arguments, true);
  std::vector<Diagnostic> findings;
  const Graph graph = build_graph(config.model, findings);
  apply_strict(arguments, findings);
  if (has_errors(findings)) throw Error(findings);
  const SummaryReport report = summarize(graph, config.name);
  const bool program = arguments.has("program");
  print_result(arguments, to_json(report), program ? program_text(config, graph, findings) : to_text(report));
  show_asides(arguments, findings);
  return 0;
}

}  // namespace

Command summary_command() {
  return {.name = "summary",
          .arguments = "CONFIG",
          .summary = "the layers with shapes, parameters, FLOPs and bytes",
          .example = "snug summary configs/models/resnet18.toml",
          .more = {"snug summary config.toml --program   # every step that runs"},
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {{"program", "", "print the steps of a training step instead"},
                      kSetOption,
                      kDataRootOption,
                      kPlanDeviceOption,
                      kThreadsOption},
          .run = run};
}

}  // namespace snug
