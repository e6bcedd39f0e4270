#include "data/resize.h"

#include <gtest/gtest.h>

#include <random>

namespace snug {
namespace {

/// Three channels take a way of their own, several pixels at a time; one channel is summed pixel by pixel.
TEST(Resize, ChannelsTogetherAreAsEachByItself) {
  std::mt19937 random(1);
  const auto number = [&](int least, int most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random);
  };
  ResizeScratch scratch, own;
  for (int turn = 0; turn < 300; ++turn) {
    const std::int64_t height = number(1, 40), width = number(1, 90), out_height = number(1, 30),
                       out_width = number(1, 70);
    const auto filter = turn % 2 == 0 ? ResizeFilter::bilinear : ResizeFilter::bicubic;
    const bool part = turn % 3 == 0;
    const Box box{.top = part ? 0.3 * static_cast<double>(height) : 0,
                  .left = part ? 0.21 * static_cast<double>(width) : 0,
                  .height = static_cast<double>(height) * (part ? 0.6 : 1),
                  .width = static_cast<double>(width) * (part ? 0.55 : 1)};
    std::vector<std::uint8_t> rgb(static_cast<std::size_t>(height * width * 3));
    for (std::uint8_t& value : rgb)
      value = static_cast<std::uint8_t>(turn % 5 == 0 ? 255 * number(0, 1) : number(0, 255));
    std::vector<std::uint8_t> out(static_cast<std::size_t>(out_height * out_width * 3));
    resize_box(rgb.data(), height, width, 3, box, filter, out.data(), out_height, out_width, scratch);
    for (std::size_t c = 0; c < 3; ++c) {
      std::vector<std::uint8_t> one;
      for (std::size_t i = c; i < rgb.size(); i += 3) one.push_back(rgb[i]);
      std::vector<std::uint8_t> alone(out.size() / 3);
      resize_box(one.data(), height, width, 1, box, filter, alone.data(), out_height, out_width, own);
      for (std::size_t i = 0; i < alone.size(); ++i)
        ASSERT_EQ(out[3 * i + c], alone[i]) << height << "×" << width << " to " << out_height << "×" << out_width;
    }
  }
}

}  // namespace
}  // namespace snug
