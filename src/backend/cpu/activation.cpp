#include "backend/cpu/prepare.h"

namespace snug::cpu {

PreparedStep prepare_activation_forward(const CpuContext& context, const StepView& step) {
  step.expect({DType::f32, DType::f32});
  const auto function = static_cast<std::size_t>(step.attributes<ActivationAttributes>().function);
  const auto kernel = context.kernels->activation.forward[function];
  const std::int64_t total = step.elements(0);
  return {.algorithm = "activation:own", .run = [kernel, total, threads = context.threads](const StepArguments& a) {
            const float* x = operand(a, 0);
            float* y = operand(a, 1);
            parallel_elements(threads, total,
                              [&](std::int64_t at, std::int64_t count) { kernel(y + at, x + at, count); });
          }};
}

PreparedStep prepare_activation_backward(const CpuContext& context, const StepView& step) {
  step.expect({DType::f32, DType::f32, DType::f32});
  const auto function = static_cast<std::size_t>(step.attributes<ActivationAttributes>().function);
  const ActivationKernels& kernels = context.kernels->activation;
  const auto kernel = step.step().chosen == Saved::output ? kernels.backward_from_output[function]
                                                          : kernels.backward_from_input[function];
  if (kernel == nullptr) step.cannot_run("its slope does not follow from the output");
  const std::int64_t total = step.elements(0);
  return {.algorithm = "activation:own", .run = [kernel, total, threads = context.threads](const StepArguments& a) {
            const float *dy = operand(a, 0), *saved = operand(a, 2);
            float* dx = operand(a, 1);
            parallel_elements(threads, total, [&](std::int64_t at, std::int64_t count) {
              kernel(dx + at, dy + at, saved + at, count);
            });
          }};
}

}  // namespace snug::cpu
