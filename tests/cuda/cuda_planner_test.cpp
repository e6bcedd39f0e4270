#include "backend/cuda/cuda_planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "backend/cuda/product_plan.h"
#include "backend/cuda/scratch.h"
#include "kernels/tiles.h"
#include "lowering/lowering.h"
#include "planner/device_profile.h"
#include "planner/nets.h"
#include "snug/diagnostic.h"

namespace snug {
namespace {

const EngineSourceOptions kBound{.cache = {}, .use_cudnn = false};
const EngineSourceOptions kFresh{.cache = {}, .use_cudnn = true};

/// Why cuDNN cannot be asked in this build or on this machine; empty when it can.
std::string no_cudnn() {
  if (!std::string_view(SNUG_SANITIZERS).empty()) return "cuDNN is not made for sanitizers";
  return cudnn::Library::open() == nullptr ? "cuDNN is not installed here" : "";
}

Program lowered(const Graph& graph, std::int64_t batch, DType dtype, std::int64_t parts = 1) {
  return lower(graph, {.batch = batch, .parts = parts, .dtype = dtype});
}

Graph model(const std::string& name) {
  return test::graph_of(load_config("configs/models/" + name + ".toml", {.model_only = true}).model);
}

std::shared_ptr<EngineSource> source_for(const std::string& profile, const EngineSourceOptions& options) {
  return std::make_shared<EngineSource>(sheet_of(load_profile(profile)), options);
}

/// The scratch of every step of a program.
std::vector<std::int64_t> scratch_of(const Program& program, Backend& backend) {
  std::vector<std::int64_t> bytes;
  bytes.reserve(program.steps.size());
  for (const Step& step : program.steps) bytes.push_back(backend.prepare(program, step).workspace_bytes);
  return bytes;
}

std::int64_t largest(const std::vector<std::int64_t>& bytes) { return *std::ranges::max_element(bytes); }

TEST(CudaPlanner, PlansWithBoundsWhereThereIsNoCudnn) {
  const auto source = source_for("h100-80gb", kBound);
  EXPECT_EQ(source->name(), "bound");
  const auto planner = make_cuda_planner(source, {});
  const Program program = lowered(test::small_net(true), 8, DType::f32);
  for (const Step& step : program.steps) {
    const PreparedStep prepared = planner->prepare(program, step);
    EXPECT_FALSE(prepared.run) << "a GPU that is not here runs nothing";
    if (!is_product(step.op)) continue;
    EXPECT_EQ(prepared.algorithm, "bound");
    EXPECT_GE(prepared.workspace_bytes, 132 * (128 << 10) + 4096);
  }
}

TEST(CudaPlanner, GradientsOfWeightsPassThroughScratch) {
  const auto source = source_for("h100-80gb", kBound);
  const std::int64_t bound = workspace_bound(source->sheet());
  ModelConfig config;
  config.input = {16, 16, 8};
  config.layers = {test::conv(64), test::layer(GlobalAveragePoolLayer{}), test::dense(5)};
  const Graph graph = test::graph_of(config);
  constexpr std::int64_t kWeights = std::int64_t{64} * 3 * 3 * 8;
  const auto scratch_of_weights = [&](DType dtype, std::int64_t parts) {
    const auto planner = make_cuda_planner(source, {});
    const Program program = lowered(graph, 8, dtype, parts);
    std::int64_t most = 0;
    for (const Step& step : program.steps) {
      if (step.op != Op::conv_backward_weights) continue;
      most = std::max(most, planner->prepare(program, step).workspace_bytes);
    }
    return most;
  };
  EXPECT_EQ(scratch_of_weights(DType::f32, 1), bound) << "fp32 gradients are written where they belong";
  EXPECT_EQ(scratch_of_weights(DType::bf16, 1), bound + 2 * kWeights) << "no engine writes fp32 from bf16";
  EXPECT_EQ(scratch_of_weights(DType::f32, 2), bound + 4 * kWeights) << "the second part is added";
}

/// Where engines of the library add the bias, a 16-bit one is narrowed in front of their scratch.
TEST(CudaPlanner, BiasAndReluAreTheEnginesWhereItHasThem) {
  const auto source = source_for("h100-80gb", kBound);
  const auto plan_of = [&](Activation function, bool norm, DType dtype) {
    ModelConfig config;
    config.input = {16, 16, 8};
    config.layers = {test::conv(24, norm, function), test::layer(GlobalAveragePoolLayer{}), test::dense(5)};
    const Program program = lowered(test::graph_of(config), 8, dtype);
    const auto step = std::ranges::find(program.steps, Op::conv_forward, &Step::op);
    return plan_product(program, *step, *source, {});
  };
  const ProductPlan fused = plan_of(Activation::relu, false, DType::bf16);
  EXPECT_TRUE(fused.convolution.bias && fused.convolution.relu);
  EXPECT_EQ(fused.kept_bytes, 256);
  EXPECT_EQ(fused.total_bytes, workspace_bound(source->sheet()) + 256);
  EXPECT_EQ(plan_of(Activation::relu, false, DType::f32).kept_bytes, 0) << "it is there as it is";
  EXPECT_FALSE(plan_of(Activation::leaky_relu, false, DType::bf16).convolution.bias) << "of our own, with the slope";
  EXPECT_FALSE(plan_of(Activation::relu, true, DType::bf16).convolution.relu) << "behind the norm";
}

TEST(CudaPlanner, TheDefaultLimitIsAShareOfTheDevice) {
  EXPECT_EQ(default_workspace_limit(std::int64_t{6} << 30), 128 << 20);
  EXPECT_EQ(default_workspace_limit(std::int64_t{24} << 30), 384 << 20);
  EXPECT_EQ(default_workspace_limit(std::int64_t{80} << 30), 512 << 20);
}

TEST(Scratch, OfSumsIsSplitByShapeAndBounded) {
  EXPECT_EQ(kernels::sum_parts(1, 64), 1);
  EXPECT_GT(kernels::sum_parts(1 << 20, 64), 100);
  EXPECT_LE(kernels::sum_parts(std::int64_t{1} << 30, 64), kernels::kSumBlocks);
  EXPECT_LE(kernels::sum_parts(std::int64_t{1} << 30, 1), kernels::kSumBlocks);
  EXPECT_EQ(kernels::bias_gradient_workspace_bytes(1, 10), 10 * 4);
}

TEST(Scratch, OfOurOwnStepsIsSmall) {
  const auto planner = make_cuda_planner(source_for("t4", kBound), {});
  const Program program = lowered(test::odd_net(), 64, DType::f32);
  std::set<Op> seen;
  for (const Step& step : program.steps) {
    if (is_product(step.op)) continue;
    seen.insert(step.op);
    EXPECT_LE(planner->prepare(program, step).workspace_bytes, 1 << 20) << to_string(step.op);
  }
  EXPECT_GT(seen.size(), 10U);
}

// ---- with cuDNN -----------------------------------------------------------------------------------------------------

class WithCudnn : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = no_cudnn(); !why.empty()) GTEST_SKIP() << why;
  }
};

