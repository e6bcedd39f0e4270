// The one table of config keys. What it says drives the checks, "did you mean", and docs/config.md.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/names.h"

namespace snug::config {

/// The forms a value may have; a key combines them.
enum Form : unsigned {
  kBoolean = 1U << 0,
  kTrue = 1U << 1,      ///< only `true`
  kInteger = 1U << 2,   ///< within the range
  kNumber = 1U << 3,    ///< an integer will do; within the range
  kText = 1U << 4,      ///< not empty
  kAnyText = 1U << 5,   ///< may be empty
  kChoice = 1U << 6,    ///< one of the choices
  kBytes = 1U << 7,     ///< "20GiB", or an integer
  kPercent = 1U << 8,   ///< "90%"
  kIntegers = 1U << 9,  ///< lists; each entry within the range
  kNumbers = 1U << 10,
  kTexts = 1U << 11,
  kAnyTexts = 1U << 12,
  kChoices = 1U << 13,
  kTable = 1U << 14,   ///< of the scope `table`
  kTables = 1U << 15,  ///< a list of tables of the scope `table`
  kLayers = 1U << 16,
  kLayerLists = 1U << 17,
};

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Range {
  double least = -kInfinity, most = kInfinity;
  bool above = false, below = false;  ///< the bounds themselves are excluded
};
[[nodiscard]] constexpr Range at_least(double least) { return {.least = least}; }
[[nodiscard]] constexpr Range from_to(double least, double most) { return {.least = least, .most = most}; }
[[nodiscard]] constexpr Range more_than(double least) { return {.least = least, .above = true}; }
inline constexpr Range kBelowOne{.least = 0, .most = 1, .below = true};

struct Items {
  std::size_t least = 1, most = 1'000'000;
};

struct Key {
  std::string_view scopes;  ///< of what it is a key, parted by spaces: "conv depthwise"; "top" for the file itself
  std::string_view name;
  unsigned forms = 0;
  Range range;
  Items items;                ///< of lists
  Words choices;              ///< of kChoice
  Words item_choices;         ///< of kChoices
  char family = 'C';          ///< of a value out of range
  std::string_view table;     ///< the scope of a table's own keys
  std::string_view fallback;  ///< the default, as written in docs; "required"
  std::string_view meaning;
  std::string_view example;  ///< a TOML value

  [[nodiscard]] bool in(std::string_view scope) const;
};

struct Scope {
  std::string_view name;   ///< "optimizer"
  std::string_view title;  ///< for people: "train.optimizer"
  std::string_view about;  ///< one sentence for docs
};

[[nodiscard]] std::span<const Key> data_keys();
[[nodiscard]] std::span<const Key> layer_keys();
[[nodiscard]] std::span<const Key> train_keys();  ///< and of [memory] and the file itself

/// Every scope, in the order of docs. Layer kinds come last; each is named like its key.
[[nodiscard]] std::span<const Scope> scopes();
[[nodiscard]] const Scope& scope(std::string_view name);
/// The kinds of layer: "conv", …, each a scope of its own.
[[nodiscard]] Words layer_kinds();

[[nodiscard]] std::span<const Key* const> keys_of(std::string_view scope);
[[nodiscard]] const Key* find_key(std::string_view scope, std::string_view name);
[[nodiscard]] std::vector<std::string> key_names(std::string_view scope);

/// "train.optimizer.lr" for "lr": the key of the training, data or memory tables with this name, also written with "-"
/// for "_"; empty if there is none.
[[nodiscard]] std::string dotted_key(std::string_view name);
/// How `--set` names a key: "train.epochs", "name".
[[nodiscard]] std::string dotted_name(const Key& key);

/// "an integer of at least 1, or one of \"auto\", \"max\"".
[[nodiscard]] std::string describe_forms(const Key& key);
/// "at least 0 and below 1"; empty without bounds.
[[nodiscard]] std::string describe_range(const Range& range);

}  // namespace snug::config
