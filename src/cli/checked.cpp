#include "cli/checked.h"

#include <algorithm>
#include <utility>

#include "base/ensure.h"
#include "check/check.h"
#include "check/measured.h"
#include "cli/common.h"
#include "data/findings.h"

namespace snug {

namespace {

void append(std::vector<Diagnostic>& findings, std::vector<Diagnostic> more) {
  findings.insert(findings.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

/// The input of a network whose layers are not known.
Graph graph_of_input(const ModelConfig& model) {
  std::vector<Diagnostic> none;
  Graph graph = build_graph({.input = model.input}, none);
  graph.complete = false;
  return graph;
}

/// A rate that was told from the config alone explains steps that are too large, and a batch that cannot be learned; so
/// do inputs on another scale the latter.
void drop_consequences(std::vector<Diagnostic>& findings) {
  const auto told = [&](std::initializer_list<std::string_view> codes) {
    return std::ranges::any_of(findings, [&](const Diagnostic& finding) {
      return finding.severity != Severity::note && std::ranges::find(codes, finding.code) != codes.end();
    });
  };
  const bool rate = told({"T111", "T112"});
  const bool scale = told({"D207", "D208", "D211", "D216"});
  std::erase_if(findings, [&](const Diagnostic& finding) {
    const bool step = finding.code == "T204" && finding.severity == Severity::warning;
    return (step && rate) || (finding.code == "T205" && (rate || scale));
  });
}

}  // namespace

CheckedRun check_run(const Config& config, const Arguments& arguments, const Processor& processor,
                     const CheckEffort& effort) {
  CheckedRun run;
  run.processor = processor;
  run.findings = config.warnings;
  const bool known_input = std::ranges::all_of(config.model.input, [](std::int64_t extent) { return extent > 0; });
  if (!config.faulty.model) {
    run.graph = build_graph(config.model, run.findings);
  } else if (known_input) {
    run.graph = graph_of_input(config.model);
  }
  append(run.findings, check_config(config, run.graph, processor));
  if (!config.faulty.data && known_input) {
    collect(run.findings, [&] {
      run.splits =
          open_data(config.data, config.model.input, config.train.seed, effort.full ? Decoding::all : Decoding::some);
    });
  }
  if (run.splits) pass_large_through(*run.splits);
  if (run.splits && run.splits->train) name_classes(run.findings, *run.splits->train);
  if (run.splits) append(run.findings, check_data(config, *run.splits, run.graph, effort));
  order_by_place(run.findings);
  apply_strict(arguments, run.findings);
  fix_options(run.findings);
  return run;
}

void measure_run(const Config& config, const Arguments& arguments, CheckedRun& checked, bool deep) {
  if (!checked.splits || checked.splits->train == nullptr || has_errors(checked.findings)) return;
  const auto is_scale = [](const Diagnostic& finding) {
    return finding.severity != Severity::note &&
           (finding.code == "D207" || finding.code == "D208" || finding.code == "D211" || finding.code == "D216");
  };
  try {
    checked.setup = make_setup(config, checked.graph, *checked.splits, checked.processor);
  } catch (const Error&) {
    return;  // `take_setup` says what stands in the way
  }
  append(checked.findings, measure_apart(config, *checked.setup,
                                         {.deep = deep,
                                          .odd_scale = std::ranges::any_of(checked.findings, is_scale),
                                          .threads = thread_count(arguments)}));
  drop_consequences(checked.findings);
  order_by_place(checked.findings);
  apply_strict(arguments, checked.findings);
  fix_options(checked.findings);
}

RunSetup take_setup(const Config& config, CheckedRun& checked) {
  if (checked.setup) {
    RunSetup setup = *std::move(checked.setup);
    checked.setup.reset();
    return setup;
  }
  if (!checked.splits) fail("a run without errors has its data open", __FILE__, __LINE__);
  return make_setup(config, std::move(checked.graph), *std::move(checked.splits), checked.processor);
}

bool only_data_missing(const CheckedRun& checked) {
  if (checked.splits) return false;
  return std::ranges::all_of(checked.findings, [](const Diagnostic& finding) {
    return finding.severity != Severity::error || is_missing_file(finding);
  });
}

RunSetup setup_without_data(const Config& config, Graph graph, std::vector<Diagnostic>& findings) {
  RunSetup setup{.splits = {}, .graph = std::move(graph)};
  setup.outputs = setup.graph[final_layer(setup.graph, config.train.loss).logits].output.elements();
  setup.row_width = label_row_width(config.train.loss, setup.outputs);
  const auto channels = static_cast<std::size_t>(config.model.input[2]);
  setup.scaling = {
      .divisor = 255, .mean = std::vector<double>(channels, 0.0), .inverse_std = std::vector<double>(channels, 1.0)};
  setup.lowering = lowering_options(config, setup, findings);
  return setup;
}

}  // namespace snug
