#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/common.h"
#include "data/dataset.h"
#include "data/picture_source.h"
#include "report/npy.h"
#include "report/reports.h"

namespace snug {

namespace {

namespace fs = std::filesystem;
using DatasetPointer = std::shared_ptr<const Dataset>;

constexpr std::int64_t kCifarBatch = 10'000;

[[noreturn]] void refuse(std::string where, std::string what, std::string fix) {
  throw Error({.code = "C918", .where = std::move(where), .what = std::move(what), .fix = std::move(fix)});
}

/// What IN names, whole: an archive or folder of class folders, a CSV list, one picture, an array.
DatasetPointer open_input(const std::string& in, const std::array<std::int64_t, 3>& size,
                          const std::vector<std::string>& classes) {
  DataConfig config;
  config.cache = CacheMode::stream;
  config.gray_to_rgb = size[2] == 3;
  DataSource source{.where = {.file = in}};
  const auto arrays = [&](DataFormat format) {
    source.format = format;
    source.images = in;
  };
  if (in.ends_with(".npy") || in.ends_with(".npz") || in.find(".npz:") != std::string::npos) {
    arrays(DataFormat::numpy);
  } else if (has_picture_name(in)) {
    Findings findings;
    config.gray_to_rgb = true;
    auto data = make_picture_source(list_files({in}), config, {0, 0, 0}, Decoding::all, findings);
    if (!findings.empty()) throw Error(std::move(findings));
    return data;
  } else if (in.ends_with(".csv")) {
    source.format = DataFormat::csv;
    source.path = in;
  } else if (is_archive(in) || fs::is_directory(in)) {
    source.format = DataFormat::folder;
    source.path = in;
  } else {
    arrays(DataFormat::idx);
  }
  return open_source(source, config, size, 1, classes);
}

void write_arrays(const Dataset& data, const fs::path& out, ConvertedData& result) {
  const DatasetInfo& info = data.info();
  const bool bytes = info.dtype == DType::u8;
  AtomicFile images(out);
  const Shape all = info.image.with_batch(info.samples);
  images.write(npy_header(bytes ? "|u1" : "<f4", all.extents()));
  std::vector<std::byte> pixels(static_cast<std::size_t>(info.image.elements() * size_bytes(info.dtype)));
  for (std::int64_t sample = 0; sample < info.samples; ++sample) {
    data.read_image(sample, pixels.data());
    images.write(pixels);
  }
  images.commit();
  result.files.push_back(out.string());
  if (info.classes.empty() || info.labels != LabelKind::numbers) return;
  const fs::path labels_path = out.parent_path() / (out.stem().string() + "-labels.npy");
  AtomicFile labels(labels_path);
  const std::array<std::int64_t, 1> count{info.samples};
  labels.write(npy_header("<i8", count));
  for (std::int64_t sample = 0; sample < info.samples; ++sample) {
    const std::int64_t label = data.label(sample);
    labels.write(std::as_bytes(std::span(&label, 1)));
  }
  labels.commit();
  result.files.push_back(labels_path.string());
}

/// Records [first, first + count): a label byte, then the red, green and blue planes.
void write_cifar_file(const Dataset& data, std::int64_t first, std::int64_t count, const fs::path& path) {
  const std::int64_t plane = data.info().image[0] * data.info().image[1];
  std::vector<std::byte> pixels(static_cast<std::size_t>(3 * plane));
  std::vector<std::byte> record(static_cast<std::size_t>(3 * plane + 1));
  AtomicFile file(path);
  for (std::int64_t sample = first; sample < first + count; ++sample) {
    data.read_image(sample, pixels.data());
    record[0] = static_cast<std::byte>(data.label(sample));
    for (std::int64_t i = 0; i < plane; ++i) {
      for (std::int64_t c = 0; c < 3; ++c) {
        record[static_cast<std::size_t>(1 + c * plane + i)] = pixels[static_cast<std::size_t>(3 * i + c)];
      }
    }
    file.write(record);
  }
  file.commit();
}

DatasetPointer open_for_cifar(const std::string& in, const std::vector<std::string>& classes) {
  auto data = open_input(in, {32, 32, 3}, classes);
  const DatasetInfo& info = data->info();
  if (info.dtype == DType::u8 && info.image == Shape{32, 32, 3} && info.classes.size() <= 10) return data;
  refuse(in,
         fmt::format("CIFAR-10 has 32×32×3 images of bytes and 10 classes; these are {} {} of {} classes",
                     to_string(info.image), info.source_dtype, info.classes.size()),
         "snug data convert IN OUT.npy");
}

/// The official files of CIFAR-10, in the order that the samples come in.
void write_cifar(const std::string& in, const fs::path& out, ConvertedData& result) {
  const bool archive = is_archive(in);
  const bool has_splits = archive ? in.find(':') == std::string::npos : fs::is_directory(fs::path(in) / "train");
  const auto part = [&](const char* name) { return archive ? in + ":" + name : (fs::path(in) / name).string(); };
  const DatasetPointer train = open_for_cifar(has_splits ? part("train") : in, {});
  const DatasetPointer test = has_splits ? open_for_cifar(part("test"), train->info().classes) : nullptr;
  std::error_code error;
  fs::create_directories(out, error);
  if (error) refuse(out.string(), fmt::format("the folder cannot be made: {}", error.message()), "another folder");
  const auto write = [&](const Dataset& data, std::int64_t first, std::int64_t count, const std::string& name) {
    write_cifar_file(data, first, count, out / name);
    result.files.push_back((out / name).string());
  };
  const std::int64_t samples = train->info().samples;
  for (std::int64_t first = 0; first < samples; first += kCifarBatch) {
    write(*train, first, std::min(kCifarBatch, samples - first),
          fmt::format("data_batch_{}.bin", first / kCifarBatch + 1));
  }
  if (test) write(*test, 0, test->info().samples, "test_batch.bin");
  std::string names;
  for (const std::string& name : train->info().classes) names += name + "\n";
  write_text(out / "batches.meta.txt", names);
  result.files.push_back((out / "batches.meta.txt").string());
  result.samples = samples + (test ? test->info().samples : 0);
}

int run(const Arguments& arguments) {
  const std::string& in = arguments.positional()[0];
  const fs::path out = arguments.positional()[1];
  const std::string to = arguments.text("to").value_or(out.extension() == ".npy" ? "npy" : "cifar10");
  ConvertedData result{.samples = 0, .files = {}};
  if (fs::exists(out) && !(fs::is_directory(out) && fs::is_empty(out)))
    refuse(out.string(), fmt::format("{} exists already", out.filename().string()), "name a new file or folder");
  if (to == "npy") {
    const DatasetPointer data = open_input(in, {0, 0, 0}, {});
    result.samples = data->info().samples;
    write_arrays(*data, out, result);
  } else if (to == "cifar10") {
    write_cifar(in, out, result);
  } else {
    refuse("--to " + to, "npy and cifar10 can be written", "--to npy");
  }
  print_result(arguments, to_json(result), to_text(result));
  return 0;
}

}  // namespace

Command data_convert_command() {
  return {.name = "data convert",
          .arguments = "IN OUT",
          .summary = "pictures, archives and arrays as .npy, or as CIFAR-10's binary files",
          .example = "snug data convert cifar10-jpeg.tar.xz cifar-10-batches-bin",
          .least_arguments = 2,
          .most_arguments = 2,
          .options = {{"to", "FORMAT", "npy (an array, labels beside it) or cifar10 (a folder of its official files)",
                       "npy cifar10"}},
          .run = run};
}

}  // namespace snug
