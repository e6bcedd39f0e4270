#include "backend/cpu/prepare.h"

namespace snug::cpu {

namespace {

template <class T>
PreparedStep activation_forward(const CpuContext& context, const StepView& step) {
  step.expect({kStored<T>, kStored<T>});
  const auto function = static_cast<std::size_t>(step.attributes<ActivationAttributes>().function);
  const auto kernel = context.kernels->activation.of<T>().forward[function];
  const std::int64_t total = step.elements(0);
  return {.algorithm = "activation:own", .run = [kernel, total, threads = context.threads](const StepArguments& a) {
            const T* x = operand<T>(a, 0);
            T* y = operand<T>(a, 1);
            parallel_elements(threads, total,
                              [&](std::int64_t at, std::int64_t count) { kernel(y + at, x + at, count); });
          }};
}

template <class T>
PreparedStep activation_backward(const CpuContext& context, const StepView& step) {
  step.expect({kStored<T>, kStored<T>, kStored<T>});
  const auto function = static_cast<std::size_t>(step.attributes<ActivationAttributes>().function);
  const ActivationKernels<T>& kernels = context.kernels->activation.of<T>();
  const auto kernel = step.step().chosen == Saved::output ? kernels.backward_from_output[function]
                                                          : kernels.backward_from_input[function];
  if (kernel == nullptr) step.cannot_run("its slope does not follow from the output");
  const std::int64_t total = step.elements(0);
  return {.algorithm = "activation:own", .run = [kernel, total, threads = context.threads](const StepArguments& a) {
            const T *dy = operand<T>(a, 0), *saved = operand<T>(a, 2);
            T* dx = operand<T>(a, 1);
            parallel_elements(threads, total, [&](std::int64_t at, std::int64_t count) {
              kernel(dx + at, dy + at, saved + at, count);
            });
          }};
}

}  // namespace

PreparedStep prepare_activation_forward(const CpuContext& context, const StepView& step) {
  return by_storage(step, 0, [&]<class T>() { return activation_forward<T>(context, step); });
}

PreparedStep prepare_activation_backward(const CpuContext& context, const StepView& step) {
  return by_storage(step, 0, [&]<class T>() { return activation_backward<T>(context, step); });
}

}  // namespace snug::cpu
