#include "backend/cpu/prepare.h"

namespace snug::cpu {

namespace {

template <class T>
PreparedStep normalize_input(const CpuContext& context, const StepView& step) {
  if (step.attributes<NormalizeAttributes>().gathered) step.cannot_run("images are kept on GPUs alone");
  const DType type = step[0].dtype;
  if (type != DType::u8 && type != DType::f32) step.cannot_run("images must be uint8 or fp32");
  step.expect({type, kF32, kF32, kStored<T>});
  const std::int64_t channels = step.shape(0).back();
  const std::int64_t rows = step.elements(0) / channels;
  const std::int64_t chunk = rows_per_chunk(channels);
  const auto divisor = static_cast<float>(step.attributes<NormalizeAttributes>().divisor);
  return {.algorithm = "normalize_input:own",
          .run = [=, kernels = &context.kernels->channel.of<T>(), threads = context.threads](const StepArguments& a) {
            const float *mean = operand(a, 1), *inverse_std = operand(a, 2);
            parallel_for(threads, (rows + chunk - 1) / chunk, [&](std::int64_t i) {
              const std::int64_t at = i * chunk * channels;
              const std::int64_t count = std::min(chunk, rows - i * chunk);
              T* y = operand<T>(a, 3) + at;
              if (type == DType::u8) {
                kernels->normalize_bytes(y, operand<std::uint8_t>(a, 0) + at, count, channels, divisor, mean,
                                         inverse_std);
              } else {
                kernels->normalize_floats(y, operand(a, 0) + at, count, channels, divisor, mean, inverse_std);
              }
            });
          }};
}

}  // namespace

PreparedStep prepare_normalize_input(const CpuContext& context, const StepView& step) {
  return by_storage(step, 3, [&]<class T>() { return normalize_input<T>(context, step); });
}

}  // namespace snug::cpu
