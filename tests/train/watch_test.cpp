// What a training is watched for: each finding once, and runs as they should be without any.
#include "train/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "train/fake_tensors.h"

namespace snug {
namespace {

using testing::HasSubstr;

Config config_of(const std::string& train) {
  return parse_config(
      "[data]\ntrain = { synthetic = \"shapes\", count = 100 }\nval = { synthetic = \"shapes\", count = 100 }\n"
      "[model]\ninput = [16, 16, 3]\nlayers = [ { conv = 8, kernel = 3, activation = \"relu\" }, "
      "{ conv = 16, kernel = 3, activation = \"relu\" }, { global_avgpool = true }, { dense = 10 } ]\n"
      "[train]\nepochs = 20\n" +
          train,
      "run.toml");
}

class Watch : public testing::Test {
 protected:
  explicit Watch(const std::string& train = "optimizer = { name = \"sgd\", lr = 0.05 }\n") : config_(config_of(train)) {
    std::vector<Diagnostic> findings;
    graph_ = build_graph(config_.model, findings);
    tensors_ = std::make_unique<FakeTensors>(graph_, std::vector<std::string_view>{});
    tensors_->count_up(1);
    watch_ = std::make_unique<TrainingWatch>(TrainingWatch::Run{.config = config_,
                                                                .graph = graph_,
                                                                .frozen = {},
                                                                .tensors = *tensors_,
                                                                .samples = 100,
                                                                .outputs = 10,
                                                                .steps_per_epoch = kSteps,
                                                                .pass_samples = 100});
  }
  /// Steps of one epoch at a loss; findings of them.
  std::vector<Diagnostic> steps(double loss) {
    std::vector<Diagnostic> found;
    std::vector<std::int64_t> samples(100 / kSteps);
    for (std::int64_t i = 0; i < kSteps; ++i, ++step_) {
      std::iota(samples.begin(), samples.end(), i * std::ssize(samples));
      watch_->take({.count = std::ssize(samples), .samples = samples});
      if (auto finding = watch_->step(step_, loss)) found.push_back(*finding);
    }
    return found;
  }
  std::vector<Diagnostic> epoch(const EpochEvent& event) {
    auto found = steps(event.train_loss);
    for (Diagnostic& finding : watch_->end_epoch(event, step_)) found.push_back(std::move(finding));
    return found;
  }
  /// Changes the channels of a weight for which `which` is true.
  void learn(const std::string& name, const std::function<bool(std::int64_t)>& which) {
    const std::span<const float> before = tensors_->read(name);
    std::vector<float> values(before.begin(), before.end());
    const std::int64_t channels = name.starts_with("1") ? 16 : name.starts_with("0") ? 8 : 10;
    const std::size_t row = values.size() / static_cast<std::size_t>(channels);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (which(static_cast<std::int64_t>(i / row))) values[i] *= 1 + 0.01F * static_cast<float>(1 + i % 7);
    }
    tensors_->write(name, values);
  }
  void scale(const std::string& name, float factor) {
    const std::span<const float> before = tensors_->read(name);
    std::vector<float> values(before.begin(), before.end());
    for (float& value : values) value *= factor;
    tensors_->write(name, values);
  }
  void learn_all() {
    for (const std::string name : {"0.weight", "1.weight", "3.weight"}) learn(name, [](auto) { return true; });
  }

  static constexpr std::int64_t kSteps = 20;
  Config config_;
  Graph graph_;
  std::unique_ptr<FakeTensors> tensors_;
  std::unique_ptr<TrainingWatch> watch_;
  std::int64_t step_ = 0;
};

TEST_F(Watch, SaysNothingOfARunThatLearns) {
  for (int e = 1; e <= 12; ++e) {
    learn_all();
    EXPECT_TRUE(watch_->begin_pass(true).empty());
    const double loss = 2.3 / e;
    const auto found = epoch({.epoch = e,
                              .train_loss = loss,
                              .train_accuracy = 1 - 0.9 / e,
                              .val_loss = loss * 1.2,
                              .val_accuracy = 1 - 0.95 / e});
    EXPECT_TRUE(found.empty()) << e << to_string(found.front());
  }
}

TEST_F(Watch, CountsTheSamplesOfAPass) {
  ASSERT_TRUE(watch_->begin_pass(true).empty());
  (void)steps(1);
  EXPECT_TRUE(watch_->begin_pass(true).empty()) << "each sample came once";
  (void)steps(1);
  const std::vector<std::int64_t> again{3, 4};
  watch_->take({.count = 2, .samples = again});
  (void)watch_->step(step_, 1);
  const auto found = watch_->begin_pass(true);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].code, "D152");
  EXPECT_THAT(found[0].what, HasSubstr("brought 102 samples for 100: 2 came more than once, 0 not at all"));
  (void)steps(1);
  watch_->take({.count = 2, .samples = again});
  (void)watch_->step(step_, 1);
  EXPECT_TRUE(watch_->begin_pass(true).empty()) << "told once";
}

TEST_F(Watch, ASampleThatIsMissingIsSeen) {
  ASSERT_TRUE(watch_->begin_pass(true).empty());
  std::vector<std::int64_t> samples(99);
  std::iota(samples.begin(), samples.end(), 0);
  watch_->take({.count = 99, .samples = samples});
  (void)watch_->step(0, 1);
  const auto found = watch_->begin_pass(true);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0].what, HasSubstr("brought 99 samples for 100: 0 came more than once, 1 not at all"));
}

