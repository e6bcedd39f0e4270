#include "data/sample_pictures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace snug {
namespace {

using testing::Each;
using testing::ElementsAre;

DatasetInfo info_of(std::int64_t height, std::int64_t width, std::int64_t channels, DType dtype) {
  return {.samples = 1, .image = {height, width, channels}, .dtype = dtype};
}

TEST(SamplePictures, BytesStayAndChannelsBecomeGrayOrRgb) {
  std::vector<std::byte> bytes(8);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
  const auto one = pictures_of(bytes, info_of(2, 2, 1, DType::u8));
  ASSERT_EQ(one.size(), 2U);
  EXPECT_THAT(one[1].pixels, ElementsAre(4, 5, 6, 7));
  const auto two = pictures_of(bytes, info_of(1, 2, 2, DType::u8));
  EXPECT_EQ(two[0].channels, 1);
  EXPECT_THAT(two[0].pixels, ElementsAre(0, 2));
  const auto four = pictures_of(bytes, info_of(1, 2, 4, DType::u8));
  EXPECT_EQ(four[0].channels, 3);
  EXPECT_THAT(four[0].pixels, ElementsAre(0, 1, 2, 4, 5, 6));
}

TEST(SamplePictures, FloatsAreStretchedOverAllAndNanIsBlack) {
  const std::vector<float> values{-1, NAN, 0, 1};
  const auto pictures = pictures_of(std::as_bytes(std::span(values)), info_of(1, 2, 1, DType::f32));
  ASSERT_EQ(pictures.size(), 2U);
  EXPECT_THAT(pictures[0].pixels, ElementsAre(0, 0));
  EXPECT_THAT(pictures[1].pixels, ElementsAre(128, 255));
  const std::vector<float> flat(2, 3.0F);
  EXPECT_THAT(pictures_of(std::as_bytes(std::span(flat)), info_of(1, 2, 1, DType::f32))[0].pixels, Each(0));
}

TEST(SamplePictures, ThumbnailsKeepTheirShapeAndMean) {
  Picture large;
  large.reshape(6, 12, 1);
  std::iota(large.pixels.begin(), large.pixels.end(), std::uint8_t{0});
  const Picture small = thumbnail(large, 4);
  EXPECT_EQ(small.height, 2);
  EXPECT_EQ(small.width, 4);
  EXPECT_EQ(small.pixels[0], 13) << "of rows 0 to 2, columns 0 to 2";
  EXPECT_EQ(thumbnail(small, 4).pixels, small.pixels) << "what is small stays";
  Picture line;
  line.reshape(1, 100, 3);
  EXPECT_EQ(thumbnail(line, 10).height, 1);
}

}  // namespace
}  // namespace snug
