// Class folders, lists and archives of pictures.
#include <archive.h>
#include <archive_entry.h>

#include <set>

#include "data/loader.h"
#include "data/pictures.h"

namespace snug {
namespace {

namespace fs = std::filesystem;

DataSource source_of(DataFormat format, std::string path) {
  DataSource source{.where = {.file = "config.toml", .line = 4, .column = 1}};
  source.format = format;
  source.path = std::move(path);
  return source;
}

/// cat: three red pictures, dog: two green ones, of the given sizes.
struct Animals {
  explicit Animals(std::int64_t height = 16, std::int64_t width = 16) {
    fs::create_directories(folder.path() / "train/cat");
    fs::create_directories(folder.path() / "train/dog/deep");
    folder.write("train/cat/a.jpg", jpeg(plain(height, width, {200, 10, 10})));
    folder.write("train/cat/b.JPEG", jpeg(plain(height, width, {210, 10, 10})));
    folder.write("train/cat/c.png", png(plain(height, width, {220, 10, 10})));
    folder.write("train/dog/a.png", png(plain(height, width, {10, 200, 10})));
    folder.write("train/dog/deep/b.png", png(plain(height, width, {10, 210, 10})));
  }
  [[nodiscard]] std::shared_ptr<const Dataset> open(const DataConfig& config = {},
                                                    const std::array<std::int64_t, 3>& input = {16, 16, 3}) const {
    return open_source(source_of(DataFormat::folder, folder / "train"), config, input, 1);
  }
  TempFolder folder;
};

TEST(Pictures, AreReadFromClassFolders) {
  const Animals animals;
  animals.folder.write("train/.hidden", "x");
  const auto data = animals.open();
  EXPECT_EQ(data->info().samples, 5);
  EXPECT_EQ(data->info().image, (Shape{16, 16, 3}));
  EXPECT_EQ(data->info().classes, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_TRUE(data->info().notes.empty());
  const std::vector<std::int64_t> labels{0, 0, 0, 1, 1};
  for (std::size_t i = 0; i < labels.size(); ++i) EXPECT_EQ(data->label(static_cast<std::int64_t>(i)), labels[i]);
  EXPECT_EQ(pixels_of(*data, 2)[0], 220);
  EXPECT_EQ(pixels_of(*data, 4)[1], 210);
  EXPECT_NE(data->where(4).find("dog/deep/b.png"), std::string::npos);
}

TEST(Pictures, OfOtherSizesNeedAResize) {
  const Animals animals(20, 30);
  expect_finding(findings_of([&] { return animals.open(); }), {"D111", "cat/a.jpg", {"20×30×3", "16×16×3"}, "input"});
  animals.folder.write("train/cat/d.png", png(plain(40, 50, {1, 2, 3})));
  expect_finding(findings_of([&] { return animals.open(); }), {"D111", "cat/d.png", {"20×30", "40×50"}, "resize = 16"});
  DataConfig config;
  config.resize = {16};
  EXPECT_EQ(animals.open(config)->info().image, (Shape{16, 16, 3}));
  config.resize = {12};
  expect_finding(findings_of([&] { return animals.open(config); }),
                 {"D111", "", {"resize = 12", "16×16"}, "resize = 16"});
  config.resize = {16, 16};
  EXPECT_EQ(animals.open(config)->info().image, (Shape{16, 16, 3}));
}

TEST(Pictures, ShortSideIsResizedAndTheCenterCut) {
  const Animals animals;
  // Left third black, the rest white: of 20×60 at 20 the center 20 is white alone.
  Picture picture = plain(20, 60, {255, 255, 255});
  for (std::int64_t y = 0; y < 20; ++y) {
    for (std::int64_t x = 0; x < 57; ++x) picture.pixels[static_cast<std::size_t>(y * 180 + x)] = 0;
  }
  animals.folder.write("train/cat/a.png", png(picture));
  fs::remove_all(animals.folder.path() / "train/dog");
  for (const char* name : {"train/cat/a.jpg", "train/cat/b.JPEG", "train/cat/c.png"}) fs::remove(animals.folder / name);
  DataConfig config;
  config.resize = {20};
  const auto data = animals.open(config, {20, 20, 3});
  for (const float value : pixels_of(*data, 0)) EXPECT_EQ(value, 255);
}

TEST(Pictures, EveryUnreadableFileIsNamedOrLeftOut) {
  const Animals animals;
  animals.folder.write("train/cat/bad1.jpg", jpeg(generated(16, 16)).substr(0, 200));
  animals.folder.write("train/dog/bad2.png", "GIF89a");
  animals.folder.write("train/dog/empty.jpg", "");
  const auto findings = findings_of([&] { return animals.open(); });
  ASSERT_EQ(findings.size(), 3U);
  for (const Diagnostic& finding : findings) {
    expect_well_formed(finding);
    EXPECT_EQ(finding.code, "D140");
  }
  EXPECT_NE(findings[0].where.find("bad1.jpg"), std::string::npos);
  EXPECT_NE(findings[1].where.find("bad2.png"), std::string::npos);
  DataConfig config;
  config.skip_bad = true;
  const auto data = animals.open(config);
  EXPECT_EQ(data->info().samples, 5);
  ASSERT_EQ(data->info().notes.size(), 3U);
  EXPECT_EQ(data->info().notes[2].severity, Severity::note);
  EXPECT_NE(data->info().notes[2].what.find("the file is empty"), std::string::npos);
}

TEST(Pictures, KindsAreCountedOnce) {
  const Animals animals;
  animals.folder.write("train/cat/g1.png", png(plain(16, 16, {7})));
  animals.folder.write("train/cat/g2.jpg", jpeg(plain(16, 16, {7})));
  animals.folder.write("train/cat/k.jpg", jpeg(plain(16, 16, {9, 9, 9, 200})));
  animals.folder.write("train/cat/t.jpg", jpeg(plain(16, 16, {9, 9, 9}), 95, 6));
  animals.folder.write("train/cat/readme.txt", "x");
  const auto notes = animals.open()->info().notes;
  std::set<std::string> texts;
  for (const Diagnostic& note : notes) texts.insert(note.what.substr(0, 22));
  EXPECT_EQ(notes.size(), 4U);
  EXPECT_TRUE(texts.contains("2 of 9 pictures are gr")) << *texts.begin();
  EXPECT_TRUE(texts.contains("1 of 9 pictures are CM")) << *texts.begin();
  EXPECT_TRUE(texts.contains("1 of 9 pictures are tu")) << *texts.begin();
  DataConfig config;
  config.gray_to_rgb = true;
  EXPECT_EQ(animals.open(config)->info().notes.size(), 3U);
}

TEST(Pictures, OtherSplitsHaveTheTrainingsClasses) {
  const Animals animals;
  fs::create_directories(animals.folder.path() / "val/dog");
  animals.folder.write("val/dog/x.png", png(plain(16, 16, {1, 2, 3})));
  DataConfig config;
  config.train = source_of(DataFormat::folder, animals.folder / "train");
  config.val = source_of(DataFormat::folder, animals.folder / "val");
  EXPECT_EQ(open_data(config, {16, 16, 3}, 1).val->label(0), 1);
  fs::create_directories(animals.folder.path() / "val/dogs");
  animals.folder.write("val/dogs/x.png", png(plain(16, 16, {1, 2, 3})));
  expect_finding(findings_of([&] {
                   return open_data(config, {16, 16, 3}, 1);
                 }),
                 {"L143", "val", {"\"dogs\"", "did you mean \"dog\""}, "mv"});
}

TEST(Pictures, AFolderWithoutClassesIsTold) {
  const TempFolder folder;
  folder.write("a.png", png(plain(16, 16, {1, 2, 3})));
  expect_finding(findings_of([&] {
                   return open_source(source_of(DataFormat::folder, folder.path().string()), {}, {16, 16, 3}, 1);
                 }),
                 {"D108", "", {"0 class folders", "1 beside"}, "mkdir"});
  expect_finding(findings_of([&] {
                   return open_source(source_of(DataFormat::folder, folder / "no"), {}, {16, 16, 3}, 1);
                 }),
                 {"D101", "", {"not there"}, ""});
}

TEST(Csv, NamesPicturesAndLabels) {
  const Animals animals;
  const std::string list = animals.folder.write(
      "list.csv", "\xEF\xBB\xBFpath,label\r\n\"train/cat/a.jpg\",\"a \"\"big\"\" cat\"\r\ntrain/dog/a.png,dog\r\n\r\n");
  const auto data = open_source(source_of(DataFormat::csv, list), {}, {16, 16, 3}, 1);
  EXPECT_EQ(data->info().classes, (std::vector<std::string>{"a \"big\" cat", "dog"}));
  EXPECT_EQ(data->label(1), 1);
  EXPECT_NE(data->label_where(1).find("list.csv:3:1"), std::string::npos);
  const std::string numbers = animals.folder.write("n.csv", "label,path\n3,train/cat/a.jpg\n0,train/dog/a.png\n");
  EXPECT_EQ(open_source(source_of(DataFormat::csv, numbers), {}, {16, 16, 3}, 1)->label(0), 3);
}

TEST(Csv, FaultsHaveTheirLine) {
  const Animals animals;
  struct Case {
    std::string text;
    Expected expected;
  };
  for (const Case& c :
       std::vector<Case>{{"file,class\na,b\n", {"D130", "l.csv:1:1", {"file,class", "path and label"}, "path,label"}},
                         {"", {"D130", "l.csv:1:1", {"path and label"}, "path,label"}},
                         {"path,label\n", {"D108", "l.csv", {"0 pictures"}, "PATH"}},
                         {"path,label\ntrain/cat/a.jpg\n", {"D131", "l.csv:2:1", {"1 fields", "2"}, "PATH"}},
                         {"path,label\ntrain/cat/a.jpg,\n", {"D131", "l.csv:2:1", {"empty"}, "PATH"}},
                         {"path,label\n\"train/cat/a.jpg,0\n", {"D131", "l.csv:2:1", {"quote"}, "PATH"}},
                         {"path,label\ntrain/cat/no.jpg,0\n", {"D140", "no.jpg", {"cannot be decoded"}, "on_bad"}}}) {
    const std::string list = animals.folder.write("l.csv", c.text);
    expect_finding(findings_of([&] {
                     return open_source(source_of(DataFormat::csv, list), {}, {16, 16, 3}, 1);
                   }),
                   c.expected);
  }
}

std::string tar(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string out(1 << 20, '\0');
  std::size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_set_format_ustar(writer);
  archive_write_add_filter_xz(writer);
  archive_write_open_memory(writer, out.data(), out.size(), &used);
  for (const auto& [name, bytes] : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(bytes.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_write_header(writer, entry);
    archive_write_data(writer, bytes.data(), bytes.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

TEST(Archive, KeepsItsOrder) {
  const TempFolder folder;
  const std::string file = folder.write("x.tar.xz", tar({{"train/dog/2.png", png(plain(16, 16, {10, 0, 0}))},
                                                         {"train/cat/1.png", png(plain(16, 16, {20, 0, 0}))},
                                                         {"train/readme.txt", "x"},
                                                         {"test/dog/1.png", png(plain(16, 16, {30, 0, 0}))},
                                                         {"train/dog/1.png", png(plain(16, 16, {40, 0, 0}))}}));
  const auto data = open_source(source_of(DataFormat::folder, file + ":train"), {}, {16, 16, 3}, 1);
  ASSERT_EQ(data->info().samples, 3);
  EXPECT_EQ(data->info().classes, (std::vector<std::string>{"cat", "dog"}));
  const std::vector<float> reds{10, 20, 40};
  for (std::size_t i = 0; i < reds.size(); ++i) EXPECT_EQ(pixels_of(*data, static_cast<std::int64_t>(i))[0], reds[i]);
  EXPECT_EQ(data->label(0), 1);
  EXPECT_EQ(data->where(0), file + ":train/dog/2.png");
  expect_finding(findings_of([&] {
                   return open_source(source_of(DataFormat::folder, file + ":val"), {}, {16, 16, 3}, 1);
                 }),
                 {"D108", "x.tar.xz", {"below val"}, ":train"});
}

TEST(Archive, ADamagedOneIsRefused) {
  const TempFolder folder;
  const std::string whole = tar({{"a/1.png", png(generated(16, 16))}, {"a/2.png", png(generated(16, 16))}});
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    const std::string file = folder.write("x.tar.xz", whole.substr(0, size));
    const auto findings = findings_of([&] {
      return open_source(source_of(DataFormat::folder, file), {}, {16, 16, 3}, 1);
    });
    ASSERT_FALSE(findings.empty()) << size;
    expect_well_formed(findings.front());
  }
}

/// Everything that two epochs deliver.
std::string delivered(const std::shared_ptr<const Dataset>& data, std::vector<Augmentation> augment, int workers,
                      bool rows) {
  Loader loader(
      data,
      {.batch = 2, .shuffle = true, .workers = workers, .augment = std::move(augment), .row_width = rows ? 2 : 0});
  std::string bytes;
  for (int epoch = 0; epoch < 2; ++epoch) {
    loader.start_epoch(epoch);
    while (const Batch* batch = loader.next()) {
      bytes.append(reinterpret_cast<const char*>(batch->images.data()), batch->images.size());
      bytes.append(reinterpret_cast<const char*>(batch->rows.data()), batch->rows.size_bytes());
    }
  }
  return bytes;
}

TEST(Pictures, AreTheSameBitsForAnyNumberOfWorkersAndKeptOrNot) {
  const Animals animals(40, 50);
  animals.folder.write("train/cat/d.jpg", jpeg(generated(90, 70), 90, 6));
  const std::vector<std::vector<Augmentation>> lists{
      {{.where = {}, .what = RandomCrop{.size = 16, .pad = 2}}, {.where = {}, .what = Flip{.probability = 0.5}}},
      {{.where = {}, .what = RandomResizedCrop{16}}, {.where = {}, .what = ColorJitter{0.4, 0.4, 0.4, 0.1}}},
      {{.where = {}, .what = RandAugment{2, 9}},
       {.where = {}, .what = Erase{0.5}},
       {.where = {}, .what = Mix{.alpha = 0.4}}},
      {{.where = {}, .what = Rotate{20}}, {.where = {}, .what = Mix{.alpha = 1, .cut = true}}}};
  for (const auto& list : lists) {
    std::set<std::string> results;
    for (const CacheMode cache : {CacheMode::automatic, CacheMode::ram, CacheMode::stream}) {
      DataConfig config;
      config.cache = cache;
      config.resize = {20};
      config.augment = list;
      config.train = source_of(DataFormat::folder, animals.folder / "train");
      const auto data = open_data(config, {16, 16, 3}, 1).train;
      for (const int workers : {1, 2, 8}) results.insert(delivered(data, list, workers, true));
    }
    EXPECT_EQ(results.size(), 1U) << list.front().what.index();
  }
}

}  // namespace
}  // namespace snug
