// Any text as what a checkpoint says of itself: a finding, or numbers that can be computed with.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "findings.h"
#include "train/checkpoint.h"

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  snug::expect_findings([&] {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const snug::Metadata metadata{{"snug.format", std::to_string(snug::kCheckpointFormat)},
                                  {"snug.config", "name = \"fuzz\""},
                                  {"snug.info", text}};
    const snug::CheckpointInfo info = snug::checkpoint_info(metadata, "fuzz");
    snug::require(info.batch > 0 && info.step >= 0 && info.epoch >= 0);
    snug::require(std::isfinite(info.scaling.divisor) && info.scaling.mean.size() == info.scaling.inverse_std.size());
    const snug::CheckpointInfo again = snug::checkpoint_info(snug::to_metadata(info), "fuzz");
    snug::require(again.step == info.step && again.scaling.mean == info.scaling.mean);
  });
  return 0;
}
