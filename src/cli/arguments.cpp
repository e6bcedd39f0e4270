#include "cli/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cxxopts.hpp>
#include <set>

#include "base/text.h"
#include "config/keys.h"
#include "snug/diagnostic.h"

namespace snug {

namespace {

Diagnostic usage(std::string_view code, std::string where, std::string what, std::string fix) {
  return {.code = std::string(code), .where = std::move(where), .what = std::move(what), .fix = std::move(fix)};
}

std::string_view without_dashes(std::string_view word) {
  return word.substr(std::min(word.find_first_not_of('-'), word.size()));
}
std::string name_of(std::string_view word) { return std::string(word.substr(0, word.find('='))); }

bool looks_like_option(std::string_view word) { return word.size() > 1 && word.front() == '-'; }

/// What was given to an option: behind its "=", else the next word, which may be a number below 0. "" without any.
std::string value_of(const std::string& option, std::span<const std::string> words) {
  if (const std::size_t equals = option.find('='); equals != std::string::npos) return option.substr(equals + 1);
  const auto at = std::ranges::find(words, option);
  if (at == words.end() || at + 1 == words.end()) return {};
  const std::string& next = *(at + 1);
  return looks_like_option(next) && !parse_number(next) ? std::string() : next;
}

Diagnostic unknown_option(std::string_view command, std::span<const Option> options, const std::string& word,
                          std::span<const std::string> words) {
  std::vector<std::string> known;
  for (const Option& option : options) known.push_back("--" + std::string(option.name));
  const std::string name = name_of(word);
  const bool takes_settings = std::ranges::find(options, "set", &Option::name) != options.end() &&
                              std::ranges::find(options, without_dashes(name), &Option::name) == options.end();
  if (const std::string key = config::dotted_key(without_dashes(name)); takes_settings && !key.empty()) {
    const std::string value = value_of(word, words);
    return usage("C901", name, fmt::format("{} is a key of the config, not an option of `snug {}`", name, command),
                 fmt::format("--set {}={}", key, value.empty() || value.ends_with(".toml") ? "VALUE" : value));
  }
  const auto near = nearest(name, known);
  const std::string hint =
      near ? fmt::format("did you mean {}?", *near) : fmt::format("snug {} --help lists them", command);
  return usage("C901", name, fmt::format("{} is not an option of `snug {}`", name, command), hint);
}

/// Everything is read as text: cxxopts' own numbers stop at the first strange character, and its lists split at commas.
/// Words that are no options stay unmatched and in order.
cxxopts::Options make_parser(std::span<const Option> options) {
  cxxopts::Options parser("snug");
  parser.allow_unrecognised_options();
  auto add = parser.add_options();
  for (const Option& option : options) {
    const auto value = cxxopts::value<std::string>();
    if (option.value.empty()) value->implicit_value("");
    add(option.name == "help" ? "h,help" : std::string(option.name), "", value);
  }
  return parser;
}

/// cxxopts takes "-batch" for five options of one letter: the word that `letter` ("-b") came from.
std::string whole_word(const std::string& letter, std::span<const std::string> words) {
  if (letter.size() != 2 || letter[1] == '-') return letter;
  const auto found = std::ranges::find_if(words, [&](const std::string& word) {
    return looks_like_option(word) && word[1] != '-' && word.find(letter[1]) != std::string::npos;
  });
  return found == words.end() ? letter : *found;
}

/// Parts words into options that do not exist (findings, each once) and what stands for itself (returned).
std::vector<std::string> sort_unmatched(std::string_view command, std::span<const Option> options,
                                        std::span<const std::string> words, const std::vector<std::string>& unmatched,
                                        std::vector<Diagnostic>& findings) {
  std::vector<std::string> positional;
  std::set<std::string> reported;
  for (const std::string& word : unmatched) {
    if (!looks_like_option(word)) {
      positional.push_back(word);
      continue;
    }
    const std::string whole = whole_word(word, words);
    const bool value =
        std::ranges::any_of(reported, [&](const std::string& told) { return value_of(told, words) == whole; });
    if (value) continue;  // of an option that has been told
    if (reported.insert(whole).second) findings.push_back(unknown_option(command, options, whole, words));
  }
  return positional;
}

/// "--set train.optimizer.lr=0.05" for "train.optimizer.lr", "lr" and "train.optimizer.lr 0.1".
std::string set_example(const std::string& written) {
  const std::string word = written.substr(0, written.find_first_of(" =:"));
  const std::string name = word.substr(word.rfind('.') + 1);
  for (const std::span<const config::Key> part : {config::train_keys(), config::data_keys()}) {
    for (const config::Key& key : part) {
      if (key.name != name || key.scopes == "top" || key.example.find_first_of(" \"'") != std::string_view::npos)
        continue;
      const std::string full = config::dotted_name(key);
      if (full == word || config::dotted_key(word) == full) return fmt::format("--set {}={}", full, key.example);
    }
  }
  return "--set train.epochs=5";
}

void check_repeats(const std::vector<std::pair<std::string, std::string>>& given, std::vector<Diagnostic>& findings) {
  std::set<std::string> seen;
  std::set<std::string> keys;
  for (const auto& [name, value] : given) {
    if (name == "set") {
      const std::string key = name_of(value);
      if (!keys.insert(key).second) {
        findings.push_back(usage("C903", "--set " + key, fmt::format("{} is set twice", key),
                                 fmt::format("keep one --set {}=…", key)));
      }
    } else if (!seen.insert(name).second) {
      findings.push_back(usage("C903", "--" + name, fmt::format("--{} is given twice", name), "keep one of them"));
    }
  }
}

}  // namespace

Arguments parse_arguments(std::string_view command, std::span<const Option> options,
                          std::span<const std::string> words) {
  std::vector<const char*> argv{"snug"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  std::vector<Diagnostic> findings;
  std::vector<std::string> positional;
  std::vector<std::pair<std::string, std::string>> given;
  try {
    const auto result = make_parser(options).parse(static_cast<int>(argv.size()), argv.data());
    positional = sort_unmatched(command, options, words, result.unmatched(), findings);
    for (const auto& pair : result.arguments()) given.emplace_back(pair.key(), pair.value());
  } catch (const cxxopts::exceptions::exception&) {
    // The one fault that cxxopts finds by itself here: the last word is an option that wants a value.
    const std::string last = words.empty() ? std::string() : words.back();
    throw Error(usage("C902", last, fmt::format("{} needs a value", last), fmt::format("snug {} --help", command)));
  }
  for (const auto& [name, value] : given) {
    const auto option = std::ranges::find(options, name, &Option::name);
    if (option != options.end() && option->value.empty() && !value.empty()) {
      findings.push_back(usage("C902", "--" + name, fmt::format("--{} takes no value, got '{}'", name, value),
                               fmt::format("write --{} alone", name)));
    }
  }
  check_repeats(given, findings);
  if (!findings.empty()) throw Error(std::move(findings));
  return {std::move(positional), std::move(given)};
}

std::optional<std::string> Arguments::text(std::string_view option) const {
  const auto found = std::ranges::find(options_, option, &std::pair<std::string, std::string>::first);
  if (found == options_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::int64_t> Arguments::integer(std::string_view option, std::int64_t least) const {
  const auto written = text(option);
  if (!written) return std::nullopt;
  const auto value = parse_integer(*written);
  if (!value || *value < least) {
    throw Error(usage("C904", fmt::format("--{}", option),
                      fmt::format("--{} expects a whole number of at least {}, got '{}'", option, least, *written),
                      fmt::format("--{} {}", option, std::max<std::int64_t>(least, 1))));
  }
  return value;
}

std::vector<std::pair<std::string, std::string>> Arguments::settings() const {
  std::vector<std::pair<std::string, std::string>> settings;
  for (const auto& [name, value] : options_) {
    if (name != "set") continue;
    const std::size_t equals = value.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Error(
          usage("C905", "--set " + value, fmt::format("--set expects KEY=VALUE, got '{}'", value), set_example(value)));
    }
    settings.emplace_back(value.substr(0, equals), value.substr(equals + 1));
  }
  return settings;
}

}  // namespace snug
