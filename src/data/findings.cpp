#include "data/findings.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"

namespace snug {

namespace {

constexpr std::size_t kWhatLimit = 160;  // the contract's limit of `what`
constexpr std::size_t kNameLimit = 40;   // leaves room for a sentence with two numbers

bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

Diagnostic finding(char family, DataFault fault, std::string where, std::string_view what, std::string fix) {
  return {.code = fmt::format("{}{}", family, static_cast<int>(fault)),
          .severity = Severity::error,
          .where = std::move(where),
          .what = shorten(what, kWhatLimit),
          .fix = std::move(fix)};
}

}  // namespace

Diagnostic data_finding(FileUse use, DataFault fault, std::string where, std::string_view what, std::string fix) {
  const bool file_itself = fault == DataFault::missing || fault == DataFault::unreadable;
  const char family = use == FileUse::labels && !file_itself ? 'L' : 'D';
  return finding(family, fault, std::move(where), what, std::move(fix));
}

Diagnostic data_note(DataFault fault, std::string where, std::string_view what, std::string fix) {
  Diagnostic note = finding('D', fault, std::move(where), what, std::move(fix));
  note.severity = Severity::note;
  return note;
}

bool is_missing_file(const Diagnostic& finding) {
  return finding.code == fmt::format("D{}", static_cast<int>(DataFault::missing));
}

Diagnostic unsupported_finding(std::string where, std::string_view what, std::string fix) {
  return finding('C', DataFault::unsupported, std::move(where), what, std::move(fix));
}

std::string shorten(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return std::string(text);
  static constexpr std::string_view kGap = "…";
  std::size_t head = (limit - kGap.size()) / 2;
  std::size_t tail = text.size() - (limit - kGap.size() - head);
  while (head > 0 && continues_character(text[head])) --head;
  while (tail < text.size() && continues_character(text[tail])) ++tail;
  return fmt::format("{}{}{}", text.substr(0, head), kGap, text.substr(tail));
}

std::string brief_name(const std::filesystem::path& path) {
  const std::string name = printable(path.filename().string());
  return shorten(name.empty() ? path.string() : name, kNameLimit);
}

std::string format_extents(std::span<const std::int64_t> extents) {
  if (extents.empty()) return "a single value";
  std::string text;
  for (const std::int64_t extent : extents) {
    if (!text.empty()) text += "×";
    text += format_count(extent);
  }
  return shorten(text, 60);
}

std::string describe_content(std::span<const std::byte> bytes) {
  struct Kind {
    std::string_view start, name;
  };
  static constexpr std::array kKinds{Kind{"\x93NUMPY", "a NumPy array"},
                                     Kind{"\x1f\x8b", "a gzip file"},
                                     Kind{"PK\x03\x04", "a zip archive"},
                                     Kind{"\x89PNG", "a PNG picture"},
                                     Kind{"\xff\xd8", "a JPEG picture"},
                                     Kind{"<!DOCTYPE", "a web page"},
                                     Kind{"<!doctype", "a web page"},
                                     Kind{"<html", "a web page"},
                                     Kind{"\xfd"
                                          "7zXZ",
                                          "an xz file"},
                                     Kind{"BZh", "a bzip2 file"},
                                     Kind{"\x89HDF", "an HDF5 file"}};
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const Kind& kind : kKinds) {
    if (text.starts_with(kind.start)) return std::string(kind.name);
  }
  const bool idx = bytes.size() >= 4 && bytes[0] == std::byte{0} && bytes[1] == std::byte{0} &&
                   bytes[2] >= std::byte{8} && bytes[2] <= std::byte{14} && bytes[3] <= std::byte{8};
  return idx ? "an IDX file" : "";
}

}  // namespace snug
