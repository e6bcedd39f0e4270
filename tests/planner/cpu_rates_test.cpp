#include "planner/cpu_rates.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "lowering/recompute.h"
#include "planner/cost_model.h"
#include "planner/nets.h"

namespace snug {
namespace {

namespace fs = std::filesystem;

class CpuRatesFile : public ::testing::Test {
 protected:
  CpuRatesFile() {
    std::string name = (fs::temp_directory_path() / "snug-rates-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  void TearDown() override {
    ::unsetenv("SNUG_CPU_RATES");
    fs::remove_all(folder_);
  }
  fs::path folder_;
};

const DeviceRates kRates{.flops_per_second = 2.22e11,
                         .bytes_per_second = 4.3e10,
                         .least_seconds = 3e-6,
                         .depthwise_flops_per_second = 4.2e10,
                         .norm_bytes_per_second = 2.8e10,
                         .product_seconds = 1e-4,
                         .cold_bytes_per_second = 2e10,
                         .stay_bytes_per_second = 1e11,
                         .cache_bytes = 3.2e7};

TEST_F(CpuRatesFile, WhatIsSavedIsLoaded) {
  const fs::path file = folder_ / "deeper" / "rates.txt";
  ASSERT_TRUE(save_cpu_rates(file, {.fp32 = kRates, .bf16 = {}}));
  const CpuRates loaded = load_cpu_rates(file).value_or(CpuRates{});
  EXPECT_DOUBLE_EQ(loaded.fp32.flops_per_second, kRates.flops_per_second);
  EXPECT_DOUBLE_EQ(loaded.fp32.product_seconds, kRates.product_seconds);
  EXPECT_EQ(loaded.bf16.flops_per_second, 0);
  ::setenv("SNUG_CPU_RATES", file.c_str(), 1);
  EXPECT_DOUBLE_EQ(cpu_device(0, Precision::fp32).rates.norm_bytes_per_second, kRates.norm_bytes_per_second);
  EXPECT_EQ(cpu_device(0, Precision::bf16).rates.bytes_per_second, 0);
}

TEST_F(CpuRatesFile, WhatIsNotWholeIsNotTaken) {
  const fs::path file = folder_ / "rates.txt";
  EXPECT_FALSE(load_cpu_rates(file)) << "there is none";
  ASSERT_TRUE(save_cpu_rates(file, {.fp32 = kRates, .bf16 = kRates}));
  std::string text;
  std::getline(std::ifstream(file), text, '\0');
  for (const std::string& wrong :
       {text.substr(0, text.size() / 2), std::string("snug rates 0") + text.substr(12), text + "fp32.flops much\n"}) {
    std::ofstream(file) << wrong;
    EXPECT_FALSE(load_cpu_rates(file)) << wrong;
  }
  EXPECT_FALSE(save_cpu_rates("/proc/nowhere/rates.txt", {}));
}

TEST_F(CpuRatesFile, SaysHowMuchOthersDisturbed) {
  const fs::path file = folder_ / "rates.txt";
  ASSERT_TRUE(save_cpu_rates(file, {.fp32 = kRates, .bf16 = kRates, .waited_share = 0.25, .times = 3}));
  const CpuRates loaded = load_cpu_rates(file).value_or(CpuRates{});
  EXPECT_DOUBLE_EQ(loaded.waited_share, 0.25);
  EXPECT_EQ(loaded.times, 3);
}

TEST(CpuRatesMeasuredAgain, AreTheBestOfEach) {
  DeviceRates slow = kRates, other = kRates;
  slow.flops_per_second /= 4;
  slow.least_seconds *= 100;
  other.norm_bytes_per_second /= 2;
  other.product_seconds *= 3;
  const CpuRates disturbed{.fp32 = slow, .bf16 = slow, .waited_share = 0.6};
  const CpuRates quiet{.fp32 = other, .bf16 = other, .waited_share = 0.01};
  EXPECT_TRUE(is_disturbed(disturbed));
  const CpuRates best = best_of(disturbed, quiet);
  EXPECT_EQ(best, (CpuRates{.fp32 = kRates, .bf16 = kRates, .waited_share = 0.01, .times = 2}));
  EXPECT_FALSE(is_disturbed(best));
  EXPECT_FALSE(is_disturbed({.fp32 = slow, .bf16 = slow, .waited_share = 0.6, .times = 8})) << "it is always busy";
}

TEST(CpuRatesName, IsOfProcessorAndThreads) {
  ::setenv("XDG_CACHE_HOME", "/cache", 1);
  const fs::path one = cpu_rates_file(1);
  EXPECT_EQ(one.parent_path(), "/cache/snug");
  EXPECT_NE(one, cpu_rates_file(2));
  ::unsetenv("XDG_CACHE_HOME");
}

TEST(CostModel, KindsOfStepsHaveRatesOfTheirOwn) {
  LoweringOptions options;
  options.batch = 8;
  const Program program = lower(test::small_net(true), options);
  DeviceRates plain = kRates;
  plain.norm_bytes_per_second = 0;
  plain.product_seconds = 0;
  int norms = 0, products = 0;
  for (const Step& step : program.steps) {
    const double with = step_seconds(program, step, kRates), without = step_seconds(program, step, plain);
    if (step.op == Op::batchnorm_backward) {
      ++norms;
      const double bytes = static_cast<double>(step_cost(program, step).bytes);
      EXPECT_DOUBLE_EQ(with, std::max(bytes / kRates.norm_bytes_per_second, kRates.least_seconds));
    } else if (is_product(step.op)) {
      ++products;
      EXPECT_DOUBLE_EQ(with, without + kRates.product_seconds);
    }
  }
  EXPECT_GT(norms, 0);
  EXPECT_GT(products, 0);
}

std::int64_t operand_bytes(const Program& program, const Step& step, std::size_t i) {
  const TensorInfo& tensor = program[step.operands[i].tensor];
  return tensor.shape.elements() * size_bytes(tensor.dtype);
}

/// Sums over a program of `rates`, of what weight gradients read and of what norms write.
struct CacheSums {
  double seconds = 0, read = 0, written = 0;
};
CacheSums cache_sums(const Program& program, const DeviceRates& rates) {
  CacheSums sums{.seconds = program_seconds(program, rates)};
  for (const Step& step : program.steps) {
    if (step.op == Op::conv_backward_weights) sums.read += static_cast<double>(operand_bytes(program, step, 0));
    if (step.op == Op::batchnorm_forward) sums.written += static_cast<double>(operand_bytes(program, step, 5));
  }
  return sums;
}

TEST(CostModel, WhatStaysInTheCacheIsReadAndWrittenSooner) {
  LoweringOptions options{.batch = 8};
  options.in_place = false;
  const Program program = lower(test::small_net(true), options);
  DeviceRates rates = kRates;
  rates.cache_bytes = 0;
  const CacheSums unknown = cache_sums(program, rates);
  ASSERT_GT(unknown.written, 0);
  rates.cache_bytes = 1;
  EXPECT_NEAR(cache_sums(program, rates).seconds - unknown.seconds, unknown.read / rates.cold_bytes_per_second, 1e-12)
      << "nothing stays: weight gradients read from memory, which is what norms are measured with";
  rates.cache_bytes = 1e12;
  EXPECT_NEAR(unknown.seconds - cache_sums(program, rates).seconds, unknown.written / rates.stay_bytes_per_second,
              1e-12)
      << "all stays: norms write to the cache, where gradients read";
}

TEST(CostModel, ANormMadeAgainSparesTheWayToMemory) {
  LoweringOptions options{.batch = 64};
  options.in_place = false;
  const Graph graph = test::small_net(true);
  const Program program = lower(graph, options);
  DeviceRates rates = kRates;
  rates.cache_bytes = 0;
  std::int64_t largest = 0, all = 0;
  for (const Step& step : program.steps) {
    if (step.op == Op::batchnorm_forward) largest = std::max(largest, operand_bytes(program, step, 5));
    for (std::size_t i = 0; i < step.operands.size(); ++i) all += operand_bytes(program, step, i);
  }
  for (const double spared : spared_by_again(program, rates)) EXPECT_EQ(spared, 0) << "no cache is known";
  rates.cache_bytes = static_cast<double>(2 * largest);
  ASSERT_LT(2 * largest, all / 4) << "a step is much more than the cache";
  int norms = 0;
  const std::vector<double> spared = spared_by_again(program, rates);
  for (std::size_t i = 0; i < spared.size(); ++i) {
    if (spared[i] == 0) continue;
    ++norms;
    const Step& step = program.steps[i];
    ASSERT_EQ(step.op, Op::batchnorm_forward);
    const auto bytes = static_cast<double>(operand_bytes(program, step, 5));
    // Written twice; a weight gradient reads it, or none does.
    const double written = 2 * bytes / rates.stay_bytes_per_second;
    EXPECT_TRUE(std::abs(spared[i] - written) < 1e-12 ||
                std::abs(spared[i] - written - bytes / rates.cold_bytes_per_second) < 1e-12);
  }
  EXPECT_GT(norms, 0);
}

TEST(CostModel, DepthwiseConvolutionsHaveTheirRate) {
  ModelConfig model;
  model.input = {8, 8, 16};
  ConvLayer depthwise;
  depthwise.depthwise = true;
  depthwise.kernel = {3, 3};
  model.layers = {test::layer(depthwise), test::layer(FlattenLayer{}), test::dense(4)};
  const Program program = lower(test::graph_of(model), {.batch = 64});
  DeviceRates slow = kRates;
  slow.depthwise_flops_per_second = 1;
  int changed = 0;
  for (const Step& step : program.steps) {
    const bool differs = step_seconds(program, step, slow) > 2 * step_seconds(program, step, kRates);
    changed += differs;
    EXPECT_TRUE(!differs || program.layer_name(step.layer) == "0");
  }
  EXPECT_GE(changed, 2) << "forward and weights";
}

}  // namespace
}  // namespace snug
