#include "data/pack.h"

#include <fstream>
#include <sstream>

#include "data/loader.h"
#include "data/pictures.h"

namespace snug {
namespace {

namespace fs = std::filesystem;

DataSource pack_source(std::string path) {
  DataSource source{.where = {.file = "config.toml", .line = 4, .column = 1}};
  source.format = DataFormat::pack;
  source.path = std::move(path);
  return source;
}

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void overwrite(const fs::path& path, const std::string& bytes) {
  fs::remove(path);  // file systems flush what is cut to nothing and written again
  std::ofstream(path, std::ios::binary) << bytes;
}

std::shared_ptr<const Dataset> shapes(std::int64_t count = 7) {
  return open_source(shapes_source(count), {}, {16, 16, 1}, 3);
}

/// Opens a pack and reads all of it.
std::vector<Diagnostic> read_all(const std::string& folder, std::vector<std::vector<float>>* out = nullptr) {
  return findings_of([&] {
    const auto data = open_source(pack_source(folder), {}, {16, 16, 1}, 1);
    for (std::int64_t sample = 0; sample < data->info().samples; ++sample) {
      std::vector<float> pixels = pixels_of(*data, sample);
      pixels.push_back(static_cast<float>(data->label(sample)));
      if (out != nullptr) out->push_back(std::move(pixels));
    }
    return data;
  });
}

TEST(Pack, HoldsPixelsAndLabels) {
  const TempFolder folder;
  const auto data = shapes();
  const PackResult result = write_pack(*data, {.out = folder.path() / "p", .shard_bytes = 768});
  EXPECT_EQ(result.samples, 7);
  EXPECT_EQ(result.shards, 3);
  const auto packed = open_source(pack_source(folder / "p"), {}, {16, 16, 1}, 1);
  EXPECT_EQ(packed->info().classes, data->info().classes);
  EXPECT_EQ(packed->info().source_dtype, data->info().source_dtype);
  for (std::int64_t sample = 0; sample < 7; ++sample) {
    EXPECT_EQ(pixels_of(*packed, sample), pixels_of(*data, sample));
    EXPECT_EQ(packed->label(sample), data->label(sample));
  }
  EXPECT_NE(packed->where(4).find("shard-00001.pack[1]"), std::string::npos);
  // What is finished is not written over.
  EXPECT_EQ(findings_of([&] { return write_pack(*data, {.out = folder.path() / "p"}); }).front().code, "C916");
}

TEST(Pack, HoldsRowsAndFloats) {
  const TempFolder folder;
  const std::string x = folder.write("x.npy", npy("<f4", "(2, 16, 16)", std::string(2048, '\x3f')));
  const std::string y = folder.write("y.npy", npy("<f4", "(2, 3)", stored_all<float>({0, 1, 0, 0.5F, 0, 0.5F})));
  const auto data = open_source(array_source(x, y, DataFormat::numpy), {}, {16, 16, 1}, 1);
  write_pack(*data, {.out = folder.path() / "p"});
  const auto packed = open_source(pack_source(folder / "p"), {}, {16, 16, 1}, 1);
  EXPECT_EQ(packed->info().labels, LabelKind::rows);
  EXPECT_EQ(pixels_of(*packed, 1), pixels_of(*data, 1));
  std::vector<float> row(3);
  packed->read_row(1, row.data());
  EXPECT_EQ(row, (std::vector<float>{0.5F, 0, 0.5F}));
}

TEST(Pack, GoesOnWithWholeShardsOfTheSameData) {
  const TempFolder folder;
  const fs::path out = folder.path() / "p";
  write_pack(*shapes(), {.out = out, .shard_bytes = 768});
  const std::string first = content(out / "shard-00000.pack");
  const std::string index = content(out / "pack.index");
  fs::remove(out / "pack.index");
  EXPECT_EQ(read_all(out.string()).front().code, "D150");
  std::string damaged = content(out / "shard-00001.pack");
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  overwrite(out / "shard-00001.pack", damaged);
  EXPECT_EQ(write_pack(*shapes(), {.out = out, .shard_bytes = 768}).kept_shards, 2);
  EXPECT_EQ(content(out / "pack.index"), index);
  // Of other data none is kept.
  fs::remove(out / "pack.index");
  const auto other = open_source(shapes_source(7), {}, {16, 16, 3}, 4);
  EXPECT_EQ(write_pack(*other, {.out = out, .shard_bytes = 2304}).kept_shards, 0);
  EXPECT_NE(content(out / "shard-00000.pack"), first);
}

TEST(Pack, EveryCutAndEveryFlippedByteIsRefusedByShardAndRecord) {
  const TempFolder folder;
  const fs::path out = folder.path() / "p";
  write_pack(*shapes(3), {.out = out, .shard_bytes = 512});
  std::vector<std::vector<float>> good;
  ASSERT_TRUE(read_all(out.string(), &good).empty());
  const auto refused = [&](const char* what, std::size_t place) {
    const auto findings = read_all(out.string());
    ASSERT_EQ(findings.size(), 1U) << what << place;
    expect_well_formed(findings.front());
    EXPECT_EQ(findings.front().code, "D150") << what << place;
    EXPECT_NE(findings.front().what.find("shard"), std::string::npos) << findings.front().what;
    EXPECT_NE(findings.front().what.find("record"), std::string::npos) << findings.front().what;
  };
  for (const char* name : {"pack.index", "shard-00000.pack", "shard-00001.pack"}) {
    const std::string whole = content(out / name);
    for (std::size_t place = 0; place < whole.size(); ++place) {
      overwrite(out / name, whole.substr(0, place));
      refused("cut at ", place);
      std::string flipped = whole;
      flipped[place] = static_cast<char>(flipped[place] ^ (1 << place % 8));
      overwrite(out / name, flipped);
      refused("flipped at ", place);
    }
    overwrite(out / name, whole + "x");
    refused("grown to ", whole.size());
    overwrite(out / name, whole);
  }
  std::vector<std::vector<float>> again;
  ASSERT_TRUE(read_all(out.string(), &again).empty());
  EXPECT_EQ(again, good);
}

TEST(Pack, OfFilesGivesTheSameBitsAsTheFolder) {
  const TempFolder folder;
  fs::create_directories(folder.path() / "train/a");
  fs::create_directories(folder.path() / "train/b");
  for (int i = 0; i < 6; ++i) {
    folder.write("train/" + std::string(i % 2 == 0 ? "a/" : "b/") + std::to_string(i) + ".jpg",
                 jpeg(generated(40 + i, 50)));
  }
  const std::vector<Augmentation> crops{{.where = {}, .what = RandomResizedCrop{16}}};
  const auto epoch = [&](const DataConfig& config) {
    Loader loader(open_data(config, {16, 16, 3}, 1).train,
                  {.batch = 4, .shuffle = true, .workers = 2, .augment = config.augment});
    std::string bytes;
    loader.start_epoch(1);
    while (const Batch* batch = loader.next()) {
      bytes.append(reinterpret_cast<const char*>(batch->images.data()), batch->images.size());
    }
    return bytes;
  };
  for (const PackKind kind : {PackKind::files, PackKind::pixels}) {
    DataConfig config;
    config.resize = {20};
    if (kind == PackKind::files) config.augment = crops;
    config.train = DataSource{.where = {.file = "c"}, .format = DataFormat::folder, .path = folder / "train"};
    const std::string wanted = epoch(config);
    const std::string out = folder / (kind == PackKind::files ? "files" : "pixels");
    write_pack(*open_source(*config.train, config, {16, 16, 3}, 1), {.out = out, .kind = kind});
    config.train = pack_source(out);
    EXPECT_EQ(epoch(config), wanted);
  }
}

}  // namespace
}  // namespace snug
