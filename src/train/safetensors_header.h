// The JSON header of a safetensors file, read as a stream: what has no place in it ends the reading.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "train/safetensors.h"

namespace snug {

struct HeaderTensor {
  std::string name, dtype;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0, end = 0;  ///< data_offsets: half-open
};

struct SafetensorsHeader {
  std::vector<HeaderTensor> tensors;  ///< as written
  Metadata metadata;
  std::string problem;  ///< what broke the rules; empty when sound
};

[[nodiscard]] SafetensorsHeader parse_safetensors_header(std::string_view text);

/// A name of a file in a message: at most 48 bytes of it, in quotes.
[[nodiscard]] std::string short_name(std::string_view name);

}  // namespace snug
