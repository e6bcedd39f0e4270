#include <cpuid.h>

#include <numeric>

#include "backend/cpu/kernels/kernels.h"
#include "base/ensure.h"
#include "snug/diagnostic.h"

namespace snug::cpu {

// One per instruction set; see CMakeLists.txt.
namespace x86_64_v2 {
Kernels kernels();
}
namespace x86_64_v3 {
Kernels kernels();
}
namespace x86_64_v4 {
Kernels kernels();
}
namespace x86_64_v4_bf16 {
Kernels kernels();
}

namespace {

// Even filling a table takes instructions of its level: it is done only where the processor has them.
template <Kernels (*Fill)()>
const Kernels* table_if(bool usable) {
  if (!usable) return nullptr;
  static const Kernels kTable = Fill();
  return &kTable;
}

}  // namespace

std::array<const Kernels*, 4> usable_kernels() {
  __builtin_cpu_init();
  // The features by which the levels differ for compiled code; no processor has these without the rest.
  const bool v2 = __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("popcnt") != 0;
  const bool v3 = v2 && __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
                  __builtin_cpu_supports("bmi2") != 0;
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                  __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  const bool bf16 = v4 && __builtin_cpu_supports("avx512bf16") != 0;
  return {table_if<x86_64_v2::kernels>(v2), table_if<x86_64_v3::kernels>(v3), table_if<x86_64_v4::kernels>(v4),
          table_if<x86_64_v4_bf16::kernels>(bf16)};
}

const Kernels& best_kernels() {
  const Kernels* best = nullptr;
  for (const Kernels* table : usable_kernels()) best = table != nullptr ? table : best;
  if (best == nullptr) {
    throw Error({.code = "G490",
                 .where = "processor",
                 .what = "Snug needs an x86-64 processor with SSE4.2 (x86-64-v2); this one has less",
                 .fix = "run on a machine built since 2009"});
  }
  return *best;
}

bool has_amx_bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 22 & 1U) != 0;
}

std::int64_t fold_of(std::int64_t channels) {
  ensure(channels > 0, "a tensor without channels");
  constexpr std::int64_t kWidest = 16;  // floats of the widest vector
  const std::int64_t fold = kWidest / std::gcd(channels, kWidest);
  if (channels * fold > kMaxFoldedWidth) return 1;
  const std::int64_t width = channels * fold;
  return width >= 64 ? fold : fold * (64 / width);
}

}  // namespace snug::cpu
