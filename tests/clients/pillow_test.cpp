// Unusual JPEGs as Pillow sees them (pillow_pictures.json, written by pillow_pictures.py), and its resizing.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include <gtest/gtest.h>

#include "base/file.h"
#include "data/picture.h"
#include "data/resize.h"

namespace snug {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

Json recorded(const char* key) {
  return Json::parse(read_text(fs::path(SNUG_SOURCE_DIR) / "tests/clients/pillow_pictures.json")).at(key);
}

/// As the program shows it: turned, three channels.
bool decode(const fs::path& path, Picture& out, std::string& problem) {
  const MappedFile file(path);
  Picture raw, turned;
  PictureFacts facts;
  if (!decode_picture(file.bytes(), 0, 0, raw, facts, problem)) return false;
  orient(raw, facts.orientation, turned);
  out.reshape(turned.height, turned.width, 3);
  for (std::size_t i = 0; i < out.pixels.size(); ++i) {
    out.pixels[i] = turned.pixels[turned.channels == 3 ? i : i / 3];
  }
  return true;
}

/// Where part `index` of `parts` begins, as numpy.array_split cuts.
std::int64_t cut(std::int64_t size, std::int64_t parts, std::int64_t index) {
  return index * (size / parts) + std::min(index, size % parts);
}

std::vector<double> grid_of(const Picture& picture) {
  const std::int64_t rows = std::min<std::int64_t>(4, picture.height);
  const std::int64_t columns = std::min<std::int64_t>(4, picture.width);
  std::vector<double> means;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      double sum = 0;
      double count = 0;
      for (std::int64_t y = cut(picture.height, rows, r); y < cut(picture.height, rows, r + 1); ++y) {
        for (std::int64_t x = 3 * cut(picture.width, columns, c); x < 3 * cut(picture.width, columns, c + 1); ++x) {
          sum += picture.pixels[static_cast<std::size_t>(3 * y * picture.width + x)];
          ++count;
        }
      }
      means.push_back(sum / count);
    }
  }
  return means;
}

TEST(Pillow, DecodesWhatPillowDecodesAndRefusesWhatItRefuses) {
  const char* root = std::getenv("SNUG_TEST_DATA");
  const fs::path folder = fs::path(root != nullptr ? root : "../shared/data") / "odd-jpeg";
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not here";
  const Json records = recorded("odd");
  ASSERT_GT(records.size(), 40U);
  for (const auto& [name, record] : records.items()) {
    Picture picture;
    std::string problem;
    const bool good = decode(folder / name, picture, problem);
    if (record.contains("refused")) {
      EXPECT_FALSE(good) << name;
      EXPECT_FALSE(problem.empty()) << name;
      continue;
    }
    ASSERT_TRUE(good) << name << ": " << problem;
    EXPECT_EQ((std::vector<std::int64_t>{picture.height, picture.width, 3}),
              record.at("shape").get<std::vector<std::int64_t>>())
        << name;
    const std::vector<double> grid = grid_of(picture);
    const auto wanted = record.at("grid").get<std::vector<double>>();
    ASSERT_EQ(grid.size(), wanted.size()) << name;
    for (std::size_t i = 0; i < grid.size(); ++i) EXPECT_NEAR(grid[i], wanted[i], 2.0) << name << " cell " << i;
  }
}

TEST(Pillow, ResizesAsPillowDoes) {
  for (const Json& c : recorded("resize")) {
    const std::int64_t height = c.at("from")[0];
    const std::int64_t width = c.at("from")[1];
    const std::int64_t out_height = c.at("to")[0];
    const std::int64_t out_width = c.at("to")[1];
    std::vector<std::uint8_t> in;
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        for (const std::int64_t value : {x * 7 + y * 3, x * y, x * x + y * 5})
          in.push_back(static_cast<std::uint8_t>(value));
      }
    }
    std::vector<std::uint8_t> out(static_cast<std::size_t>(out_height * out_width * 3));
    ResizeScratch scratch;
    const Box whole{0, 0, static_cast<double>(height), static_cast<double>(width)};
    resize_box(in.data(), height, width, 3, whole,
               c.at("filter") == "bicubic" ? ResizeFilter::bicubic : ResizeFilter::bilinear, out.data(), out_height,
               out_width, scratch);
    const auto wanted = c.at("pixels").get<std::vector<int>>();
    ASSERT_EQ(out.size(), wanted.size());
    double sum = 0;
    int most = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
      const int apart = std::abs(out[i] - wanted[i]);
      sum += apart;
      most = std::max(most, apart);
    }
    // Rows come first here, columns there: where a cubic overshoots, what lies between is clipped at another place.
    EXPECT_LE(most, c.at("filter") == "bicubic" ? 16 : 2) << c.at("filter") << c.at("to");
    EXPECT_LT(sum / static_cast<double>(out.size()), 0.5) << c.at("filter") << c.at("to");
  }
}

}  // namespace
}  // namespace snug
