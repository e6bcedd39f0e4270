#include "backend/cuda/steps/cuda_backend.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <utility>

#include "backend/cuda/scratch.h"
#include "backend/cuda/steps/launch.h"
#include "backend/device.h"
#include "snug/diagnostic.h"

namespace snug {

namespace cuda {

kernels::Data data_of(DType dtype) {
  switch (dtype) {
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

kernels::Data StepInfo::data(std::size_t i) const { return data_of(tensors_.at(i).dtype); }

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

/// Products by kernels of our own.
Launch launch_of(const Info& step) {
  switch (step->step().op) {
    case Op::conv_forward:
    case Op::conv_backward_data:
    case Op::conv_backward_weights:
    case Op::dense_forward:
    case Op::dense_backward_data:
    case Op::dense_backward_weights: return product_launch(step);
    case Op::conv1x1_forward:
    case Op::conv1x1_backward_data:
    case Op::conv1x1_backward_weights: return conv1x1_launch(step);
    case Op::batchnorm_forward:
    case Op::batchnorm_statistics:
    case Op::batchnorm_backward_apply:
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
    case Op::adaptive_avgpool_backward:
    case Op::batchnorm_maxpool_forward:
    case Op::batchnorm_maxpool_backward: return pool_launch(step);
    case Op::softmax_forward:
    case Op::softmax_backward:
    case Op::weight_sum:
    case Op::softmax_crossentropy:
    case Op::softmax_crossentropy_rows:
    case Op::sigmoid_crossentropy:
    case Op::mean_squared_error:
    case Op::add_stats: return loss_launch(step);
    case Op::scale_gradient:
    case Op::update_loss_scale:
    case Op::gradient_norm:
    case Op::sgd_update:
    case Op::adam_update:
    case Op::ema_update: return update_launch(step);
    case Op::wait: return {.run = [](const Addresses&) {}};
  }
  fail("an op without a kernel", __FILE__, __LINE__);
}

PreparedStep prepared(std::string algorithm, Launch launch) {
  return {.algorithm = std::move(algorithm),
          .workspace_bytes = launch.workspace_bytes,
          .run = [run = std::move(launch.run)](const StepArguments& arguments) { run(Addresses(arguments)); }};
}

/// By kernels of our own. Products of theirs say what scratch they need; of the other steps plans know it already.
PreparedStep prepared_own(const Program& program, const Step& step) {
  Launch launch = launch_of(std::make_shared<const StepInfo>(program, step));
  if (!is_product(step.op)) launch.workspace_bytes = scratch_bytes(program, step);
  return prepared("own", std::move(launch));
}

class KernelBackend final : public Backend {
 public:
  [[nodiscard]] std::string_view name() const override { return "kernels"; }
  [[nodiscard]] PreparedStep prepare(const Program& program, const Step& step) override {
    return prepared_own(program, step);
  }
};

class CudaBackend final : public Backend {
 public:
  CudaBackend(std::shared_ptr<EngineSource> source, std::shared_ptr<ProductLibrary> library,
              const CudaPlannerOptions& options)
      : source_(std::move(source)), library_(std::move(library)), options_(options) {}

  [[nodiscard]] std::string_view name() const override { return source_->sheet().name; }

  [[nodiscard]] bool fuses(const Program& program, const Step& step) const override {
    return is_pooled_norm(step.op) || fuses_product(program, step, source_->sheet());
  }

  [[nodiscard]] PreparedStep prepare(const Program& program, const Step& step) override {
    if (!is_product(step.op)) return prepared_own(program, step);
    const ProductPlan plan = plan_product(program, step, *source_, options_);
    return plan.own ? prepared_own(program, step) : prepare_product(program, step, plan);
  }

  [[nodiscard]] std::optional<PreparedStep> prepare_within(const Program& program, const Step& step,
                                                           std::int64_t workspace_bytes) override {
    const auto better = better_product(program, step, *source_, options_, workspace_bytes);
    return better ? std::optional(prepare_product(program, step, *better)) : std::nullopt;
  }

 private:
  [[nodiscard]] PreparedStep prepare_product(const Program& program, const Step& step, const ProductPlan& plan) {
    const auto info = std::make_shared<const StepInfo>(program, step);
    try {
      return prepared(plan.engine.name, library_launch(info, plan, call_of(plan)));
    } catch (const DeviceFailure& failure) {
      refuse(program, step, plan, failure);
    }
  }
  [[noreturn]] void refuse(const Program& program, const Step& step, const ProductPlan& plan,
                           const DeviceFailure& failure) const {
    const std::string layer = program.layer_name(step.layer);
    throw Error({.code = failure.of_memory ? "M304" : "G923",
                 .where = layer.empty() ? std::string(name()) : layer,
                 .what = fmt::format("{} {}: {}", to_string(step.op), plan.engine.name, failure.what()).substr(0, 160),
                 .fix = failure.of_memory ? "snug devices   # who else holds the memory of the device"
                                          : "--set 'memory.workspace=\"512MiB\"'   # more scratch for a step"});
  }
  /// Networks have the same convolution many times; what the library made for one does for all.
  const ProductCall& call_of(const ProductPlan& plan) {
    std::string key = fmt::format("{} {} {}", key_of(plan.convolution), plan.engine.name, plan.engine.workspace_bytes);
    const auto known = calls_.find(key);
    if (known != calls_.end()) return known->second;
    ProductCall call = library_->prepare(plan.convolution, plan.engine);
    return calls_
        .emplace(std::move(key), [library = library_, call = std::move(call)](const ProductArguments& a) { call(a); })
        .first->second;
  }

  std::shared_ptr<EngineSource> source_;
  std::shared_ptr<ProductLibrary> library_;
  CudaPlannerOptions options_;
  std::map<std::string, ProductCall> calls_;
};

}  // namespace

}  // namespace cuda

std::unique_ptr<Backend> make_cuda_backend(std::shared_ptr<EngineSource> source,
                                           std::shared_ptr<ProductLibrary> library, const CudaPlannerOptions& options) {
  return std::make_unique<cuda::CudaBackend>(std::move(source), std::move(library), options);
}

std::unique_ptr<Backend> make_kernel_backend() { return std::make_unique<cuda::KernelBackend>(); }

}  // namespace snug
