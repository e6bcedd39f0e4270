// Data files made for a test, in a folder that goes with it.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include "data/dataset.h"

namespace snug {

class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "snug-data-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const { return (path_ / name).string(); }
  std::string write(std::string_view name, std::string_view bytes) const {
    std::filesystem::remove(path_ / name);  // file systems flush what is cut to nothing and written again
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return *this / name;
  }

 private:
  std::filesystem::path path_;
};

/// A value's bytes, in either order.
template <class T>
std::string stored(T value, bool big_endian = false) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return big_endian ? std::string(bytes.rbegin(), bytes.rend()) : bytes;
}

template <class T>
std::string stored_all(const std::vector<T>& values, bool big_endian = false) {
  std::string bytes;
  for (const T value : values) bytes += stored(value, big_endian);
  return bytes;
}

/// 0, 1, 2, … modulo 251, so that neither rows nor planes repeat.
inline std::string counting(std::int64_t count) {
  std::string bytes;
  for (std::int64_t i = 0; i < count; ++i) bytes += static_cast<char>(i % 251);
  return bytes;
}

inline std::string idx(const std::vector<std::uint32_t>& extents, std::string_view payload, int type = 0x08) {
  std::string bytes{'\0', '\0', static_cast<char>(type), static_cast<char>(extents.size())};
  for (const std::uint32_t extent : extents) bytes += stored(extent, true);
  return bytes + std::string(payload);
}

inline std::string npy_raw(std::string_view header, std::string_view payload, int version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  bytes += version == 1 ? stored(static_cast<std::uint16_t>(header.size()))
                        : stored(static_cast<std::uint32_t>(header.size()));
  return bytes + std::string(header) + std::string(payload);
}

inline std::string npy(std::string_view descr, std::string_view shape, std::string_view payload, bool fortran = false,
                       int version = 1) {
  const std::string header = "{'descr': '" + std::string(descr) +
                             "', 'fortran_order': " + (fortran ? "True" : "False") +
                             ", 'shape': " + std::string(shape) + ", }\n";
  return npy_raw(header, payload, version);
}

/// `window_bits`: −15 for a raw stream, 15 + 16 for gzip (zlib's manual).
inline std::string deflated(std::string_view bytes, int window_bits) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&stream, bytes.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

inline std::string gzip(std::string_view bytes) { return deflated(bytes, 15 + 16); }

inline DataSource array_source(std::string images, std::string labels, DataFormat format) {
  DataSource source;
  source.where = {.file = "config.toml", .line = 4, .column = 1};
  source.format = format;
  source.images = std::move(images);
  source.labels = std::move(labels);
  return source;
}

inline DataSource shapes_source(std::int64_t count) {
  DataSource source;
  source.where = {.file = "config.toml", .line = 4, .column = 1};
  source.format = DataFormat::synthetic;
  source.synthetic = "shapes";
  source.count = count;
  return source;
}

/// The findings that `open` throws; empty when it throws nothing.
template <class Open>
std::vector<Diagnostic> findings_of(Open open) {
  try {
    (void)open();
  } catch (const Error& error) {
    return error.findings();
  }
  return {};
}

/// What every finding owes its reader.
inline void expect_well_formed(const Diagnostic& finding) {
  EXPECT_LE(finding.what.size(), 160U) << finding.what;
  EXPECT_FALSE(finding.fix.empty()) << finding.what;
  EXPECT_FALSE(finding.where.empty()) << finding.what;
  EXPECT_EQ(finding.severity, Severity::error);
}

/// One finding is expected: its code, and words of its place, sentence and remedy.
struct Expected {
  std::string code;
  std::string where;
  std::vector<std::string> what;
  std::string fix;
};

inline void expect_finding(const std::vector<Diagnostic>& findings, const Expected& expected) {
  ASSERT_EQ(findings.size(), 1U) << (findings.empty() ? "nothing was found" : to_string(findings.back()));
  const Diagnostic& finding = findings.front();
  expect_well_formed(finding);
  EXPECT_EQ(finding.code, expected.code) << to_string(finding);
  EXPECT_NE(finding.where.find(expected.where), std::string::npos) << to_string(finding);
  for (const std::string& word : expected.what) {
    EXPECT_NE(finding.what.find(word), std::string::npos) << "no '" << word << "' in: " << to_string(finding);
  }
  EXPECT_NE(finding.fix.find(expected.fix), std::string::npos) << to_string(finding);
}

/// All pixels of a sample as floats.
inline std::vector<float> pixels_of(const Dataset& data, std::int64_t sample) {
  const auto count = static_cast<std::size_t>(data.info().image.elements());
  std::vector<float> values(count);
  if (data.info().dtype == DType::f32) {
    data.read_image(sample, reinterpret_cast<std::byte*>(values.data()));
    return values;
  }
  std::vector<std::byte> bytes(count);
  data.read_image(sample, bytes.data());
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(std::to_integer<int>(bytes[i]));
  return values;
}

}  // namespace snug
