#include "data/synth.h"

#include "data/files.h"
#include "data/info.h"

namespace snug {
namespace {

TEST(Synth, WritesFilesThatReadBackAsThePictures) {
  for (const DataFormat format : {DataFormat::idx, DataFormat::numpy}) {
    for (const std::int64_t channels : {1, 3}) {
      const TempFolder folder;
      const SynthOptions options{.out = folder / "made",
                                 .format = format,
                                 .count = 30,
                                 .val_count = 20,
                                 .size = {16, 20, channels},
                                 .seed = 5};
      const auto written = write_synthetic(options);
      ASSERT_EQ(written.size(), 5U);
      for (const auto& path : written) EXPECT_TRUE(std::filesystem::is_regular_file(path)) << path;
      const Config config = load_config(written.back());
      ASSERT_TRUE(config.data.train && config.data.val);
      EXPECT_EQ(config.data.train->format, format);
      EXPECT_EQ(config.model.input, options.size);
      const Splits read = open_data(config.data, config.model.input, 1);
      DataConfig drawn;
      drawn.train = shapes_source(30);
      drawn.val = shapes_source(20);
      const Splits fresh = open_data(drawn, options.size, 5);
      ASSERT_EQ(read.train->info().samples, 30);
      ASSERT_EQ(read.val->info().samples, 20);
      for (std::int64_t i = 0; i < 20; ++i) {
        EXPECT_EQ(pixels_of(*read.train, i), pixels_of(*fresh.train, i));
        EXPECT_EQ(pixels_of(*read.val, i), pixels_of(*fresh.val, i));
        EXPECT_EQ(read.val->label(i), fresh.val->label(i));
      }
    }
  }
}

TEST(Synth, OverwritesNothing) {
  const TempFolder folder;
  folder.write("precious", "data");
  const auto findings =
      findings_of([&] { return write_synthetic({.out = folder.path(), .count = 10, .val_count = 10}); });
  expect_finding(findings, {"C191", "--out", {"not empty"}, "--out"});
  EXPECT_EQ(exit_code(findings), 2);
  expect_finding(
      findings_of([&] { return write_synthetic({.out = folder / "precious", .count = 10, .val_count = 10}); }),
      {"C191", "--out", {"precious is a file"}, "--out"});
  expect_finding(
      findings_of([&] { return write_synthetic({.out = folder / "precious/sub", .count = 10, .val_count = 10}); }),
      {"C191", "--out", {"cannot be made"}, "--out"});
}

TEST(Synth, MakesNoFolderWhenThePicturesCannotBeDrawn) {
  const TempFolder folder;
  const auto findings = findings_of([&] {
    return write_synthetic({.out = folder / "made", .count = 0, .size = {8, 8, 1}});
  });
  EXPECT_EQ(exit_code(findings), 3);
  for (const Diagnostic& finding : findings) expect_well_formed(finding);
  EXPECT_FALSE(std::filesystem::exists(folder / "made"));
}

}  // namespace
}  // namespace snug
