#include "backend/cpu/prepare.h"

namespace snug::cpu {

namespace {

/// Rows per chunk, so that a chunk is worth a thread.
std::int64_t rows_per_chunk(std::int64_t width) {
  return std::max<std::int64_t>(1, kChunkElements / std::max<std::int64_t>(1, width));
}

template <class Body>
void parallel_rows(int threads, std::int64_t rows, std::int64_t width, const Body& body) {
  const std::int64_t chunk = rows_per_chunk(width);
  parallel_for(threads, (rows + chunk - 1) / chunk, [&](std::int64_t i) {
    for (std::int64_t row = i * chunk; row < std::min(rows, (i + 1) * chunk); ++row) body(row * width);
  });
}

}  // namespace

PreparedStep prepare_softmax_forward(const CpuContext& context, const StepView& step) {
  step.expect({DType::f32, DType::f32});
  const std::int64_t width = step.shape(0).back();
  const std::int64_t rows = step.elements(0) / width;
  return {.algorithm = "softmax:own",
          .run = [kernels = &context.kernels->softmax, threads = context.threads, rows, width](const StepArguments& a) {
            const float* x = operand(a, 0);
            float* y = operand(a, 1);
            parallel_rows(threads, rows, width, [&](std::int64_t at) {
              const float largest = kernels->maximum(x + at, width);
              const float sum = kernels->exponentials(y + at, x + at, largest, width);
              kernels->affine(y + at, 1.0F / sum, 0.0F, width);
            });
          }};
}

PreparedStep prepare_softmax_backward(const CpuContext& context, const StepView& step) {
  step.expect({DType::f32, DType::f32, DType::f32});
  const std::int64_t width = step.shape(0).back();
  const std::int64_t rows = step.elements(0) / width;
  return {.algorithm = "softmax:own",
          .run = [kernels = &context.kernels->softmax, threads = context.threads, rows, width](const StepArguments& a) {
            const float *dy = operand(a, 0), *y = operand(a, 1);
            float* dx = operand(a, 2);
            parallel_rows(threads, rows, width, [&](std::int64_t at) {
              const float dot = kernels->dot(dy + at, y + at, width);
              kernels->backward(dx + at, dy + at, y + at, dot, width);
            });
          }};
}

}  // namespace snug::cpu
