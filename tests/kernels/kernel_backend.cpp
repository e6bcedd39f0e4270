#include "kernels/kernel_backend.h"

#include <utility>

namespace snug::kernels_test {

kernels::Data StepInfo::data(std::size_t i) const {
  switch (tensors_.at(i).dtype) {
    case DType::f32: return kernels::Data::f32;
    case DType::bf16: return kernels::Data::bf16;
    case DType::f16: return kernels::Data::f16;
    case DType::f64:
    case DType::u8:
    case DType::i32:
    case DType::i64: break;
  }
  fail("no data of a kernel", __FILE__, __LINE__);
}

kernels::Images StepInfo::images(std::size_t i) const {
  const Shape& s = shape(i);
  if (s.rank() == 4)
    return {.n = s[0], .h = static_cast<int>(s[1]), .w = static_cast<int>(s[2]), .c = static_cast<int>(s[3])};
  ensure(s.rank() == 2, "images or rows");
  return {.n = s[0], .h = 1, .w = 1, .c = static_cast<int>(s[1])};
}

kernels::Activation activation_of(std::optional<ActivationFunction> function) {
  if (!function) return kernels::Activation::none;
  switch (*function) {
    case ActivationFunction::relu: return kernels::Activation::relu;
    case ActivationFunction::relu6: return kernels::Activation::relu6;
    case ActivationFunction::leaky_relu: return kernels::Activation::leaky_relu;
    case ActivationFunction::silu: return kernels::Activation::silu;
    case ActivationFunction::gelu: return kernels::Activation::gelu;
    case ActivationFunction::sigmoid: return kernels::Activation::sigmoid;
    case ActivationFunction::tanh: return kernels::Activation::tanh;
  }
  return kernels::Activation::none;
}

kernels::SlidingWindow sliding_window(const Window& window) {
  kernels::SlidingWindow w;
  for (std::size_t axis = 0; axis < 2; ++axis) {
    w.kernel[axis] = static_cast<int>(window.kernel[axis]);
    w.stride[axis] = static_cast<int>(window.stride[axis]);
    w.dilation[axis] = static_cast<int>(window.dilation[axis]);
    w.pad[axis] = static_cast<int>(window.pad_begin[axis]);
  }
  return w;
}

namespace {

Launch launch_of(const std::shared_ptr<const StepInfo>& step) {
  switch (step->step().op) {
    case Op::conv_forward:
    case Op::conv_backward_data:
    case Op::conv_backward_weights:
    case Op::dense_forward:
    case Op::dense_backward_data:
    case Op::dense_backward_weights: return product_launch(step);
    case Op::batchnorm_forward:
    case Op::batchnorm_apply:
    case Op::batchnorm_inference:
    case Op::batchnorm_backward:
    case Op::batchnorm_inference_backward: return norm_launch(step);
    case Op::normalize_input:
    case Op::activation_forward:
    case Op::activation_backward:
    case Op::add:
    case Op::copy:
    case Op::cast:
    case Op::scale_channels:
    case Op::scale_channels_backward:
    case Op::dropout_forward:
    case Op::dropout_backward:
    case Op::fill: return elementwise_launch(step);
    case Op::maxpool_forward:
    case Op::maxpool_backward:
    case Op::avgpool_forward:
    case Op::avgpool_backward:
    case Op::adaptive_avgpool_forward:
    case Op::adaptive_avgpool_backward: return pool_launch(step);
    case Op::softmax_forward:
    case Op::softmax_backward:
    case Op::weight_sum:
    case Op::softmax_crossentropy:
    case Op::softmax_crossentropy_rows:
    case Op::sigmoid_crossentropy:
    case Op::mean_squared_error:
    case Op::add_stats: return loss_launch(step);
    case Op::gradient_norm:
    case Op::sgd_update:
    case Op::adam_update:
    case Op::ema_update: return update_launch(step);
    case Op::wait: return {.run = [](const Addresses&) {}};
  }
  fail("an op without a kernel", __FILE__, __LINE__);
}

class KernelBackend final : public Backend {
 public:
  [[nodiscard]] std::string_view name() const override { return "kernels"; }
  [[nodiscard]] PreparedStep prepare(const Program& program, const Step& step) override {
    Launch launch = launch_of(std::make_shared<const StepInfo>(program, step));
    return {.algorithm = "kernel:" + std::string(to_string(step.op)),
            .workspace_bytes = launch.workspace_bytes,
            .run = [run = std::move(launch.run)](const StepArguments& arguments) { run(Addresses(arguments)); }};
  }
};

}  // namespace

std::unique_ptr<Backend> make_kernel_backend() { return std::make_unique<KernelBackend>(); }

}  // namespace snug::kernels_test
