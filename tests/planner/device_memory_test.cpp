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

TEST(CpuMemory, IsSteadyForPlans) {
  constexpr std::int64_t kMiB = 1 << 20;
  const DeviceMemory now{.name = "cpu",
                         .total_bytes = 16384 * kMiB,
                         .free_bytes = 9000 * kMiB,
                         .driver_bytes = 20 * kMiB,
                         .driver_in_use = true};
  DeviceMemory later = now;
  later.free_bytes -= 3 * kMiB;
  later.driver_bytes += 2 * kMiB;
  const DeviceMemory a = steady(now, now.driver_bytes);
  const DeviceMemory b = steady(later, later.driver_bytes);
  EXPECT_EQ(a.driver_bytes, b.driver_bytes);
  EXPECT_EQ(a.free_bytes, b.free_bytes);
  EXPECT_GT(a.driver_bytes, now.driver_bytes) << "the process grows in its first steps";
  EXPECT_GT(a.kernel_bytes, 0);
  EXPECT_LE(a.free_bytes + a.driver_bytes, now.free_bytes + now.driver_bytes);
  EXPECT_GT(a.free_bytes + a.driver_bytes, now.free_bytes + now.driver_bytes - 256 * kMiB);

  DeviceMemory other = now;
  other.driver_in_use = false;
  EXPECT_EQ(steady(other, 0).driver_bytes, now.driver_bytes) << "what another device's driver takes is known";
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
