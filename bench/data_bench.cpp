// Decoding and batches, on one core. SNUG_BENCH_PHOTOS names a folder of class folders with JPEGs (bench/photos.py
// makes one and times torchvision on it); decode + resize is held against libjpeg-turbo's own decoding at the same
// scale.
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/file.h"
#include "data/loader.h"
#include "data/pack.h"
#include "data/picture.h"

namespace snug {
namespace {

constexpr std::int64_t kSide = 224;

std::string photos() {
  const char* folder = std::getenv("SNUG_BENCH_PHOTOS");
  return folder != nullptr ? folder : "";
}

/// Field by field: GCC 12 warns of temporaries that are made whole.
DataSource source_of(DataFormat format, const std::string& path) {
  DataSource source;
  source.where.file = "bench";
  source.format = format;
  source.path = path;
  return source;
}

DataConfig photo_config() {
  DataConfig config;
  config.cache = CacheMode::stream;
  config.resize = {kSide};
  config.train = source_of(DataFormat::folder, photos());
  return config;
}

std::shared_ptr<const Dataset> open_photos() {
  const DataConfig config = photo_config();
  return open_source(*config.train, config, {kSide, kSide, 3}, 1);
}

void read_all(benchmark::State& state, const Dataset& data) {
  std::vector<std::byte> pixels(static_cast<std::size_t>(data.info().image.elements()));
  for (auto _ : state) {
    for (std::int64_t sample = 0; sample < data.info().samples; ++sample) data.read_image(sample, pixels.data());
  }
  state.SetItemsProcessed(state.iterations() * data.info().samples);
}

void decode_and_resize(benchmark::State& state) {
  if (photos().empty()) return state.SkipWithError("SNUG_BENCH_PHOTOS is not set");
  read_all(state, *open_photos());
}
BENCHMARK(decode_and_resize)->Unit(benchmark::kMillisecond);

/// The library alone, at the scale that leaves the short side at least 224.
void library_decode(benchmark::State& state) {
  if (photos().empty()) return state.SkipWithError("SNUG_BENCH_PHOTOS is not set");
  const auto data = open_photos();
  Picture picture;
  PictureFacts facts;
  std::string problem;
  std::vector<std::byte> buffer;
  for (auto _ : state) {
    for (std::int64_t sample = 0; sample < data->info().samples; ++sample) {
      const auto file = data->encoded(sample, buffer);
      if (!decode_picture(file, kSide, kSide, picture, facts, problem)) return state.SkipWithError(problem.c_str());
    }
  }
  state.SetItemsProcessed(state.iterations() * data->info().samples);
}
BENCHMARK(library_decode)->Unit(benchmark::kMillisecond);

void packed_pixels(benchmark::State& state) {
  if (photos().empty()) return state.SkipWithError("SNUG_BENCH_PHOTOS is not set");
  const auto folder = std::filesystem::temp_directory_path() / "snug-bench-pack";
  std::filesystem::remove_all(folder);
  write_pack(*open_photos(), {.out = folder});
  const DataSource source = source_of(DataFormat::pack, folder.string());
  read_all(state, *open_source(source, {}, {kSide, kSide, 3}, 1));
  std::filesystem::remove_all(folder);
}
BENCHMARK(packed_pixels)->Unit(benchmark::kMillisecond);

/// Batches of images in memory through the loader: 28×28 gray and 32×32 RGB.
void batches(benchmark::State& state) {
  const std::int64_t side = state.range(0);
  const std::int64_t channels = state.range(1);
  const auto folder = std::filesystem::temp_directory_path() / "snug-bench-batches";
  std::filesystem::remove_all(folder);
  DataSource shapes = source_of(DataFormat::synthetic, "");
  shapes.synthetic = "shapes";
  shapes.count = 20'000;
  write_pack(*open_source(shapes, {}, {side, side, channels}, 1), {.out = folder});
  const DataSource source = source_of(DataFormat::pack, folder.string());
  Loader loader(open_source(source, {}, {side, side, channels}, 1), {.batch = 256, .shuffle = true, .workers = 1});
  std::int64_t epoch = 0;
  for (auto _ : state) {
    loader.start_epoch(epoch++);
    while (const Batch* batch = loader.next()) benchmark::DoNotOptimize(batch->images.data());
  }
  state.SetItemsProcessed(state.iterations() * 20'000);
  std::filesystem::remove_all(folder);
}
BENCHMARK(batches)->Args({28, 1})->Args({32, 3})->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace snug

BENCHMARK_MAIN();
