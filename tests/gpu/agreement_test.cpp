// Every step of the tables of tests/ops on the GPU, as the program runs it there (cuDNN for products, kernels of our
// own for the rest), against the reference backend.
#include "ops/agreement.h"

#include "config/precision.h"
#include "gpu/gpu.h"
#include "ops/op_cases.h"

namespace snug::gpu_test {
namespace {

using namespace ops_test;

struct Table {
  const char* name;
  std::vector<StepCase> (*steps)();
};
template <std::vector<GradientCase> (*Cases)()>
std::vector<StepCase> both_ways() {
  return steps_of(Cases());
}

const std::vector<Table>& tables() {
  static const std::vector<Table> kTables{
      {"activation", both_ways<activation_cases>},
      {"elementwise", both_ways<elementwise_cases>},
      {"copy", copy_cases},
      {"dropout", both_ways<dropout_cases>},
      {"input", input_cases},
      {"gathered_input", gathered_input_cases},
      {"batchnorm", both_ways<batchnorm_cases>},
      {"fused_batchnorm", both_ways<fused_batchnorm_cases>},
      {"fused_inference", fused_inference_cases},
      {"norm_pool", both_ways<norm_pool_cases>},
      {"pool", both_ways<pool_cases>},
      {"softmax", both_ways<softmax_cases>},
      {"losses", loss_cases},
      {"updates", update_cases},
      {"scaled_losses", scaled_loss_cases},
      {"conv", both_ways<conv_cases>},
      {"fused_conv", fused_conv_cases},
      {"dense", both_ways<dense_cases>},
  };
  return kTables;
}

class GpuAgreement : public Gpu, public testing::WithParamInterface<Table> {
 protected:
  /// fp32 is strict: no tensor cores, no transformed convolutions.
  static Config config(Precision precision) {
    Config config;
    config.train.precision = precision;
    return config;
  }
};

TEST_P(GpuAgreement, WithTheReference) {
  const Computer gpu = computer(true);
  const auto reference = make_reference_backend();
  const auto run = [&](Precision precision, DType dtype) {
    if (cannot_compute(precision, gpu.processor)) return;
    const auto backend = make_visiting_backend(gpu.make_backend(config(precision)), gpu.device);
    for (const StepCase& step : GetParam().steps()) {
      if (dtype == DType::f32 || has_narrow_operands(step)) expect_agreement(*backend, *reference, step, dtype);
    }
  };
  run(Precision::fp32, DType::f32);
  run(Precision::bf16, DType::bf16);
  run(Precision::fp16, DType::f16);
}

INSTANTIATE_TEST_SUITE_P(Tables, GpuAgreement, testing::ValuesIn(tables()),
                         [](const auto& table) { return std::string(table.param.name); });

}  // namespace
}  // namespace snug::gpu_test
