#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "backend/device.h"
#include "runtime/mapping.h"
#include "snug/diagnostic.h"

namespace snug {

/// The memory of one arena, zeroed: of this process, or of a device.
class ArenaMemory {
 public:
  ArenaMemory() = default;
  enum class Kind : std::uint8_t {
    device,
    host,  ///< of this process, which the device reads and writes directly
  };
  /// `device` null: this process. Throws Error of family M, which names `purpose`, when there is not so much.
  ArenaMemory(std::int64_t bytes, std::string_view purpose, const std::shared_ptr<Device>& device,
              Kind kind = Kind::device);
  ArenaMemory(ArenaMemory&& other) noexcept;
  ArenaMemory& operator=(ArenaMemory&& other) noexcept;
  ArenaMemory(const ArenaMemory&) = delete;
  ArenaMemory& operator=(const ArenaMemory&) = delete;
  ~ArenaMemory();

  [[nodiscard]] std::byte* data() const { return device_ != nullptr ? memory_ : host_.data(); }
  [[nodiscard]] std::int64_t size() const { return bytes_; }
  /// What was taken of the system or the device.
  [[nodiscard]] std::int64_t taken_bytes() const { return device_ != nullptr ? taken_ : host_.mapped_bytes(); }
  /// Sets every byte of a part.
  void fill(std::byte* at, std::uint8_t value, std::int64_t bytes) const;

 private:
  [[nodiscard]] Error refused_by_device(std::string_view purpose, std::int64_t bytes,
                                        const DeviceFailure& failure) const;
  [[nodiscard]] static Error refused_by_host(std::string_view purpose, std::int64_t bytes,
                                             const DeviceFailure& failure);

  std::shared_ptr<Device> device_;
  Kind kind_ = Kind::device;
  std::byte* memory_ = nullptr;
  std::int64_t bytes_ = 0, taken_ = 0;
  Mapping host_;
};

}  // namespace snug
