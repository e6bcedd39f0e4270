#include "config/table_reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/ensure.h"
#include "base/text.h"

namespace snug::config {

namespace {

constexpr std::size_t kPathLimit = 44;  // of a message's 160 characters

/// The end of a long path tells more than its start.
std::string short_path(const std::string& path) {
  if (path.size() <= kPathLimit) return shortened(path, kPathLimit);
  return "..." + shortened(path.substr(path.size() - kPathLimit + 3), kPathLimit);
}

bool inside(const Range& range, double number) {
  if (!std::isfinite(number)) return false;
  if (range.above ? number <= range.least : number < range.least) return false;
  return range.below ? number < range.most : number <= range.most;
}

/// Checks one value against one key.
class Checker {
 public:
  Checker(const Key& key, const std::string& path, Findings& findings) : key_(key), path_(path), findings_(findings) {}

  bool check(const Value& value) {
    switch (value.kind) {
      case Value::Kind::boolean: return takes(kBoolean) || (takes(kTrue) && value.boolean) || wrong_form(value);
      case Value::Kind::integer:
        if (takes(kInteger) || takes(kNumber) || takes(kBytes)) return in_range(value, path_);
        return wrong_form(value);
      case Value::Kind::number: return takes(kNumber) ? in_range(value, path_) : wrong_form(value);
      case Value::Kind::text: return check_text(value);
      case Value::Kind::date: return wrong_form(value);
      case Value::Kind::table: return takes(kTable) || wrong_form(value);
      case Value::Kind::list: return check_list(value);
    }
    return false;
  }

 private:
  [[nodiscard]] bool takes(unsigned forms) const { return (key_.forms & forms) != 0; }
  [[nodiscard]] std::string fix(const Value& value) const {
    const auto meant = meant_by(value);
    return line_for(value.where, path_, meant ? to_text(*meant) : std::string(key_.example));
  }

  /// What was written in another form: a number in quotes, 1 for true, 5.0 for 5, a size with the count before it.
  [[nodiscard]] std::optional<Value> meant_by(const Value& value) const {
    std::vector<Value> candidates;
    const auto add = [&](Value::Kind kind, const auto& set) {
      Value candidate{.kind = kind, .where = value.where};
      set(candidate);
      candidates.push_back(std::move(candidate));
    };
    using Kind = Value::Kind;
    if (value.kind == Kind::text) {
      if (const auto whole = parse_integer(value.text)) add(Kind::integer, [&](Value& v) { v.integer = *whole; });
      if (const auto real = parse_number(value.text)) add(Kind::number, [&](Value& v) { v.number = *real; });
      if (value.text == "true" || value.text == "false")
        add(Kind::boolean, [&](Value& v) { v.boolean = value.text == "true"; });
    }
    if (value.kind == Kind::integer && (value.integer == 0 || value.integer == 1))
      add(Kind::boolean, [&](Value& v) { v.boolean = value.integer == 1; });
    if (const auto whole = rounded(value)) candidates.push_back(*whole);
    if (value.kind == Kind::list && value.items.size() == key_.items.most + 1) {
      add(Kind::list, [&](Value& v) { v.items.assign(value.items.begin() + 1, value.items.end()); });
    }
    for (const Value& candidate : candidates) {
      Findings ignored;
      if (Checker(key_, path_, ignored).check(candidate)) return candidate;
    }
    return std::nullopt;
  }

  /// 5.0 as 5, also in lists.
  [[nodiscard]] static std::optional<Value> rounded(const Value& value) {
    constexpr double kMost = 1e15;
    if (value.kind == Value::Kind::number && std::abs(value.number) < kMost && value.number == std::floor(value.number))
      return Value{.kind = Value::Kind::integer, .where = value.where, .integer = std::llround(value.number)};
    if (value.kind != Value::Kind::list) return std::nullopt;
    Value list = value;
    bool changed = false;
    for (Value& item : list.items) {
      if (auto whole = rounded(item)) {
        item = *std::move(whole);
        changed = true;
      }
    }
    return changed ? std::optional(std::move(list)) : std::nullopt;
  }

  bool wrong_form(const Value& value) {
    findings_.error("C003", value.where,
                    fmt::format("{} expects {}, got {}", short_path(path_), describe_forms(key_), describe(value)),
                    fix(value));
    return false;
  }

