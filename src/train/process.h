// What the system says about this process.
#pragma once

#include <cstdint>

namespace snug {

/// Peak resident memory since the process began; 0 where the system does not tell.
[[nodiscard]] std::int64_t peak_resident_bytes();
/// Resident memory now.
[[nodiscard]] std::int64_t resident_bytes();

}  // namespace snug
