// FNV-1a: names a text, and tells what was cut off or changed by accident.
#pragma once

#include <cstdint>
#include <string_view>

namespace snug {

[[nodiscard]] constexpr std::uint64_t checksum(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

}  // namespace snug