  bool in_range(const Value& value, const std::string& path) { return in_range(value, path, fix(value)); }
  bool in_range(const Value& value, const std::string& path, std::string line) {
    if (inside(key_.range, value.as_number())) return true;
    const std::string number =
        value.kind == Value::Kind::integer ? std::to_string(value.integer) : number_text(value.number);
    const std::string range = describe_range(key_.range);
    findings_.error(std::string(1, key_.family) + "004", value.where,
                    fmt::format("{} is {}; expected {}", short_path(path), number,
                                range.empty() ? "a finite number"
                                              : (takes(kNumber | kNumbers) ? "a number " : "an integer ") + range),
                    std::move(line));
    return false;
  }

  bool check_text(const Value& value) {
    if (takes(kAnyText)) return true;
    if (takes(kText)) return !value.text.empty() || empty_text(value);
    if (takes(kPercent) && value.text.ends_with('%')) return check_percent(value);
    if (takes(kBytes)) {
      const auto bytes = parse_size_bytes(value.text);
      if (!bytes) return wrong_form(value);
      Value size = value;
      size.kind = Value::Kind::integer;
      size.integer = *bytes;
      return in_range(size, path_);
    }
    if (!takes(kChoice)) return takes(kTable) && named_table(value) ? false : wrong_form(value);
    return index_of(key_.choices, value.text).has_value() || wrong_choice(value, key_.choices);
  }

  /// optimizer = "adam": a table's name written for the table.
  bool named_table(const Value& value) {
    const Key* name = find_key(key_.table, "name");
    if (name == nullptr || name->choices.empty()) return false;
    const std::vector<std::string> words(name->choices.begin(), name->choices.end());
    const auto near = nearest_word(value.text, words);
    if (!near) return false;
    findings_.error("C003", value.where, fmt::format("{} expects a table, got {}", short_path(path_), describe(value)),
                    line_for(value.where, path_, fmt::format("{{ name = \"{}\" }}", *near)));
    return true;
  }

  bool empty_text(const Value& value) {
    findings_.error("C003", value.where, fmt::format("{} is an empty string", short_path(path_)), fix(value));
    return false;
  }

  bool check_percent(const Value& value) {
    const auto share = parse_number(std::string_view(value.text).substr(0, value.text.size() - 1));
    if (!share) return wrong_form(value);
    if (*share > 0 && *share <= 100) return true;
    findings_.error(
        "C004", value.where,
        fmt::format("{} is {}; expected a share above 0% and at most 100%", short_path(path_), in_quotes(value.text)),
        fix(value));
    return false;
  }

  bool wrong_choice(const Value& value, Words words) {
    const std::vector<std::string> candidates(words.begin(), words.end());
    const auto near = nearest_word(value.text, candidates);
    const std::string known =
        near ? fmt::format("did you mean \"{}\"?", *near) : fmt::format("known: {}", fmt::join(words, ", "));
    findings_.error("C005", value.where,
                    fmt::format("{} does not know {}; {}", short_path(path_), in_quotes(value.text), known),
                    near ? line_for(value.where, path_, string_text(*near)) : fix(value));
    return false;
  }

  bool check_list(const Value& list) {
    if (!takes(kIntegers | kNumbers | kTexts | kAnyTexts | kChoices | kTables | kLayers | kLayerLists)) {
      return wrong_form(list);
    }
    if (list.items.size() < key_.items.least || list.items.size() > key_.items.most) return wrong_count(list);
    bool sound = true;
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      if (const auto whole = rounded(list); takes(kIntegers) && whole && list.items[i].kind == Value::Kind::number)
        return wrong_item(list.items[i], fmt::format("{}.{}", path_, i), *whole);
      sound = check_item(list, i) && sound;
    }
    return sound;
  }

  /// Number `index` of the key's example, or its only one.
  [[nodiscard]] std::string example_number(std::size_t index) const {
    std::string_view text = key_.example;
    if (!text.starts_with('[')) return std::string(text);
    text = text.substr(1, text.size() - 2);
    for (std::size_t comma = text.find(','); index > 0 && comma != std::string_view::npos; comma = text.find(',')) {
      text.remove_prefix(std::min(comma + 2, text.size()));
      --index;
    }
    return std::string(text.substr(0, text.find(',')));
  }

