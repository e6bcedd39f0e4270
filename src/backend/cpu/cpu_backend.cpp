#include <unordered_map>
#include <vector>

#include "backend/cpu/onednn.h"
#include "backend/cpu/prepare.h"
#include "snug/diagnostic.h"

namespace snug {

namespace cpu {

namespace {

PreparedStep prepare_step(const CpuContext& context, const StepView& step) {
  switch (step.step().op) {
    case Op::normalize_input: return prepare_normalize_input(context, step);
    case Op::conv_forward: return prepare_conv_forward(context, step);
    case Op::conv_backward_data: return prepare_conv_backward_data(context, step);
    case Op::conv_backward_weights: return prepare_conv_backward_weights(context, step);
    case Op::dense_forward: return prepare_dense_forward(context, step);
    case Op::dense_backward_data: return prepare_dense_backward_data(context, step);
    case Op::dense_backward_weights: return prepare_dense_backward_weights(context, step);
    case Op::batchnorm_forward: return prepare_batchnorm_forward(context, step);
    case Op::batchnorm_apply: return prepare_batchnorm_apply(context, step);
    case Op::batchnorm_inference: return prepare_batchnorm_inference(context, step);
    case Op::batchnorm_backward: return prepare_batchnorm_backward(context, step);
    case Op::batchnorm_inference_backward: return prepare_batchnorm_inference_backward(context, step);
    case Op::activation_forward: return prepare_activation_forward(context, step);
    case Op::activation_backward: return prepare_activation_backward(context, step);
    case Op::softmax_forward: return prepare_softmax_forward(context, step);
    case Op::softmax_backward: return prepare_softmax_backward(context, step);
    case Op::maxpool_forward: return prepare_maxpool_forward(context, step);
    case Op::maxpool_backward: return prepare_maxpool_backward(context, step);
    case Op::avgpool_forward: return prepare_avgpool_forward(context, step);
    case Op::avgpool_backward: return prepare_avgpool_backward(context, step);
    case Op::adaptive_avgpool_forward: return prepare_adaptive_avgpool_forward(context, step);
    case Op::adaptive_avgpool_backward: return prepare_adaptive_avgpool_backward(context, step);
    case Op::add: return prepare_add(context, step);
    case Op::cast: return prepare_cast(context, step);
    case Op::copy: return prepare_copy(context, step);
    case Op::scale_channels: return prepare_scale_channels(context, step);
    case Op::scale_channels_backward: return prepare_scale_channels_backward(context, step);
    case Op::dropout_forward:
    case Op::dropout_backward: return prepare_dropout(context, step);
    case Op::fill: return prepare_fill(context, step);
    case Op::weight_sum: return prepare_weight_sum(context, step);
    case Op::softmax_crossentropy: return prepare_softmax_crossentropy(context, step);
    case Op::softmax_crossentropy_rows: return prepare_softmax_crossentropy_rows(context, step);
    case Op::sigmoid_crossentropy: return prepare_sigmoid_crossentropy(context, step);
    case Op::mean_squared_error: return prepare_mean_squared_error(context, step);
    case Op::add_stats: return prepare_add_stats(context, step);
    case Op::scale_gradient:
    case Op::update_loss_scale: return prepare_loss_scale(context, step);
    case Op::gradient_norm: return prepare_gradient_norm(context, step);
    case Op::sgd_update: return prepare_sgd_update(context, step);
    case Op::adam_update: return prepare_adam_update(context, step);
    case Op::ema_update: return prepare_ema_update(context, step);
    case Op::wait: return prepare_wait(context, step);
    case Op::batchnorm_statistics:
    case Op::batchnorm_backward_apply:
    case Op::batchnorm_maxpool_forward:
    case Op::batchnorm_maxpool_backward:
    case Op::conv1x1_forward:
    case Op::conv1x1_backward_data:
    case Op::conv1x1_backward_weights: step.cannot_run("this backend does not fuse so");  // see Backend::fuses
  }
  step.cannot_run("it is no step kind");
}

/// All that an answer depends on.
struct Signature {
  struct Tensor {
    Shape shape;
    DType dtype = DType::f32;
    std::array<std::int64_t, kMaxRank> strides{};
    friend bool operator==(const Tensor&, const Tensor&) = default;
  };
  Op op = Op::wait;
  Saved chosen = Saved::input;
  Attributes attributes;
  std::vector<Tensor> tensors;
  friend bool operator==(const Signature&, const Signature&) = default;
};

struct SignatureHash {
  std::size_t operator()(const Signature& signature) const {
    auto hash = static_cast<std::size_t>(signature.op);
    for (const Signature::Tensor& tensor : signature.tensors) {
      for (const std::int64_t extent : tensor.shape.extents())
        hash = hash * 1'000'003 + static_cast<std::size_t>(extent);
    }
    return hash;
  }
};

Signature signature_of(const StepView& view) {
  Signature signature{.op = view.step().op, .chosen = view.step().chosen, .attributes = view.step().attributes};
  for (std::size_t i = 0; i < view.count(); ++i) {
    signature.tensors.push_back({view[i].shape, view[i].dtype, view[i].view.strides});
  }
  return signature;
}

class CpuBackend : public Backend {
 public:
  explicit CpuBackend(const CpuOptions& options) {
    context_.threads = options.threads > 0 ? options.threads : omp_get_num_procs();
    context_.kernels = &best_kernels();
    omp_set_num_threads(context_.threads);
    context_.library = std::make_shared<Library>(Library{.threads = context_.threads});
  }

  [[nodiscard]] std::string_view name() const override { return "cpu"; }

  [[nodiscard]] PreparedStep prepare(const Program& program, const Step& step) override {
    const StepView view(program, step);
    Signature signature = signature_of(view);
    const auto found = prepared_.find(signature);
    if (found != prepared_.end()) return found->second;
    omp_set_num_threads(context_.threads);  // oneDNN cuts its work by it, here and when it runs
    PreparedStep prepared = prepare_step(context_, view);
    prepared_.emplace(std::move(signature), prepared);
    return prepared;
  }

 private:
  CpuContext context_;
  std::unordered_map<Signature, PreparedStep, SignatureHash> prepared_;
};

}  // namespace

}  // namespace cpu

std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options) {
  return std::make_unique<cpu::CpuBackend>(options);
}

}  // namespace snug
