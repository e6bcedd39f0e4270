#include <cmath>
#include <limits>

#include "data/files.h"

namespace snug {
namespace {

struct Opened {
  TempFolder folder;
  std::shared_ptr<const Dataset> data;
};

/// One sample a row of `shape`, label 0.
std::unique_ptr<Opened> opened(const std::string& type, const std::string& shape, int samples,
                               std::string_view payload) {
  auto result = std::make_unique<Opened>();
  const std::string n = std::to_string(samples);
  result->data = open_source(
      array_source(result->folder.write("x.npy", npy(type, "(" + n + "," + shape + ")", payload)),
                   result->folder.write(
                       "y.npy", npy("|u1", "(" + n + ",)", std::string(static_cast<std::size_t>(samples), '\0'))),
                   DataFormat::numpy),
      {}, {0, 0, 0}, 1);
  return result;
}

TEST(Statistics, MeasuresEachChannelOfBytes) {
  // Channel 0: 0, 10, 20, 30; channel 1: 5 everywhere.
  const auto set = opened("|u1", "1,2,2", 2, std::string("\x00\x05\x0A\x05\x14\x05\x1E\x05", 8));
  const PixelStatistics pixels = measure_pixels(*set->data);
  ASSERT_EQ(pixels.mean.size(), 2U);
  EXPECT_DOUBLE_EQ(pixels.mean[0], 15);
  EXPECT_DOUBLE_EQ(pixels.std[0], std::sqrt(125.0));
  EXPECT_DOUBLE_EQ(pixels.mean[1], 5);
  EXPECT_DOUBLE_EQ(pixels.std[1], 0);
  EXPECT_EQ(pixels.min, 0);
  EXPECT_EQ(pixels.max, 30);
  EXPECT_DOUBLE_EQ(measure_pixels(*set->data, 1).mean[0], 5);
}

TEST(Statistics, KeepsDigitsOfFloatsFarFromZero) {
  std::vector<double> values;
  for (int i = 0; i < 1000; ++i) values.push_back(4194304.0 + (i % 2));
  const auto set = opened("<f8", "10,10", 10, stored_all(values));
  const PixelStatistics pixels = measure_pixels(*set->data);
  EXPECT_NEAR(pixels.mean[0], 4194304.5, 1e-6);
  EXPECT_NEAR(pixels.std[0], 0.5, 1e-9);
}

TEST(Statistics, RemembersTheFirstSampleThatIsNotFinite) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto set = opened("<f4", "1,2", 4, stored_all<float>({1, 2, 3, nan, 5, 6, nan, 8}));
  const PixelStatistics pixels = measure_pixels(*set->data);
  EXPECT_EQ(pixels.not_finite_sample, 1);
  EXPECT_DOUBLE_EQ(pixels.mean[0], 3.5);  // of 1, 2, 5, 6
  EXPECT_EQ(pixels.max, 6);
  expect_finding(findings_of([&] { return input_scaling({.kind = Normalization::per_channel}, *set->data); }),
                 {"D115", "x.npy[1]", {"NaN"}, "np.isfinite"});
}

TEST(Scaling, FollowsTheContract) {
  struct Case {
    Normalize normalize;
    std::string type;
    std::string payload;  ///< two pixels of one channel
    double divisor, mean, inverse_std;
  };
  const std::string bytes("\x00\xFF", 2);
  const std::string words = stored_all<std::uint16_t>({0, 65535});
  const std::string floats = stored_all<float>({1, 3});
  const std::vector<Case> cases{
      {{Normalization::by_type}, "|u1", bytes, 255, 0, 1},
      {{Normalization::by_type}, "<u2", words, 65535, 0, 1},
      {{Normalization::by_type}, "<f4", floats, 1, 0, 1},
      {{Normalization::unit}, "|u1", bytes, 255, 0, 1},
      {{Normalization::unit}, "<f4", floats, 255, 0, 1},
      {{Normalization::none}, "|u1", bytes, 1, 0, 1},
      {{Normalization::per_channel}, "|u1", bytes, 255, 0.5, 2},
      {{Normalization::per_channel}, "<u2", words, 65535, 0.5, 2},
      {{Normalization::per_channel}, "<f4", floats, 1, 2, 1},
      {{Normalization::mean_std, {0.25}, {0.5}}, "|u1", bytes, 255, 0.25, 2},
      {{Normalization::mean_std, {0.25}, {0.5}}, "<f4", floats, 1, 0.25, 2},
  };
  for (const Case& c : cases) {
    const auto set = opened(c.type, "1,2", 1, c.payload);
    const InputScaling scaling = input_scaling(c.normalize, *set->data);
    SCOPED_TRACE(c.type + std::to_string(static_cast<int>(c.normalize.kind)));
    EXPECT_EQ(scaling.divisor, c.divisor);
    ASSERT_EQ(scaling.mean.size(), 1U);
    EXPECT_NEAR(scaling.mean[0], c.mean, 1e-12);
    EXPECT_NEAR(scaling.inverse_std[0], c.inverse_std, 1e-12);
  }
}

TEST(Scaling, TakesOneValueForAllChannelsOrOneForEach) {
  const auto set = opened("|u1", "1,1,3", 1, "abc");
  EXPECT_EQ(input_scaling({Normalization::mean_std, {0.5}, {0.1, 0.2, 0.5}}, *set->data).mean,
            (std::vector<double>{0.5, 0.5, 0.5}));
  expect_finding(findings_of([&] {
                   return input_scaling({Normalization::mean_std, {0.5, 0.5}, {0.5}}, *set->data);
                 }),
                 {"D113", "x.npy", {"mean has 2 values", "3 channels"}, "normalize"});
}

TEST(Scaling, RefusesWhatWouldDivideByZero) {
  const auto set = opened("|u1", "1,2,2", 1,
                          "a\x05"
                          "b\x05");
  expect_finding(findings_of([&] { return input_scaling({.kind = Normalization::per_channel}, *set->data); }),
                 {"D114", "x.npy", {"channel 1", "5", "1 images"}, "normalize"});
  expect_finding(findings_of([&] {
                   return input_scaling({Normalization::mean_std, {0}, {0}}, *set->data);
                 }),
                 {"D113", "x.npy", {"std has 0"}, "normalize"});
}

}  // namespace
}  // namespace snug
