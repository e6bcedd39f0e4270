#include "cli/holders.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

namespace snug {
namespace {

TEST(MemoryHolders, AreOtherProcessesTheLargestFirst) {
  const std::vector<PlanProcess> found = memory_holders("cpu");
  EXPECT_TRUE(std::ranges::is_sorted(found, std::greater{}, &PlanProcess::bytes));
  for (const PlanProcess& process : found) {
    EXPECT_NE(process.pid, ::getpid());
    EXPECT_FALSE(process.name.empty());
    EXPECT_GT(process.bytes, 0);
  }
}

TEST(MemoryHolders, OfADeviceThatIsNotHereThereAreNone) { EXPECT_TRUE(memory_holders("h200").empty()); }

}  // namespace
}  // namespace snug
