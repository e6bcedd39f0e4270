// Pairs of arrays among a folder's files. Internal to the folder.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/recognize.h"

namespace snug {

/// Names without hidden ones, sorted.
struct Listing {
  std::vector<std::string> folders, files;
};
[[nodiscard]] Listing list_folder_entries(const std::filesystem::path& folder);

struct ArrayFinds {
  std::optional<RecognizedData> data;
  std::string hint, fix;  ///< what is there and does not suffice; may be empty
};
/// NumPy and IDX files of `root` and of its folders whose names mean a split.
[[nodiscard]] ArrayFinds recognize_arrays(const std::filesystem::path& root, const Listing& listing);

}  // namespace snug
