// Zip archives made for a test.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "data/files.h"

namespace snug {

struct ZipEntry {
  std::string name, bytes;
  bool deflated = false;
  bool large = false;  ///< sizes in a zip64 field
};

inline std::string u16(std::uint64_t value) { return stored(static_cast<std::uint16_t>(value)); }
inline std::string u32(std::uint64_t value) { return stored(static_cast<std::uint32_t>(value)); }
inline std::string u64(std::uint64_t value) { return stored(value); }

inline std::string joined(std::initializer_list<std::string> parts) {
  std::string all;
  for (const std::string& part : parts) all += part;
  return all;
}

/// A zip archive, as NumPy writes .npz; `zip64_end`: with the directory's place in a record of 64 bits.
inline std::string zip(const std::vector<ZipEntry>& entries, bool zip64_end = false) {
  std::string body, directory;
  for (const ZipEntry& e : entries) {
    const std::string data = e.deflated ? deflated(e.bytes, -15) : e.bytes;
    const auto crc = static_cast<std::uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(e.bytes.data()), static_cast<uInt>(e.bytes.size())));
    const std::string extra =
        e.large ? u16(1) + u16(24) + u64(e.bytes.size()) + u64(data.size()) + u64(body.size()) : "";
    const std::string middle =
        joined({u16(e.deflated ? 8 : 0), u32(0), u32(crc), u32(e.large ? 0xFFFFFFFF : data.size()),
                u32(e.large ? 0xFFFFFFFF : e.bytes.size()), u16(e.name.size())});
    directory += joined({u32(0x02014B50), u16(45), u16(45), u16(0), middle, u16(extra.size()), u16(0), u16(0), u16(0),
                         u32(0), u32(e.large ? 0xFFFFFFFF : body.size()), e.name, extra});
    body += joined({u32(0x04034B50), u16(45), u16(0), middle, u16(0), e.name, data});
  }
  std::string end;
  if (zip64_end) {
    end = u32(0x06064B50) + u64(44) + u16(45) + u16(45) + u32(0) + u32(0) + u64(entries.size()) + u64(entries.size()) +
          u64(directory.size()) + u64(body.size());
    end += u32(0x07064B50) + u32(0) + u64(body.size() + directory.size()) + u32(1);
  }
  end += u32(0x06054B50) + u16(0) + u16(0) + u16(zip64_end ? 0xFFFF : entries.size()) +
         u16(zip64_end ? 0xFFFF : entries.size()) + u32(zip64_end ? 0xFFFFFFFF : directory.size()) +
         u32(zip64_end ? 0xFFFFFFFF : body.size()) + u16(0);
  return body + directory + end;
}

}  // namespace snug
