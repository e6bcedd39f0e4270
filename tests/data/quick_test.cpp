// Pictures whose decoding would take longer than a second: headers and ends of all files, the pixels of a part.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "data/dataset.h"
#include "data/files.h"
#include "data/pictures.h"

namespace snug {
namespace {

class ManyPictures : public testing::Test {
 protected:
  static constexpr int kPictures = 2'100;  // of 33 KB: 69 MB
  /// Of those that are neither first nor last, nor among the thousand that are decoded.
  static constexpr int kNotDecoded = 5;

  ManyPictures() {
    for (const std::string of_class : {"a", "b"}) std::filesystem::create_directories(folder_ / of_class);
    const std::string small = jpeg(generated(16, 16));
    // A comment makes the file as large as a photograph's.
    const std::string comment = std::string("\xFF\xFE\x80\x02", 4) + std::string(0x8000, ' ');
    whole_ = small.substr(0, 2) + comment + small.substr(2);
    for (int i = 0; i < kPictures; ++i) folder_.write(name(i), whole_);
    DataSource source;
    source.format = DataFormat::folder;
    source.path = folder_.path().string();
    config_.train = source;
    config_.cache = CacheMode::stream;
  }
  static std::string name(int i) { return fmt::format("{}/{:04}.jpg", i < kPictures / 2 ? "a" : "b", i); }
  [[nodiscard]] Splits open(Decoding decoding) const { return open_data(config_, {16, 16, 3}, 1, decoding); }
  [[nodiscard]] std::vector<Diagnostic> faults(Decoding decoding) const {
    return findings_of([&] { (void)open(decoding); });
  }

  TempFolder folder_;
  std::string whole_;
  DataConfig config_;
};

TEST_F(ManyPictures, AreOpenedByHeadersAndEnds) {
  const Splits some = open(Decoding::some);
  EXPECT_EQ(some.train->info().samples, kPictures);
  EXPECT_TRUE(some.train->info().headers_only);
  EXPECT_FALSE(open(Decoding::all).train->info().headers_only);
}

TEST_F(ManyPictures, ThatWereCutShortAreFoundByTheirEnds) {
  folder_.write(name(kNotDecoded), whole_.substr(0, whole_.size() - 40));
  const auto found = faults(Decoding::some);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].code, "D140");
  EXPECT_EQ(found[0].where, folder_ / name(kNotDecoded));
}

TEST_F(ManyPictures, OfWhichThePixelsAreDamagedAreNamedWhenTheyAreRead) {
  std::string damaged = png(generated(16, 16));
  damaged[damaged.size() / 2] ^= 0x55;  // header and end are as they should be
  folder_.write(name(kNotDecoded), damaged);
  const Splits some = open(Decoding::some);
  std::vector<std::byte> pixels(16 * 16 * 3);
  const auto read = findings_of([&] { some.train->read_image(kNotDecoded, pixels.data()); });
  const auto all = faults(Decoding::all);
  ASSERT_EQ(read.size(), 1U);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(read[0].code, "D140");
  EXPECT_EQ(read[0].where, folder_ / name(kNotDecoded));
  EXPECT_EQ(all[0].code, "D140");
  config_.skip_bad = true;
  EXPECT_EQ(open(Decoding::some).train->info().samples, kPictures - 1) << "what is left out must be known";
}

}  // namespace
}  // namespace snug
