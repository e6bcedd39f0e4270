// Any bytes are IDX files (plain or gzip) that can be trained on, or are refused with findings.
#include "array_input.h"

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  snug::fuzz::exercise_arrays(data, size, [](snug::FileBytes file, snug::FileUse use, snug::Findings& findings) {
    return snug::read_idx(std::move(file), use, findings);
  });
  return 0;
}
