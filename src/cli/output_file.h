// Files that an option names: opened before the work, so that a path that cannot be written costs nothing.
#pragma once

#include <optional>
#include <string_view>

#include "base/file.h"
#include "cli/arguments.h"

namespace snug {

/// Opens `file` for writing when `option` is given. Throws Error C909 for a path that cannot be written; `example` is
/// one that can.
void open_output(const Arguments& arguments, std::string_view option, std::string_view example,
                 std::optional<AtomicFile>& file);

}  // namespace snug
