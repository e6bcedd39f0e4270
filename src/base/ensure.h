// Programmer mistakes end the process with the place and the reason; users' mistakes are Diagnostics.
#pragma once

#include <string_view>

namespace snug {

[[noreturn]] void fail(std::string_view why, const char* file, int line);

/// Aborts with `why` unless `condition` holds.
inline void ensure(bool condition, std::string_view why, const char* file = __builtin_FILE(),
                   int line = __builtin_LINE()) {
  if (!condition) [[unlikely]]
    fail(why, file, line);
}

}  // namespace snug
