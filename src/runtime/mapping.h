#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace snug {

/// Owns anonymous memory: zeroed, aligned to 4 KiB (large ones to 2 MiB), every page present.
class Mapping {
 public:
  Mapping() = default;
  /// Throws Error of family M, which names `purpose`, when the system refuses. 0 bytes map nothing.
  Mapping(std::int64_t bytes, std::string_view purpose);
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();
  [[nodiscard]] std::byte* data() const { return bytes_.data(); }
  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
  /// What the system gave: whole pages.
  [[nodiscard]] std::int64_t mapped_bytes() const;

 private:
  std::span<std::byte> bytes_;
};

}  // namespace snug
