#include "report/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

namespace snug {

std::string npy_header(std::string_view descr, std::span<const std::int64_t> shape) {
  constexpr std::size_t kAlignment = 64;  // the format asks that the data begin at a multiple of it
  constexpr std::size_t kPreamble = 10;   // magic, version, length
  std::string dict = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", descr,
                                 fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  const std::size_t unpadded = kPreamble + dict.size() + 1;
  dict.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  dict += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dict.size() & 0xFF);
  header += static_cast<char>(dict.size() >> 8);
  return header + dict;
}

void write_npy(AtomicFile& file, std::span<const float> values, std::int64_t rows, std::int64_t columns) {
  file.write(npy_header("<f4", std::array{rows, columns}));
  file.write(std::as_bytes(values));
}

}  // namespace snug
