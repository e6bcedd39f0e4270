// A config on its way to a run: stage by stage what is known of it, and everything that is wrong with it.
#pragma once

#include <optional>
#include <vector>

#include "check/check.h"
#include "cli/arguments.h"
#include "graph/graph.h"
#include "snug/config.h"
#include "train/setup.h"

namespace snug {

struct CheckedRun {
  Graph graph;
  std::optional<Splits> splits;      ///< once the data are open
  std::optional<RunSetup> setup;     ///< once a batch was measured: scaling may have taken a pass over the data
  std::vector<Diagnostic> findings;  ///< of every stage, ordered by place; warnings are errors with --strict
  Processor processor;               ///< what is to compute
};

/// Graph, config, data: each stage looks at what the stages before left whole, so that one run tells all.
[[nodiscard]] CheckedRun check_run(const Config& config, const Arguments& arguments,
                                   const Processor& processor = this_processor(), const CheckEffort& effort = {});

/// One real batch through the training program, in a process of its own (T); with `deep` what takes steps. Of a run
/// with errors nothing is measured. Call while this process has one thread.
void measure_run(const Config& config, const Arguments& arguments, CheckedRun& checked, bool deep = false);

/// The set-up of a run without errors; moves graph and data out of it.
[[nodiscard]] RunSetup take_setup(const Config& config, CheckedRun& checked);

/// For planning and timing where there are no data: 8-bit images of model.input's size, labels as the loss takes them.
[[nodiscard]] RunSetup setup_without_data(const Config& config, Graph graph, std::vector<Diagnostic>& findings);

/// Whether data files that are not there are all that is wrong: then a run is planned or timed without them.
[[nodiscard]] bool only_data_missing(const CheckedRun& checked);

/// Findings of what throws are appended to `findings`.
template <class Function>
void collect(std::vector<Diagnostic>& findings, Function&& function) {
  try {
    function();
  } catch (const Error& error) {
    findings.insert(findings.end(), error.findings().begin(), error.findings().end());
  }
}

}  // namespace snug
