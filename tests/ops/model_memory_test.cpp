// Whole training runs on the CPU backend: shared memory changes no bit, and single precision stays near double.
#include <cmath>

#include <gtest/gtest.h>

#include "ops/model_harness.h"

namespace snug::ops_test {
namespace {

TEST(ModelMemory, reuse_changes_no_bit_on_the_cpu) {
  const auto cpu = make_cpu_backend({.threads = 1});
  for (const NetCase& net : all_nets()) expect_same_bits(net, *cpu, DType::f32);
}

TEST(ModelMemory, writing_in_place_changes_no_bit) {
  const auto cpu = make_cpu_backend({.threads = 1});
  for (const NetCase& net : all_nets()) expect_same_bits(net, *cpu, DType::f32, false);
}

/// Fused steps compute what the steps one by one compute, but for the order of roundings.
TEST(ModelMemory, fusing_changes_no_value) {
  const auto reference = make_reference_backend();
  for (const NetCase& net : all_nets()) {
    SCOPED_TRACE(net.name);
    Training fused(net, *reference, {.dtype = DType::f64});
    Training apart(net, *reference, {.dtype = DType::f64, .fuse = false});
    run(fused, net.train.optimizer.lr);
    run(apart, net.train.optimizer.lr);
    const auto expected = apart.lasting_values();
    for (const auto& [name, values] : fused.lasting_values()) expect_close(values, expected.at(name), 1e-10, name);
  }
}

TEST(ModelMemory, fusing_products_changes_no_value) {
  const auto reference = make_reference_backend();
  std::map<Op, int> fused_steps;
  for (const NetCase& net : all_nets()) {
    SCOPED_TRACE(net.name);
    Training fused(net, *reference, {.dtype = DType::f64, .fuse_products = true});
    Training apart(net, *reference, {.dtype = DType::f64});
    for (const Step& step : fused.plan().programs[0].program.steps) fused_steps[step.op] += 1;
    run(fused, net.train.optimizer.lr);
    run(apart, net.train.optimizer.lr);
    const auto expected = apart.lasting_values();
    for (const auto& [name, values] : fused.lasting_values()) expect_close(values, expected.at(name), 1e-10, name);
  }
  for (const Op op :
       {Op::conv1x1_forward, Op::conv1x1_backward_data, Op::conv1x1_backward_weights, Op::batchnorm_statistics,
        Op::batchnorm_backward_apply, Op::batchnorm_maxpool_forward, Op::batchnorm_maxpool_backward}) {
    EXPECT_GT(fused_steps[op], 0) << to_string(op);
  }
}

TEST(ModelMemory, joining_in_place_changes_no_value) {
  const auto reference = make_reference_backend();
  for (const NetCase& net : all_nets()) {
    SCOPED_TRACE(net.name);
    Training in_place(net, *reference, {.dtype = DType::f64});
    Training copied(net, *reference, {.dtype = DType::f64, .join_in_place = false});
    run(in_place, net.train.optimizer.lr);
    run(copied, net.train.optimizer.lr);
    const auto expected = copied.lasting_values();
    for (const auto& [name, values] : in_place.lasting_values()) expect_close(values, expected.at(name), 1e-10, name);
  }
}

TEST(ModelMemory, updating_eagerly_changes_no_bit) {
  const auto cpu = make_cpu_backend({.threads = 1});
  for (const NetCase& net : all_nets()) {
    SCOPED_TRACE(net.name);
    Training eager(net, *cpu, {.dtype = DType::f32, .eager_update = true});
    Training eager_unshared(net, *cpu, {.dtype = DType::f32, .reuse_memory = false, .eager_update = true});
    Training late(net, *cpu, {.dtype = DType::f32});
    for (Training* training : {&eager, &eager_unshared, &late}) run(*training, net.train.optimizer.lr);
    const auto expected = late.lasting_values();
    for (Training* training : {&eager, &eager_unshared}) {
      const auto actual = training->lasting_values();
      for (const auto& [name, values] : expected) EXPECT_EQ(actual.at(name), values) << name;
    }
  }
}

TEST(ModelMemory, reuse_changes_no_bit_on_two_threads) {
  const auto cpu = make_cpu_backend({.threads = 2});
  for (const NetCase& net : {optimizer_nets().front(), model_nets().front()}) expect_same_bits(net, *cpu, DType::f32);
}

TEST(ModelMemory, reuse_changes_no_bit_on_the_reference) {
  const auto reference = make_reference_backend();
  for (const NetCase& net : all_nets()) expect_same_bits(net, *reference, DType::f64);
}

/// The programs do share memory: otherwise the comparison above would prove nothing.
TEST(ModelMemory, transient_storages_share_bytes) {
  const auto cpu = make_cpu_backend({.threads = 1});
  for (const NetCase& net : optimizer_nets()) {
    const Training training(net, *cpu, {.dtype = DType::f32});
    std::int64_t sum = 0;
    for (const Storage& storage : training.plan().programs[0].program.storages) {
      if (storage.arena == Arena::transient) sum += storage.size_bytes;
    }
    EXPECT_LT(training.plan().transient_bytes, sum) << net.name;
  }
}

/// An overflow in the forward pass must leave weights and moments as they were.
TEST(ModelUpdates, a_step_that_is_not_finite_changes_no_parameter) {
  const auto cpu = make_cpu_backend({.threads = 1});
  for (const NetCase& net : optimizer_nets()) {
    SCOPED_TRACE(net.name);
    Training training(net, *cpu, {.dtype = DType::f32});
    run(training, net.train.optimizer.lr);
    training.set("0.weight", Values(training.values("0.weight").size(), 3e38));
    training.set("0.norm.weight", Values(training.values("0.norm.weight").size(), 3e38));
    const auto before = training.lasting_bytes();
    training.step(net.train.optimizer.lr, kSteps);
    const auto after = training.lasting_bytes();
    EXPECT_NE(training.values(std::string(exchange::kStats))[TrainStats::not_finite], 0);
    for (const auto& [name, bytes] : before) {
      const bool of_this_batch =
          name.find("running") != std::string::npos || name == exchange::kStats || name == exchange::kTotals;
      if (!of_this_batch) {
        EXPECT_EQ(bytes, after.at(name)) << name;
      }
    }
  }
}

/// Relative to a tensor's largest element, after three steps. One rounding is 6e-8; batch normalization of few values
/// and three updates multiply it by some hundreds.
constexpr double kTolerance = 1e-4;

TEST(ModelAgreement, single_precision_stays_near_double) {
  const auto cpu = make_cpu_backend({.threads = 1});
  const auto reference = make_reference_backend();
  for (const NetCase& net : all_nets()) {
    SCOPED_TRACE(net.name);
    Training single(net, *cpu, {.dtype = DType::f32});
    Training exact(net, *reference, {.dtype = DType::f64});
    run(single, net.train.optimizer.lr);
    run(exact, net.train.optimizer.lr);
    const auto expected = exact.lasting_values();
    for (const auto& [name, values] : single.lasting_values()) {
      if (name.find('.') == std::string::npos || expected.contains(name)) {
        expect_close(values, expected.at(name), kTolerance, name);
      }
    }
  }
}

}  // namespace
}  // namespace snug::ops_test
