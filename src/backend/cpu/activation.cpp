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

/// Row by row, where the gradient or what is saved is a slice of channels.
template <class T, class Kernel>
PreparedStep backward_of_slices(const CpuContext& context, const StepView& step, Kernel kernel) {
  const std::int64_t channels = step.shape(0).back(), rows = step.elements(0) / channels;
  const std::int64_t pitch = channel_pitch(step[0]), saved_pitch = channel_pitch(step[2]);
  const auto run = [=, threads = context.threads](const StepArguments& a) {
    const T *dy = operand<T>(a, 0), *saved = operand<T>(a, 2);
    T* dx = operand<T>(a, 1);
    parallel_rows(threads, rows, channels, [&](std::int64_t row) {
      kernel(dx + row * channels, dy + row * pitch, saved + row * saved_pitch, channels);
    });
  };
  return {.algorithm = "activation:own", .run = run};
}

template <class T>
PreparedStep activation_backward(const CpuContext& context, const StepView& step) {
  step.expect({kStored<T>, kStored<T>, kStored<T>}, true);
  const auto function = static_cast<std::size_t>(step.attributes<ActivationAttributes>().function);
  const ActivationKernels<T>& kernels = context.kernels->activation.of<T>();
  const auto kernel = step.step().chosen == Saved::output ? kernels.backward_from_output[function]
                                                          : kernels.backward_from_input[function];
  if (kernel == nullptr) step.cannot_run("its slope does not follow from the output");
  if (!is_packed(step[0]) || !is_packed(step[2])) return backward_of_slices<T>(context, step, kernel);
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
