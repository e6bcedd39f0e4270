#include "data/synth.h"

#include <array>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/ensure.h"
#include "base/file.h"
#include "data/dataset.h"
#include "data/findings.h"

namespace snug {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(std::string_view what, std::string fix) {
  Diagnostic finding = unsupported_finding("--out", what, std::move(fix));
  finding.code = "C191";
  throw Error(std::move(finding));
}

void make_folder(const fs::path& out) {
  std::error_code error;
  if (fs::exists(out, error)) {
    if (!fs::is_directory(out, error)) refuse(fmt::format("{} is a file", brief_name(out)), "--out NEW_FOLDER");
    if (!fs::is_empty(out, error)) {
      refuse(fmt::format("{} is not empty; nothing is overwritten", brief_name(out)), "--out NEW_FOLDER");
    }
    return;
  }
  fs::create_directories(out, error);
  if (error) {
    refuse(fmt::format("{} cannot be made: {}", brief_name(out), error.message()),
           "--out FOLDER   # one that can be made");
  }
}

std::string idx_header(std::span<const std::int64_t> extents) {
  std::string header{'\0', '\0', '\x08', static_cast<char>(extents.size())};
  for (const std::int64_t extent : extents) {
    for (int shift = 24; shift >= 0; shift -= 8) header += static_cast<char>((extent >> shift) & 0xFF);
  }
  return header;
}

std::string npy_header(std::span<const std::int64_t> extents) {
  std::string shape;
  for (const std::int64_t extent : extents) shape += fmt::format("{}, ", extent);
  std::string dict = fmt::format("{{'descr': '|u1', 'fortran_order': False, 'shape': ({}), }}", shape);
  constexpr std::size_t kPrefix = 10;
  while ((kPrefix + dict.size() + 1) % 64 != 0) dict += ' ';
  dict += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dict.size() & 0xFF);
  header += static_cast<char>(dict.size() >> 8);
  return header + dict;
}

struct Names {
  std::string images, labels;
};

Names names_of(std::string_view split, DataFormat format) {
  if (format == DataFormat::numpy) return {fmt::format("{}-images.npy", split), fmt::format("{}-labels.npy", split)};
  return {fmt::format("{}-images-idx4-ubyte", split), fmt::format("{}-labels-idx1-ubyte", split)};
}

void write_split(const Dataset& data, const SynthOptions& options, const Names& names, std::vector<fs::path>& written) {
  const DatasetInfo& info = data.info();
  const std::array<std::int64_t, 4> extents{info.samples, info.image[0], info.image[1], info.image[2]};
  const auto header = options.format == DataFormat::numpy ? npy_header : idx_header;
  AtomicFile images(options.out / names.images);
  images.write(header(extents));
  std::vector<std::byte> pixels(static_cast<std::size_t>(info.image.elements()));
  std::string labels = header(std::span(extents).first(1));
  for (std::int64_t sample = 0; sample < info.samples; ++sample) {
    data.read_image(sample, pixels.data());
    images.write(pixels);
    labels += static_cast<char>(data.label(sample));
  }
  images.commit();
  write_text(options.out / names.labels, labels);
  written.push_back(options.out / names.images);
  written.push_back(options.out / names.labels);
}

std::string config_text(const SynthOptions& options, const Names& train, const Names& val) {
  const auto [h, w, c] = options.size;
  return fmt::format(R"(# Ten kinds of figures, drawn by `snug data synth`. Train on them with: snug train config.toml
name = "shapes"

[data]
train = {{ images = "{0}", labels = "{1}" }}
val = {{ images = "{2}", labels = "{3}" }}
augment = [ {{ hflip = 0.5 }}, {{ vflip = 0.5 }} ]

[model]
input = [{4}, {5}, {6}]   # height, width, channels
layers = [
  {{ conv = 16, kernel = 3, padding = "same", norm = "batch", activation = "relu" }},
  {{ maxpool = 2 }},
  {{ conv = 32, kernel = 3, padding = "same", norm = "batch", activation = "relu" }},
  {{ maxpool = 2 }},
  {{ conv = 64, kernel = 3, padding = "same", norm = "batch", activation = "relu" }},
  {{ maxpool = 2 }},
  {{ conv = 64, kernel = 3, padding = "same", norm = "batch", activation = "relu" }},
  {{ global_avgpool = true }},
  {{ dense = 10 }},
]

[train]
loss = "sparse_categorical_crossentropy"
epochs = 12
batch = 64
optimizer = {{ name = "sgd", lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 5e-4 }}
schedule = {{ name = "onecycle", max_lr = 0.1 }}
)",
                     train.images, train.labels, val.images, val.labels, h, w, c);
}

}  // namespace

std::vector<fs::path> write_synthetic(const SynthOptions& options) {
  ensure(options.format == DataFormat::idx || options.format == DataFormat::numpy, "synth writes IDX or NumPy");
  DataConfig config;
  const auto source = [](std::int64_t count) {
    DataSource shapes{.where = {.file = "--count"}, .format = DataFormat::synthetic};
    shapes.synthetic = "shapes";
    shapes.count = count;
    return shapes;
  };
  config.train = source(options.count);
  config.val = source(options.val_count);
  const Splits splits = open_data(config, options.size, options.seed);
  make_folder(options.out);
  const Names train = names_of("train", options.format);
  const Names val = names_of("val", options.format);
  std::vector<fs::path> written;
  try {
    write_split(*splits.train, options, train, written);
    write_split(*splits.val, options, val, written);
    write_text(options.out / "config.toml", config_text(options, train, val));
  } catch (const std::system_error& failure) {
    refuse(shorten(failure.what(), 150), "--out FOLDER   # one with room that can be written");
  }
  written.push_back(options.out / "config.toml");
  return written;
}

}  // namespace snug
