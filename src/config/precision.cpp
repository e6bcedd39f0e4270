#include "config/precision.h"

#include <fmt/format.h>

namespace snug {

namespace {

/// fp16 is taken by every GPU that can be planned for.
std::optional<std::string> gpu_cannot_compute(Precision precision, const Gpu& gpu) {
  constexpr int kAmpere = 80;
  const bool newer = precision == Precision::bf16 || precision == Precision::tf32;
  if (!newer || gpu.capability >= kAmpere) return std::nullopt;
  return fmt::format("precision = \"{}\" needs compute capability 8.0; {} has {}.{}", to_string(precision), gpu.name,
                     gpu.capability / 10, gpu.capability % 10);
}

}  // namespace

Processor this_processor() {
  __builtin_cpu_init();
  return {.avx512 = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                    __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0};
}

std::optional<std::string> cannot_compute(Precision precision, const Processor& processor) {
  if (processor.gpu) return gpu_cannot_compute(precision, *processor.gpu);
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

std::string computable_instead(Precision precision, const Processor& processor) {
  return processor.gpu && precision == Precision::bf16 ? "precision = \"fp16\"" : "precision = \"fp32\"";
}

}  // namespace snug
