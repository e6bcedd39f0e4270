// NumPy files, for what other programs go on with.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"

namespace snug {

/// The head of an .npy file (format 1.0, C order) with elements of `descr` ("<f4", "|u1", "<i8").
[[nodiscard]] std::string npy_header(std::string_view descr, std::span<const std::int64_t> shape);

/// Writes [rows, columns] fp32; the caller commits. Throws std::system_error.
void write_npy(AtomicFile& file, std::span<const float> values, std::int64_t rows, std::int64_t columns);

}  // namespace snug
