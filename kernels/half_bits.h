// The bits of 16-bit floating numbers, rounded to nearest even: what the host hands to kernels as a value.
#pragma once

#include <bit>
#include <cstdint>

namespace snug::kernels {

[[nodiscard]] constexpr std::uint16_t to_bf16_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (value != value) return 0x7FFF;
  return static_cast<std::uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

[[nodiscard]] constexpr std::uint16_t to_half_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000U, magnitude = bits & 0x7FFF'FFFFU;
  if (magnitude > 0x7F80'0000U) return 0x7FFF;
  if (magnitude >= 0x477F'F000U) return static_cast<std::uint16_t>(sign | 0x7C00U);  // 65,520 rounds to infinity
  if (magnitude >= 0x3880'0000U)                                                     // 2^-14: normal
    return static_cast<std::uint16_t>(sign | (magnitude - 0x3800'0000U + 0xFFFU + (magnitude >> 13 & 1U)) >> 13);
  // 2^23 · 2^-24: adding ½ makes the processor round to a multiple of 2^-24.
  const float rounded = std::bit_cast<float>(magnitude) + 0.5F;
  return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(rounded) - 0x3F00'0000U));
}

}  // namespace snug::kernels