TEST_F(WithCudnn, TheDeviceChoosesTheEngines) {
  const Program program = lowered(model("resnet18-cifar"), 16, DType::bf16);
  const auto engines_on = [&](const std::string& profile) {
    const auto planner = make_cuda_planner(source_for(profile, kFresh), {});
    std::string engines;
    for (const Step& step : program.steps) {
      if (is_product(step.op)) engines += planner->prepare(program, step).algorithm + " ";
    }
    return engines;
  };
  const std::string h100 = engines_on("h100-80gb");
  EXPECT_EQ(h100, engines_on("h100-80gb")) << "the same answer every time";
  EXPECT_NE(h100, engines_on("rtx4090"));
}

TEST_F(WithCudnn, ASmallerLimitNeverTakesMore) {
  const auto source = source_for("h100-80gb", kFresh);
  const Program program = lowered(model("resnet18"), 64, DType::bf16);
  std::vector<std::int64_t> before;
  for (const std::int64_t limit : {1LL << 40, 128LL << 20, 16LL << 20, 1LL << 20, 0LL}) {
    const auto planner = make_cuda_planner(source, {.workspace_limit_bytes = limit});
    const std::vector<std::int64_t> scratch = scratch_of(program, *planner);
    for (std::size_t i = 0; i < before.size(); ++i) EXPECT_LE(scratch[i], before[i]);
    if (limit >= 16 << 20) {
      EXPECT_LE(largest(scratch), limit);
    }
    before = scratch;
  }
}

