// Pictures in files: JPEG and PNG as 8-bit gray or RGB. What a file holds besides is converted, and said.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace snug {

/// What was done to a picture to make 8-bit gray or RGB of it; each is counted and told once a data set.
enum class PictureKind : std::uint8_t { plain, gray, cmyk, palette, deep, alpha, turned, mended, count };
inline constexpr std::size_t kPictureKinds = static_cast<std::size_t>(PictureKind::count);
/// "CMYK, converted to RGB": for a sentence that begins with a number of pictures.
[[nodiscard]] std::string_view to_string(PictureKind kind);

struct PictureFacts {
  std::int64_t height = 0, width = 0;  ///< as it is seen: after the orientation
  int channels = 0;                    ///< 1 or 3, as decoded
  int orientation = 1;                 ///< EXIF's, 1 to 8
  std::array<bool, kPictureKinds> kinds{};
};

/// Pixels, rows from the top, channels last.
struct Picture {
  std::int64_t height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> pixels;
  void reshape(std::int64_t h, std::int64_t w, std::int64_t c);
};

/// Reads a file's header. False, and the reason in `problem`, for what is no JPEG or PNG, is damaged, or has more
/// pixels than are read.
[[nodiscard]] bool read_facts(std::span<const std::byte> file, PictureFacts& facts, std::string& problem);

/// Whether the last bytes of a file are those that end a JPEG or PNG: hardly any file that was cut short ends so.
[[nodiscard]] bool ends_as_picture(std::span<const std::byte> end);

/// Decodes the pixels as they lie in the file (the orientation is not applied). A JPEG is made smaller by 2, 4 or 8 on
/// the way as long as both sides stay at least `least_height` and `least_width` (as they lie in the file; 0: whole).
/// A stream that is cut or damaged is refused; nothing is made up.
[[nodiscard]] bool decode_picture(std::span<const std::byte> file, std::int64_t least_height, std::int64_t least_width,
                                  Picture& out, PictureFacts& facts, std::string& problem);

/// Turns and mirrors pixels by EXIF's orientation into `out`, which is another buffer.
void orient(const Picture& in, int orientation, Picture& out);

/// The orientation in a block of EXIF (beginning with the TIFF header); 1 when there is none that counts.
[[nodiscard]] int exif_orientation(std::span<const std::byte> tiff);

inline constexpr std::int64_t kMostPicturePixels = 178'956'970;  ///< what other readers stop at, too
/// Memory that decoding a picture of these extents takes at most, the library's own included.
[[nodiscard]] std::int64_t decoding_bytes(std::int64_t height, std::int64_t width);

// The formats, for picture.cpp.
[[nodiscard]] bool is_jpeg(std::span<const std::byte> file);
[[nodiscard]] bool is_png(std::span<const std::byte> file);
bool read_jpeg(std::span<const std::byte> file, bool pixels, std::int64_t least_height, std::int64_t least_width,
               Picture& out, PictureFacts& facts, std::string& problem);
bool read_png(std::span<const std::byte> file, bool pixels, Picture& out, PictureFacts& facts, std::string& problem);

/// A PNG of gray or RGB pixels.
[[nodiscard]] std::vector<std::byte> encode_png(const Picture& picture);

}  // namespace snug