  /// The user's own list of numbers with what is wrong in it, or lacks, taken from the example.
  [[nodiscard]] std::string mended_list(const Value& list, std::size_t wrong, std::size_t count) const {
    std::string text = "[";
    for (std::size_t i = 0; i < std::max(count, list.items.size()); ++i) {
      const bool own = i < list.items.size() && i != wrong;
      text += fmt::format("{}{}", i == 0 ? "" : ", ", own ? to_text(list.items[i]) : example_number(i));
    }
    return text + "]";
  }

  bool wrong_count(const Value& list) {
    const Items& items = key_.items;
    const std::string count = items.least == items.most         ? fmt::format("exactly {}", items.least)
                              : list.items.size() < items.least ? fmt::format("at least {}", items.least)
                                                                : fmt::format("at most {}", items.most);
    const bool few_numbers = takes(kIntegers | kNumbers) && !list.items.empty() && list.items.size() < items.least &&
                             std::ranges::all_of(list.items, [&](const Value& item) {
                               Findings ignored;
                               return item.is_numeric() && Checker(key_, path_, ignored).in_range(item, path_);
                             });
    findings_.error("C006", list.where,
                    fmt::format("{} needs {} entries, got {}", short_path(path_), count, list.items.size()),
                    few_numbers ? line_for(list.where, path_, mended_list(list, items.least, items.least)) : fix(list));
    return false;
  }

  bool check_item(const Value& list, std::size_t index) {
    const Value& item = list.items[index];
    const std::string path = fmt::format("{}.{}", path_, index);
    using Kind = Value::Kind;
    if ((takes(kIntegers) && item.kind == Kind::integer) || (takes(kNumbers) && item.is_numeric()))
      return in_range(item, path, line_for(item.where, path_, mended_list(list, index, 0)));
    if (takes(kAnyTexts) && item.kind == Kind::text) return true;
    if (takes(kTexts) && item.kind == Kind::text && !item.text.empty()) return true;
    if (takes(kChoices) && item.kind == Kind::text) {
      return index_of(key_.item_choices, item.text).has_value() || wrong_choice(item, key_.item_choices);
    }
    if (takes(kTables | kLayers) && item.kind == Kind::table) return true;
    if (takes(kLayerLists) && item.kind == Kind::list) return check_layer_list(item, path);
    return wrong_item(item, path);
  }

  bool check_layer_list(const Value& list, const std::string& path) {
    bool sound = true;
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      if (list.items[i].kind == Value::Kind::table) continue;
      sound = wrong_item(list.items[i], fmt::format("{}.{}", path, i));
    }
    return sound;
  }

  bool wrong_item(const Value& item, const std::string& path) { return wrong_item(item, path, item); }
  /// `meant`: what the whole value may mean.
  bool wrong_item(const Value& item, const std::string& path, const Value& meant) {
    const std::string_view expected = takes(kIntegers)     ? "an integer"
                                      : takes(kNumbers)    ? "a number"
                                      : takes(kTables)     ? "a table"
                                      : takes(kLayers)     ? "a layer, { ... }"
                                      : takes(kLayerLists) ? "a list of layers"
                                      : takes(kTexts)      ? "a string that is not empty"
                                                           : "a string";
    findings_.error("C003", item.where,
                    fmt::format("{} expects {}, got {}", short_path(path), expected, describe(item)), fix(meant));
    return false;
  }

  const Key& key_;
  const std::string& path_;
  Findings& findings_;
};