TEST_F(Watch, AHalfPassOfAResumedRunIsNotCounted) {
  ASSERT_TRUE(watch_->begin_pass(false).empty());
  std::vector<std::int64_t> samples(40);
  std::iota(samples.begin(), samples.end(), 60);
  watch_->take({.count = 40, .samples = samples});
  (void)watch_->step(0, 1);
  EXPECT_TRUE(watch_->begin_pass(true).empty());
}

TEST_F(Watch, ALossThatDoesNotMove) {
  learn_all();
  EXPECT_TRUE(epoch({.epoch = 1, .train_loss = 2.302, .train_accuracy = 0.1}).empty());
  learn_all();
  EXPECT_TRUE(epoch({.epoch = 2, .train_loss = 2.25, .train_accuracy = 0.12}).empty()) << "it moved by 2 %";
  learn_all();
  const auto found = epoch({.epoch = 3, .train_loss = 2.301, .train_accuracy = 0.1});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].code, "T301");
  EXPECT_EQ(found[0].severity, Severity::warning);
  EXPECT_THAT(found[0].what, HasSubstr("step 60: after 3 epochs the loss has not moved: 2.302 then, 2.301 now"));
  EXPECT_THAT(found[0].fix, HasSubstr("lr = 0.005"));
  learn_all();
  EXPECT_TRUE(epoch({.epoch = 4, .train_loss = 2.301, .train_accuracy = 0.1}).empty()) << "told once";
}

TEST_F(Watch, ALossThatExplodes) {
  learn_all();
  EXPECT_TRUE(steps(2.3).empty());
  EXPECT_TRUE(steps(12).empty()) << "a bad epoch is none";
  const auto found = steps(60);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].code, "T302");
  EXPECT_THAT(found[0].what, HasSubstr("the loss is 60, and was 2.3 at the begin"));
}

TEST_F(Watch, ALayerThatNoGradientReaches) {
  learn("1.weight", [](auto) { return true; });
  learn("3.weight", [](auto) { return true; });
  const auto found = epoch({.epoch = 1, .train_loss = 2.3});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].code, "T303");
  EXPECT_THAT(found[0].where, HasSubstr("run.toml:6:"));
  EXPECT_THAT(found[0].what, HasSubstr("layer '0': step 20: no gradient reached any of its 8 channels in 20 steps"));
}

TEST_F(Watch, DecayAloneIsNoGradient) {
  scale("0.weight", 0.99F);
  learn("1.weight", [](auto) { return true; });
  learn("3.weight", [](auto) { return true; });
  const auto found = epoch({.epoch = 1, .train_loss = 2.3});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].code, "T303");
}

TEST_F(Watch, ChannelsThatAreDead) {
  learn("0.weight", [](auto) { return true; });
  learn("3.weight", [](auto) { return true; });
  learn("1.weight", [](std::int64_t channel) { return channel >= 3; });
  EXPECT_TRUE(epoch({.epoch = 1, .train_loss = 2.3}).empty()) << "3 of 16 are usual";
  learn("0.weight", [](auto) { return true; });
  learn("3.weight", [](auto) { return true; });
  learn("1.weight", [](std::int64_t channel) { return channel >= 5; });
  const auto found = epoch({.epoch = 2, .train_loss = 1.9});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].code, "T304");
  EXPECT_THAT(found[0].what, HasSubstr("layer '1': step 40: 5 of 16 channels are dead"));
}

TEST_F(Watch, SplitsThatDriftApart) {
  const double val[] = {1.5, 1.0, 1.2, 1.4, 1.6, 1.8};
  for (int e = 1; e <= 6; ++e) {
    learn_all();
    const auto found =
        epoch({.epoch = e, .train_loss = 1.8 / e, .train_accuracy = 0.6, .val_loss = val[e - 1], .val_accuracy = 0.5});
    if (e < 5) {
      EXPECT_TRUE(found.empty()) << e;
      continue;
    }
    if (e == 6) {
      EXPECT_TRUE(found.empty()) << "told once";
      continue;
    }
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].code, "T305");
    EXPECT_EQ(found[0].severity, Severity::note);
    EXPECT_THAT(found[0].what, HasSubstr("loss 0.36 and 1.6, which was 1 3 epochs ago"));
  }
}

TEST_F(Watch, WhatIsLearnedAndWorthNothingElsewhere) {
  for (int e = 1; e <= 3; ++e) {
    learn_all();
    const auto found =
        epoch({.epoch = e, .train_loss = 0.9 / e, .train_accuracy = 0.95, .val_loss = 2.5, .val_accuracy = 0.1});
    ASSERT_EQ(found.size(), e == 3 ? 1U : 0U);
    if (e == 3) {
      EXPECT_EQ(found[0].code, "T307");
      EXPECT_THAT(found[0].what, HasSubstr("95.0 % of data.train are right and 10.0 % of data.val"));
    }
  }
}

TEST_F(Watch, WeightsThatGrowWithoutBound) {
  learn_all();
  scale("3.weight", 5000);
  const auto found = epoch({.epoch = 1, .train_loss = 2.3});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].code, "T306");
}

}  // namespace
}  // namespace snug
