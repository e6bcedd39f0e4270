// Which data set lies in a folder: the layouts that the readers know, found by names and first bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/array.h"
#include "snug/config.h"

namespace snug {

enum class SplitName { none, train, val, test };
enum class ArrayRole { none, images, labels };

/// What the words of a file's path say: "x_train.npy" is images of train, "t10k-labels-idx1-ubyte.gz" labels of test.
struct NameParts {
  SplitName split = SplitName::none;
  ArrayRole role = ArrayRole::none;
  std::string rest;  ///< the other words, joined by spaces: "idx1 ubyte gz"
};
[[nodiscard]] NameParts parts_of_name(std::string_view path);

/// Sources as a config names them: their paths start from `root`.
struct RecognizedData {
  std::string root;    ///< where the data lie: the folder that was given, or one below it
  std::string layout;  ///< for people: "class folders", "IDX files"
  ArrayLayout axes = ArrayLayout::nhwc;
  std::optional<DataSource> train, val, test;
  std::vector<std::string> remarks;  ///< what was seen and left aside, a sentence each
};

/// Looks at `path`, a folder or one file that holds a data set, and up to three folders deep. Only names, first bytes
/// and headers are read (of archives, the whole file). Throws Error D… where nothing or too much is recognised.
[[nodiscard]] RecognizedData recognize_data(const std::string& path);

/// `source` with its paths behind `root`.
[[nodiscard]] DataSource below_root(DataSource source, const std::string& root);

}  // namespace snug
