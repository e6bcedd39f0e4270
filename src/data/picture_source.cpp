#include "data/picture_source.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "data/picture.h"

namespace snug {

namespace {

/// What a thread keeps from picture to picture.
struct Buffers {
  std::vector<std::byte> file;
  Picture decoded, resized, turned;
  ResizeScratch scratch;
};
Buffers& own_buffers() {
  thread_local Buffers buffers;
  return buffers;
}

struct Entry {
  std::int64_t index = 0;  ///< in the store
  std::int64_t label = 0;
  std::int32_t height = 0, width = 0;
  int orientation = 1;
};

struct Rules {
  std::vector<std::int64_t> resize;
  ResizeFilter filter = ResizeFilter::bilinear;
};

/// The box of the picture as it lies in the file, of a box as it is seen.
Box to_file(const Box& box, int orientation, const PictureSize& seen) {
  const auto flipped = [](double begin, double extent, std::int64_t size) {
    return static_cast<double>(size) - begin - extent;
  };
  Box out = box;
  const bool transposed = orientation >= 5;
  if (transposed) out = {box.left, box.top, box.width, box.height};
  const std::int64_t height = transposed ? seen.width : seen.height;
  const std::int64_t width = transposed ? seen.height : seen.width;
  const bool rows = transposed ? orientation == 6 || orientation == 7 : orientation == 3 || orientation == 4;
  const bool columns = transposed ? orientation == 7 || orientation == 8 : orientation == 2 || orientation == 3;
  if (rows) out.top = flipped(out.top, out.height, height);
  if (columns) out.left = flipped(out.left, out.width, width);
  return out;
}

class PictureSource final : public Dataset {
 public:
  PictureSource(std::shared_ptr<const PictureStore> store, std::vector<Entry> entries, DatasetInfo info, Rules rules)
      : store_(std::move(store)), entries_(std::move(entries)), info_(std::move(info)), rules_(std::move(rules)) {}

  [[nodiscard]] const DatasetInfo& info() const override { return info_; }
  [[nodiscard]] bool has_pictures() const override { return true; }
  [[nodiscard]] PictureSize picture_size(std::int64_t sample) const override {
    return {at(sample).height, at(sample).width};
  }
  [[nodiscard]] PictureSize resized_size(std::int64_t sample) const override {
    return resized_size_of(picture_size(sample), rules_.resize);
  }
  [[nodiscard]] std::span<const std::byte> encoded(std::int64_t sample, std::vector<std::byte>& buffer) const override {
    return store_->read(at(sample).index, buffer);
  }

  void read_image(std::int64_t sample, std::byte* pixels) const override {
    const PictureSize whole = picture_size(sample);
    const PictureSize all = resized_size_of(whole, rules_.resize);
    read_box(sample, center_box(whole, all, info_.image[0], info_.image[1]), pixels);
  }

  void read_box(std::int64_t sample, const Box& box, std::byte* pixels) const override {
    Buffers& own = own_buffers();
    const auto out_height = static_cast<double>(info_.image[0]);
    const auto out_width = static_cast<double>(info_.image[1]);
    const PictureSize whole = picture_size(sample);
    // The whole picture must be at least this large for the part to have the pixels that are asked for.
    auto least_height =
        static_cast<std::int64_t>(std::ceil(out_height * static_cast<double>(whole.height) / box.height - 1e-6));
    auto least_width =
        static_cast<std::int64_t>(std::ceil(out_width * static_cast<double>(whole.width) / box.width - 1e-6));
    PictureFacts facts;
    decode(sample, least_height, least_width, facts);
    const Box in_file = to_file(box, facts.orientation, whole);
    const bool transposed = facts.orientation >= 5;
    const std::int64_t file_height = transposed ? whole.width : whole.height;
    const std::int64_t file_width = transposed ? whole.height : whole.width;
    const double down = static_cast<double>(own.decoded.height) / static_cast<double>(file_height);
    const double across = static_cast<double>(own.decoded.width) / static_cast<double>(file_width);
    const Box scaled{in_file.top * down, in_file.left * across, in_file.height * down, in_file.width * across};
    const Picture& part =
        resize(own, scaled, transposed ? info_.image[1] : info_.image[0], transposed ? info_.image[0] : info_.image[1]);
    const Picture* seen = &part;
    if (facts.orientation != 1) {
      orient(part, facts.orientation, own.turned);
      seen = &own.turned;
    }
    store(*seen, reinterpret_cast<std::uint8_t*>(pixels));
  }

