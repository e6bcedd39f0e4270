// Convolutions and products as the definition has them, in double: what stands for cuDNN on the emulated device.
#pragma once

#include <memory>

#include "backend/cuda/product_library.h"

namespace snug::test {

/// Overwrites all of the scratch that it was given.
[[nodiscard]] std::shared_ptr<ProductLibrary> make_plain_products();

}  // namespace snug::test
