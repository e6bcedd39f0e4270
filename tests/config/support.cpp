#include "support.h"

#include <map>

#include <fmt/format.h>

#include "config/keys.h"

namespace snug::config {

namespace {

using Lines = std::vector<std::pair<std::string_view, std::string_view>>;

/// The keys that a table of a scope needs besides the one in question.
Lines companions(std::string_view scope, std::string_view key) {
  if (scope == "source") {
    if (key == "format") return {{"files", R"(["a.bin"])"}};
    if (key == "images") return {{"labels", R"("y.gz")"}};
    if (key == "labels") return {{"images", R"("x.gz")"}};
    if (key == "files") return {{"format", R"("cifar10")"}};
    if (key == "count") return {{"synthetic", R"("shapes")"}};
    return {};
  }
  if (scope == "normalize") return {{"mean", "[0.1, 0.2, 0.3]"}, {"std", "[0.1, 0.2, 0.3]"}};
  if (scope == "augment" && key.starts_with("pad")) return {{"random_crop", "28"}};
  if (scope == "optimizer" && key == "nesterov") return {{"momentum", "0.9"}};
  if (scope == "initializer") return {{"name", R"("normal")"}};
  if (scope == "model" && key == "file") return {};
  if (scope == "model") return {{"input", "[28, 28, 1]"}, {"layers", "[{ flatten = true }]"}};
  if (scope == "block" && (key == "first" || key == "turn")) return {{"block", "[{ dense = 3 }]"}, {"repeat", "2"}};
  if (scope == "branches") return {{"branches", "[[], []]"}};
  if (!index_of(layer_kinds(), scope)) return {};
  Lines lines{{scope, find_key(scope, scope)->example}};
  if (scope == "conv") lines.emplace_back("kernel", "3");
  return lines;
}

std::string_view header(std::string_view scope) {
  static const std::map<std::string_view, std::string_view> kHeaders{
      {"top", ""},
      {"data", "[data]"},
      {"source", "[data.train]"},
      {"normalize", "[data.normalize]"},
      {"augment", "[[data.augment]]"},
      {"model", "[model]"},
      {"train", "[train]"},
      {"optimizer", "[train.optimizer]"},
      {"schedule", "[train.schedule]"},
      {"early_stopping", "[train.early_stopping]"},
      {"initializer", "[train.initializer]"},
      {"memory", "[memory]"},
  };
  const auto found = kHeaders.find(scope);
  return found == kHeaders.end() ? "[[model.layers]]" : found->second;
}

}  // namespace

std::string config_with(std::string_view scope, std::string_view key, std::string_view value) {
  const bool layer = index_of(layer_kinds(), scope).has_value();
  std::string text = fmt::format("{}\n{} = {}\n", header(scope), key, value);
  for (const auto& [other, other_value] : companions(scope, key)) {
    if (other != key) text += fmt::format("{} = {}\n", other, other_value);
  }
  const bool own_data = (scope == "top" && key == "data") || scope == "source";
  if (scope == "data") {
    if (key != "train") text += "train = { synthetic = \"shapes\" }\n";
  } else if (!own_data) {
    text += kData;
  }
  const bool own_model = (scope == "top" && key == "model") || scope == "model";
  if (layer) {
    text += "[model]\ninput = [28, 28, 1]\n";
  } else if (!own_model) {
    text += kModel;
  }
  return text;
}

}  // namespace snug::config
