// What is wrong, or may not be meant, in a config and its data, before anything runs.
#pragma once

#include <vector>

#include "config/precision.h"
#include "data/dataset.h"
#include "graph/graph.h"
#include "snug/config.h"

namespace snug {

/// Findings that need no data: the last layer against the loss (F), training settings (T), and what this version does
/// not do yet (C; sources, augmentations and the like are refused by open_data itself). `graph` may have been cut short
/// by findings of its own: what follows from it is then left out. `processor`: what is to compute. Ordered by place.
[[nodiscard]] std::vector<Diagnostic> check_config(const Config& config, const Graph& graph,
                                                   const Processor& processor = this_processor());

/// How much time a check may take.
struct CheckEffort {
  bool full = false;  ///< every image is looked at, however long it takes
};

/// Findings on opened data: images against model.input, values, scales, copies (D), labels against loss and outputs,
/// how classes are spread (L, F), the number of samples against the batch (T). Of large data a part is looked at, which
/// a note says. Ordered by place.
[[nodiscard]] std::vector<Diagnostic> check_data(const Config& config, const Splits& splits, const Graph& graph,
                                                 const CheckEffort& effort = {});

/// Class layers that findings propose get as many outputs as the data have classes, which were not known then.
void name_classes(std::vector<Diagnostic>& findings, const Dataset& train);

/// Sorts by file, then line and column, or the record's number; equal places keep their order.
void order_by_place(std::vector<Diagnostic>& findings);

}  // namespace snug
