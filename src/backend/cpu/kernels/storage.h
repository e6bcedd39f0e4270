// The types that activations are stored in. Kernels compute in float whatever the storage.
#pragma once

#include <cstdint>

namespace snug::cpu {

/// The upper half of a float: its sign, its exponent and 7 bits of its mantissa.
struct Bf16 {
  std::uint16_t bits = 0;
};

/// A table of kernels for each storage type.
template <template <class> class Table>
struct ByStorage {
  Table<float> f32;
  Table<Bf16> bf16;
  template <class T>
  [[nodiscard]] const Table<T>& of() const {
    if constexpr (sizeof(T) == sizeof(float)) {
      return f32;
    } else {
      return bf16;
    }
  }
};

}  // namespace snug::cpu
