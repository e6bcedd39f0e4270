#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "data/files.h"
#include "data/source.h"

namespace snug {
namespace {

/// 3 gray images of 2×2 and their labels as NumPy files.
struct Files {
  TempFolder folder;
  std::string images = folder.write("x.npy", npy("|u1", "(3, 2, 2)", counting(12)));
  std::string labels = folder.write("y.npy", npy("|u1", "(3,)", std::string("\x01\x02\xFF", 3)));
  DataSource source = array_source(images, labels, DataFormat::numpy);
};

TEST(Open, NamesMissingFilesWithTheNearestName) {
  const TempFolder folder;
  folder.write("train-images.npy", "x");
  folder.write("t10k-labels-idx1-ubyte.gz", "x");
  struct Case {
    std::string name;
    Expected expected;
  };
  const std::vector<Case> cases{
      {"train-imagse.npy",
       {"D101", "train-imagse.npy", {"not there", "train-images.npy"}, "images = \"train-images.npy\""}},
      {"t10k-labels-idx1-ubyte", {"D101", "", {"t10k-labels-idx1-ubyte.gz"}, "images = \"t10k-labels-idx1-ubyte.gz\""}},
      {"zebra.npy", {"D101", "zebra.npy", {"not there"}, "ls "}},
      {"nowhere/x.npy", {"D101", "nowhere", {"folder", "nowhere", "does not exist"}, "--data-root"}},
      {"", {"D102", "", {"a folder"}, "FILE"}},
  };
  for (const Case& c : cases) {
    Findings findings;
    EXPECT_FALSE(open_file(folder / c.name, FileUse::images, findings));
    SCOPED_TRACE(c.name);
    expect_finding(findings, c.expected);
  }
  Findings findings;  // a missing labels file is family D as well, and its key is the labels'
  EXPECT_FALSE(open_file(folder / "t10k-labels-idx1-ubyt.gz", FileUse::labels, findings));
  expect_finding(findings, {"D101", "ubyt.gz", {"not there"}, "labels = "});
}

TEST(Open, AFolderThatHasNoneOfTheFilesIsOneFault) {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "mnist");
  DataConfig config;
  config.train = array_source(folder / "mnist/zebra.gz", folder / "mnist/horse.gz", DataFormat::idx);
  config.val = array_source(folder / "mnist/otter.gz", folder / "mnist/mouse.gz", DataFormat::idx);
  const auto findings = findings_of([&] { return open_data(config, {28, 28, 1}, 1); });
  expect_finding(findings, {"D101", "mnist", {"4 files", "zebra.gz"}, "--data-root FOLDER"});

