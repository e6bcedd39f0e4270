#include "train/event_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <span>
#include <system_error>

#include "base/text.h"
#include "data/crc32c.h"

namespace snug {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

namespace {

namespace fs = std::filesystem;

// Field numbers of the messages Event, SessionLog, Summary, Summary.Value, Summary.Image, HistogramProto,
// SummaryMetadata, SummaryMetadata.PluginData, TensorProto and TensorShapeProto.
namespace event {
enum : int { wall_time = 1, step = 2, file_version = 3, graph_def = 4, summary = 5, session_log = 7 };
}
namespace session_log {
enum : int { status = 1 };
constexpr std::int64_t kStart = 1;
}  // namespace session_log
namespace summary {
enum : int { value = 1 };
}
namespace value {
enum : int { tag = 1, simple_value = 2, image = 4, histogram = 5, tensor = 8, metadata = 9 };
}
namespace image {
enum : int { height = 1, width = 2, colorspace = 3, encoded = 4 };
}
namespace histogram {
enum : int { min = 1, max = 2, count = 3, sum = 4, sum_squares = 5, limits = 6, counts = 7 };
}
namespace metadata {
enum : int { plugin_data = 1 };
}
namespace plugin_data {
enum : int { name = 1, content = 2 };
}
namespace tensor {
enum : int { dtype = 1, shape = 2 };
constexpr std::int64_t kFloat = 1;
}  // namespace tensor
namespace tensor_shape {
enum : int { dim = 2, size = 1 };
}

constexpr std::string_view kBegin = "events.out.tfevents.", kEnd = ".snug";

std::string little_endian(std::uint64_t value, std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

/// TFRecord's checksum: rotated and shifted, so that a checksum of data that hold checksums is none of them.
std::uint32_t masked_crc(std::string_view bytes) {
  const std::uint32_t crc = crc32c(std::as_bytes(std::span(bytes)));
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

/// The second in the name of a file of ours; −1: it is none.
std::int64_t second_of(const std::string& name) {
  if (!name.starts_with(kBegin) || !name.ends_with(kEnd) || name.size() <= kBegin.size() + kEnd.size()) return -1;
  const auto digits = name.substr(kBegin.size(), name.size() - kBegin.size() - kEnd.size());
  if (digits.find_first_not_of("0123456789") != std::string::npos) return -1;
  return parse_integer(digits).value_or(-1);
}

/// Takes back what is not committed, and returns the name of the file that comes next. Readers take the files of a
/// folder in the order of their names.
std::string next_file(const fs::path& folder, const EventMark& committed) {
  const std::int64_t kept = second_of(committed.file);
  std::error_code ignored;
  std::vector<fs::path> lost;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (second_of(entry.path().filename().string()) > kept) lost.push_back(entry.path());
  }
  for (const fs::path& path : lost) fs::remove(path, ignored);
  if (kept >= 0 && fs::exists(folder / committed.file, ignored))
    AppendFile(folder / committed.file).cut(committed.bytes);
  const auto second = std::max(static_cast<std::int64_t>(now_seconds()), kept + 1);
  return fmt::format("{}{:010}{}", kBegin, second, kEnd);
}

ProtoMessage tagged(std::string_view tag) {
  ProtoMessage made;
  made.bytes(value::tag, tag);
  return made;
}

}  // namespace

std::string tf_record(std::string_view message) {
  const std::string length = little_endian(message.size(), 8);
  std::string record = length + little_endian(masked_crc(length), 4);
  record += message;
  record += little_endian(masked_crc(message), 4);
  return record;
}

ProtoMessage scalar_value(std::string_view tag, double value) { return tagged(tag).single(value::simple_value, value); }

ProtoMessage histogram_value(std::string_view tag, const Histogram& values) {
  std::vector<double> limits, counts;
  for (std::size_t bin = 0; bin < Histogram::kBins; ++bin) {
    limits.push_back(values.limit(bin));
    counts.push_back(values.counts[bin]);
  }
  ProtoMessage made;
  made.real(histogram::min, values.min).real(histogram::max, values.max);
  made.real(histogram::count, static_cast<double>(values.count));
  made.real(histogram::sum, values.sum).real(histogram::sum_squares, values.sum_squares);
  made.reals(histogram::limits, limits).reals(histogram::counts, counts);
  return tagged(tag).message(value::histogram, made);
}

ProtoMessage image_value(std::string_view tag, const Picture& picture) {
  const std::vector<std::byte> png = encode_png(picture);
  ProtoMessage made;
  made.integer(image::height, picture.height).integer(image::width, picture.width);
  made.integer(image::colorspace, picture.channels);
  made.bytes(image::encoded, {reinterpret_cast<const char*>(png.data()), png.size()});
  return tagged(tag).message(value::image, made);
}

ProtoMessage plugin_value(std::string_view tag, std::string_view plugin, const ProtoMessage& content) {
  ProtoMessage data, about, dim, shape, nothing;
  data.bytes(plugin_data::name, plugin).message(plugin_data::content, content);
  about.message(metadata::plugin_data, data);
  // A value must be there: a tensor without elements.
  shape.message(tensor_shape::dim, dim.integer(tensor_shape::size, 0));
  nothing.integer(tensor::dtype, tensor::kFloat).message(tensor::shape, shape);
  return tagged(tag).message(value::metadata, about).message(value::tensor, nothing);
}

EventFile::EventFile(const fs::path& folder, const EventMark& committed, std::int64_t step)
    : name_(next_file(folder, committed)), file_(folder / name_) {
  file_.cut(0);
  ProtoMessage version;
  version.real(event::wall_time, now_seconds()).bytes(event::file_version, "brain.Event:2");
  file_.append(tf_record(version.data()));
  if (!committed.file.empty())
    write(step, event::session_log, ProtoMessage().integer(session_log::status, session_log::kStart));
}

void EventFile::add(std::int64_t step, const std::vector<ProtoMessage>& values) {
  ProtoMessage made;
  for (const ProtoMessage& one : values) made.message(summary::value, one);
  write(step, event::summary, made);
}

void EventFile::add_graph(const ProtoMessage& graph) { write(0, event::graph_def, graph); }

void EventFile::write(std::int64_t step, int field, const ProtoMessage& what) {
  ProtoMessage made;
  made.real(event::wall_time, now_seconds()).integer(event::step, step).message(field, what);
  file_.append(tf_record(made.data()));
}

}  // namespace snug
