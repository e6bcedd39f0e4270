// PNG through libpng, both ways. Its errors jump: no object with a destructor lives between setjmp and the calls.
#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <png.h>

#include <fmt/format.h>

#include "base/ensure.h"
#include "base/text.h"
#include "data/picture.h"

namespace snug {

namespace {

struct Message {
  char text[128] = "";
};

[[noreturn]] void on_error(png_structp png, png_const_charp text) {
  auto* message = static_cast<Message*>(png_get_error_ptr(png));
  std::snprintf(message->text, sizeof(message->text), "%s", text);
  png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}

struct Source {
  std::span<const std::byte> rest;
};
void take(png_structp png, png_bytep out, std::size_t count) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (count > source->rest.size()) png_error(png, "the file is cut: it ends within the picture");
  std::memcpy(out, source->rest.data(), count);
  source->rest = source->rest.subspan(count);
}

class PngDecoder {
 public:
  explicit PngDecoder(std::span<const std::byte> file) : source_{file} {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &message_, on_error, on_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    ensure(png_ != nullptr && info_ != nullptr, "libpng is ready");
  }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;
  ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }

  bool header() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_read_fn(png_, &source_, take);
    png_set_user_limits(png_, 1 << 24, 1 << 24);
    png_set_chunk_malloc_max(png_, 8U << 20);
    png_set_chunk_cache_max(png_, 128);
    png_read_info(png_, info_);
    return true;
  }
  /// 8-bit gray or RGB from here on.
  bool convert() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_expand(png_);
    png_set_scale_16(png_);
    png_set_strip_alpha(png_);
    (void)png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }
  bool rows(png_bytep* rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_image(png_, rows);
    png_read_end(png_, info_);
    return true;
  }
  [[nodiscard]] png_structp png() { return png_; }
  [[nodiscard]] png_infop info() { return info_; }
  [[nodiscard]] std::string message() const { return message_.text; }

 private:
  Source source_;
  Message message_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

void describe(PngDecoder& decoder, PictureFacts& facts) {
  png_structp png = decoder.png();
  png_infop info = decoder.info();
  const auto set = [&facts](PictureKind kind) { facts.kinds[static_cast<std::size_t>(kind)] = true; };
  const int type = png_get_color_type(png, info);
  facts.height = png_get_image_height(png, info);
  facts.width = png_get_image_width(png, info);
  facts.channels = (type & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1;
  if (facts.channels == 1) set(PictureKind::gray);
  if ((type & PNG_COLOR_MASK_PALETTE) != 0) set(PictureKind::palette);
  if (png_get_bit_depth(png, info) == 16) set(PictureKind::deep);
  if ((type & PNG_COLOR_MASK_ALPHA) != 0 || png_get_valid(png, info, PNG_INFO_tRNS) != 0) set(PictureKind::alpha);
  png_uint_32 size = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(png, info, &size, &exif) != 0 && exif != nullptr) {
    facts.orientation = exif_orientation({reinterpret_cast<const std::byte*>(exif), size});
  }
  if (facts.orientation != 1) set(PictureKind::turned);
  if (facts.orientation >= 5) std::swap(facts.height, facts.width);
}

void append(png_structp png, png_bytep data, std::size_t count) {
  auto* out = static_cast<std::vector<std::byte>*>(png_get_io_ptr(png));
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  out->insert(out->end(), bytes, bytes + count);
}

}  // namespace

bool is_png(std::span<const std::byte> file) {
  return file.size() >= 8 && png_sig_cmp(reinterpret_cast<png_const_bytep>(file.data()), 0, 8) == 0;
}

bool read_png(std::span<const std::byte> file, bool pixels, Picture& out, PictureFacts& facts, std::string& problem) {
  PngDecoder decoder(file);
  const auto failed = [&] {
    problem = decoder.message();
    return false;
  };
  if (!decoder.header()) return failed();
  const std::int64_t h = png_get_image_height(decoder.png(), decoder.info());
  const std::int64_t w = png_get_image_width(decoder.png(), decoder.info());
  // Deflate packs at most 1,032 bytes into one, and a row has at least a bit a pixel.
  const std::int64_t most = std::min(kMostPicturePixels, static_cast<std::int64_t>(file.size()) * 1032 * 8);
  if (h * w > most) {
    problem = fmt::format("{}×{} pixels: at most {} are read{}", h, w, format_count(most),
                          most < kMostPicturePixels ? " of a file of this size" : "");
    return false;
  }
  describe(decoder, facts);
  if (!pixels) return true;
  if (!decoder.convert()) return failed();
  const std::size_t row_bytes = png_get_rowbytes(decoder.png(), decoder.info());
  if (row_bytes != static_cast<std::size_t>(w * facts.channels)) {
    problem = fmt::format("its rows decode to {} bytes, {} pixels", row_bytes, w);
    return false;
  }
  out.reshape(h, w, facts.channels);
  std::vector<png_bytep> rows(static_cast<std::size_t>(h));
  for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = out.pixels.data() + y * row_bytes;
  return decoder.rows(rows.data()) || failed();
}

std::vector<std::byte> encode_png(const Picture& picture) {
  std::vector<std::byte> out;
  Message message;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &message, on_error, on_warning);
  png_infop info = png != nullptr ? png_create_info_struct(png) : nullptr;
  ensure(png != nullptr && info != nullptr, "libpng is ready");
  std::vector<png_bytep> rows(static_cast<std::size_t>(picture.height));
  for (std::size_t y = 0; y < rows.size(); ++y) {
    rows[y] =
        const_cast<png_bytep>(picture.pixels.data()) + y * static_cast<std::size_t>(picture.width * picture.channels);
  }
  // Writing into memory has no errors of its own: a picture that libpng refuses is a fault of the caller.
  const bool good = setjmp(png_jmpbuf(png)) == 0;
  if (good) {
    png_set_write_fn(png, &out, append, nullptr);
    png_set_IHDR(png, info, static_cast<png_uint_32>(picture.width), static_cast<png_uint_32>(picture.height), 8,
                 picture.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    png_write_image(png, rows.data());
    png_write_end(png, info);
  }
  png_destroy_write_struct(&png, &info);
  ensure(good, "a picture can be written as PNG");
  return out;
}

}  // namespace snug
