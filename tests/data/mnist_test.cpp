// The official files of MNIST, where the shared data is present.
#include <cstdlib>

#include "data/files.h"
#include "data/info.h"

namespace snug {
namespace {

std::filesystem::path mnist() {
  const char* root = std::getenv("SNUG_TEST_DATA");
  return std::filesystem::path(root != nullptr ? root : "../shared/data") / "mnist";
}

TEST(Mnist, IsReadAsPublished) {
  const auto folder = mnist();
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not here";
  const auto data = open_source(
      array_source(folder / "train-images-idx3-ubyte.gz", folder / "train-labels-idx1-ubyte.gz", DataFormat::idx), {},
      {28, 28, 1}, 1);
  const DataSummary summary = summarize(*data);
  EXPECT_EQ(summary.samples, 60000);
  EXPECT_EQ(summary.image, (Shape{28, 28, 1}));
  EXPECT_NEAR(summary.pixels.mean[0] / 255, 0.1307, 1e-4);
  EXPECT_NEAR(summary.pixels.std[0] / 255, 0.3081, 1e-4);
  EXPECT_EQ(summary.pixels.min, 0);
  EXPECT_EQ(summary.pixels.max, 255);
  std::vector<std::int64_t> counts;
  for (const LabelCount& one : summary.classes) counts.push_back(one.count);
  EXPECT_EQ(counts, (std::vector<std::int64_t>{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}));
  const std::vector<std::int64_t> first{5, 0, 4, 1, 9, 2, 1, 3, 1, 4};
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(data->label(static_cast<std::int64_t>(i)), first[i]);
}

TEST(Mnist, TellsThatImagesAndLabelsOfDifferentSplitsDoNotBelongTogether) {
  const auto folder = mnist();
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not here";
  const DataSource source =
      array_source(folder / "t10k-images-idx3-ubyte.gz", folder / "train-labels-idx1-ubyte.gz", DataFormat::idx);
  expect_finding(findings_of([&] {
                   return open_source(source, {}, {28, 28, 1}, 1);
                 }),
                 {"L120", "train-labels-idx1-ubyte.gz", {"60,000", "10,000"}, "labels"});
}

}  // namespace
}  // namespace snug
