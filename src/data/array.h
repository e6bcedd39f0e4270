// An array in a file, as IDX and NumPy files hold it: extents, the type of its elements, and bytes that stay where
// they are until a sample is read.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ensure.h"
#include "data/findings.h"

namespace snug {

/// A data file's bytes: mapped, or in memory after inflation.
struct FileBytes {
  std::string path;
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
  bool mapped = true;  ///< else on the heap
};

/// Maps a file. A fault (missing, a folder, unreadable) is appended to `findings`, with the nearest name of the folder.
[[nodiscard]] std::optional<FileBytes> open_file(const std::string& path, FileUse use, Findings& findings);

/// IEEE binary16 as stored.
struct Half {
  std::uint16_t bits = 0;
  explicit operator float() const;
};

enum class Element : std::uint8_t { boolean, i8, i16, i32, i64, u8, u16, u32, u64, f16, f32, f64 };
[[nodiscard]] std::int64_t size_bytes(Element element);
[[nodiscard]] std::string_view to_string(Element element);  ///< NumPy's names: "uint8"
[[nodiscard]] bool is_floating(Element element);
[[nodiscard]] double integer_max(Element element);  ///< 255 for u8, 1 for booleans, 0 for floats

struct Array {
  FileBytes file;
  std::span<const std::byte> data;  ///< exactly the elements
  Element element = Element::u8;
  bool big_endian = false;
  bool fortran_order = false;
  std::vector<std::int64_t> extents;

  /// Elements between neighbours along an axis.
  [[nodiscard]] std::vector<std::int64_t> strides() const;
};

/// IDX, plain or gzip. The size must agree exactly. Nothing, and a finding, for everything else.
[[nodiscard]] std::optional<Array> read_idx(FileBytes file, FileUse use, Findings& findings);
/// NumPy .npy versions 1 to 3.
[[nodiscard]] std::optional<Array> read_npy(FileBytes file, FileUse use, Findings& findings);

/// An array of a zip archive of them: `name` as NumPy names it; empty: the only one. Stored ones stay in the file.
[[nodiscard]] std::optional<Array> read_npz(const FileBytes& file, std::string_view name, FileUse use,
                                            Findings& findings);
/// The names of its arrays, in the archive's order; nothing, and a finding, for what is no such archive.
[[nodiscard]] std::optional<std::vector<std::string>> npz_names(const FileBytes& file, Findings& findings);

/// Bytes of the elements, if the extents are not negative and the number is below 2^62.
[[nodiscard]] std::optional<std::int64_t> payload_bytes(std::span<const std::int64_t> extents, Element element);

/// Calls `use` with a value of the element's C++ type (bool stands as std::uint8_t).
template <class Use>
decltype(auto) visit_element(Element element, Use&& use) {
  switch (element) {
    case Element::boolean:
    case Element::u8: return use(std::uint8_t{});
    case Element::i8: return use(std::int8_t{});
    case Element::i16: return use(std::int16_t{});
    case Element::i32: return use(std::int32_t{});
    case Element::i64: return use(std::int64_t{});
    case Element::u16: return use(std::uint16_t{});
    case Element::u32: return use(std::uint32_t{});
    case Element::u64: return use(std::uint64_t{});
    case Element::f16: return use(Half{});
    case Element::f32: return use(float{});
    case Element::f64: return use(double{});
  }
  fail("an element type that does not exist", __FILE__, __LINE__);
}

/// One stored value, at any alignment.
template <class T>
[[nodiscard]] T load(const std::byte* place, bool big_endian) {
  static_assert(std::endian::native == std::endian::little);
  T value;
  if (!big_endian || sizeof(T) == 1) {
    std::memcpy(&value, place, sizeof(T));
    return value;
  }
  std::byte turned[sizeof(T)];
  for (std::size_t i = 0; i < sizeof(T); ++i) turned[i] = place[sizeof(T) - 1 - i];
  std::memcpy(&value, turned, sizeof(T));
  return value;
}

/// The element number `index` of the file's order, as a float, or as an integer held within ±2^62 (integer types only).
[[nodiscard]] float float_at(const Array& array, std::int64_t index);
[[nodiscard]] std::int64_t integer_at(const Array& array, std::int64_t index);

}  // namespace snug
