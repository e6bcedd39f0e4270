#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "planner/planner.h"

namespace snug {
namespace {

TEST(CpuMemory, IsPlausible) {
  const DeviceMemory memory = cpu_memory();
  EXPECT_EQ(memory.name, "cpu");
  EXPECT_GT(memory.total_bytes, 64 << 20);
  EXPECT_LE(memory.total_bytes, sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
  EXPECT_GT(memory.free_bytes, 0);
  EXPECT_LE(memory.free_bytes, memory.total_bytes);
  EXPECT_GT(memory.driver_bytes, 100 << 10) << "this process has pages";
  EXPECT_LT(memory.driver_bytes, memory.total_bytes);
}

constexpr rlim_t kLimit = rlim_t{3} << 30;

/// Ends the process with 0 when cpu_memory() knows of a limit of this process.
[[noreturn]] void exit_with_verdict() {
  const rlimit limit{kLimit, kLimit};
  setrlimit(RLIMIT_AS, &limit);
  const DeviceMemory memory = cpu_memory();
  const auto bytes = static_cast<std::int64_t>(kLimit);
  std::_Exit(memory.total_bytes <= bytes && memory.free_bytes < bytes ? 0 : 1);
}

TEST(CpuMemory, ObeysUlimit) {
  std::int64_t mapped_pages = 0;
  std::ifstream("/proc/self/statm") >> mapped_pages;
  if (mapped_pages * sysconf(_SC_PAGESIZE) > static_cast<std::int64_t>(kLimit)) {
    GTEST_SKIP() << "a sanitizer has mapped more than the limit already";
  }
  EXPECT_EXIT(exit_with_verdict(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace snug
