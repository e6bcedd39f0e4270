#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/rng.h"
#include "cli/command.h"
#include "cli/common.h"
#include "data/dataset.h"
#include "report/npy.h"
#include "report/reports.h"

namespace snug {

namespace {

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) return;
  throw Error({.code = "C191",
               .where = "--out " + folder.string(),
               .what = fmt::format("the folder cannot be made: {}", error.message()),
               .fix = "--out shapes   # a folder that can be made"});
}

void write_split(const std::filesystem::path& folder, const std::string& split, const Dataset& data) {
  const DatasetInfo& info = data.info();
  AtomicFile images(folder / (split + "-images.npy"));
  AtomicFile labels(folder / (split + "-labels.npy"));
  const Shape all = info.image.with_batch(info.samples);
  images.write(npy_header("|u1", all.extents()));
  const std::array<std::int64_t, 1> count{info.samples};
  labels.write(npy_header("|u1", count));
  std::vector<std::byte> pixels(static_cast<std::size_t>(info.image.elements()));
  for (std::int64_t sample = 0; sample < info.samples; ++sample) {
    data.read_image(sample, pixels.data());
    images.write(pixels);
    const auto label = static_cast<std::byte>(data.label(sample));
    labels.write(std::span(&label, 1));
  }
  images.commit();
  labels.commit();
}

/// Random values from 0 to 1 in float64 and random class numbers in int64: what tutorials put where data belong.
struct RandomArrays {
  std::int64_t count = 100, size = 32, channels = 3, classes = 10;
  bool channel_axis = true;   ///< N×H×W×C, else N×H×W
  bool label_column = false;  ///< N×1, else N
};

void write_random(const std::filesystem::path& folder, const std::string& split, const RandomArrays& arrays,
                  std::uint64_t seed) {
  AtomicFile images(folder / (split + "-images.npy"));
  AtomicFile labels(folder / (split + "-labels.npy"));
  std::vector<std::int64_t> shape{arrays.count, arrays.size, arrays.size};
  if (arrays.channel_axis) shape.push_back(arrays.channels);
  std::vector<std::int64_t> label_shape{arrays.count};
  if (arrays.label_column) label_shape.push_back(1);
  images.write(npy_header("<f8", shape));
  labels.write(npy_header("<i8", label_shape));
  const std::int64_t channels = arrays.channel_axis ? arrays.channels : 1;
  std::vector<double> image(static_cast<std::size_t>(arrays.size * arrays.size * channels));
  for (std::int64_t i = 0; i < arrays.count; ++i) {
    Random random(random_key(seed, RandomStream::synthetic, static_cast<std::uint64_t>(i)));
    for (double& value : image) value = static_cast<double>(random.uniform());
    images.write(std::as_bytes(std::span(image)));
    const std::int64_t label = random.below(static_cast<std::uint32_t>(arrays.classes));
    labels.write(std::as_bytes(std::span(&label, 1)));
  }
  images.commit();
  labels.commit();
}

std::string random_config(const RandomArrays& arrays) {
  return fmt::format(
      "name = \"random\"\n\n"
      "[data]\n"
      "train = {{ images = \"train-images.npy\", labels = \"train-labels.npy\" }}\n\n"
      "[model]\n"
      "input = [{0}, {0}, {1}]\n"
      "layers = [ {{ conv = 32, kernel = 3, activation = \"relu\" }}, {{ maxpool = 2 }}, {{ flatten = true }}, "
      "{{ dense = {2} }} ]\n\n"
      "[train]\n"
      "epochs = 10\n"
      "batch = 32\n"
      "optimizer = {{ name = \"adam\", lr = 0.001 }}\n",
      arrays.size, arrays.channel_axis ? arrays.channels : 1, arrays.classes);
}

