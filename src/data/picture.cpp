#include "data/picture.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "data/findings.h"

namespace snug {

std::string_view to_string(PictureKind kind) {
  switch (kind) {
    case PictureKind::plain: return "plain";
    case PictureKind::gray: return "gray, repeated into three channels";
    case PictureKind::cmyk: return "CMYK, converted to RGB";
    case PictureKind::palette: return "with a palette, converted to RGB";
    case PictureKind::deep: return "of 16 bits, scaled to 8";
    case PictureKind::alpha: return "with transparency, which is left out";
    case PictureKind::turned: return "turned as their EXIF orientation says";
    case PictureKind::mended: return "damaged: their decoder warns and makes up some pixels";
    case PictureKind::count: break;
  }
  return "?";
}

void Picture::reshape(std::int64_t h, std::int64_t w, std::int64_t c) {
  height = h;
  width = w;
  channels = c;
  pixels.resize(static_cast<std::size_t>(h * w * c));
}

namespace {

bool read_any(std::span<const std::byte> file, bool pixels, std::int64_t least_height, std::int64_t least_width,
              Picture& out, PictureFacts& facts, std::string& problem) {
  facts = {};
  if (is_jpeg(file)) return read_jpeg(file, pixels, least_height, least_width, out, facts, problem);
  if (is_png(file)) return read_png(file, pixels, out, facts, problem);
  const std::string kind = describe_content(file);
  problem = file.empty()   ? "the file is empty"
            : kind.empty() ? fmt::format("{} bytes that begin neither as a JPEG nor as a PNG", file.size())
                           : fmt::format("it is {}, neither a JPEG nor a PNG", kind);
  return false;
}

/// Numbers of a TIFF block, in its byte order; 0 beyond its end.
class TiffReader {
 public:
  explicit TiffReader(std::span<const std::byte> bytes) : bytes_(bytes), big_(at(0) == 'M') {}
  [[nodiscard]] bool valid() const {
    const bool order = (at(0) == 'I' && at(1) == 'I') || (at(0) == 'M' && at(1) == 'M');
    return bytes_.size() >= 8 && order && u16(2) == 42;
  }
  [[nodiscard]] std::uint32_t u16(std::size_t place) const {
    const auto a = at(place);
    const auto b = at(place + 1);
    return big_ ? a << 8 | b : b << 8 | a;
  }
  [[nodiscard]] std::uint32_t u32(std::size_t place) const {
    const auto a = u16(place);
    const auto b = u16(place + 2);
    return big_ ? a << 16 | b : b << 16 | a;
  }
  [[nodiscard]] bool holds(std::size_t place, std::size_t size) const {
    return place <= bytes_.size() && size <= bytes_.size() - place;
  }

 private:
  [[nodiscard]] std::uint32_t at(std::size_t place) const {
    return place < bytes_.size() ? std::to_integer<std::uint32_t>(bytes_[place]) : 0;
  }
  std::span<const std::byte> bytes_;
  bool big_;
};

}  // namespace

bool read_facts(std::span<const std::byte> file, PictureFacts& facts, std::string& problem) {
  Picture none;
  return read_any(file, false, 0, 0, none, facts, problem);
}

bool ends_as_picture(std::span<const std::byte> end) {
  constexpr std::array kJpeg{std::byte{0xFF}, std::byte{0xD9}};
  constexpr std::array kPng{std::byte{'I'},  std::byte{'E'},  std::byte{'N'},  std::byte{'D'},
                            std::byte{0xAE}, std::byte{0x42}, std::byte{0x60}, std::byte{0x82}};
  const auto last = [&](std::span<const std::byte> mark) {
    return end.size() >= mark.size() && std::ranges::equal(end.last(mark.size()), mark);
  };
  return last(kJpeg) || last(kPng);
}

bool decode_picture(std::span<const std::byte> file, std::int64_t least_height, std::int64_t least_width, Picture& out,
                    PictureFacts& facts, std::string& problem) {
  return read_any(file, true, least_height, least_width, out, facts, problem);
}

int exif_orientation(std::span<const std::byte> tiff) {
  constexpr std::uint32_t kOrientation = 0x112, kShort = 3, kLong = 4;
  const TiffReader reader(tiff);
  if (!reader.valid()) return 1;
  const std::size_t directory = reader.u32(4);
  const std::size_t entries = reader.u16(directory);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * 12;
    if (!reader.holds(entry, 12)) return 1;
    if (reader.u16(entry) != kOrientation) continue;
    const std::uint32_t type = reader.u16(entry + 2);
    const std::uint32_t value = type == kShort ? reader.u16(entry + 8) : type == kLong ? reader.u32(entry + 8) : 1;
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

void orient(const Picture& in, int orientation, Picture& out) {
  const bool transposed = orientation >= 5;
  const std::int64_t h = transposed ? in.width : in.height;
  const std::int64_t w = transposed ? in.height : in.width;
  const std::int64_t c = in.channels;
  out.reshape(h, w, c);
  // Where the result's pixel (y, x) is taken from: rows and columns of the file counted up or down.
  const bool mirrored_rows =
      transposed ? (orientation == 6 || orientation == 7) : (orientation == 3 || orientation == 4);
  const bool mirrored_columns =
      transposed ? (orientation == 7 || orientation == 8) : (orientation == 2 || orientation == 3);
  for (std::int64_t y = 0; y < h; ++y) {
    for (std::int64_t x = 0; x < w; ++x) {
      std::int64_t from_y = transposed ? x : y;
      std::int64_t from_x = transposed ? y : x;
      if (mirrored_rows) from_y = in.height - 1 - from_y;
      if (mirrored_columns) from_x = in.width - 1 - from_x;
      std::memcpy(out.pixels.data() + (y * w + x) * c, in.pixels.data() + (from_y * in.width + from_x) * c,
                  static_cast<std::size_t>(c));
    }
  }
}

std::int64_t decoding_bytes(std::int64_t height, std::int64_t width) {
  // Three bytes a pixel for the result; progressive files keep three coefficients of two bytes besides.
  return height * width * 9 + (std::int64_t{256} << 10);
}

}  // namespace snug
