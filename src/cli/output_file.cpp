#include "cli/output_file.h"

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "snug/diagnostic.h"

namespace snug {

void open_output(const Arguments& arguments, std::string_view option, std::string_view example,
                 std::optional<AtomicFile>& file) {
  const auto path = arguments.text(option);
  if (!path) return;
  const auto refuse = [&](std::string_view why) {
    throw Error({.code = "C909",
                 .where = fmt::format("--{} {}", option, *path),
                 .what = fmt::format("'{}' cannot be written: {}", path->substr(0, 80), why),
                 .fix = fmt::format("--{} {}   # in a folder that exists", option, example)});
  };
  std::error_code ignored;
  if (path->empty()) refuse("no name");
  if (std::filesystem::is_directory(*path, ignored)) refuse("it is a folder");
  try {
    file.emplace(*path);
  } catch (const std::system_error& error) {
    refuse(error.code().message());
  }
}

}  // namespace snug
