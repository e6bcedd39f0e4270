// y = (x ÷ divisor − mean[c]) · inverse_std[c] for images as the loader leaves them.
#pragma once

#include "types.h"

namespace snug::kernels {

/// `bytes`: images are uint8, else float. `y` has `padded_channels` a pixel; those behind the image's become 0.
void normalize_input(bool bytes, Data data, float divisor, const void* images, const float* mean,
                     const float* inverse_std, void* y, std::int64_t pixels, int channels, int padded_channels,
                     Stream stream);

}  // namespace snug::kernels
