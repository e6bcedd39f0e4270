// `eval` and `predict` on the emulated device say what they say on the processor.
#include <gtest/gtest.h>

#include <cstddef>

#include "base/file.h"
#include "emulated/emulated_device.h"
#include "emulated/runs.h"
#include "train/evaluation.h"
#include "train/inference.h"
#include "train/prediction.h"

namespace snug::test {
namespace {

class EmulatedInference : public testing::TestWithParam<NetText> {
 protected:
  Runs runs_;
  std::filesystem::path run_ = runs_.on_cpu(GetParam()).folder;
  std::shared_ptr<EmulatedDevice> device_ = std::make_shared<EmulatedDevice>();
};

TEST_P(EmulatedInference, evaluates_as_the_processor_does) {
  const EvalOptions options{.threads = 1, .outcomes = true};
  const Evaluation cpu = evaluate_split(run_, options);
  const Evaluation device = evaluate_split(run_, options, emulated_computer(device_));
  EXPECT_EQ(cpu.result.samples, device.result.samples);
  EXPECT_NEAR(cpu.result.loss, device.result.loss, 1e-4);
  EXPECT_EQ(cpu.result.confusion, device.result.confusion);
  EXPECT_EQ(cpu.result.outcomes.size(), device.result.outcomes.size());
  EXPECT_EQ(device_->allocation_count(), 3) << "the arenas, of which the transient one holds what steps share";
  EXPECT_TRUE(device_->allocations().empty());
}

TEST_P(EmulatedInference, predicts_as_the_processor_does) {
  // Three images of the size that the network takes, as NumPy stores them.
  const auto input = checkpoint_config(open_checkpoint(run_).info, run_).model.input;
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (3, " + std::to_string(input[0]) + ", " +
                       std::to_string(input[1]) + ", " + std::to_string(input[2]) + "), }";
  header.resize(118 - 1, ' ');
  std::string file("\x93NUMPY\x01\x00\x76\x00", 10);
  file += header + "\n";
  for (std::int64_t i = 0; i < 3 * input[0] * input[1] * input[2]; ++i) file += static_cast<char>(i * 37 % 256);
  const std::vector<std::filesystem::path> images{run_ / "images.npy"};
  write_text(images.front(), file);
  std::vector<Diagnostic> findings;
  const auto cpu = predict_images(this_computer(1), run_, images, 0, findings).predictions;
  const auto device = predict_images(emulated_computer(device_), run_, images, 0, findings).predictions;
  EXPECT_TRUE(findings.empty());
  ASSERT_EQ(cpu.size(), 3U);
  ASSERT_EQ(device.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(cpu[i].label, device[i].label);
    for (std::size_t c = 0; c < cpu[i].logits.size(); ++c) EXPECT_NEAR(cpu[i].logits[c], device[i].logits[c], 1e-3);
  }
}

INSTANTIATE_TEST_SUITE_P(Nets, EmulatedInference, testing::ValuesIn(nets()),
                         [](const auto& net) { return std::string(net.param.name); });

}  // namespace
}  // namespace snug::test
