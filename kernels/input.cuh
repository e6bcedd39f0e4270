// y = (x ÷ divisor − mean[c]) · inverse_std[c] for images as the loader leaves them, or as they lie in a data set that
// stays on the device.
#pragma once

#include "types.h"

namespace snug::kernels {

/// `bytes`: images are uint8, else float. `y` has `padded_channels` a pixel; those behind the image's become 0.
void normalize_input(bool bytes, Data data, float divisor, const void* images, const float* mean,
                     const float* inverse_std, void* y, std::int64_t pixels, int channels, int padded_channels,
                     Stream stream);

/// How an image of a data set is turned before it is moved; `kReflected`: what is beside it is mirrored there.
enum Turn : int { kMirrored = 1, kUpsideDown = 2, kReflected = 4 };

/// The images of y out of `images` [any, h, w, c]. `places` has four ints for each: its number, rows down, columns to
/// the right, and turns. Row r of y is row r + down of the turned image, columns likewise; what is beside it is 0.
void normalize_gathered(bool bytes, Data data, float divisor, const void* images, const int* places, const float* mean,
                        const float* inverse_std, void* y, const Images& shape, Stream stream);

}  // namespace snug::kernels
