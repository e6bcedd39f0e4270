// JPEG through libjpeg(-turbo). Its errors jump: no object with a destructor lives between setjmp and the calls.
#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <jpeglib.h>
// jerror.h wants jpeglib.h before it.
#include <jerror.h>

#include <fmt/format.h>

#include "base/text.h"
#include "data/picture.h"

namespace snug {

namespace {

constexpr int kMostScans = 200;  // a progressive file has about ten; thousands of empty ones would cost hours
constexpr std::int64_t kMostMemory = std::int64_t{2} << 30;

struct JumpingErrors {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

struct ScanLimit {
  jpeg_progress_mgr base;
};

[[noreturn]] void jump_out(j_common_ptr info) {
  auto* errors = reinterpret_cast<JumpingErrors*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}

/// Warnings are counted, but for those about what pixels do not depend on. A stream that ends early is no warning: its
/// source says so.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR: return;
    default: ++info->err->num_warnings;
  }
}

void on_progress(j_common_ptr info) {
  const auto* decoder = reinterpret_cast<jpeg_decompress_struct*>(info);
  if (decoder->input_scan_number <= kMostScans) return;
  auto* errors = reinterpret_cast<JumpingErrors*>(info->err);
  std::snprintf(errors->message, sizeof(errors->message), "more than %d scans", kMostScans);
  std::longjmp(errors->jump, 1);
}

// A source in memory that ends where the file ends: the library's own would make up an end of image.
void start_source(j_decompress_ptr) {}
boolean no_more(j_decompress_ptr info) {
  auto* errors = reinterpret_cast<JumpingErrors*>(info->err);
  std::snprintf(errors->message, sizeof(errors->message), "the file is cut: it ends within the picture");
  std::longjmp(errors->jump, 1);
}
void skip_bytes(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  if (static_cast<std::size_t>(count) > info->src->bytes_in_buffer) (void)no_more(info);
  info->src->next_input_byte += count;
  info->src->bytes_in_buffer -= static_cast<std::size_t>(count);
}

int orientation_of(const jpeg_decompress_struct& info) {
  constexpr std::string_view kExif("Exif\0\0", 6);
  for (const jpeg_marker_struct* marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const std::span<const std::byte> data(reinterpret_cast<const std::byte*>(marker->data), marker->data_length);
    if (data.size() < kExif.size() || std::memcmp(data.data(), kExif.data(), kExif.size()) != 0) continue;
    if (const int orientation = exif_orientation(data.subspan(kExif.size())); orientation != 1) return orientation;
  }
  return 1;
}

/// The largest power of two that both sides may be divided by.
unsigned scale_of(const jpeg_decompress_struct& info, std::int64_t least_height, std::int64_t least_width) {
  if (least_height <= 0 || least_width <= 0) return 8;
  for (const unsigned eighths : {1U, 2U, 4U}) {
    const auto scaled = [eighths](JDIMENSION side) { return (static_cast<std::int64_t>(side) * eighths + 7) / 8; };
    if (scaled(info.image_height) >= least_height && scaled(info.image_width) >= least_width) return eighths;
  }
  return 8;
}

class JpegDecoder {
 public:
  explicit JpegDecoder(std::span<const std::byte> file) {
    std::memset(&info_, 0, sizeof(info_));
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = jump_out;
    errors_.base.emit_message = on_message;
    errors_.message[0] = '\0';
    source_.init_source = start_source;
    source_.fill_input_buffer = no_more;
    source_.skip_input_data = skip_bytes;
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.term_source = start_source;
    source_.next_input_byte = reinterpret_cast<const JOCTET*>(file.data());
    source_.bytes_in_buffer = file.size();
    progress_.base.progress_monitor = on_progress;
  }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;
  ~JpegDecoder() { jpeg_destroy_decompress(&info_); }

