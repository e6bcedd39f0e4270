#include "base/shell.h"

#include <algorithm>

namespace snug {

std::string shell_word(const std::string& word) {
  static constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=-+/%:,@";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string as_options(std::string_view change) {
  std::string options;
  while (!change.empty()) {
    std::string line(change.substr(0, change.find('\n')));
    change.remove_prefix(std::min(change.size(), line.size() + 1));
    if (const std::size_t equals = line.find(" = "); equals != std::string::npos) {
      std::string value = line.substr(equals + 3);
      const bool text = value.size() > 1 && value.front() == '"' && value.back() == '"';
      if (text) value = value.substr(1, value.size() - 2);  // what is no TOML value is taken as a string
      line.replace(equals, std::string::npos, "=" + value);
    }
    options += (options.empty() ? "--set " : " --set ") + shell_word(line);
  }
  return options;
}

}  // namespace snug