/// Words of other programs, and ours for the same.
struct Translation {
  std::string_view theirs, ours;
};
constexpr auto kTranslations = std::to_array<Translation>({
    {"linear", "dense"},
    {"fc", "dense"},
    {"bn", "batchnorm"},
    {"conv2d", "conv"},
    {"convolution2d", "conv"},
    {"depthwiseconv2d", "depthwise"},
    {"depthwise_conv2d", "depthwise"},
    {"maxpool2d", "maxpool"},
    {"max_pool2d", "maxpool"},
    {"maxpooling2d", "maxpool"},
    {"avgpool2d", "avgpool"},
    {"averagepooling2d", "avgpool"},
    {"globalaveragepooling2d", "global_avgpool"},
    {"adaptiveavgpool2d", "global_avgpool"},
    {"batchnorm2d", "batchnorm"},
    {"batchnormalization", "batchnorm"},
    {"batch_norm", "batchnorm"},
    {"kernel_size", "kernel"},
    {"strides", "stride"},
    {"batch_size", "batch"},
    {"gap", "global_avgpool"},
    {"swish", "silu"},
    {"bce", "binary_crossentropy"},
    {"bcewithlogitsloss", "binary_crossentropy"},
    {"nll", "sparse_categorical_crossentropy"},
    {"cross_entropy", "sparse_categorical_crossentropy"},
    {"crossentropyloss", "sparse_categorical_crossentropy"},
    {"half", "fp16"},
    {"float16", "fp16"},
    {"float32", "fp32"},
    {"bfloat16", "bf16"},
    {"xavier", "glorot_uniform"},
    {"kaiming", "he_normal"},
    {"learning_rate", "lr"},
    {"validation_split", "val_split"},
    {"validation", "val"},
    {"channels_first", "nchw"},
    {"channels_last", "nhwc"},
});
std::string_view translated(std::string_view word) {
  const auto found = std::ranges::find(kTranslations, word, &Translation::theirs);
  return found == kTranslations.end() ? word : found->ours;
}

/// Where in the config a key of this name is at home, if it is so in one place outside the layers.
const Key* find_elsewhere(std::string_view word) {
  const std::string_view name = translated(word);
  for (const std::span<const Key> part : {data_keys(), train_keys()}) {
    for (const Key& key : part) {
      if (key.name == name && key.scopes != "top" && name != "name") return &key;
    }
  }
  return nullptr;
}

}  // namespace

std::optional<std::string> nearest_word(std::string_view word, std::span<const std::string> candidates) {
  std::string lower(word);
  std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  if (const auto own = std::ranges::find(candidates, translated(lower)); own != candidates.end()) return *own;
  if (auto near = nearest(lower, candidates)) return near;
  // "training" for "train", "crossentropy" for the first that ends so: what a word of some length begins or ends with.
  constexpr std::size_t kTelling = 4;
  for (const std::string& candidate : candidates) {
    if (candidate.size() >= kTelling && lower.starts_with(candidate)) return candidate;
    if (lower.size() >= kTelling && (candidate.starts_with(lower) || candidate.ends_with(lower))) return candidate;
  }
  return std::nullopt;
}

std::string line_for(const Position& where, std::string_view path, std::string_view toml_value) {
  if (where.line == 0) {
    const bool plain = toml_value.find_first_of(" \"'[]{},") == std::string_view::npos;
    return plain ? fmt::format("--set {}={}", path, toml_value) : fmt::format("--set {}='{}'", path, toml_value);
  }
  const std::size_t dot = path.rfind('.');
  const std::string_view name = dot == std::string_view::npos ? path : path.substr(dot + 1);
  return fmt::format("{} = {}", name, toml_value);
}

bool check_value(const Key& key, const Value& value, const std::string& path, Findings& findings) {
  return Checker(key, path, findings).check(value);
}

TableReader::TableReader(const Value& table, std::string_view scope, std::string path, Findings& findings,
                         std::vector<std::string_view> passed)
    : table_(table), scope_(scope), path_(std::move(path)), findings_(findings) {
  for (const Member& member : table.members) {
    if (std::ranges::find(passed, member.key) != passed.end()) continue;
    const Key* key = find_key(scope, member.key);
    if (key == nullptr) {
      report_unknown(member);
    } else if (check_value(*key, member.value, path_of(member.key), findings)) {
      sound_.push_back(key->name);
    }
  }
}

std::string TableReader::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

