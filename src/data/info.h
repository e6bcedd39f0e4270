// What `data info` tells about a data set.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace snug {

struct LabelCount {
  std::string name;
  std::int64_t count = 0;
};

struct DataSummary {
  std::int64_t samples = 0;
  Shape image;                      ///< [h, w, c]
  std::string dtype;                ///< as stored: "uint8"
  PixelStatistics pixels;           ///< of the raw values
  std::vector<LabelCount> classes;  ///< samples of each class; of rows, those with more than ½ in the class's column;
                                    ///< empty without labels and for one real number a sample
  std::vector<std::int64_t> histogram;  ///< values of all channels in equal parts of their range
  PictureSize smallest, largest;        ///< of the files behind the samples, by area; 0 where there are none
  std::vector<Diagnostic> notes;
};

/// Reads every image and label once. For the contract's `data info`: of open_source(*config.data.train, …), which is
/// the training data before val_split.
[[nodiscard]] DataSummary summarize(const Dataset& data);

}  // namespace snug
