#include "backend/cpu/prepare.h"

namespace snug::cpu {

namespace {

PreparedStep softmax_forward(const CpuContext& context, const StepView& step) {
  step.expect({kF32, kF32});
  const std::int64_t width = step.shape(0).back();
  const std::int64_t rows = step.elements(0) / width;
  return {.algorithm = "softmax:own",
          .run = [kernels = &context.kernels->softmax, threads = context.threads, rows, width](const StepArguments& a) {
            const float* x = operand(a, 0);
            float* y = operand(a, 1);
            parallel_rows(threads, rows, width, [&](std::int64_t row) {
              const std::int64_t at = row * width;
              const float largest = kernels->maximum(x + at, width);
              const float sum = kernels->exponentials(y + at, x + at, largest, width);
              kernels->affine(y + at, 1.0F / sum, 0.0F, width);
            });
          }};
}

PreparedStep softmax_backward(const CpuContext& context, const StepView& step) {
  step.expect({kF32, kF32, kF32});
  const std::int64_t width = step.shape(0).back();
  const std::int64_t rows = step.elements(0) / width;
  return {.algorithm = "softmax:own",
          .run = [kernels = &context.kernels->softmax, threads = context.threads, rows, width](const StepArguments& a) {
            const float *dy = operand(a, 0), *y = operand(a, 1);
            float* dx = operand(a, 2);
            parallel_rows(threads, rows, width, [&](std::int64_t row) {
              const std::int64_t at = row * width;
              const float dot = kernels->dot(dy + at, y + at, width);
              kernels->backward(dx + at, dy + at, y + at, dot, width);
            });
          }};
}

using RowFunction = void (*)(const Kernels&, const StepArguments&, std::int64_t at, std::int64_t width, float* floats);

/// The same on bf16: a row at a time as floats in the workspace, which has `rows_each` of them for every chunk.
PreparedStep softmax_on_bf16(const CpuContext& context, const StepView& step, std::int64_t rows_each, RowFunction row) {
  const std::int64_t width = step.shape(0).back();
  const std::int64_t rows = step.elements(0) / width;
  const std::int64_t chunk = rows_per_chunk(width);
  const std::int64_t chunks = (rows + chunk - 1) / chunk;
  return {.algorithm = "softmax:own",
          .workspace_bytes = chunks * rows_each * width * static_cast<std::int64_t>(sizeof(float)),
          .run = [=, kernels = context.kernels, threads = context.threads](const StepArguments& a) {
            parallel_for(threads, chunks, [&](std::int64_t i) {
              float* floats = scratch(a, 0) + i * rows_each * width;
              for (std::int64_t r = i * chunk; r < std::min(rows, (i + 1) * chunk); ++r)
                row(*kernels, a, r * width, width, floats);
            });
          }};
}

void forward_row(const Kernels& kernels, const StepArguments& a, std::int64_t at, std::int64_t width, float* x) {
  kernels.cast.widen(x, operand<Bf16>(a, 0) + at, width);
  const float largest = kernels.softmax.maximum(x, width);
  const float sum = kernels.softmax.exponentials(x, x, largest, width);
  kernels.softmax.affine(x, 1.0F / sum, 0.0F, width);
  kernels.cast.narrow(operand<Bf16>(a, 1) + at, x, width);
}

void backward_row(const Kernels& kernels, const StepArguments& a, std::int64_t at, std::int64_t width, float* dy) {
  float* y = dy + width;
  kernels.cast.widen(dy, operand<Bf16>(a, 0) + at, width);
  kernels.cast.widen(y, operand<Bf16>(a, 1) + at, width);
  kernels.softmax.backward(dy, dy, y, kernels.softmax.dot(dy, y, width), width);
  kernels.cast.narrow(operand<Bf16>(a, 2) + at, dy, width);
}

}  // namespace

PreparedStep prepare_softmax_forward(const CpuContext& context, const StepView& step) {
  if (step[0].dtype != kBf16) return softmax_forward(context, step);
  step.expect({kBf16, kBf16});
  return softmax_on_bf16(context, step, 1, forward_row);
}

PreparedStep prepare_softmax_backward(const CpuContext& context, const StepView& step) {
  if (step[0].dtype != kBf16) return softmax_backward(context, step);
  step.expect({kBf16, kBf16, kBf16});
  return softmax_on_bf16(context, step, 2, backward_row);
}

}  // namespace snug::cpu
