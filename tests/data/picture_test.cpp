#include "data/pictures.h"

#include <cmath>

namespace snug {
namespace {

struct Decoded {
  bool good = false;
  Picture picture;
  PictureFacts facts;
  std::string problem;
};

Decoded decode(const std::string& file, std::int64_t least_height = 0, std::int64_t least_width = 0) {
  Decoded d;
  d.good = decode_picture(bytes_of(file), least_height, least_width, d.picture, d.facts, d.problem);
  return d;
}

double difference(const Picture& a, const Picture& b) {
  EXPECT_EQ(a.pixels.size(), b.pixels.size());
  double sum = 0;
  for (std::size_t i = 0; i < std::min(a.pixels.size(), b.pixels.size()); ++i)
    sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

bool has(const PictureFacts& facts, PictureKind kind) { return facts.kinds[static_cast<std::size_t>(kind)]; }

TEST(Picture, PngComesBackAsItWas) {
  for (const std::int64_t channels : {1, 3}) {
    const Picture picture = generated(7, 11, channels);
    const Decoded d = decode(png(picture));
    ASSERT_TRUE(d.good) << d.problem;
    EXPECT_EQ(d.picture.pixels, picture.pixels);
    EXPECT_EQ(d.facts.height, 7);
    EXPECT_EQ(d.facts.width, 11);
    EXPECT_EQ(d.facts.channels, channels);
    EXPECT_EQ(has(d.facts, PictureKind::gray), channels == 1);
  }
}

TEST(Picture, JpegIsNearlyAsItWas) {
  const Picture picture = plain(20, 30, {200, 60, 30});
  const Decoded d = decode(jpeg(picture));
  ASSERT_TRUE(d.good) << d.problem;
  EXPECT_LT(difference(d.picture, picture), 2);
  const Decoded gray = decode(jpeg(plain(5, 6, {90})));
  ASSERT_TRUE(gray.good) << gray.problem;
  EXPECT_TRUE(has(gray.facts, PictureKind::gray));
  EXPECT_EQ(gray.picture.channels, 1);
}

TEST(Picture, FourInksBecomeRgb) {
  // Inverted, as Adobe writes them: white minus ink, times white minus black.
  const Decoded d = decode(jpeg(plain(16, 16, {200, 100, 50, 128}), 100));
  ASSERT_TRUE(d.good) << d.problem;
  EXPECT_TRUE(has(d.facts, PictureKind::cmyk));
  EXPECT_NEAR(d.picture.pixels[0], 100, 3);
  EXPECT_NEAR(d.picture.pixels[1], 50, 3);
  EXPECT_NEAR(d.picture.pixels[2], 25, 3);
}

TEST(Picture, JpegIsMadeSmallerOnTheWay) {
  const std::string file = jpeg(generated(100, 200));
  struct Case {
    std::int64_t least_height, least_width, height, width;
  };
  for (const Case& c : std::vector<Case>{{0, 0, 100, 200},
                                         {60, 60, 100, 200},
                                         {50, 100, 50, 100},
                                         {50, 101, 100, 200},
                                         {25, 30, 25, 50},
                                         {1, 1, 13, 25}}) {
    const Decoded d = decode(file, c.least_height, c.least_width);
    ASSERT_TRUE(d.good) << d.problem;
    EXPECT_EQ(d.picture.height, c.height) << c.least_height;
    EXPECT_EQ(d.picture.width, c.width) << c.least_width;
    EXPECT_EQ(d.facts.height, 100);
    EXPECT_EQ(d.facts.width, 200);
  }
}

TEST(Picture, EveryOrientationTurnsTheRightWay) {
  // The pixels of a 2×3 picture, and how each orientation shows them.
  const std::vector<std::vector<int>> shown{{0, 1, 2, 3, 4, 5}, {2, 1, 0, 5, 4, 3}, {5, 4, 3, 2, 1, 0},
                                            {3, 4, 5, 0, 1, 2}, {0, 3, 1, 4, 2, 5}, {3, 0, 4, 1, 5, 2},
                                            {5, 2, 4, 1, 3, 0}, {2, 5, 1, 4, 0, 3}};
  Picture in;
  in.reshape(2, 3, 1);
  in.pixels = {0, 1, 2, 3, 4, 5};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    Picture out;
    orient(in, orientation, out);
    EXPECT_EQ(out.height, orientation >= 5 ? 3 : 2);
    EXPECT_EQ(std::vector<int>(out.pixels.begin(), out.pixels.end()), shown[static_cast<std::size_t>(orientation - 1)])
        << orientation;
    const Decoded d = decode(jpeg(plain(8, 24, {10, 200, 90}), 95, orientation));
    ASSERT_TRUE(d.good) << d.problem;
    EXPECT_EQ(d.facts.orientation, orientation);
    EXPECT_EQ(d.facts.height, orientation >= 5 ? 24 : 8);
  }
}

TEST(Picture, DamagedExifIsNoFault) {
  for (const std::string_view text :
       {std::string_view(), std::string_view("II*\0", 4), std::string_view("MM\0*\xff\xff\xff\xff", 8),
        std::string_view("II*\0\x08\0\0\0\xff\xff", 10)}) {
    EXPECT_EQ(exif_orientation(std::as_bytes(std::span(text))), 1);
  }
}

TEST(Picture, EveryCutIsRefused) {
  for (const std::string& whole : {jpeg(generated(24, 24)), png(generated(24, 24))}) {
    // The last bytes of a PNG are its end mark, of a JPEG the same.
    for (std::size_t size = 0; size + 2 < whole.size(); ++size) {
      const Decoded d = decode(whole.substr(0, size));
      EXPECT_FALSE(d.good) << size << " of " << whole.size();
      EXPECT_FALSE(d.problem.empty()) << size;
    }
  }
}

TEST(Picture, TellsWhatIsNoPicture) {
  EXPECT_EQ(decode("").problem, "the file is empty");
  EXPECT_NE(decode("<html>").problem.find("a web page"), std::string::npos);
  EXPECT_NE(decode("GIF89a").problem.find("neither"), std::string::npos);
}

TEST(Picture, HugeExtentsAreRefusedUnread) {
  std::string file = png(generated(4, 4));
  file.replace(16, 8, std::string("\0\0\xff\xff\0\0\xff\xff", 8));  // 65,535 × 65,535, with a wrong checksum
  EXPECT_FALSE(decode(file).good);
  std::string large = jpeg(generated(8, 8));
  const std::size_t frame = large.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  large.replace(frame + 5, 4, "\xff\xdc\xff\xdc");
  const Decoded d = decode(large);
  EXPECT_FALSE(d.good);
  EXPECT_NE(d.problem.find("at most"), std::string::npos) << d.problem;
}

}  // namespace
}  // namespace snug
