// The instructions that C++ has no words for, each with a twin in C++ that the emulator runs. This is the only file
// with PTX; kernels that use it need sm_80.
#pragma once

#include "vector.cuh"

namespace snug::kernels {

/// Four 8×8 matrices of 16-bit numbers from shared memory. Lane l names row l mod 8 of matrix l ÷ 8 by its address. Of
/// each matrix a lane gets the pair (row lane ÷ 4, columns 2 (lane mod 4) and the next); of a transposed one the pair
/// (column lane ÷ 4, rows 2 (lane mod 4) and the next).
template <bool Transposed>
__device__ inline void load_matrices(unsigned (&to)[4], const Bf16* row) {
#if defined(__CUDACC__)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 750
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if constexpr (Transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
  }
#endif
#else
  const int lane = static_cast<int>(threadIdx.x) % 32, group = lane / 4, place = lane % 4 * 2;
  const auto own = reinterpret_cast<std::uintptr_t>(row);
  for (int m = 0; m < 4; ++m) {
    std::uint16_t pair[2];
    for (int i = 0; i < 2; ++i) {
      const int from_row = Transposed ? place + i : group, column = Transposed ? group : place + i;
      const auto address = __shfl_sync(0xFFFFFFFFU, std::uint64_t{own}, m * 8 + from_row);
      pair[i] = reinterpret_cast<const Bf16*>(address)[column].bits;
    }
    to[m] = pair[0] | static_cast<unsigned>(pair[1]) << 16;
  }
#endif
}

/// sums [16 × 8] += a [16 × 16] · b [16 × 8] for a warp, in bf16 with sums in float. With g = lane ÷ 4, t = lane mod 4:
/// a holds the pairs (row g, k 2t), (row g + 8, k 2t), (row g, k 2t + 8), (row g + 8, k 2t + 8); b (k 2t, column g),
/// (k 2t + 8, column g); sums (row g, column 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
__device__ inline void multiply_add(float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#if defined(__CUDACC__)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  __trap();  // a launcher never comes here: it asks for sm_80
#endif
#else
  const int lane = static_cast<int>(threadIdx.x) % 32, group = lane / 4, place = lane % 4;
  const auto both = [](unsigned low, unsigned high) { return low | std::uint64_t{high} << 32; };
  const auto number = [](std::uint64_t bits) { return __uint_as_float(static_cast<unsigned>(bits & 0xFFFFU) << 16); };
  for (int holder = 0; holder < 4; ++holder) {  // of k 2 · holder and the next, and of those 8 behind
    const std::uint64_t left[2] = {__shfl_sync(0xFFFFFFFFU, both(a[0], a[1]), group * 4 + holder),
                                   __shfl_sync(0xFFFFFFFFU, both(a[2], a[3]), group * 4 + holder)};
    for (int column = 0; column < 2; ++column) {
      const std::uint64_t right = __shfl_sync(0xFFFFFFFFU, both(b0, b1), (place * 2 + column) * 4 + holder);
      for (int i = 0; i < 4; ++i) {
        const float factor = number(right >> (16 * i));
        const std::uint64_t rows = left[i / 2] >> (16 * (i % 2));
        sums[column] += number(rows) * factor;
        sums[2 + column] += number(rows >> 32) * factor;
      }
    }
  }
#endif
}

}  // namespace snug::kernels
