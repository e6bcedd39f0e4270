// Strict reading of numbers, sizes for people, and "did you mean".
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace snug {

/// The whole of `text` as a number; nothing for trailing junk, overflow or an empty string.
[[nodiscard]] std::optional<std::int64_t> parse_integer(std::string_view text);
[[nodiscard]] std::optional<double> parse_number(std::string_view text);

/// "20GiB", "512 MiB", "64KiB", "1000" (bytes), also KB/MB/GB (powers of 1000); never negative.
[[nodiscard]] std::optional<std::int64_t> parse_size_bytes(std::string_view text);

/// "1.5 GiB", "312 MiB", "17 B": three significant digits.
[[nodiscard]] std::string format_bytes(std::int64_t bytes);
/// "11,173,962".
[[nodiscard]] std::string format_count(std::int64_t count);
/// "2 h 05 min", "3 min 12 s", "4.1 s".
[[nodiscard]] std::string format_seconds(double seconds);

/// `text` with '?' for control characters: they would break the line that it stands in.
[[nodiscard]] std::string printable(std::string text);

/// The candidate nearest to `word` by edit distance, if it is near enough to be a typo of it.
[[nodiscard]] std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace snug