  [[nodiscard]] std::int64_t label(std::int64_t sample) const override { return at(sample).label; }
  void read_row(std::int64_t, float*) const override { fail("labels of pictures are numbers", __FILE__, __LINE__); }
  [[nodiscard]] std::string where(std::int64_t sample) const override { return store_->where(at(sample).index); }
  [[nodiscard]] std::string label_where(std::int64_t sample) const override {
    return store_->label_where(at(sample).index);
  }
  [[nodiscard]] std::string picture_file(std::int64_t sample) const override { return store_->file(at(sample).index); }

 private:
  [[nodiscard]] const Entry& at(std::int64_t sample) const { return entries_[static_cast<std::size_t>(sample)]; }

  void decode(std::int64_t sample, std::int64_t least_height, std::int64_t least_width, PictureFacts& facts) const {
    Buffers& own = own_buffers();
    const auto file = store_->read(at(sample).index, own.file);
    std::string problem;
    const Entry& entry = at(sample);
    if (least_height >= entry.height && least_width >= entry.width) least_height = least_width = 0;
    if (entry.orientation >= 5) std::swap(least_height, least_width);
    if (decode_picture(file, least_height, least_width, own.decoded, facts, problem)) {
      const bool same = facts.height == entry.height && facts.width == entry.width;
      if (same && facts.orientation == entry.orientation) return;
      problem = "it changed since the data were opened";
    }
    throw Error(data_finding(FileUse::images, DataFault::picture, where(sample),
                             fmt::format("{} cannot be decoded: {}", brief_name(where(sample)), problem),
                             "on_bad = \"skip\"   # or copy the file again"));
  }

  [[nodiscard]] const Picture& resize(Buffers& own, const Box& box, std::int64_t height, std::int64_t width) const {
    const Picture& in = own.decoded;
    const bool same = in.height == height && in.width == width && box.top == 0 && box.left == 0 &&
                      box.height == static_cast<double>(height) && box.width == static_cast<double>(width);
    if (same) return in;
    own.resized.reshape(height, width, in.channels);
    resize_box(in.pixels.data(), in.height, in.width, in.channels, box, rules_.filter, own.resized.pixels.data(),
               height, width, own.scratch);
    return own.resized;
  }

  void store(const Picture& picture, std::uint8_t* pixels) const {
    const std::int64_t count = picture.height * picture.width;
    if (picture.channels == info_.image[2]) {
      std::memcpy(pixels, picture.pixels.data(), picture.pixels.size());
      return;
    }
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint8_t value = picture.pixels[static_cast<std::size_t>(i)];
      pixels[3 * i] = pixels[3 * i + 1] = pixels[3 * i + 2] = value;
    }
  }

  std::shared_ptr<const PictureStore> store_;
  std::vector<Entry> entries_;
  DatasetInfo info_;
  Rules rules_;
};

/// What the pass over all files found.
struct Scan {
  std::vector<PictureFacts> facts;
  std::vector<std::string> problems;  ///< empty where the picture is good
  bool headers_only = false;          ///< of most
};

constexpr std::int64_t kDecodedBytes = std::int64_t{64} << 20;  // of files: less than a second of one core
constexpr std::int64_t kDecodedPictures = 1'000;                // of more than that

/// Calls `look(i)` for each, on all cores. What it throws is that picture's problem.
void for_each(std::span<const std::size_t> pictures, Scan& result, const std::function<void(std::size_t)>& look) {
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t k = next++; k < pictures.size(); k = next++) {
      try {
        look(pictures[k]);
      } catch (const Error& error) {
        result.problems[pictures[k]] = error.findings().front().what;
      }
    }
  };
  const std::size_t threads =
      std::min<std::size_t>(std::max(1U, std::thread::hardware_concurrency()), pictures.size() / 16 + 1);
  std::vector<std::jthread> others;
  for (std::size_t i = 1; i < threads; ++i) others.emplace_back(work);
  work();
}

/// A picture's facts from its beginning. True for a file that looks whole.
bool read_header(const PictureStore& store, std::int64_t index, PictureFacts& facts, std::string& problem,
                 std::int64_t& bytes) {
  std::vector<std::byte>& buffer = own_buffers().file;
  // What cameras write in front of a picture (EXIF, a small copy of it) is 64 KiB at most as a rule.
  for (const std::int64_t most : {std::int64_t{4} << 10, std::int64_t{128} << 10}) {
    const PictureStore::Ends ends = store.ends(index, most, buffer);
    bytes = ends.bytes;
    if (read_facts(ends.begin, facts, problem)) return ends_as_picture(ends.end);
    if (std::ssize(ends.begin) == bytes) return false;
    problem.clear();
  }
  return false;
}

