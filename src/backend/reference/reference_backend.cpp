#include <memory>
#include <string>
#include <utility>

#include "backend/backend.h"
#include "backend/reference/call.h"
#include "backend/reference/functions.h"
#include "snug/diagnostic.h"

namespace snug {

namespace {

using Function = void (*)(const reference::Call&);

Function function_of(Op op) {
  switch (op) {
    case Op::normalize_input: return reference::normalize_input;
    case Op::conv_forward: return reference::conv_forward;
    case Op::conv_backward_data: return reference::conv_backward_data;
    case Op::conv_backward_weights: return reference::conv_backward_weights;
    case Op::dense_forward: return reference::dense_forward;
    case Op::dense_backward_data: return reference::dense_backward_data;
    case Op::dense_backward_weights: return reference::dense_backward_weights;
    case Op::batchnorm_forward: return reference::batchnorm_forward;
    case Op::batchnorm_apply: return reference::batchnorm_apply;
    case Op::batchnorm_inference: return reference::batchnorm_inference;
    case Op::batchnorm_backward: return reference::batchnorm_backward;
    case Op::batchnorm_inference_backward: return reference::batchnorm_inference_backward;
    case Op::batchnorm_statistics: return reference::batchnorm_statistics;
    case Op::batchnorm_backward_apply: return reference::batchnorm_backward_apply;
    case Op::batchnorm_maxpool_forward: return reference::batchnorm_maxpool_forward;
    case Op::batchnorm_maxpool_backward: return reference::batchnorm_maxpool_backward;
    case Op::conv1x1_forward: return reference::conv1x1_forward;
    case Op::conv1x1_backward_data: return reference::conv1x1_backward_data;
    case Op::conv1x1_backward_weights: return reference::conv1x1_backward_weights;
    case Op::activation_forward: return reference::activation_forward;
    case Op::activation_backward: return reference::activation_backward;
    case Op::softmax_forward: return reference::softmax_forward;
    case Op::softmax_backward: return reference::softmax_backward;
    case Op::maxpool_forward: return reference::maxpool_forward;
    case Op::maxpool_backward: return reference::maxpool_backward;
    case Op::avgpool_forward: return reference::avgpool_forward;
    case Op::avgpool_backward: return reference::avgpool_backward;
    case Op::adaptive_avgpool_forward: return reference::adaptive_avgpool_forward;
    case Op::adaptive_avgpool_backward: return reference::adaptive_avgpool_backward;
    case Op::add: return reference::add;
    case Op::cast: return reference::cast;
    case Op::copy: return reference::copy;
    case Op::scale_channels: return reference::scale_channels;
    case Op::scale_channels_backward: return reference::scale_channels_backward;
    case Op::dropout_forward:
    case Op::dropout_backward: return reference::dropout;
    case Op::fill: return reference::fill;
    case Op::weight_sum: return reference::weight_sum;
    case Op::softmax_crossentropy: return reference::softmax_crossentropy;
    case Op::softmax_crossentropy_rows: return reference::softmax_crossentropy_rows;
    case Op::sigmoid_crossentropy: return reference::sigmoid_crossentropy;
    case Op::mean_squared_error: return reference::mean_squared_error;
    case Op::add_stats: return reference::add_stats;
    case Op::scale_gradient: return reference::scale_gradient;
    case Op::update_loss_scale: return reference::update_loss_scale;
    case Op::gradient_norm: return reference::gradient_norm;
    case Op::sgd_update: return reference::sgd_update;
    case Op::adam_update: return reference::adam_update;
    case Op::ema_update: return reference::ema_update;
    case Op::wait: return reference::nothing;
  }
  fail("an op without a reference function", __FILE__, __LINE__);
}

class ReferenceBackend final : public Backend {
 public:
  [[nodiscard]] std::string_view name() const override { return "reference"; }

  [[nodiscard]] bool fuses(const Program& /*program*/, const Step& /*step*/) const override { return true; }

  [[nodiscard]] PreparedStep prepare(const Program& program, const Step& step) override {
    const auto bound = std::make_shared<Bound>();
    bound->step = step;
    for (const Operand& operand : step.operands) {
      const TensorInfo& tensor = program[operand.tensor];
      if (is_floating(tensor.dtype) && tensor.dtype != DType::f64 && operand.access != Access::in) {
        throw Error(
            {.code = "I101",
             .where = tensor.name,
             .what = "the reference backend computes in fp64, the tensor is " + std::string(to_string(tensor.dtype)),
             .fix = "lower the program with dtype f64"});
      }
      bound->tensors.push_back(tensor);
    }
    return {.algorithm = "reference:" + std::string(to_string(step.op)),
            .run = [bound, function = function_of(step.op)](const StepArguments& arguments) {
              function({bound->step, bound->tensors, arguments});
            }};
  }

 private:
  struct Bound {
    Step step;
    std::vector<TensorInfo> tensors;  ///< of the operands
  };
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace snug
