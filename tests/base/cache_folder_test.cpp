#include "base/cache_folder.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace snug {
namespace {

TEST(CacheFolder, IsWhereCachesBelong) {
  ::setenv("XDG_CACHE_HOME", "/somewhere", 1);
  EXPECT_EQ(cache_folder(), "/somewhere/snug");
  ::setenv("XDG_CACHE_HOME", "relative", 1);  // to be passed over, says the XDG specification
  ::setenv("HOME", "/home/me", 1);
  EXPECT_EQ(cache_folder(), "/home/me/.cache/snug");
  ::unsetenv("XDG_CACHE_HOME");
  ::unsetenv("HOME");
  EXPECT_EQ(cache_folder(), "");
}

}  // namespace
}  // namespace snug
