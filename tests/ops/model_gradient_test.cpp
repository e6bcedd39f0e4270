// What a training program subtracts from its parameters is the derivative of its loss. The program is lowered, planned
// and run like any other, in double on the reference backend.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "ops/model_harness.h"

namespace snug::ops_test {
namespace {

constexpr double kDifference = 1e-5;
/// Along a whole parameter: every step moves thousands of activations, few of which may cross a kink.
constexpr double kSmallDifference = 1e-7;
constexpr double kError = 1e-6;      // relative to the largest gradient of the parameter…
constexpr double kFloor = 1e-3;      // …or to this part of the largest of all: rounding has the loss's scale
constexpr std::size_t kSampled = 6;  // elements of a parameter

/// Plain gradient descent: one step at rate 1 subtracts the gradient.
NetCase plain_descent(NetCase net) {
  net.train.optimizer = {.lr = 1};
  net.train.clip_norm = 0;
  net.train.ema = 0;
  return net;
}

double largest(const Values& values) {
  double result = 0;
  for (const double value : values) result = std::max(result, std::abs(value));
  return result;
}

/// The gradient of every trained parameter, which keep their values.
std::map<std::string, Values> gradients(Training& training) {
  std::map<std::string, Values> result;
  for (const std::string& name : training.trained()) result[name] = training.values(name);
  training.step(1, 3);
  for (auto& [name, before] : result) {
    const Values after = training.values(name);
    Values gradient(before.size());
    for (std::size_t i = 0; i < before.size(); ++i) gradient[i] = before[i] - after[i];
    training.set(name, before);
    before = gradient;
  }
  return result;
}

double loss_along(Training& training, const std::string& parameter, Values values, const Values& direction,
                  double change) {
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += change * direction[i];
  training.set(parameter, values);
  training.step(0, 3);
  return training.loss();
}

void expect_parameter_gradient(Training& training, const std::string& name, const Values& gradient, double scale) {
  const Values values = training.values(name);
  const std::size_t stride = std::max<std::size_t>(1, gradient.size() / kSampled);
  for (std::size_t element = 0; element < gradient.size(); element += stride) {
    Values direction(values.size(), 0);
    direction[element] = 1;
    const double above = loss_along(training, name, values, direction, kDifference);
    const double below = loss_along(training, name, values, direction, -kDifference);
    EXPECT_NEAR(gradient[element], (above - below) / (2 * kDifference), kError * scale)
        << name << ", element " << element;
  }
  training.set(name, values);
}

void expect_model_gradients(const NetCase& net) {
  SCOPED_TRACE(net.name);
  const auto backend = make_reference_backend();
  Training training(plain_descent(net), *backend);
  const auto analytic = gradients(training);
  ASSERT_FALSE(analytic.empty());
  double overall = 0;
  for (const auto& [name, gradient] : analytic) overall = std::max(overall, largest(gradient));
  EXPECT_GT(overall, 1e-3);
  for (const auto& [name, gradient] : analytic) {
    EXPECT_GT(largest(gradient), 1e-6 * overall) << name << ": an all-zero gradient";
    expect_parameter_gradient(training, name, gradient, std::max(largest(gradient), kFloor * overall));
  }
}

TEST(ModelGradients, of_every_kind_of_layer) {
  for (const NetCase& net : layer_nets()) expect_model_gradients(net);
}

TEST(ModelGradients, of_every_loss) {
  for (const NetCase& net : loss_nets()) expect_model_gradients(net);
}

/// One derivative for each parameter of the models that ship, along a random direction in all of its elements.
TEST(ModelGradients, of_the_models) {
  const auto backend = make_reference_backend();
  for (const NetCase& net : model_nets()) {
    SCOPED_TRACE(net.name);
    Training training(plain_descent(net), *backend);
    const auto analytic = gradients(training);
    ASSERT_FALSE(analytic.empty());
    for (const auto& [name, gradient] : analytic) {
      const Values values = training.values(name);
      const Values direction = random_values(static_cast<std::int64_t>(values.size()), 77);
      double slope = 0;
      for (std::size_t i = 0; i < values.size(); ++i) slope += gradient[i] * direction[i];
      const double above = loss_along(training, name, values, direction, kSmallDifference);
      const double below = loss_along(training, name, values, direction, -kSmallDifference);
      training.set(name, values);
      EXPECT_GT(largest(gradient), 0) << name;
      EXPECT_NEAR(slope, (above - below) / (2 * kSmallDifference), 1e-5 * (std::abs(slope) + largest(gradient)))
          << name;
    }
  }
}

/// Micro-batches change nothing but the order of sums, where no layer looks at the whole batch.
TEST(ModelGradients, accumulated_parts_equal_the_whole_batch) {
  const auto backend = make_reference_backend();
  for (NetCase net : all_nets()) {
    const Graph graph = graph_of(net);
    const bool looks_at_batch =
        std::ranges::any_of(graph.nodes, [](const Node& n) { return n.op == NodeOp::batchnorm; });
    if (looks_at_batch && !net.train.freeze_stats) continue;
    SCOPED_TRACE(net.name);
    net = plain_descent(net);
    net.batch = 7;
    net.parts = 1;
    Training whole(net, *backend);
    net.parts = 3;
    Training parts(net, *backend);
    const auto expected = gradients(whole);
    for (const auto& [name, gradient] : gradients(parts)) expect_close(gradient, expected.at(name), 1e-12, name);
    EXPECT_NEAR(parts.loss(), whole.loss(), 1e-12 * whole.loss());
  }
}

TEST(ModelGradients, frozen_parameters_stay) {
  const auto backend = make_reference_backend();
  for (const NetCase& net : layer_nets()) {
    if (net.frozen.empty()) continue;
    SCOPED_TRACE(net.name);
    Training training(net, *backend);
    const auto before = training.lasting_values();
    training.step(0.1, 0);
    const auto after = training.lasting_values();
    const std::vector<std::string> trained = training.trained();
    for (const Node& node : graph_of(net).nodes) {
      for (const Parameter& parameter : node.parameters) {
        if (!parameter.trainable()) continue;
        const bool learns = std::ranges::find(trained, parameter.name) != trained.end();
        EXPECT_EQ(before.at(parameter.name) != after.at(parameter.name), learns) << parameter.name;
      }
    }
  }
}

}  // namespace
}  // namespace snug::ops_test
