#include "base/ensure.h"

#include <cstdio>
#include <cstdlib>

namespace snug {

void fail(std::string_view why, const char* file, int line) {
  std::fprintf(stderr, "snug: internal error at %s:%d: %.*s\n", file, line, static_cast<int>(why.size()), why.data());
  std::abort();
}

}  // namespace snug
