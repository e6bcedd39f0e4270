// A first config for data that nobody has trained on yet: choices by rules of thumb, written with their reasons.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/recognize.h"
#include "snug/config.h"

namespace snug {

/// What the choices depend on.
struct DataFacts {
  std::int64_t train = 0, val = 0, test = 0;  ///< samples
  std::array<std::int64_t, 3> image{};        ///< of arrays: their images; of pictures: of the smallest, by short side
  bool pictures = false;                      ///< files of their own sizes
  bool one_size = true;
  std::int64_t short_side = 0;  ///< the median of the pictures' short sides; of arrays the image's
  bool floats = false;
  bool constant_channel = false;  ///< per-channel scaling could not divide by its deviation
  bool bad_files = false;         ///< some pictures cannot be decoded
  Loss loss = Loss::sparse_categorical_crossentropy;
  std::int64_t outputs = 0;
  std::vector<std::string> classes;  ///< names; empty where there are none
  std::int64_t label_offset = 0;
  bool uneven = false;  ///< one class has many times the samples of another
};

/// Opens what was recognised and looks at it: sizes, types, labels. Reads every picture once. Throws Error (D, L).
[[nodiscard]] DataFacts measure_facts(const RecognizedData& data);

/// What was decided; sizes in pixels.
struct Recipe {
  std::array<std::int64_t, 3> input{};
  std::int64_t resize = 0;  ///< the short side; 0: as they are
  std::string model;        ///< for people: "a residual network of 7 convolutions"
  std::int64_t epochs = 0;
  std::string batch;  ///< a TOML value
  double val_split = 0;
};
[[nodiscard]] Recipe choose_recipe(const DataFacts& facts);

/// The config as text. `root` is the data's folder as the config names it.
[[nodiscard]] std::string recipe_toml(const RecognizedData& data, const DataFacts& facts, const Recipe& recipe,
                                      std::string_view name, const std::string& root);

}  // namespace snug