/// The pictures whose pixels are decoded: those that do not look whole, and all or, of many, some of the others.
std::vector<std::size_t> choose_decoded(std::span<const std::uint8_t> whole, std::int64_t bytes, bool all) {
  const std::size_t count = whole.size();
  std::vector<bool> chosen(count, all || bytes <= kDecodedBytes);
  const auto some = std::min(count, static_cast<std::size_t>(kDecodedPictures));
  for (std::size_t k = 0; k < some; ++k) chosen[k * count / some] = true;
  std::vector<std::size_t> list;
  for (std::size_t i = 0; i < count; ++i) {
    if (chosen[i] || whole[i] == 0) list.push_back(i);
  }
  return list;
}

Scan scan(const PictureStore& store, bool decode_all) {
  const auto count = static_cast<std::size_t>(store.count());
  Scan result{std::vector<PictureFacts>(count), std::vector<std::string>(count)};
  std::vector<std::size_t> every(count);
  std::iota(every.begin(), every.end(), std::size_t{0});
  std::vector<std::uint8_t> whole(count);
  std::vector<std::int64_t> bytes(count);
  for_each(every, result, [&](std::size_t i) {
    const auto index = static_cast<std::int64_t>(i);
    whole[i] = read_header(store, index, result.facts[i], result.problems[i], bytes[i]) ? 1 : 0;
  });
  if (store.verified()) return result;
  const std::vector<std::size_t> decoded =
      choose_decoded(whole, std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0}), decode_all);
  result.headers_only = 2 * decoded.size() < count;
  for_each(decoded, result, [&](std::size_t i) {
    Buffers& own = own_buffers();
    const auto file = store.read(static_cast<std::int64_t>(i), own.file);
    // The smallest scale still reads the whole stream, which is where damage shows.
    (void)decode_picture(file, 1, 1, own.decoded, result.facts[i], result.problems[i]);
  });
  return result;
}

/// Bad files are findings, or notes and left out.
void report_bad(const PictureStore& store, const Scan& found, bool skip, Findings& findings,
                std::vector<Diagnostic>& notes) {
  for (std::size_t i = 0; i < found.problems.size(); ++i) {
    if (found.problems[i].empty()) continue;
    const std::string where = store.where(static_cast<std::int64_t>(i));
    if (skip) {
      notes.push_back(data_note(DataFault::left_out, where,
                                fmt::format("{} is left out: {}", brief_name(where), found.problems[i]),
                                "on_bad = \"error\"   # to stop at such files"));
    } else {
      findings.push_back(data_finding(FileUse::images, DataFault::picture, where,
                                      fmt::format("{} cannot be decoded: {}", brief_name(where), found.problems[i]),
                                      "on_bad = \"skip\"   # or copy the file again"));
    }
  }
}

/// How many pictures are of a kind, and the first of them.
struct KindCount {
  std::int64_t count = 0;
  std::int64_t first = -1;  ///< in the store
};
using KindCounts = std::array<KindCount, kPictureKinds>;

/// One note for each kind; damage that a decoder passes over is a warning.
void report_kinds(const KindCounts& kinds, std::int64_t total, bool expanded, const PictureStore& store,
                  std::vector<Diagnostic>& notes) {
  for (std::size_t k = 1; k < kPictureKinds; ++k) {
    const auto kind = static_cast<PictureKind>(k);
    if (kinds[k].count == 0 || (kind == PictureKind::gray && !expanded)) continue;
    const std::string where = store.where(kinds[k].first);
    notes.push_back(
        data_note(DataFault::converted, where,
                  fmt::format("{} of {} pictures are {}{}", format_count(kinds[k].count), format_count(total),
                              to_string(kind), kind == PictureKind::mended ? ", first " + brief_name(where) : ""),
                  kind == PictureKind::gray     ? "gray_to_rgb = true   # says that this is meant"
                  : kind == PictureKind::mended ? fmt::format("rm {}   # or copy it again", where)
                                                : "nothing to do: predict and eval do the same"));
    if (kind == PictureKind::mended) notes.back().severity = Severity::warning;
  }
}

std::string size_text(std::int64_t height, std::int64_t width) { return fmt::format("{}×{}", height, width); }

