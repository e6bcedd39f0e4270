#include "data/array.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <system_error>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"

namespace snug {

namespace {

namespace fs = std::filesystem;

/// The entry of the folder that the missing file's name may be a typo of.
std::optional<std::string> nearest_neighbour(const fs::path& path) {
  constexpr std::size_t kEntries = 10'000;  // a folder of a million pictures is not worth the wait
  std::vector<std::string> names;
  std::error_code error;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end && names.size() < kEntries;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::ranges::sort(names);
  const std::string wanted = path.filename().string();
  // The same file, packed or unpacked, before any other near name.
  const std::string twin = wanted.ends_with(".gz") ? wanted.substr(0, wanted.size() - 3) : wanted + ".gz";
  if (std::ranges::binary_search(names, twin)) return twin;
  return nearest(wanted, names);
}

Diagnostic missing_file(const std::string& path, FileUse use) {
  const std::string key = use == FileUse::labels ? "labels" : "images";
  const fs::path folder = fs::path(path).parent_path();
  std::error_code error;
  if (!folder.empty() && !fs::is_directory(folder, error)) {
    if (fs::exists(folder, error)) {
      return data_finding(use, DataFault::missing, folder.string(),
                          fmt::format("{} is a file, and a folder is expected", brief_name(folder.string())),
                          fmt::format("--data-root {}   # the folder that paths of the config start from",
                                      folder.has_parent_path() ? folder.parent_path().string() : "."));
    }
    const auto sibling = nearest_neighbour(folder);
    return data_finding(use, DataFault::missing, folder.string(),
                        fmt::format("the folder {} does not exist{}", shorten(folder.string(), 60),
                                    sibling ? fmt::format("; did you mean {}?", shorten(*sibling, 40)) : ""),
                        fmt::format("--data-root {}   # the folder that paths of the config start from",
                                    sibling ? (folder.parent_path() / *sibling).string() : "FOLDER"));
  }
  const auto near = nearest_neighbour(path);
  const std::string what = fmt::format("{} is not there{}", brief_name(path),
                                       near ? fmt::format("; the folder has {}", brief_name(*near)) : "");
  return data_finding(use, DataFault::missing, path, what,
                      near ? fmt::format("{} = \"{}\"", key, *near)
                           : fmt::format("ls {}   # and correct the path", folder.empty() ? "." : folder.string()));
}

}  // namespace

std::optional<FileBytes> open_file(const std::string& path, FileUse use, Findings& findings) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    // Also when the folder may not be searched: the system's word then tells more than "not there".
    if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory) {
      findings.push_back(data_finding(use, DataFault::unreadable, path,
                                      fmt::format("{} cannot be opened: {}", brief_name(path), error.message()),
                                      fmt::format("ls -ld {}", path)));
    } else {
      findings.push_back(missing_file(path, use));
    }
    return std::nullopt;
  }
  if (!fs::is_regular_file(status)) {
    const bool folder = fs::is_directory(status);
    findings.push_back(data_finding(
        use, DataFault::unreadable, path,
        fmt::format("{} is {}, and a file is expected", brief_name(path), folder ? "a folder" : "no regular file"),
        fmt::format("{} = \"{}/FILE\"", use == FileUse::labels ? "labels" : "images", path)));
    return std::nullopt;
  }
  try {
    auto file = std::make_shared<MappedFile>(path);
    const auto bytes = file->bytes();
    return FileBytes{.path = path, .owner = std::move(file), .bytes = bytes, .mapped = true};
  } catch (const std::system_error& refused) {
    findings.push_back(data_finding(use, DataFault::unreadable, path,
                                    fmt::format("{} cannot be read: {}", brief_name(path), refused.code().message()),
                                    fmt::format("chmod u+r {}", path)));
    return std::nullopt;
  }
}

Half::operator float() const {
  const int sign = (bits & 0x8000U) != 0 ? -1 : 1;
  const int exponent = (bits >> 10) & 0x1F;
  const int fraction = bits & 0x3FF;
  if (exponent == 0x1F) {
    if (fraction != 0) return std::numeric_limits<float>::quiet_NaN();
    return static_cast<float>(sign) * std::numeric_limits<float>::infinity();
  }
  const int significand = exponent == 0 ? fraction : fraction | 0x400;
  return static_cast<float>(sign) * std::ldexp(static_cast<float>(significand), std::max(exponent, 1) - 25);
}

std::int64_t size_bytes(Element element) {
  return visit_element(element, [](auto value) { return static_cast<std::int64_t>(sizeof(value)); });
}

std::string_view to_string(Element element) {
  switch (element) {
    case Element::boolean: return "bool";
    case Element::i8: return "int8";
    case Element::i16: return "int16";
    case Element::i32: return "int32";
    case Element::i64: return "int64";
    case Element::u8: return "uint8";
    case Element::u16: return "uint16";
    case Element::u32: return "uint32";
    case Element::u64: return "uint64";
    case Element::f16: return "float16";
    case Element::f32: return "float32";
    case Element::f64: return "float64";
  }
  return "?";
}

bool is_floating(Element element) {
  return element == Element::f16 || element == Element::f32 || element == Element::f64;
}

double integer_max(Element element) {
  if (element == Element::boolean) return 1;
  return visit_element(element, [](auto value) -> double {
    if constexpr (std::is_integral_v<decltype(value)>) {
      return static_cast<double>(std::numeric_limits<decltype(value)>::max());
    } else {
      return 0;
    }
  });
}

std::vector<std::int64_t> Array::strides() const {
  std::vector<std::int64_t> result(extents.size(), 1);
  const std::size_t rank = extents.size();
  if (fortran_order) {
    for (std::size_t axis = 1; axis < rank; ++axis) result[axis] = result[axis - 1] * extents[axis - 1];
  } else {
    for (std::size_t axis = rank; axis-- > 1;) result[axis - 1] = result[axis] * extents[axis];
  }
  return result;
}

std::optional<std::int64_t> payload_bytes(std::span<const std::int64_t> extents, Element element) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 62;
  std::int64_t bytes = size_bytes(element);
  bool empty = false;
  for (const std::int64_t extent : extents) {
    if (extent < 0) return std::nullopt;
    if (extent == 0) {
      empty = true;
      continue;
    }
    if (bytes > kLimit / extent) return std::nullopt;
    bytes *= extent;
  }
  return empty ? 0 : bytes;
}

float float_at(const Array& array, std::int64_t index) {
  return visit_element(array.element, [&](auto kind) {
    using T = decltype(kind);
    return static_cast<float>(
        load<T>(array.data.data() + index * static_cast<std::int64_t>(sizeof(T)), array.big_endian));
  });
}

std::int64_t integer_at(const Array& array, std::int64_t index) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 62;
  return visit_element(array.element, [&](auto kind) -> std::int64_t {
    using T = decltype(kind);
    if constexpr (std::is_integral_v<T>) {
      const T value = load<T>(array.data.data() + index * static_cast<std::int64_t>(sizeof(T)), array.big_endian);
      if constexpr (sizeof(T) == 8) {
        if (std::cmp_greater(value, kLimit)) return kLimit;
        if (std::cmp_less(value, -kLimit)) return -kLimit;
      }
      return static_cast<std::int64_t>(value);
    } else {
      fail("integer_at on floats", __FILE__, __LINE__);
    }
  });
}

}  // namespace snug
