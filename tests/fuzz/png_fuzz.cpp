// Any bytes are a PNG picture, or are refused with a reason.
#include "picture_input.h"

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  snug::fuzz::exercise_picture(data, size);
  return 0;
}
