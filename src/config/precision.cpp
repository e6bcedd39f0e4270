#include "config/precision.h"

namespace snug {

Processor this_processor() {
  __builtin_cpu_init();
  return {.avx512 = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                    __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0};
}

std::optional<std::string> cannot_compute(Precision precision, const Processor& processor) {
  switch (precision) {
    case Precision::fp32:
    case Precision::tf32: break;
    case Precision::bf16:
      if (!processor.avx512) return "precision = \"bf16\" needs AVX-512 (F, BW, DQ, VL), which this processor lacks";
      break;
    case Precision::fp16: return "precision = \"fp16\" cannot be computed on the CPU";
  }
  return std::nullopt;
}

}  // namespace snug