void TableReader::report_unknown(const Member& member) const {
  const std::vector<std::string> names = key_names(scope_);
  const std::string place = path_.empty() ? std::string("at the top level") : "in " + short_path(path_);
  std::string what = fmt::format("unknown key {} {}", in_quotes(member.key), place);
  std::string fix;
  if (const auto near = nearest_word(member.key, names)) {
    what += fmt::format("; did you mean \"{}\"?", *near);
    // An option may have made tables on its way: its whole key is put right.
    std::string path = path_of(*near);
    const Value* value = &member.value;
    while (member.where.line == 0 && value->kind == Value::Kind::table && value->members.size() == 1) {
      path += "." + value->members[0].key;
      value = &value->members[0].value;
    }
    const bool section = path_.empty() && member.where.line > 0 && value->kind == Value::Kind::table;
    fix = section ? fmt::format("[{}]", *near) : line_for(member.where, path, to_text(*value));
  } else if (std::ranges::any_of(layer_keys(), [&](const Key& key) { return key.name == member.key; }) &&
             index_of(layer_kinds(), scope_)) {
    what += fmt::format(": it is no key of {}", scope_);
    fix = fmt::format("leave it out; known here: {}", fmt::join(names, ", "));
  } else if (const Key* key = find_elsewhere(member.key)) {
    const std::string_view title = config::scope(key->scopes).title;
    what += fmt::format("; it belongs in {}", title);
    Findings ignored;
    const bool sound = check_value(*key, member.value, std::string(key->name), ignored);
    const std::string value = sound ? to_text(member.value) : std::string(key->example);
    fix = member.where.line == 0 ? fmt::format("--set {}.{}={}", title, key->name, value)
                                 : fmt::format("{} = {}   # in [{}]", key->name, value, title);
  } else {
    fix = fmt::format("leave it out; known here: {}", fmt::join(names, ", "));
  }
  findings_.error("C007", member.where, what, shortened(fix, 400));
}

const Value* TableReader::find(std::string_view key) const {
  ensure(find_key(scope_, key) != nullptr, "a key that the table of keys lacks is read");
  if (std::ranges::find(sound_, key) == sound_.end()) return nullptr;
  return &table_.find(key)->value;
}

bool TableReader::doubtful(std::string_view key) const {
  if (has(key)) return find(key) == nullptr;
  const std::vector<std::string> meant = slips();
  return std::ranges::find(meant, key) != meant.end();
}

std::vector<std::string> TableReader::slips() const {
  const std::vector<std::string> names = key_names(scope_);
  std::vector<std::string> meant;
  for (const Member& member : table_.members) {
    if (find_key(scope_, member.key) == nullptr) meant.push_back(nearest_word(member.key, names).value_or(""));
  }
  return meant;
}

bool TableReader::require(std::string_view key) const {
  if (has(key)) return true;
  if (doubtful(key)) return false;  // a slip of the pen, which has been told
  const Key* entry = find_key(scope_, key);
  ensure(entry != nullptr, "a key that the table of keys lacks is required");
  const std::string place = path_.empty() ? "the config" : short_path(path_);
  findings_.error("C008", table_.where,
                  fmt::format("{} has no \"{}\"; expected {}", place, key, describe_forms(*entry)),
                  line_for(table_.where, path_of(key), entry->example));
  return false;
}

void TableReader::read(std::string_view key, bool& out) const {
  if (const Value* value = find(key)) out = value->boolean;
}

void TableReader::read(std::string_view key, std::int64_t& out) const {
  const Value* value = find(key);
  if (value != nullptr && value->kind == Value::Kind::integer) out = value->integer;
}

void TableReader::read(std::string_view key, std::optional<std::int64_t>& out) const {
  const Value* value = find(key);
  if (value != nullptr && value->kind == Value::Kind::integer) out = value->integer;
}

void TableReader::read(std::string_view key, double& out) const {
  const Value* value = find(key);
  if (value != nullptr && value->is_numeric()) out = value->as_number();
}

void TableReader::read(std::string_view key, std::string& out) const {
  if (const Value* value = find(key)) out = value->text;
}

void TableReader::read(std::string_view key, std::optional<std::string>& out) const {
  if (const Value* value = find(key)) out = value->text;
}

void TableReader::read(std::string_view key, std::vector<std::string>& out) const {
  const Value* value = find(key);
  if (value == nullptr) return;
  out.clear();
  if (value->kind == Value::Kind::text) out.push_back(value->text);
  for (const Value& item : value->items) out.push_back(item.text);
}

void TableReader::read(std::string_view key, std::vector<double>& out) const {
  const Value* value = find(key);
  if (value == nullptr) return;
  out.clear();
  if (value->is_numeric()) out.push_back(value->as_number());
  for (const Value& item : value->items) out.push_back(item.as_number());
}

}  // namespace snug::config