  config.val.reset();
  config.train = array_source(folder / "mnits/zebra.gz", folder / "mnits/horse.gz", DataFormat::idx);
  expect_finding(findings_of([&] {
                   return open_data(config, {28, 28, 1}, 1);
                 }),
                 {"D101", "mnits", {"did you mean mnist?"}, "/mnist "});
}

TEST(Open, SwappedImagesAndLabelsAreOneFault) {
  const Files files;
  DataConfig config;
  config.train = array_source(files.labels, files.images, DataFormat::numpy);
  expect_finding(findings_of([&] {
                   return open_data(config, {2, 2, 1}, 1);
                 }),
                 {"D109", "y.npy", {"swapped", "3×2×2"}, "images = \"x.npy\", labels = \"y.npy\""});
}

TEST(Open, TellsTheFaultsOfAllSplitsAtOnce) {
  const Files files;
  DataConfig config;
  config.train = array_source(files.folder / "a.npy", files.folder / "b.npy", DataFormat::numpy);
  config.val = array_source(files.folder.write("bad.npy", "bad"), files.labels, DataFormat::numpy);
  config.test = array_source(files.images, "", DataFormat::numpy);
  const auto findings = findings_of([&] { return open_data(config, {2, 2, 1}, 1); });
  std::multiset<std::string> codes;
  for (const Diagnostic& finding : findings) {
    expect_well_formed(finding);
    codes.insert(finding.code);
  }
  EXPECT_EQ(codes, (std::multiset<std::string>{"D101", "D101", "D103", "L124"}));
  EXPECT_EQ(exit_code(findings), 3);
}

TEST(Open, HoldsFindingsToTheirLengthWhateverNamesAre) {
  const TempFolder folder;
  const std::string name = std::string(100, 'n') + "é×" + std::string(100, 'm') + ".npy";
  const DataSource source = array_source(folder.write(name, npy("<f8", "(1000000000000, 1000, 1000)", "")),
                                         folder / std::string(240, 'q'), DataFormat::numpy);
  const auto findings = findings_of([&] { return open_source(source, {}, {0, 0, 0}, 1); });
  ASSERT_EQ(findings.size(), 2U);
  for (const Diagnostic& finding : findings) expect_well_formed(finding);
}

TEST(Open, AppliesOffsetAndIgnoresALabel) {
  Files files;
  DataConfig config;
  config.ignore_label = 255;
  auto data = open_source(files.source, config, {2, 2, 1}, 1);
  EXPECT_EQ(data->info().samples, 2);
  EXPECT_EQ(data->info().classes.size(), 3U);
  EXPECT_EQ(data->label(1), 2);
  config.label_offset = -1;
  data = open_source(files.source, config, {2, 2, 1}, 1);
  EXPECT_EQ(data->info().samples, 2);
  EXPECT_EQ(data->info().classes, (std::vector<std::string>{"0", "1"}));
  EXPECT_EQ(data->label(0), 0);
  EXPECT_EQ(data->label(1), 1);
  config.ignore_label = 1;  // as stored, before the offset
  data = open_source(files.source, config, {2, 2, 1}, 1);
  EXPECT_EQ(data->info().samples, 2);
  EXPECT_EQ(data->label(0), 1);
  EXPECT_EQ(data->where(0), files.images + "[1]");
  EXPECT_EQ(data->label_where(1), files.labels + "[2]");
  EXPECT_EQ(pixels_of(*data, 1), (std::vector<float>{8, 9, 10, 11}));
  config.label_offset = -2;
  config.ignore_label = 255;
  expect_finding(findings_of([&] {
                   return open_source(files.source, config, {2, 2, 1}, 1);
                 }),
                 {"L121", "y.npy[0]", {"label 1", "label_offset -2"}, "label_offset = -1"});
}

TEST(Open, RefusesToIgnoreEverything) {
  const TempFolder folder;
  DataConfig config;
  config.ignore_label = 7;
  const DataSource source = array_source(folder.write("x.npy", npy("|u1", "(2, 2, 2)", counting(8))),
                                         folder.write("y.npy", npy("|u1", "(2,)", "\x07\x07")), DataFormat::numpy);
  expect_finding(findings_of([&] {
                   return open_source(source, config, {2, 2, 1}, 1);
                 }),
                 {"L108", "y.npy[0]", {"all 2 labels are 7"}, "ignore_label"});
}

TEST(Open, ComparesImagesWithTheModelsInput) {
  struct Case {
    std::string shape;
    ArrayLayout layout;
    std::array<std::int64_t, 3> input;
    Expected expected;  ///< without a code: nothing is wrong
  };
  const std::vector<Case> cases{
      {"(3, 4, 5)", ArrayLayout::nhwc, {4, 5, 1}, {}},
      {"(3, 4, 5)", ArrayLayout::nchw, {4, 5, 1}, {}},
      {"(3, 4, 5, 1)", ArrayLayout::nhwc, {4, 5, 1}, {}},
      {"(3, 1, 4, 5)", ArrayLayout::nchw, {4, 5, 1}, {}},
      {"(3, 4, 5, 1)", ArrayLayout::nhwc, {0, 0, 0}, {}},
      {"(3, 1, 4, 5)",
       ArrayLayout::nhwc,
       {4, 5, 1},
       {"D110", "x.npy", {"data.layout nhwc", "3×1×4×5", "4×5×1", "nchw"}, "layout = \"nchw\""}},
      {"(3, 4, 5, 1)",
       ArrayLayout::nchw,
       {4, 5, 1},
       {"D110", "x.npy", {"data.layout nchw", "nhwc"}, "layout = \"nhwc\""}},
      {"(3, 4, 5)", ArrayLayout::nhwc, {5, 4, 1}, {"D111", "x.npy[0]", {"4×5×1", "5×4×1"}, "input = [4, 5, 1]"}},
      {"(3, 5, 4, 1)", ArrayLayout::nhwc, {4, 5, 3}, {"D111", "x.npy[0]", {"5×4×1", "4×5×3"}, "input = [5, 4, 1]"}},
      {"(3, 20)", ArrayLayout::nhwc, {4, 5, 1}, {"D109", "x.npy", {"2 axes"}, "x.reshape(-1, 4, 5, 1)"}},
  };
  for (const Case& c : cases) {
    const TempFolder folder;
    DataConfig config;
    config.layout = c.layout;
    const DataSource source =
        array_source(folder.write("x.npy", npy("|u1", c.shape, counting(60))),
                     folder.write("y.npy", npy("|u1", "(3,)", std::string("\0\1\2", 3))), DataFormat::numpy);
    const auto findings = findings_of([&] { return open_source(source, config, c.input, 1); });
    SCOPED_TRACE(c.shape);
    if (c.expected.code.empty()) {
      EXPECT_TRUE(findings.empty()) << to_string(findings.front());
    } else {
      expect_finding(findings, c.expected);
    }
  }
}

TEST(Open, HoldsSplitsToOneTypeAndKindOfLabels) {
  const Files files;
  DataConfig config;
  config.train = files.source;
  const auto with_val = [&](std::string_view images, std::string_view labels) {
    config.val =
        array_source(files.folder.write("vx.npy", images), files.folder.write("vy.npy", labels), DataFormat::numpy);
    return findings_of([&] { return open_data(config, {0, 0, 0}, 1); });
  };
  const std::string images = npy("|u1", "(1, 2, 2)", counting(4));
  const std::string labels = npy("|u1", "(1,)", "\x01");
  EXPECT_TRUE(with_val(images, labels).empty());
  expect_finding(with_val(npy("<f4", "(1, 2, 2)", counting(16)), labels),
                 {"D117", "vx.npy", {"data.val", "float32", "uint8"}, "astype(np.uint8)"});
  expect_finding(with_val(npy("|u1", "(1, 2, 3)", counting(6)), labels),
                 {"D117", "vx.npy", {"2×3×1", "2×2×1"}, "reshape"});
  expect_finding(with_val(images, npy("<f4", "(1, 2)", stored_all<float>({0, 1}))),
                 {"L117", "vy.npy", {"rows of 2", "class numbers"}, "y.argmax(1)"});
}

TEST(Open, ResizesArraysAndRepeatsGray) {
  const Files files;
  DataConfig config;
  config.train = files.source;
  config.gray_to_rgb = true;
  config.resize = {4, 6};
  const Splits splits = open_data(config, {4, 6, 3}, 1);
  EXPECT_EQ(splits.train->info().image, (Shape{4, 6, 3}));
  const std::vector<float> pixels = pixels_of(*splits.train, 1);
  for (std::size_t i = 0; i < pixels.size(); i += 3) EXPECT_EQ(pixels[i], pixels[i + 2]);
  // The corners of an enlarged picture are its corners.
  config.gray_to_rgb = false;
  config.resize = {};
  const std::vector<float> small = pixels_of(*open_data(config, {2, 2, 1}, 1).train, 1);
  EXPECT_EQ(pixels.front(), small.front());
  EXPECT_EQ(pixels.back(), small.back());
}

TEST(Open, OpensImagesWithoutLabelsAlone) {
  const Files files;
  const auto data = open_source(array_source(files.images, "", DataFormat::numpy), {}, {2, 2, 1}, 1);
  EXPECT_EQ(data->info().samples, 3);
  EXPECT_TRUE(data->info().classes.empty());
  EXPECT_EQ(data->label(2), 0);
}

TEST(Open, CountsMemory) {
  const Files files;
  const auto data = open_source(files.source, {}, {2, 2, 1}, 1);
  EXPECT_EQ(data->info().resident_bytes, 0);
  EXPECT_GE(data->info().mapped_bytes, 12 + 3);
  const TempFolder folder;
  const auto packed =
      open_source(array_source(folder.write("x", gzip(idx({2, 3, 4}, counting(24)))),
                               folder.write("y", gzip(idx({2}, std::string(2, '\0')))), DataFormat::idx),
                  {}, {3, 4, 1}, 1);
  EXPECT_EQ(packed->info().resident_bytes, 24 + 2);
  EXPECT_EQ(packed->info().mapped_bytes, 0);
}

/// Pages of files that this process has mapped in.
std::int64_t resident_file_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  std::int64_t kibibytes = 0;
  while (status >> word) {
    if (word == "RssFile:" && status >> kibibytes) break;
  }
  return kibibytes * 1024;
}

