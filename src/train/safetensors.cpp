#include "train/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <system_error>

#include "base/ensure.h"
#include "snug/diagnostic.h"
#include "train/safetensors_header.h"

namespace snug {

namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // of the format
constexpr std::uint64_t kMaxBytes = std::numeric_limits<std::int64_t>::max();

[[noreturn]] void reject(const std::string& where, std::string what) {
  throw Error(Diagnostic{.code = "D601",
                         .where = where,
                         .what = std::move(what),
                         .fix = "write or download the file again: it is not a whole safetensors file"});
}

/// The size of a type of the format in bytes; 0 when it is not known.
std::uint64_t dtype_bytes(std::string_view dtype) {
  struct Entry {
    std::string_view name;
    std::uint64_t bytes;
  };
  constexpr std::array kTypes{Entry{"F64", 8},     Entry{"I64", 8},     Entry{"U64", 8}, Entry{"F32", 4},
                              Entry{"I32", 4},     Entry{"U32", 4},     Entry{"F16", 2}, Entry{"BF16", 2},
                              Entry{"I16", 2},     Entry{"U16", 2},     Entry{"U8", 1},  Entry{"I8", 1},
                              Entry{"F8_E4M3", 1}, Entry{"F8_E5M2", 1}, Entry{"BOOL", 1}};
  const auto* entry = std::ranges::find(kTypes, dtype, &Entry::name);
  return entry == kTypes.end() ? 0 : entry->bytes;
}

/// Bytes that shape and type ask for; rejects what overflows.
std::uint64_t expected_bytes(const HeaderTensor& tensor, const std::string& where) {
  std::uint64_t bytes = dtype_bytes(tensor.dtype);
  if (bytes == 0)
    reject(where, fmt::format("tensor {} has type {}, which the format does not know", short_name(tensor.name),
                              short_name(tensor.dtype)));
  bool empty = false;
  for (const std::uint64_t extent : tensor.shape) {
    empty = empty || extent == 0;
    // Checked without the zeros too, so that no later product of extents can overflow.
    if (extent != 0 && (__builtin_mul_overflow(bytes, extent, &bytes) || bytes > kMaxBytes))
      reject(where,
             fmt::format("the shape of tensor {} overflows 63 bits at extent {}", short_name(tensor.name), extent));
  }
  return empty ? 0 : bytes;
}

/// Tensors must tile the data: no gap, no overlap, nothing behind the last.
void check_tiling(const std::vector<HeaderTensor>& tensors, std::uint64_t data_bytes, const std::string& where) {
  std::uint64_t end = 0;
  for (const HeaderTensor& tensor : tensors) {
    const std::string name = short_name(tensor.name);
    if (tensor.end < tensor.begin)
      reject(where, fmt::format("tensor {} ends at {} before it begins at {}", name, tensor.end, tensor.begin));
    const std::uint64_t expected = expected_bytes(tensor, where);
    if (tensor.end - tensor.begin != expected)
      reject(where, fmt::format("tensor {} holds {} bytes, its shape and type ask for {}", name,
                                tensor.end - tensor.begin, expected));
    if (tensor.begin < end)
      reject(where, fmt::format("tensor {} begins at {}, inside one that ends at {}", name, tensor.begin, end));
    if (tensor.begin > end)
      reject(where, fmt::format("tensor {} begins at {}, behind a gap from {}", name, tensor.begin, end));
    end = tensor.end;
  }
  if (end != data_bytes) reject(where, fmt::format("the tensors end at {}, the data has {} bytes", end, data_bytes));
}

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1FU;
  const std::uint32_t mantissa = half & 0x3FFU;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;  // subnormal
  return sign != 0 ? -magnitude : magnitude;
}

template <class Stored, class Convert>
void convert_floats(std::span<const std::byte> bytes, std::span<float> values, Convert convert) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    Stored stored;  // the data may lie at any address
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    values[i] = convert(stored);
  }
}

}  // namespace

std::int64_t SafeTensor::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

const SafeTensor* SafetensorsView::find(std::string_view name) const {
  const auto found = std::ranges::find(tensors, name, &SafeTensor::name);
  return found == tensors.end() ? nullptr : &*found;
}

SafetensorsView parse_safetensors(std::span<const std::byte> bytes, const std::string& where) {
  if (bytes.size() < kLengthBytes)
    reject(where, fmt::format("the file has {} bytes, the length of its header alone takes 8", bytes.size()));
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxHeaderBytes)
    reject(where, fmt::format("the header claims {} bytes, the format allows {}", length, kMaxHeaderBytes));
  if (length > bytes.size() - kLengthBytes)
    reject(where, fmt::format("the header claims {} bytes, the file has {} behind its length", length,
                              bytes.size() - kLengthBytes));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  if (text.empty() || text.front() != '{') reject(where, "the header does not begin with {");
  SafetensorsHeader header = parse_safetensors_header(text);
  if (!header.problem.empty()) reject(where, header.problem);

  const std::span<const std::byte> data = bytes.subspan(kLengthBytes + length);
  std::ranges::sort(header.tensors, {}, [](const HeaderTensor& t) { return std::pair(t.begin, t.end); });
  check_tiling(header.tensors, data.size(), where);
  SafetensorsView view{.tensors = {}, .metadata = std::move(header.metadata)};
  for (HeaderTensor& tensor : header.tensors) {
    view.tensors.push_back({.name = std::move(tensor.name),
                            .dtype = std::move(tensor.dtype),
                            .shape = {tensor.shape.begin(), tensor.shape.end()},
                            .bytes = data.subspan(tensor.begin, tensor.end - tensor.begin)});
  }
  return view;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) {
  try {
    file_ = MappedFile(path);
  } catch (const std::system_error& error) {
    throw Error(Diagnostic{.code = "C601",
                           .where = path.string(),
                           .what = fmt::format("the file cannot be read: {}", error.code().message()),
                           .fix = "name a .safetensors file or a run folder that exists"});
  }
  view_ = parse_safetensors(file_.bytes(), path.string());
}

bool is_floating(const SafeTensor& tensor) {
  return tensor.dtype == "F32" || tensor.dtype == "F64" || tensor.dtype == "F16" || tensor.dtype == "BF16";
}

void read_floats(const SafeTensor& tensor, std::span<float> values) {
  ensure(is_floating(tensor), "only floating tensors are read as floats");
  ensure(static_cast<std::int64_t>(values.size()) == tensor.elements(), "a tensor is read into its own size");
  if (tensor.dtype == "F32") {
    convert_floats<float>(tensor.bytes, values, [](float v) { return v; });
  } else if (tensor.dtype == "F64") {
    convert_floats<double>(tensor.bytes, values, [](double v) { return static_cast<float>(v); });
  } else if (tensor.dtype == "BF16") {
    convert_floats<std::uint16_t>(tensor.bytes, values,
                                  [](std::uint16_t v) { return std::bit_cast<float>(std::uint32_t{v} << 16); });
  } else {
    convert_floats<std::uint16_t>(tensor.bytes, values, half_to_float);
  }
}

}  // namespace snug
