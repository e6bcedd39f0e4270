// Any bytes as the state of a run; then as what a state says, with the right checksum around it.
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include <fmt/format.h>

#include "findings.h"
#include "train/state.h"

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  snug::expect_findings([&] { (void)snug::read_state(snug::parse_safetensors({bytes, size}, "fuzz"), "fuzz"); });
  snug::expect_findings([&] {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const auto crc = static_cast<std::uint32_t>(::crc32_z(0, data, size));
    const snug::SafetensorsView view{.tensors = {},
                                     .metadata = {{"snug.state_format", std::to_string(snug::kStateFormat)},
                                                  {"snug.state", text},
                                                  {"snug.crc32", fmt::format("{:08x}", crc)}}};
    const snug::TrainState state = snug::read_state(view, "fuzz");
    snug::require(state.step >= 0 && state.batch > 0 && state.log_bytes >= 0 && state.events.bytes >= 0);
  });
  return 0;
}
