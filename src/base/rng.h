// Counter-based random numbers (Philox 4×32-10, Salmon et al. 2011): a value is a pure function of its key and
// counter, so that neither splitting a batch nor recomputing a layer changes it.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "kernels/philox.h"

namespace snug {

/// Four random words for (key, counter); GPUs draw with the same function.
[[nodiscard]] constexpr std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t counter_low,
                                                            std::uint64_t counter_high) {
  const RandomWords words = philox_words(key, counter_low, counter_high);
  return {words.at[0], words.at[1], words.at[2], words.at[3]};
}

/// Independent streams of one seed.
enum class RandomStream : std::uint32_t { initialization = 1, shuffle, dropout, augmentation, synthetic, split };

/// One key for a stream of a seed and one thing in it (a layer, an epoch).
[[nodiscard]] constexpr std::uint64_t random_key(std::uint64_t seed, RandomStream stream, std::uint64_t item = 0) {
  const auto words = philox(seed, static_cast<std::uint64_t>(stream), item);
  return (std::uint64_t{words[1]} << 32) | words[0];
}

/// Uniform in [0, 1), 24 bits.
[[nodiscard]] constexpr float to_unit(std::uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24F; }

/// A sequence of random numbers for code that walks in order (shuffles, generators).
class Random {
 public:
  explicit constexpr Random(std::uint64_t key) : key_(key) {}

  constexpr std::uint32_t next() {
    if (used_ == 4) {
      words_ = philox(key_, counter_++, 0);
      used_ = 0;
    }
    return words_[used_++];
  }
  constexpr float uniform() { return to_unit(next()); }
  /// Uniform in [0, bound), without bias (Lemire's multiplication with rejection).
  constexpr std::uint32_t below(std::uint32_t bound) {
    std::uint64_t product = std::uint64_t{next()} * bound;
    if (static_cast<std::uint32_t>(product) < bound) {
      const std::uint32_t threshold = (0U - bound) % bound;
      while (static_cast<std::uint32_t>(product) < threshold) product = std::uint64_t{next()} * bound;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }
  /// Standard normal (Box-Muller on 32-bit uniforms in (0, 1]).
  double normal() {
    const double u = (static_cast<double>(next()) + 1.0) * 0x1p-32;
    const double v = static_cast<double>(next()) * 0x1p-32;
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
  }

 private:
  std::uint64_t key_;
  std::uint64_t counter_ = 0;
  std::array<std::uint32_t, 4> words_{};
  unsigned used_ = 4;
};

}  // namespace snug
