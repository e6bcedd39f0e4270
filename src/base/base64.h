// Bytes as text that may stand in JSON and in a page's addresses (RFC 4648, with padding).
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace snug {

[[nodiscard]] std::string base64(std::span<const std::byte> bytes);

}  // namespace snug
