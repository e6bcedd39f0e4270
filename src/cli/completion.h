// Completion in shells: the candidates come from the commands' own tables, so they are never behind the program.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace snug {

/// The word by which the scripts of `snug completion` ask the program for candidates.
inline constexpr std::string_view kCompleteWord = "__complete";

struct Completions {
  struct Candidate {
    std::string word, about;  ///< a word that ends with '=' goes on
  };
  std::vector<Candidate> candidates;
  bool files = false;  ///< names of files and folders, too
};

/// What the last of `words` may become; they are what was typed after the program's name, the last one perhaps empty.
[[nodiscard]] Completions completions(std::span<const std::string> words);

/// The candidates as the scripts read them, a line each: "WORD<tab>ABOUT", and ":files". Never fails.
int print_completions(std::span<const std::string> words);

}  // namespace snug
