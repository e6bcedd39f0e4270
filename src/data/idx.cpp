// IDX, the format of MNIST: 00 00, the element's type, the number of axes, the extents as big-endian u32, the elements.
#include <array>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "data/array.h"
#include "data/gzip.h"

namespace snug {

namespace {

constexpr std::size_t kMagicBytes = 4;
constexpr std::int64_t kDeflateRatio = 1032;  // deflate cannot shrink further than 258 bytes in two bits

struct Header {
  Element element = Element::u8;
  std::vector<std::int64_t> extents;
  std::int64_t payload = 0;
  std::int64_t size = 0;  ///< its own bytes
};

std::optional<Element> element_of(std::byte code) {
  switch (std::to_integer<int>(code)) {
    case 0x08: return Element::u8;
    case 0x09: return Element::i8;
    case 0x0B: return Element::i16;
    case 0x0C: return Element::i32;
    case 0x0D: return Element::f32;
    case 0x0E: return Element::f64;
    default: return std::nullopt;
  }
}

Diagnostic not_idx(const FileBytes& file, FileUse use, std::span<const std::byte> start) {
  const std::string kind = describe_content(is_gzip(file.bytes) ? start : file.bytes);
  std::string found = "nothing";
  if (start.size() >= kMagicBytes) {
    found = fmt::format("{:02x} {:02x} {:02x} {:02x}", start[0], start[1], start[2], start[3]);
  } else if (!start.empty()) {
    found = fmt::format("{} bytes", start.size());
  }
  const std::string fix = kind == "a NumPy array"   ? "format = \"numpy\""
                          : kind == "a web page"    ? fmt::format("rm {}   # and download the file itself", file.path)
                          : kind == "a zip archive" ? fmt::format("unzip {}", file.path)
                                                    : fmt::format("file {}   # and name an IDX file", file.path);
  return data_finding(use, DataFault::wrong_format, file.path,
                      fmt::format("{} is not IDX: it begins with {}{}; 00 00, a type (08 to 0e), the axes are expected",
                                  brief_name(file.path), found, kind.empty() ? "" : ", " + kind),
                      fix);
}

/// The header, from bytes that `take` hands out in order.
template <class Take>
std::optional<Header> read_header(const FileBytes& file, FileUse use, Take take, Findings& findings) {
  std::array<std::byte, kMagicBytes> magic{};
  const std::size_t got = take(std::span<std::byte>(magic));
  const auto element = element_of(magic[2]);
  if (got < kMagicBytes || magic[0] != std::byte{0} || magic[1] != std::byte{0} || !element) {
    findings.push_back(not_idx(file, use, std::span(magic).first(got)));
    return std::nullopt;
  }
  Header header{.element = *element};
  const int axes = std::to_integer<int>(magic[3]);
  for (int axis = 0; axis < axes; ++axis) {
    std::array<std::byte, 4> extent{};
    if (take(std::span<std::byte>(extent)) < extent.size()) {
      findings.push_back(data_finding(
          use, DataFault::size, file.path,
          fmt::format("{} names {} axes, and ends within the extent of axis {}", brief_name(file.path), axes, axis),
          fmt::format("rm {}   # and copy or download it again", file.path)));
      return std::nullopt;
    }
    header.extents.push_back(load<std::uint32_t>(extent.data(), true));
  }
  header.size = static_cast<std::int64_t>(kMagicBytes) + std::int64_t{4} * axes;
  const auto payload = payload_bytes(header.extents, header.element);
  if (!payload) {
    findings.push_back(
        data_finding(use, DataFault::extents, file.path,
                     fmt::format("{} claims {} elements of {}: more bytes than can be counted", brief_name(file.path),
                                 format_extents(header.extents), to_string(header.element)),
                     fmt::format("rm {}   # and copy or download it again", file.path)));
    return std::nullopt;
  }
  header.payload = *payload;
  return header;
}

Diagnostic wrong_size(const FileBytes& file, FileUse use, const Header& header, std::string_view actual) {
  return data_finding(use, DataFault::size, file.path,
                      fmt::format("{}: {} of {} need {} bytes with the header, the file has {}", brief_name(file.path),
                                  format_extents(header.extents), to_string(header.element),
                                  format_count(header.size + header.payload), actual),
                      fmt::format("rm {}   # and copy or download it again", file.path));
}

Diagnostic damaged(const FileBytes& file, FileUse use, std::string_view damage, std::string_view place) {
  return data_finding(use, DataFault::damaged, file.path,
                      fmt::format("{} is damaged {}: {}", brief_name(file.path), place, damage),
                      fmt::format("gzip -t {}   # and copy or download it again", file.path));
}

Array to_array(FileBytes file, Header header, std::span<const std::byte> data) {
  return {.file = std::move(file),
          .data = data,
          .element = header.element,
          .big_endian = true,
          .extents = std::move(header.extents)};
}

std::optional<Array> read_plain(FileBytes file, FileUse use, Findings& findings) {
  std::span<const std::byte> rest = file.bytes;
  const auto take = [&rest](std::span<std::byte> out) {
    const std::size_t count = std::min(out.size(), rest.size());
    std::ranges::copy(rest.first(count), out.begin());
    rest = rest.subspan(count);
    return count;
  };
  auto header = read_header(file, use, take, findings);
  if (!header) return std::nullopt;
  if (std::cmp_not_equal(rest.size(), header->payload)) {
    findings.push_back(wrong_size(file, use, *header, format_count(static_cast<std::int64_t>(file.bytes.size()))));
    return std::nullopt;
  }
  return to_array(std::move(file), std::move(*header), rest);
}

std::optional<Array> read_packed(FileBytes file, FileUse use, Findings& findings) {
  GzipReader reader(file.bytes);
  auto header = read_header(
      file, use, [&reader](std::span<std::byte> out) { return reader.read(out); }, findings);
  if (!header) {
    // Bytes that zlib could not inflate are the cause, the header only where it showed.
    if (!reader.damage().empty()) findings.back() = damaged(file, use, reader.damage(), "in its first bytes");
    return std::nullopt;
  }
  const auto packed = static_cast<std::int64_t>(file.bytes.size());
  if (header->payload / kDeflateRatio > packed) {
    findings.push_back(wrong_size(file, use, *header, fmt::format("{} packed, too few", format_count(packed))));
    return std::nullopt;
  }
  const auto size = static_cast<std::size_t>(header->payload);
  std::shared_ptr<std::byte[]> memory;
  try {
    memory = std::shared_ptr<std::byte[]>(new std::byte[size]);  // not touched before it is inflated
  } catch (const std::bad_alloc&) {
    throw Error(Diagnostic{
        "M101", Severity::error, file.path,
        fmt::format("{} holds {} inflated, more than can be had", brief_name(file.path), format_bytes(header->payload)),
        fmt::format("gunzip {}   # a plain file is read where it lies", file.path)});
  }
  const std::size_t got = reader.read({memory.get(), size});
  std::array<std::byte, 1> extra{};
  const bool longer = got == size && reader.read(extra) != 0;
  const std::int64_t inflated = header->size + static_cast<std::int64_t>(got);
  if (!reader.damage().empty()) {
    findings.push_back(damaged(
        file, use, reader.damage(),
        fmt::format("after {} of {} bytes", format_count(inflated), format_count(header->size + header->payload))));
    return std::nullopt;
  }
  if (longer || got < size) {
    findings.push_back(wrong_size(file, use, *header, longer ? "more" : format_count(inflated)));
    return std::nullopt;
  }
  const std::span<const std::byte> data(memory.get(), size);
  return to_array({.path = std::move(file.path), .owner = std::move(memory), .bytes = data, .mapped = false},
                  std::move(*header), data);
}

}  // namespace

std::optional<Array> read_idx(FileBytes file, FileUse use, Findings& findings) {
  return is_gzip(file.bytes) ? read_packed(std::move(file), use, findings) : read_plain(std::move(file), use, findings);
}

}  // namespace snug