/// Whether all pictures come to the image that is asked for; else a finding.
bool check_extents(const std::vector<Entry>& entries, const PictureStore& store, const DataConfig& config,
                   const InputSize& input, Findings& findings) {
  const bool any = input[0] == 0;
  const std::int64_t side = any ? 64 : std::min(input[0], input[1]);
  if (config.resize.size() == 2) return true;
  if (config.resize.empty()) {
    const Entry& first = entries.front();
    const auto other = std::ranges::find_if(
        entries, [&](const Entry& e) { return e.height != first.height || e.width != first.width; });
    if (other == entries.end()) return true;
    findings.push_back(
        data_finding(FileUse::images, DataFault::image_size, store.where(other->index),
                     fmt::format("pictures have different sizes: {} is {}, {} is {}",
                                 brief_name(store.where(first.index)), size_text(first.height, first.width),
                                 brief_name(store.where(other->index)), size_text(other->height, other->width)),
                     fmt::format("resize = {}   # in [data]: the short side, then the center", side)));
    return false;
  }
  if (any) return true;
  const auto small = std::ranges::find_if(entries, [&](const Entry& e) {
    const PictureSize size = resized_size_of({e.height, e.width}, config.resize);
    return size.height < input[0] || size.width < input[1];
  });
  if (small == entries.end()) return true;
  const PictureSize size = resized_size_of({small->height, small->width}, config.resize);
  findings.push_back(data_finding(
      FileUse::images, DataFault::image_size, store.where(small->index),
      fmt::format("resize = {} makes {} of {}: smaller than model.input, {}", config.resize[0],
                  size_text(size.height, size.width), brief_name(store.where(small->index)),
                  size_text(input[0], input[1])),
      input[0] == input[1] ? fmt::format("resize = {}", side) : fmt::format("resize = [{}, {}]", input[0], input[1])));
  return false;
}

Shape image_of(const std::vector<Entry>& entries, const DataConfig& config, const InputSize& input,
               std::int64_t channels) {
  if (config.resize.size() == 2) return {config.resize[0], config.resize[1], channels};
  if (config.resize.size() == 1) {
    if (input[0] > 0) return {input[0], input[1], channels};
    return {config.resize[0], config.resize[0], channels};
  }
  return {entries.front().height, entries.front().width, channels};
}

/// Buffers of one reading thread: the file, the largest picture decoded, what is resized and turned.
std::int64_t reader_bytes(const std::vector<Entry>& entries, const PictureStore& store, const Shape& image) {
  std::int64_t decoded = 0;
  for (const Entry& e : entries) decoded = std::max(decoded, decoding_bytes(e.height, e.width));
  return decoded + 2 * image.elements() + store.most_bytes();
}

}  // namespace

SourcePointer make_picture_source(LabelledPictures pictures, const DataConfig& config, const InputSize& input,
                                  Decoding decoding, Findings& findings) {
  const PictureStore& store = *pictures.store;
  const Scan found = scan(store, decoding == Decoding::all || config.skip_bad);
  const std::size_t before = findings.size();
  report_bad(store, found, config.skip_bad, findings, pictures.notes);
  std::vector<Entry> entries;
  KindCounts kinds{};
  bool all_gray = true;
  for (std::size_t i = 0; i < found.facts.size(); ++i) {
    if (!found.problems[i].empty()) continue;
    const PictureFacts& facts = found.facts[i];
    entries.push_back({static_cast<std::int64_t>(i), pictures.labels[i], static_cast<std::int32_t>(facts.height),
                       static_cast<std::int32_t>(facts.width), facts.orientation});
    for (std::size_t k = 0; k < kPictureKinds; ++k) {
      if (facts.kinds[k] && kinds[k].count++ == 0) kinds[k].first = static_cast<std::int64_t>(i);
    }
    all_gray = all_gray && facts.channels == 1;
  }
  if (findings.size() > before) return nullptr;
  if (entries.empty()) {
    findings.push_back(data_finding(FileUse::images, DataFault::no_samples, store.count() > 0 ? store.where(0) : "data",
                                    fmt::format("none of {} pictures can be decoded", format_count(store.count())),
                                    "folder = \"FOLDER\"   # one with whole pictures"));
    return nullptr;
  }
  if (!check_extents(entries, store, config, input, findings)) return nullptr;
  const std::int64_t channels = all_gray && !config.gray_to_rgb ? 1 : 3;
  report_kinds(kinds, std::ssize(entries), channels == 3 && !config.gray_to_rgb, store, pictures.notes);
  DatasetInfo info{.samples = std::ssize(entries), .image = image_of(entries, config, input, channels)};
  info.source_dtype = "uint8";
  info.classes = std::move(pictures.classes);
  info.resident_bytes = store.resident_bytes() + std::ssize(entries) * static_cast<std::int64_t>(sizeof(Entry));
  info.mapped_bytes = store.mapped_bytes();
  info.reader_bytes = reader_bytes(entries, store, info.image);
  info.headers_only = found.headers_only;
  info.notes = std::move(pictures.notes);
  return std::make_shared<PictureSource>(
      std::move(pictures.store), std::move(entries), std::move(info),
      Rules{config.resize, config.resize_bicubic ? ResizeFilter::bicubic : ResizeFilter::bilinear});
}

}  // namespace snug
