// The command line, read strictly: unknown and repeated options, missing and surplus values are findings.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snug {

struct Option {
  std::string_view name;   ///< without dashes
  std::string_view value;  ///< what the help calls its value; empty: a flag
  std::string_view help;
  std::string_view choices = {};  ///< words that the value may be, parted by spaces; empty: others, or any
};

/// What was written after a command's name. Readers throw Error C… whose `where` is the option.
class Arguments {
 public:
  Arguments(std::vector<std::string> positional, std::vector<std::pair<std::string, std::string>> options)
      : positional_(std::move(positional)), options_(std::move(options)) {}

  [[nodiscard]] const std::vector<std::string>& positional() const { return positional_; }
  /// Name and value of every option, in the order written; flags have an empty value.
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& options() const { return options_; }
  [[nodiscard]] bool has(std::string_view option) const { return text(option).has_value(); }
  [[nodiscard]] std::optional<std::string> text(std::string_view option) const;
  /// A whole number of at least `least`.
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view option, std::int64_t least) const;
  /// Every KEY=VALUE of `--set`, in order.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> settings() const;

  /// How the program was called: "snug", or its path where it was found by one. For lines to paste.
  [[nodiscard]] const std::string& program() const { return program_; }
  void called_as(std::string program) { program_ = std::move(program); }

 private:
  std::string program_ = "snug";
  std::vector<std::string> positional_;
  std::vector<std::pair<std::string, std::string>> options_;  ///< in the order written
};

/// Parses what follows a command's name. Every fault is in the one Error that it throws.
[[nodiscard]] Arguments parse_arguments(std::string_view command, std::span<const Option> options,
                                        std::span<const std::string> words);

}  // namespace snug