TEST_F(WithCudnn, ClusterEnginesAreBoundedAndNotTrusted) {
  const auto source = source_for("h100-80gb", kFresh);
  const std::vector<Engine>& engines =
      source->engines({.dtype = DType::bf16,
                       .x = {256, 56, 56, 64},
                       .w = {64, 3, 3, 64},
                       .y = {256, 56, 56, 64},
                       .window = {.kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}}});
  ASSERT_FALSE(engines.empty());
  EXPECT_TRUE(engines.front().name.starts_with("62{")) << engines.front().name;
  EXPECT_EQ(engines.front().workspace_bytes, 132 * (128 << 10) + 4096);
  EXPECT_EQ(engines.back().workspace_bytes, 0) << "an engine without scratch is there for every limit";
}

TEST_F(WithCudnn, StrictFp32TakesOtherEnginesThanTf32) {
  const auto source = source_for("a100-40gb", kFresh);
  Convolution c{.dtype = DType::f32,
                .x = {32, 28, 28, 64},
                .w = {64, 3, 3, 64},
                .y = {32, 28, 28, 64},
                .window = {.kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}}};
  const std::string strict = source->engines(c).front().name;
  c.tf32 = true;
  EXPECT_NE(source->engines(c).front().name, strict);
}

TEST_F(WithCudnn, ADeviceWithoutBf16HasNoEngineForIt) {
  const Program program = lowered(test::small_net(false), 4, DType::bf16);
  const auto planner = make_cuda_planner(source_for("t4", kFresh), {});
  try {
    (void)scratch_of(program, *planner);
    FAIL() << "a T4 computed in bf16";
  } catch (const Error& error) {
    EXPECT_EQ(error.findings().front().code, "A910");
    EXPECT_NE(error.findings().front().what.find("Tesla T4"), std::string::npos);
  }
}

TEST_F(WithCudnn, DepthwiseEnginesAreListedWithoutADriver) {
  const auto source = source_for("h100-80gb", kFresh);
  const std::vector<Engine>& engines =
      source->engines({.kind = ConvolutionKind::backward_weights,
                       .dtype = DType::bf16,
                       .x = {128, 56, 56, 144},
                       .w = {144, 3, 3, 1},
                       .y = {128, 56, 56, 144},
                       .window = {.kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}}});
  ASSERT_FALSE(engines.empty());
  EXPECT_LT(engines.front().workspace_bytes, 10 << 20) << "generic ones take 0.9 GB";
}

/// Every convolution has an engine, and one that fits in what is planned where cuDNN cannot be asked.
void expect_engines(const std::string& profile, const Graph& graph, DType dtype) {
  const auto source = source_for(profile, kFresh);
  std::set<std::string> asked;
  const Program program = lowered(graph, 64, dtype);
  for (const Step& step : program.steps) {
    if (!is_product(step.op)) continue;
    const Convolution c = convolution_of(program, step, false);
    if (!asked.insert(key_of(c)).second) continue;
    const std::vector<Engine>& engines = source->engines(c);
    ASSERT_FALSE(engines.empty()) << profile << ": " << key_of(c);
    EXPECT_LE(engines.back().workspace_bytes, workspace_bound(source->sheet())) << profile << ": " << key_of(c);
  }
}

