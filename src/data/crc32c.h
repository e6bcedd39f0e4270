// CRC-32C (Castagnoli): by the processor's own instruction where it has one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace snug {

[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes);

}  // namespace snug
