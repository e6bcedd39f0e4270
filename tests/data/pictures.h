// Pictures as files, made for a test.
#pragma once

#include <csetjmp>
#include <cstdio>
#include <string>
#include <vector>

#include <jpeglib.h>

#include "data/files.h"
#include "data/picture.h"

namespace snug {

/// A picture by a rule that other programs can repeat.
inline Picture generated(std::int64_t height, std::int64_t width, std::int64_t channels = 3) {
  Picture picture;
  picture.reshape(height, width, channels);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const std::int64_t values[] = {x * 7 + y * 3, x * y, x * x + y * 5};
      for (std::int64_t c = 0; c < channels; ++c)
        picture.pixels[static_cast<std::size_t>((y * width + x) * channels + c)] = static_cast<std::uint8_t>(values[c]);
    }
  }
  return picture;
}

/// One color; JPEG keeps it nearly exactly.
inline Picture plain(std::int64_t height, std::int64_t width, std::vector<std::uint8_t> color) {
  Picture picture;
  picture.reshape(height, width, std::ssize(color));
  for (std::size_t i = 0; i < picture.pixels.size(); ++i) picture.pixels[i] = color[i % color.size()];
  return picture;
}

inline std::string png(const Picture& picture) {
  const std::vector<std::byte> bytes = encode_png(picture);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// `orientation` > 0 writes an EXIF block.
inline std::string jpeg(const Picture& picture, int quality = 95, int orientation = 0) {
  jpeg_compress_struct info;
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &out, &size);
  info.image_height = static_cast<JDIMENSION>(picture.height);
  info.image_width = static_cast<JDIMENSION>(picture.width);
  info.input_components = static_cast<int>(picture.channels);
  info.in_color_space = picture.channels == 1 ? JCS_GRAYSCALE : picture.channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  jpeg_start_compress(&info, TRUE);
  if (orientation > 0) {
    const std::string exif = std::string("Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 24) +
                             static_cast<char>(orientation) + std::string(7, '\0');
    jpeg_write_marker(&info, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(exif.data()),
                      static_cast<unsigned>(exif.size()));
  }
  while (info.next_scanline < info.image_height) {
    auto* row =
        const_cast<JSAMPROW>(picture.pixels.data()) +
        static_cast<std::size_t>(info.next_scanline) * static_cast<std::size_t>(picture.width * picture.channels);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string bytes(reinterpret_cast<const char*>(out), size);
  std::free(out);
  return bytes;
}

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace snug
