// The words of the config's choices; the order is that of the enums.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "snug/config.h"

namespace snug::config {

using Words = std::span<const std::string_view>;
template <std::size_t N>
using WordList = std::array<std::string_view, N>;

inline constexpr WordList<8> kFormatWords{"idx", "numpy", "cifar10", "cifar100", "folder", "csv", "pack", "synthetic"};
inline constexpr WordList<2> kLayoutWords{"nhwc", "nchw"};
inline constexpr WordList<4> kCacheWords{"auto", "ram", "stream", "device"};
inline constexpr WordList<3> kBalanceWords{"none", "weights", "sampler"};
inline constexpr WordList<3> kNormalizeWords{"none", "0-1", "per-channel"};  // Normalization from `none` on
inline constexpr WordList<2> kResizeWords{"bilinear", "bicubic"};
inline constexpr WordList<2> kOnBadWords{"error", "skip"};
inline constexpr WordList<2> kPadModeWords{"zero", "reflect"};
inline constexpr WordList<1> kSyntheticWords{"shapes"};
/// Without the first, these are what a config may say: no activation is said by leaving the key out.
inline constexpr WordList<9> kActivationWords{"identity", "relu",    "relu6", "leaky_relu", "silu",
                                              "gelu",     "sigmoid", "tanh",  "softmax"};
inline constexpr WordList<2> kPaddingWords{"valid", "same"};
inline constexpr WordList<1> kNormWords{"batch"};
inline constexpr WordList<1> kClassesWords{"classes"};
inline constexpr WordList<4> kLossWords{"sparse_categorical_crossentropy", "categorical_crossentropy",
                                        "binary_crossentropy", "mse"};
inline constexpr WordList<3> kOptimizerWords{"sgd", "adam", "adamw"};
inline constexpr WordList<4> kScheduleWords{"constant", "step", "cosine", "onecycle"};
inline constexpr WordList<4> kPrecisionWords{"fp32", "tf32", "bf16", "fp16"};
inline constexpr WordList<5> kInitializerWords{"he_normal", "he_uniform", "glorot_uniform", "glorot_normal", "normal"};
inline constexpr WordList<4> kMonitorWords{"val_accuracy", "val_loss", "train_accuracy", "train_loss"};
inline constexpr WordList<2> kBatchWords{"auto", "max"};  // BatchChoice::Kind from `automatic` on
inline constexpr WordList<1> kAutoWords{"auto"};
inline constexpr WordList<6> kStrategyWords{"inplace", "recompute", "split", "microbatch", "eager_update", "offload"};

/// The place of `text` among `words`.
[[nodiscard]] inline std::optional<std::size_t> index_of(Words words, std::string_view text) {
  const auto found = std::ranges::find(words, text);
  if (found == words.end()) return std::nullopt;
  return static_cast<std::size_t>(found - words.begin());
}

template <class Enum>
[[nodiscard]] std::string_view word_of(Words words, Enum value) {
  return words[static_cast<std::size_t>(value)];
}

}  // namespace snug::config
