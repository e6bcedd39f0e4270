// Resampling as picture programs do it: a triangle (bilinear) or a cubic, widened when the result is smaller, so that
// every pixel of the source counts (antialias).
#pragma once

#include <cstdint>
#include <vector>

namespace snug {

enum class ResizeFilter { bilinear, bicubic };

/// A part of a picture in its pixels; corners need not lie between pixels.
struct Box {
  double top = 0, left = 0, height = 0, width = 0;
};

/// Buffers that are kept from picture to picture.
struct ResizeScratch {
  struct Weights {
    std::vector<int> first;            ///< of each place of the result: the first source place
    std::vector<int> count;            ///< and how many
    std::vector<std::int32_t> values;  ///< `most` of each place, in 2^-22
    int most = 0;
    std::vector<std::int16_t> halves;  ///< the same weights cut in two, in groups of four: high parts, low parts
    int groups = 0;                    ///< of each place
  };
  Weights rows, columns;
  std::vector<std::uint8_t> middle;
  std::vector<std::int32_t> sums;
  std::vector<float> middle_floats;
};

/// The box of an image [height, width, channels] as an image [out_height, out_width, channels]. Bytes are summed in
/// integers: the same bits on every machine.
void resize_box(const std::uint8_t* in, std::int64_t height, std::int64_t width, std::int64_t channels, const Box& box,
                ResizeFilter filter, std::uint8_t* out, std::int64_t out_height, std::int64_t out_width,
                ResizeScratch& scratch);
void resize_box(const float* in, std::int64_t height, std::int64_t width, std::int64_t channels, const Box& box,
                ResizeFilter filter, float* out, std::int64_t out_height, std::int64_t out_width,
                ResizeScratch& scratch);

}  // namespace snug
