// The families of findings, one file each, and what they share. Internal to the folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "check/check.h"
#include "check/look.h"
#include "graph/findings.h"

namespace snug {

using Findings = std::vector<Diagnostic>;

/// What the loss reads.
struct Ending {
  NodeId logits;
  Shape output;
  Position where;            ///< of the layer that the values come from: the last with weights, else the last
  std::string type;          ///< of that layer: "dense", "conv"
  std::int64_t outputs = 0;  ///< values of an image; 0 when the output is not flat
};
/// Nothing for a graph that was cut short or has no layers.
[[nodiscard]] std::optional<Ending> ending_of(const Graph& graph, Loss loss);

/// The line that gives the network `count` outputs.
[[nodiscard]] std::string outputs_line(const Config& config, const Ending& ending, std::int64_t count);

/// What the activation at the end of a network can give.
struct OutputRange {
  double least = 0, most = 0;
  std::string name, fix;
  Position where;
};
/// Nothing where it can give any number.
[[nodiscard]] std::optional<OutputRange> range_of(const Graph& graph);

/// Classes of a source whose format fixes their number.
[[nodiscard]] std::optional<std::int64_t> known_classes(const std::optional<DataSource>& source);
/// Too few outputs for the classes are an error, too many a warning; nothing when they are equal.
[[nodiscard]] std::optional<Diagnostic> outputs_finding(const Config& config, const Ending& ending,
                                                        std::int64_t classes);

[[nodiscard]] inline bool is_crossentropy(Loss loss) {
  return loss == Loss::sparse_categorical_crossentropy || loss == Loss::categorical_crossentropy;
}

void check_loss(const Config& config, const Graph& graph, Findings& findings);  // F: loss.cpp
void check_layers(const Graph& graph, Findings& findings);                      // A: layers.cpp
void check_training(const Config& config, const Graph& graph, const Processor& processor,
                    Findings& findings);                                                   // T: training.cpp
void check_support(const Config& config, const Processor& processor, Findings& findings);  // C: support.cpp

/// The splits that are there, training first.
[[nodiscard]] std::vector<Look> look_at_splits(const Splits& splits, bool full);              // pixels.cpp
void check_pixels(const Config& config, const std::vector<Look>& looks, Findings& findings);  // D: pixels.cpp
void check_copies(const Config& config, const std::vector<Look>& looks, Findings& findings);  // D: copies.cpp
void check_labels_of(const Config& config, const Splits& splits, const Graph& graph,
                     Findings& findings);  // L: labels.cpp
void check_classes(const Config& config, const Splits& splits, const Graph& graph,
                   Findings& findings);  // L: classes.cpp
void check_samples(const Config& config, const Splits& splits, const Graph& graph,
                   Findings& findings);  // T: training.cpp

}  // namespace snug
