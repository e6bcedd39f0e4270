#include "config/keys.h"

#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/ensure.h"

namespace snug::config {

namespace {

constexpr std::array kScopes{
    Scope{"top", "the top level", "What stands in the file itself."},
    Scope{"data", "data", "The data, and what happens to it on the way to the network."},
    Scope{"source", "data.train, data.val, data.test",
          "One split: `images` and `labels`, or `files`, or `folder`, `csv`, `pack`, `synthetic`. Paths are relative "
          "to the config file, or to `--data-root`."},
    Scope{"normalize", "data.normalize", "Given as a table: applied to data on 0..1."},
    Scope{"augment", "data.augment", "Each entry of the list is one of these."},
    Scope{"model", "model", "The network. A model file holds this table alone."},
    Scope{"train", "train", "How the network is trained."},
    Scope{"optimizer", "train.optimizer", "How a gradient changes the weights."},
    Scope{"schedule", "train.schedule", "How the learning rate changes from step to step."},
    Scope{"early_stopping", "train.early_stopping", "When to end before the last epoch."},
    Scope{"initializer", "train.initializer", "Given as a table."},
    Scope{"memory", "memory", "What the plan may use."},
    Scope{"conv", "conv", "A convolution."},
    Scope{"depthwise", "depthwise", "A convolution of each channel by itself."},
    Scope{"dense", "dense", "A fully connected layer; its input is flat."},
    Scope{"maxpool", "maxpool", "The largest value of each window."},
    Scope{"avgpool", "avgpool", "The average of each window."},
    Scope{"global_avgpool", "global_avgpool", "The average of each channel."},
    Scope{"adaptive_avgpool", "adaptive_avgpool", "Averages to a given size."},
    Scope{"flatten", "flatten", "A picture becomes a row."},
    Scope{"dropout", "dropout", "Sets random values to 0 in training."},
    Scope{"batchnorm", "batchnorm", "Batch normalization by itself."},
    Scope{"activation", "activation", "An activation by itself."},
    Scope{"residual", "residual", "A body added to a shortcut."},
    Scope{"branches", "branches", "Several ways side by side."},
    Scope{"block", "block", "Layers as one: a group, or with `repeat` several turns."},
    Scope{"squeeze_excite", "squeeze_excite", "Channels weighted by what the whole picture holds."},
};

constexpr std::size_t kFirstKind = 12;  // conv
constexpr std::size_t kKindCount = kScopes.size() - kFirstKind;
constexpr auto kKinds = [] {
  std::array<std::string_view, kKindCount> names{};
  for (std::size_t i = 0; i < kKindCount; ++i) names[i] = kScopes[kFirstKind + i].name;
  return names;
}();

std::string bound_text(double bound) { return fmt::format("{}", bound); }

std::string one_of(Words words) {
  if (words.size() == 1) return fmt::format("\"{}\"", words[0]);
  return fmt::format("one of \"{}\"", fmt::join(words, "\", \""));
}

std::string with_range(std::string_view noun, const Range& range) {
  const std::string bounds = describe_range(range);
  return bounds.empty() ? std::string(noun) : fmt::format("{} {}", noun, bounds);
}

std::string list_of(std::string_view noun, const Items& items) {
  if (items.least == items.most) return fmt::format("a list of {} {}", items.least, noun);
  return fmt::format("a list of {}", noun);
}

}  // namespace

bool Key::in(std::string_view scope) const {
  std::string_view rest = scopes;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    if (rest.substr(0, end) == scope) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

std::span<const Scope> scopes() { return kScopes; }

const Scope& scope(std::string_view name) {
  const auto found = std::ranges::find(kScopes, name, &Scope::name);
  ensure(found != kScopes.end(), "a scope of the table of keys");
  return *found;
}

Words layer_kinds() { return kKinds; }

std::string dotted_key(std::string_view name) {
  std::string wanted(name);
  std::ranges::replace(wanted, '-', '_');
  for (const std::string_view table : {"train", "optimizer", "schedule", "memory", "data"}) {
    if (find_key(table, wanted) != nullptr) return fmt::format("{}.{}", scope(table).title, wanted);
  }
  return "";
}

std::string dotted_name(const Key& key) {
  return key.scopes == "top" ? std::string(key.name) : fmt::format("{}.{}", scope(key.scopes).title, key.name);
}

std::span<const Key* const> keys_of(std::string_view scope) {
  // Made once: every table that is read asks for its keys.
  static const auto kByScope = [] {
    std::map<std::string_view, std::vector<const Key*>> out;
    for (const Scope& entry : kScopes) {
      for (const std::span<const Key> part : {data_keys(), layer_keys(), train_keys()}) {
        for (const Key& key : part) {
          if (key.in(entry.name)) out[entry.name].push_back(&key);
        }
      }
    }
    return out;
  }();
  const auto found = kByScope.find(scope);
  ensure(found != kByScope.end(), "a scope of the table of keys");
  return found->second;
}

const Key* find_key(std::string_view scope, std::string_view name) {
  for (const Key* key : keys_of(scope)) {
    if (key->name == name) return key;
  }
  return nullptr;
}

std::vector<std::string> key_names(std::string_view scope) {
  std::vector<std::string> out;
  for (const Key* key : keys_of(scope)) out.emplace_back(key->name);
  return out;
}

std::string describe_range(const Range& range) {
  const bool low = range.least != -kInfinity;
  const bool high = range.most != kInfinity;
  if (low && high && !range.above && !range.below) {
    return fmt::format("from {} to {}", bound_text(range.least), bound_text(range.most));
  }
  std::string text;
  if (low) text = fmt::format("{} {}", range.above ? "above" : "of at least", bound_text(range.least));
  if (high) {
    text += text.empty() ? "" : " and ";
    text += fmt::format("{} {}", range.below ? "below" : "at most", bound_text(range.most));
  }
  return text;
}

std::string describe_forms(const Key& key) {
  std::vector<std::string> parts;
  const auto add = [&](Form form, const std::string& text) {
    if ((key.forms & form) != 0) parts.push_back(text);
  };
  add(kBoolean, "true or false");
  add(kTrue, "true");
  add(kInteger, with_range("an integer", key.range));
  add(kNumber, with_range("a number", key.range));
  add(kText, "a string");
  add(kAnyText, "a string");
  add(kPercent, "a share such as \"90%\"");
  add(kBytes, "a size such as \"20GiB\"");
  add(kChoice, one_of(key.choices));
  add(kIntegers, list_of("integers", key.items));
  add(kNumbers, list_of("numbers", key.items));
  add(kTexts, "a list of strings");
  add(kAnyTexts, "a list of strings");
  add(kChoices, "a list of names");
  add(kTable, "a table");
  add(kTables, "a list of tables");
  add(kLayers, "a list of layers");
  add(kLayerLists, "a list of lists of layers");
  return fmt::format("{}", fmt::join(parts, ", or "));
}

}  // namespace snug::config