  /// Up to where the picture's extents are known.
  bool header() {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_create_decompress(&info_);
    info_.mem->max_memory_to_use = kMostMemory;
    info_.src = &source_;
    info_.progress = &progress_.base;
    jpeg_save_markers(&info_, JPEG_APP0 + 1, 0xFFFF);
    (void)jpeg_read_header(&info_, TRUE);
    return true;
  }
  bool start(unsigned eighths, J_COLOR_SPACE space) {
    if (setjmp(errors_.jump) != 0) return false;
    info_.scale_num = eighths;
    info_.scale_denom = 8;
    info_.out_color_space = space;
    (void)jpeg_start_decompress(&info_);
    return true;
  }
  /// All rows, `row_bytes` apart.
  bool rows(std::uint8_t* pixels, std::size_t row_bytes) {
    if (setjmp(errors_.jump) != 0) return false;
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = pixels + info_.output_scanline * row_bytes;
      (void)jpeg_read_scanlines(&info_, &row, 1);
    }
    return true;
  }
  [[nodiscard]] const jpeg_decompress_struct& info() const { return info_; }
  [[nodiscard]] std::string message() const { return errors_.message; }
  [[nodiscard]] bool warned() const { return errors_.base.num_warnings > 0; }

 private:
  jpeg_decompress_struct info_;
  JumpingErrors errors_{};
  jpeg_source_mgr source_{};
  ScanLimit progress_{};
};

/// Four inks, stored inverted as Adobe does: what is left of white under ink and black.
void cmyk_to_rgb(const std::uint8_t* in, std::int64_t pixels, std::uint8_t* out) {
  for (std::int64_t i = 0; i < pixels; ++i) {
    for (int c = 0; c < 3; ++c) {
      const int product = in[4 * i + c] * in[4 * i + 3] + 128;
      out[3 * i + c] = static_cast<std::uint8_t>((product + (product >> 8)) >> 8);
    }
  }
}

void describe(const jpeg_decompress_struct& info, PictureFacts& facts) {
  const auto set = [&facts](PictureKind kind) { facts.kinds[static_cast<std::size_t>(kind)] = true; };
  const bool gray = info.jpeg_color_space == JCS_GRAYSCALE;
  facts.orientation = orientation_of(info);
  facts.height = info.image_height;
  facts.width = info.image_width;
  if (facts.orientation >= 5) std::swap(facts.height, facts.width);
  facts.channels = gray ? 1 : 3;
  if (gray) set(PictureKind::gray);
  if (info.num_components == 4) set(PictureKind::cmyk);
  if (facts.orientation != 1) set(PictureKind::turned);
}

}  // namespace

bool is_jpeg(std::span<const std::byte> file) {
  return file.size() >= 3 && file[0] == std::byte{0xFF} && file[1] == std::byte{0xD8} && file[2] == std::byte{0xFF};
}

bool read_jpeg(std::span<const std::byte> file, bool pixels, std::int64_t least_height, std::int64_t least_width,
               Picture& out, PictureFacts& facts, std::string& problem) {
  JpegDecoder decoder(file);
  const auto failed = [&] {
    problem = decoder.message();
    return false;
  };
  if (!decoder.header()) return failed();
  const jpeg_decompress_struct& info = decoder.info();
  const std::int64_t count = std::int64_t{info.image_height} * info.image_width;
  if (count > kMostPicturePixels) {
    problem = fmt::format("{}×{} pixels: at most {} are read", info.image_height, info.image_width,
                          format_count(kMostPicturePixels));
    return false;
  }
  if (info.num_components != 1 && info.num_components != 3 && info.num_components != 4) {
    problem = fmt::format("{} color components; 1, 3 and 4 are read", info.num_components);
    return false;
  }
  describe(info, facts);
  if (!pixels) return true;
  const bool inks = info.num_components == 4;
  if (!decoder.start(scale_of(info, least_height, least_width), inks                  ? JCS_CMYK
                                                                : facts.channels == 1 ? JCS_GRAYSCALE
                                                                                      : JCS_RGB)) {
    return failed();
  }
  const std::int64_t h = info.output_height;
  const std::int64_t w = info.output_width;
  const std::int64_t components = info.output_components;
  if (components != (inks ? 4 : facts.channels)) {
    problem = fmt::format("it decodes to {} components", components);
    return false;
  }
  out.reshape(h, w, components);
  if (!decoder.rows(out.pixels.data(), static_cast<std::size_t>(w * components))) return failed();
  facts.kinds[static_cast<std::size_t>(PictureKind::mended)] = decoder.warned();
  if (inks) {
    cmyk_to_rgb(out.pixels.data(), h * w, out.pixels.data());  // in place: it writes behind where it reads
    out.reshape(h, w, 3);
  }
  return true;
}

}  // namespace snug
