// What is asked of a GPU to plan for it: the property sheet by which cuDNN ranks and sizes its engines.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace snug {

/// What all GPUs of one compute capability have in common (CUDA programming guide, technical specifications per compute
/// capability). In bytes and counts.
struct Architecture {
  int capability = 0;  ///< 10 · major + minor: 75, 90, 120
  std::int64_t shared_per_block_optin = 0, shared_reserved_per_block = 0;
  std::int64_t blocks_per_multiprocessor = 0, threads_per_multiprocessor = 0;
};
/// Those that can be planned for, in order.
[[nodiscard]] std::span<const Architecture> architectures();
/// Null when it is not among them.
[[nodiscard]] const Architecture* find_architecture(int capability);

/// One kind of GPU.
struct DeviceSheet {
  std::string name;  ///< as the driver calls it
  int capability = 0;
  std::int64_t multiprocessors = 0, clock_khz = 0, memory_clock_khz = 0, l2_bytes = 0, total_bytes = 0;
};
/// The sheet as cuDNN reads it. The capability must be among `architectures()`.
[[nodiscard]] std::string sheet_json(const DeviceSheet& sheet);

/// Tensor cores take bf16 and tf32 from 8.0 on; fp16 is taken by all that can be planned for.
[[nodiscard]] constexpr bool has_bf16(int capability) { return capability >= 80; }
/// Blocks can be gathered in clusters; cuDNN then splits sums by what fits at once.
[[nodiscard]] constexpr bool has_clusters(int capability) { return capability >= 90; }

}  // namespace snug
