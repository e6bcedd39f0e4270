// Findings about data files: every reader appends what it sees, so that all faults of all splits are told at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "snug/diagnostic.h"

namespace snug {

using Findings = std::vector<Diagnostic>;

/// What a file is read for: the family of its findings is D for images and L for labels.
enum class FileUse { images, labels };

/// The number behind the family letter.
enum class DataFault {
  missing = 101,     ///< always D
  unreadable = 102,  ///< a folder, no permission, always D
  wrong_format = 103,
  size = 104,
  extents = 105,
  damaged = 106,
  element_type = 107,
  no_samples = 108,
  axes = 109,
  layout = 110,
  image_size = 111,
  split = 112,
  normalize = 113,
  constant = 114,
  not_finite = 115,
  augmentation = 116,
  splits_differ = 117,
  count_mismatch = 120,
  negative_label = 121,
  large_label = 122,
  label_kind = 123,
  unlabelled = 124,
  table_header = 130,
  table_row = 131,
  table_number = 132,
  picture = 140,    ///< a file that cannot be decoded
  converted = 141,  ///< a note: pictures that were made 8-bit RGB
  left_out = 142,   ///< a note: bad files with on_bad = "skip", files that are no pictures
  classes = 143,    ///< class folders
  archive = 144,
  unrecognized = 145,  ///< a folder in which no data set is found, or several
  pack = 150,
  input_bound = 151,  ///< a note of a run: steps wait for data
  unsupported = 190,  ///< family C: what this version does not read
};

/// An error finding; `what` is cut to the 160 characters that a finding may have.
[[nodiscard]] Diagnostic data_finding(FileUse use, DataFault fault, std::string where, std::string_view what,
                                      std::string fix);
/// Something about the data that is worth knowing and no fault.
[[nodiscard]] Diagnostic data_note(DataFault fault, std::string where, std::string_view what, std::string fix);
/// Whether the finding is about a data file or folder that is not there.
[[nodiscard]] bool is_missing_file(const Diagnostic& finding);

/// The same as data_finding in family C.
[[nodiscard]] Diagnostic unsupported_finding(std::string where, std::string_view what, std::string fix);

/// `text` with its middle left out when it is longer than `limit` bytes; whole UTF-8 characters.
[[nodiscard]] std::string shorten(std::string_view text, std::size_t limit);
/// The file's name without its folder, shortened: what fits into a sentence.
[[nodiscard]] std::string brief_name(const std::filesystem::path& path);
/// "60,000×28×28"; "a single value" for no extents.
[[nodiscard]] std::string format_extents(std::span<const std::int64_t> extents);
/// What a file's first bytes look like ("a gzip file", "a web page"); empty when they are nothing known.
[[nodiscard]] std::string describe_content(std::span<const std::byte> bytes);

}  // namespace snug