/// Every model and every profile at least once: three profiles a model, the next model goes on with those behind them.
/// scripts/plan_all.sh plans each model on each.
TEST_F(WithCudnn, EveryConvolutionOfEveryModelHasAnEngine) {
  std::vector<std::filesystem::path> models;
  for (const auto& entry : std::filesystem::directory_iterator("configs/models"))
    if (entry.path().extension() == ".toml") models.push_back(entry.path());
  std::ranges::sort(models);
  const std::vector<DeviceProfile> profiles = installed_profiles();
  constexpr std::size_t kProfilesOfAModel = 3;
  ASSERT_GE(kProfilesOfAModel * models.size(), profiles.size());
  std::size_t next = 0;
  for (const std::filesystem::path& path : models) {
    const Graph graph = model(path.stem().string());
    for (std::size_t i = 0; i < kProfilesOfAModel; ++i, ++next) {
      const DeviceProfile& profile = profiles[next % profiles.size()];
      SCOPED_TRACE(path.stem().string());
      expect_engines(profile.name, graph, profile.bf16 ? DType::bf16 : DType::f16);
      if (i == 0) expect_engines(profile.name, graph, DType::f32);
    }
  }
}

/// The data gradient of a strided depthwise convolution takes no scratch and asks no library.
TEST(CudaPlanner, StridedDepthwiseGradientsAreOfOurOwn) {
  const auto planner = make_cuda_planner(source_for("h100-80gb", kBound), {});
  const Program program = lowered(model("mobilenet_v2"), 8, DType::bf16);
  int own = 0, others = 0;
  for (const Step& step : program.steps) {
    if (step.op != Op::conv_backward_data) continue;
    const PreparedStep prepared = planner->prepare(program, step);
    const auto& conv = std::get<ConvAttributes>(step.attributes);
    const bool strided_depthwise = conv.groups > 1 && conv.window.stride[0] > 1;
    EXPECT_EQ(prepared.algorithm == "own", strided_depthwise);
    EXPECT_EQ(prepared.workspace_bytes == 0, strided_depthwise) << "a bound where there is no cuDNN";
    (strided_depthwise ? own : others) += 1;
  }
  EXPECT_EQ(own, 4);
  EXPECT_GT(others, 30);
}

/// What is fused is what kernels of ours can: 1×1 convolutions in bf16, of widths that are multiples of 8, from sm_80
/// on.
TEST(CudaPlanner, FusesWhatItsKernelsCan) {
  const auto fused_on = [](const std::string& profile, DType dtype, const std::string& name) {
    const auto planner = make_cuda_planner(source_for(profile, kBound), {});
    const auto possible = [&](const Program& program, const Step& step) { return planner->fuses(program, step); };
    const Program program = lower(model(name), {.batch = 8, .dtype = dtype, .products = {.possible = possible}});
    return std::ranges::count_if(program.steps, [](const Step& step) { return is_fused_product(step.op); });
  };
  EXPECT_EQ(fused_on("t4", DType::f16, "resnet50"), 0);
  EXPECT_EQ(fused_on("t4", DType::bf16, "resnet50"), 0);
  EXPECT_EQ(fused_on("h100-80gb", DType::f16, "resnet50"), 0);
  EXPECT_EQ(fused_on("h100-80gb", DType::f32, "resnet50"), 0);
  EXPECT_GT(fused_on("h100-80gb", DType::bf16, "resnet50"), 60);
  EXPECT_EQ(fused_on("h100-80gb", DType::bf16, "vgg16"), 0);
}

/// In every type, on every GPU.
TEST(CudaPlanner, PoolsInTheSweepsOfNorms) {
  const auto planner = make_cuda_planner(source_for("t4", kBound), {});
  const auto possible = [&](const Program& program, const Step& step) { return planner->fuses(program, step); };
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    const Program program = lower(model("resnet50"), {.batch = 8, .dtype = dtype, .products = {.possible = possible}});
    EXPECT_EQ(std::ranges::count(program.steps, Op::batchnorm_maxpool_forward, &Step::op), 1);
    const auto backward = std::ranges::find(program.steps, Op::batchnorm_maxpool_backward, &Step::op);
    ASSERT_NE(backward, program.steps.end());
    EXPECT_GT(planner->prepare(program, *backward).workspace_bytes, 0);
  }
}

}  // namespace
}  // namespace snug