TEST(Open, WhatPassesThroughLeavesNoPagesBehind) {
  constexpr std::uint32_t kSamples = 256;
  constexpr std::size_t kBytes = std::size_t{kSamples} << 16;  // 16 MiB
  const TempFolder folder;
  std::string pixels(kBytes, '\0');
  for (std::size_t i = 0; i < kBytes; ++i) pixels[i] = static_cast<char>(i * 2654435761U >> 13);
  const std::string images = folder.write("x", idx({kSamples, 256, 256}, pixels));
  const std::string labels = folder.write("y", idx({kSamples}, std::string(kSamples, '\0')));
  for (const bool passing : {true, false}) {
    const auto data = open_source(array_source(images, labels, DataFormat::idx), {}, {256, 256, 1}, 1);
    if (passing) data->pass_through();
    const std::int64_t before = resident_file_bytes();
    std::string image(std::size_t{1} << 16, '\0');
    for (std::int64_t k = 0; k < 2 * kSamples; ++k) {
      const std::int64_t sample = k * 37 % kSamples;  // none in its turn, each twice
      data->read_image(sample, reinterpret_cast<std::byte*>(image.data()));
      ASSERT_EQ(image, pixels.substr(static_cast<std::size_t>(sample) << 16, image.size()));
    }
    const std::int64_t more = resident_file_bytes() - before;
    if (passing) {
      EXPECT_LT(more, 1 << 20);
    } else {
      EXPECT_GT(more, 12 << 20) << "pages that stay are seen";
    }
  }
}

