#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "memory/placement.h"

namespace snug {
namespace {

std::vector<Buffer> random_buffers(std::uint64_t seed) {
  Random random(seed);
  std::vector<Buffer> buffers;
  for (int i = 0; i < 60; ++i) {
    const auto first = static_cast<std::int64_t>(random.below(40));
    const auto size = 256 * (1 + static_cast<std::int64_t>(random.below(50)));
    buffers.push_back({size, {first, first + 1 + static_cast<std::int64_t>(random.below(12))}});
  }
  return buffers;
}

/// What is enough is reached wherever it can be, is valid, and never lower than without.
TEST(Place, StopsAtWhatIsEnough) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<Buffer> buffers = random_buffers(seed);
    const Placement best = place(buffers);
    for (const std::int64_t more : {0, 10, 50}) {
      const std::int64_t enough = best.height_bytes * (100 + more) / 100;
      const Placement found = place(buffers, {.enough_bytes = enough});
      EXPECT_LE(found.height_bytes, enough) << seed;
      EXPECT_GE(found.height_bytes, best.height_bytes) << seed;
      EXPECT_THAT(validate(buffers, found.offsets, 256, enough), testing::IsEmpty());
    }
    const Placement hopeless = place(buffers, {.enough_bytes = best.proven_bound_bytes - 256});
    EXPECT_THAT(validate(buffers, hopeless.offsets, 256), testing::IsEmpty());
  }
}

}  // namespace
}  // namespace snug