std::string config_text(std::int64_t size, std::int64_t channels) {
  return fmt::format(
      "name = \"shapes\"\n\n"
      "[data]\n"
      "train = {{ images = \"train-images.npy\", labels = \"train-labels.npy\" }}\n"
      "val = {{ images = \"val-images.npy\", labels = \"val-labels.npy\" }}\n\n"
      "[model]\n"
      "input = [{0}, {0}, {1}]\n"
      "layers = [\n"
      "  {{ conv = 16, kernel = 3, padding = \"same\", norm = \"batch\", activation = \"relu\" }},\n"
      "  {{ maxpool = 2 }},\n"
      "  {{ conv = 32, kernel = 3, padding = \"same\", norm = \"batch\", activation = \"relu\" }},\n"
      "  {{ global_avgpool = true }},\n"
      "  {{ dense = 10 }},\n"
      "]\n\n"
      "[train]\n"
      "epochs = 5\n"
      "batch = 64\n"
      "optimizer = {{ name = \"sgd\", lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 5e-4 }}\n"
      "schedule = {{ name = \"cosine\", warmup_epochs = 0.5 }}\n",
      size, channels);
}

int run(const Arguments& arguments) {
  const auto out = arguments.text("out");
  if (!out) {
    throw Error({.code = "C915",
                 .where = "--out",
                 .what = "`snug data synth` needs a folder to write to",
                 .fix = "--out shapes"});
  }
  const std::filesystem::path folder = *out;
  if (std::filesystem::exists(folder) && !std::filesystem::is_empty(folder)) {
    throw Error({.code = "C916",
                 .where = "--out " + folder.string(),
                 .what = fmt::format("{} exists and is not empty", folder.string()),
                 .fix = "--out " + folder.string() + "-2"});
  }
  const std::int64_t size = arguments.integer("size", 16).value_or(32);
  const std::int64_t channels = arguments.has("gray") ? 1 : 3;
  const auto source = [](std::int64_t count) {
    return DataSource{.where = {}, .format = DataFormat::synthetic, .synthetic = "shapes", .count = count};
  };
  DataConfig config;
  config.train = source(arguments.integer("count", 10).value_or(4000));
  config.val = source(arguments.integer("val-count", 10).value_or(1000));
  const auto seed = static_cast<std::uint64_t>(arguments.integer("seed", 0).value_or(1));
  if (arguments.has("random")) {
    const RandomArrays arrays{.count = config.train->count,
                              .size = size,
                              .channels = channels,
                              .classes = arguments.integer("classes", 2).value_or(10),
                              .channel_axis = !arguments.has("no-channel-axis"),
                              .label_column = arguments.has("label-column")};
    make_folder(folder);
    write_random(folder, "train", arrays, seed);
    write_text(folder / "config.toml", random_config(arrays));
    const WrittenData written{.folder = folder.string(),
                              .config = (folder / "config.toml").string(),
                              .train = arrays.count,
                              .val = 0,
                              .shape = {size, size, arrays.channel_axis ? channels : 1}};
    print_result(arguments, to_json(written), to_text(written));
    return 0;
  }
  const Splits splits = open_data(config, {size, size, channels}, seed);
  make_folder(folder);
  write_split(folder, "train", *splits.train);
  write_split(folder, "val", *splits.val);
  write_text(folder / "config.toml", config_text(size, channels));
  const WrittenData written{.folder = folder.string(),
                            .config = (folder / "config.toml").string(),
                            .train = config.train->count,
                            .val = config.val->count,
                            .shape = {size, size, channels}};
  print_result(arguments, to_json(written), to_text(written));
  return 0;
}

}  // namespace

Command data_synth_command() {
  return {.name = "data synth",
          .arguments = "",
          .summary = "write the built-in data set (10 kinds of shapes) as .npy files with a config",
          .example = "snug data synth --out shapes --count 4000",
          .options = {{"out", "DIR", "the folder to make"},
                      {"count", "N", "training images (4000)"},
                      {"val-count", "N", "validation images (1000)"},
                      {"size", "N", "height and width, at least 16 (32)"},
                      {"gray", "", "one channel instead of three"},
                      {"random", "", "random numbers instead of pictures: float64 from 0 to 1, int64 labels"},
                      {"classes", "N", "with --random: classes (10)"},
                      {"no-channel-axis", "", "with --random: images of height and width alone"},
                      {"label-column", "", "with --random: labels as a column, N×1"},
                      {"seed", "N", "another data set (1)"}},
          .run = run};
}

}  // namespace snug
