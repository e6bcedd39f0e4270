// Philox 4×32-10 (Salmon et al. 2011): four random words as a function of a key and a counter. Host and device share
// this function, so that a mask drawn on either is the same.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define SNUG_HOST_DEVICE __host__ __device__
#else
#define SNUG_HOST_DEVICE
#endif

namespace snug {

struct RandomWords {
  std::uint32_t at[4];
};

[[nodiscard]] SNUG_HOST_DEVICE constexpr RandomWords philox_words(std::uint64_t key, std::uint64_t counter_low,
                                                                  std::uint64_t counter_high) {
  std::uint32_t c0 = static_cast<std::uint32_t>(counter_low), c1 = static_cast<std::uint32_t>(counter_low >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(counter_high), c3 = static_cast<std::uint32_t>(counter_high >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c0;
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1);
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9;  // the golden ratio: Weyl sequence of the key
    k1 += 0xBB67AE85;  // √3 − 1
  }
  return {{c0, c1, c2, c3}};
}

}  // namespace snug
