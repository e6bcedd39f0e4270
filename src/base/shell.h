// Words as a shell takes them.
#pragma once

#include <string>
#include <string_view>

namespace snug {

/// A word as a shell takes it: in quotes where it must be.
[[nodiscard]] std::string shell_word(const std::string& word);

/// Lines "train.batch = 32" as they are given to a command: "--set train.batch=32".
[[nodiscard]] std::string as_options(std::string_view change);

}  // namespace snug
