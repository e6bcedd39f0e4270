// How findings about a model or a run are put together.
#pragma once

#include <string>
#include <string_view>

#include "snug/config.h"
#include "snug/diagnostic.h"

namespace snug {

/// At most `limit` characters of UTF-8 text; what is left out of the middle becomes "…".
[[nodiscard]] std::string elide(std::string_view text, std::size_t limit);

/// A finding whose text is within the 160 characters that are promised.
[[nodiscard]] Diagnostic finding(std::string code, const Position& where, std::string_view what, std::string fix,
                                 Severity severity = Severity::error);
/// The same at a place that is no position in a config: "x.npy[17]".
[[nodiscard]] Diagnostic finding_at(std::string code, std::string where, std::string_view what, std::string fix,
                                    Severity severity = Severity::error);

/// "layer 'layer1.0.conv1': …": the path is shortened where the text would become too long.
[[nodiscard]] std::string layer_text(std::string_view path, std::string_view text);

/// Where `key` of a layer stands, else the layer.
[[nodiscard]] Position place(const LayerConfig& layer, std::string_view key);

}  // namespace snug