/// `counts[k]` samples of class k, mixed, each image a single pixel.
DataConfig classes_of(const TempFolder& folder, const std::vector<int>& counts) {
  std::string labels;
  auto left = counts;
  while (std::ranges::any_of(left, [](int count) { return count > 0; })) {
    for (std::size_t k = 0; k < left.size(); ++k) {
      if (left[k]-- > 0) labels += static_cast<char>(k);
    }
  }
  const std::string n = std::to_string(labels.size());
  DataConfig config;
  config.train = array_source(folder.write("x.npy", npy("|u1", "(" + n + ", 1, 1)", counting(std::ssize(labels)))),
                              folder.write("y.npy", npy("|u1", "(" + n + ",)", labels)), DataFormat::numpy);
  return config;
}

TEST(Split, IsStratifiedSeededAndWhole) {
  const TempFolder folder;
  DataConfig config = classes_of(folder, {100, 50, 10, 1});
  config.val_split = 0.2;
  const Splits splits = open_data(config, {1, 1, 1}, 7);
  std::map<std::int64_t, int> val;
  std::set<std::string> places;
  for (std::int64_t i = 0; i < splits.val->info().samples; ++i) {
    ++val[splits.val->label(i)];
    places.insert(splits.val->where(i));
  }
  for (std::int64_t i = 0; i < splits.train->info().samples; ++i) places.insert(splits.train->where(i));
  EXPECT_EQ(val, (std::map<std::int64_t, int>{{0, 20}, {1, 10}, {2, 2}}));
  EXPECT_EQ(places.size(), 161U);
  EXPECT_EQ(splits.train->info().samples, 129);
  EXPECT_EQ(splits.val->info().classes.size(), 4U);
  EXPECT_EQ(splits.val->info().mapped_bytes, 0) << "the files are counted once";
  const auto val_places = [&](std::uint64_t seed) {
    const Splits again = open_data(config, {1, 1, 1}, seed);
    std::vector<std::string> names;
    for (std::int64_t i = 0; i < again.val->info().samples; ++i) names.push_back(again.val->where(i));
    return names;
  };
  EXPECT_EQ(val_places(7), val_places(7));
  EXPECT_NE(val_places(7), val_places(8));
}

TEST(Split, KeepsTheFractionOfTheWholeOverManySmallClasses) {
  const TempFolder folder;
  DataConfig config = classes_of(folder, std::vector<int>(100, 3));
  config.val_split = 0.1;
  EXPECT_EQ(open_data(config, {1, 1, 1}, 1).val->info().samples, 30);
}

TEST(Split, RefusesToLeaveNothing) {
  const TempFolder folder;
  DataConfig config = classes_of(folder, {3});
  config.val_split = 0.1;
  expect_finding(findings_of([&] {
                   return open_data(config, {1, 1, 1}, 1);
                 }),
                 {"D112", "x.npy", {"0.1", "3 samples", "0 for validation"}, "val_split"});
}

}  // namespace
}  // namespace snug
