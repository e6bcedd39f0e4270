#include "planner/ladder_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "base/file.h"
#include "planner/ladders.h"
#include "planner/nets.h"

namespace snug {
namespace {

namespace fs = std::filesystem;

class LadderCache : public testing::Test {
 protected:
  void SetUp() override { fs::remove_all(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    if (!fs::exists(folder_)) return found;
    for (const auto& entry : fs::directory_iterator(folder_)) found.push_back(entry.path());
    return found;
  }

  /// Of this process alone: tests run side by side.
  fs::path folder_ = fs::path(testing::TempDir()) / ("snug_ladder_cache_" + std::to_string(::getpid()));
};

TEST_F(LadderCache, WhatIsSavedIsLoaded) {
  const Rungs rungs{{0, 0, 1}, {1, 0, 1}, {1, 1, 1}};
  save_ladder(folder_, "a network", rungs);
  EXPECT_EQ(load_ladder(folder_, "a network", 3), rungs);
  EXPECT_FALSE(load_ladder(folder_, "another", 3));
  EXPECT_FALSE(load_ladder(folder_, "a network", 4)) << "of another number of storages";
  save_ladder({}, "a network", rungs);
  EXPECT_FALSE(load_ladder({}, "a network", 3)) << "no folder";
}

TEST_F(LadderCache, WhatIsNotWholeIsNotTaken) {
  save_ladder(folder_, "a network", {{0, 0, 1}, {1, 0, 1}});
  const fs::path file = files().at(0);
  const std::string text = read_text(file);
  for (std::size_t length = 0; length < text.size(); ++length) {
    write_text(file, text.substr(0, length));
    EXPECT_FALSE(load_ladder(folder_, "a network", 3)) << length;
  }
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string damaged = text;
    damaged[at] = damaged[at] == '1' ? '0' : '1';
    write_text(file, damaged);
    EXPECT_FALSE(load_ladder(folder_, "a network", 3)) << at;
  }
}

/// The same ladder from the search and from the file; another one for other rates and another network.
TEST_F(LadderCache, LaddersAreThoseOfTheSearch) {
  const Graph graph = test::small_net(true);
  PlanRequest request;
  request.strategies.offload = true;
  DeviceRates rates{.flops_per_second = 1e12, .bytes_per_second = 1e11};
  const auto found = ladders_of(graph, request, rates);
  request.cache = folder_;
  const auto saved = ladders_of(graph, request, rates);
  const std::size_t count = files().size();
  EXPECT_GT(count, 0U);
  const auto loaded = ladders_of(graph, request, rates);
  EXPECT_EQ(files().size(), count);
  for (const auto& other : {saved, loaded}) {
    ASSERT_EQ(other->ladders.size(), found->ladders.size());
    for (std::size_t i = 0; i < found->ladders.size(); ++i) {
      EXPECT_EQ(other->ladders[i].split, found->ladders[i].split);
      EXPECT_EQ(other->ladders[i].rungs, found->ladders[i].rungs);
    }
    EXPECT_EQ(other->all_offloaded.size(), found->all_offloaded.size());
  }
  rates.bytes_per_second = 2e11;
  (void)ladders_of(graph, request, rates);
  EXPECT_GT(files().size(), count);
  const std::size_t more = files().size();
  (void)ladders_of(test::odd_net(), request, rates);
  EXPECT_GT(files().size(), more);
}

}  // namespace
}  // namespace snug
