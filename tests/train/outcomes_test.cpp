#include "train/outcomes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace snug {
namespace {

using testing::ElementsAre;

/// A batch over vectors that live as long as it.
struct Samples {
  std::vector<std::int32_t> labels;
  std::vector<float> rows;
  std::vector<float> logits;
  std::vector<std::int64_t> indices{};

  void add_to(Outcomes& outcomes, std::int64_t count, std::int64_t first = 0) {
    indices.clear();
    for (std::int64_t i = 0; i < count; ++i) indices.push_back(first + i);
    outcomes.add({.images = {}, .labels = labels, .rows = rows, .count = count, .samples = indices}, logits);
  }
};

struct RocCase {
  std::vector<RankedScore> scores;
  std::optional<double> area;
};

TEST(Outcomes, AreaUnderRocCountsPairs) {
  const std::vector<RocCase> cases{
      {{{1, false}, {2, true}}, 1.0},
      {{{2, false}, {1, true}}, 0.0},
      {{{1, false}, {1, true}}, 0.5},
      {{{0.1F, false}, {0.4F, false}, {0.35F, true}, {0.8F, true}}, 0.75},  // three of four pairs in order
      {{{3, true}, {1, false}, {3, false}, {2, true}}, (1 + 0.5 + 1 + 0) / 4},
      {{{1, true}, {2, true}}, std::nullopt},
      {{}, std::nullopt},
  };
  for (const RocCase& c : cases) EXPECT_EQ(area_under_roc(c.scores), c.area);
}

TEST(Outcomes, OneClassASample) {
  Outcomes outcomes({.outputs = 3, .classes = {"a", "b", "c"}, .samples = 3, .most_outcomes = 3});
  Samples{.labels = {2, 0}, .rows = {}, .logits = {0, std::log(2.0F), 0, 3, 3, 100}}.add_to(outcomes, 2);
  Samples{.labels = {1}, .rows = {}, .logits = {-1000, 0, -1000}}.add_to(outcomes, 1, 2);
  const EvalResult result = outcomes.result({.loss = 7, .accuracy = 1.0 / 3, .top5_accuracy = 1, .samples = 3});
  EXPECT_EQ(result.loss, 7) << "the sums of the loss steps stay what they are";
  EXPECT_THAT(result.confusion, ElementsAre(ElementsAre(0, 0, 1), ElementsAre(0, 1, 0), ElementsAre(0, 1, 0)));
  ASSERT_EQ(result.outcomes.size(), 3U);
  EXPECT_EQ(result.outcomes[0].truth, 2);
  EXPECT_EQ(result.outcomes[0].predicted, 1);
  EXPECT_FLOAT_EQ(result.outcomes[0].probability, 0.5F);
  EXPECT_FLOAT_EQ(result.outcomes[0].true_probability, 0.25F);
  EXPECT_FLOAT_EQ(result.outcomes[0].loss, std::log(4.0F));
  EXPECT_FLOAT_EQ(result.outcomes[1].loss, 97.0F) << "no overflow, no infinity";
  EXPECT_EQ(result.outcomes[2].sample, 2);
  EXPECT_EQ(result.outcomes[2].loss, 0.0F);
  EXPECT_FALSE(result.auc.has_value()) << "of two classes alone";
}

TEST(Outcomes, CalibrationIsTheGapBetweenConfidenceAndAccuracy) {
  Outcomes outcomes({.outputs = 2, .samples = 4});
  const float logit = std::log(3.0F);  // 75 %
  Samples{.labels = {0, 0, 0, 1}, .rows = {}, .logits = {logit, 0, logit, 0, logit, 0, logit, 0}}.add_to(outcomes, 4);
  const EvalResult good = outcomes.result({.samples = 4});
  ASSERT_TRUE(good.calibration.has_value());
  EXPECT_NEAR(good.calibration->expected_error, 0, 1e-6) << "75 % sure and right three times of four";
  EXPECT_EQ(good.calibration->bins.size(), 15U);
  EXPECT_EQ(good.calibration->bins[11].samples, 4);
  EXPECT_TRUE(good.outcomes.empty()) << "nobody asked for them";
  Samples{.labels = {1, 1, 1, 1}, .rows = {}, .logits = {50, 0, 50, 0, 50, 0, 50, 0}}.add_to(outcomes, 4);
  const EvalResult bad = outcomes.result({.samples = 8});
  EXPECT_NEAR(bad.calibration->expected_error, 0.5, 1e-6) << "half of the samples: certain and wrong";
  EXPECT_EQ(bad.calibration->bins.back().accuracy, 0);
}

TEST(Outcomes, YesOrNo) {
  Outcomes outcomes({.loss = Loss::binary_crossentropy, .outputs = 1, .samples = 3, .most_outcomes = 3});
  Samples{.labels = {}, .rows = {1, 0, 1}, .logits = {std::log(3.0F), -200, -std::log(4.0F)}}.add_to(outcomes, 3);
  const EvalResult result = outcomes.result({.samples = 3});
  EXPECT_THAT(outcomes.classes(), ElementsAre("0", "1"));
  EXPECT_THAT(result.confusion, ElementsAre(ElementsAre(1, 0), ElementsAre(1, 1)));
  EXPECT_FLOAT_EQ(result.outcomes[0].probability, 0.75F);
  EXPECT_FLOAT_EQ(result.outcomes[0].loss, -std::log(0.75F));
  EXPECT_EQ(result.outcomes[1].probability, 1.0F);
  EXPECT_EQ(result.outcomes[1].loss, 0.0F);
  EXPECT_FLOAT_EQ(result.outcomes[2].probability, 0.8F);
  EXPECT_FLOAT_EQ(result.outcomes[2].true_probability, 0.2F);
  EXPECT_EQ(result.auc, 1.0) << "both that are rank above the one that is not";
}

TEST(Outcomes, SoftRowsHaveTheLossOfTheirMixture) {
  Outcomes outcomes({.loss = Loss::categorical_crossentropy, .outputs = 2, .samples = 1, .most_outcomes = 1});
  Samples{.labels = {}, .rows = {0.25F, 0.75F}, .logits = {0, std::log(3.0F)}}.add_to(outcomes, 1);
  const EvalResult result = outcomes.result({.samples = 1});
  EXPECT_EQ(result.outcomes[0].truth, 1);
  EXPECT_FLOAT_EQ(result.outcomes[0].loss, -0.25F * std::log(0.25F) - 0.75F * std::log(0.75F));
}

TEST(Outcomes, NumbersMayComeAsRows) {
  Outcomes outcomes({.outputs = 2, .samples = 1});
  Samples{.labels = {}, .rows = {0, 1}, .logits = {0, 1}}.add_to(outcomes, 1);
  EXPECT_EQ(outcomes.result({.samples = 1}).confusion[1][1], 1);
}

TEST(Outcomes, SeveralOutputsAndTargetsHaveALossAndNoClass) {
  Outcomes several({.loss = Loss::binary_crossentropy, .outputs = 2, .samples = 1, .most_outcomes = 1});
  Samples{.labels = {}, .rows = {1, 1}, .logits = {0, -1}}.add_to(several, 1);
  const EvalResult yes_no = several.result({.samples = 1});
  EXPECT_EQ(yes_no.outcomes[0].truth, -1);
  EXPECT_FLOAT_EQ(yes_no.outcomes[0].loss, (std::log(2.0F) + std::log(1 + std::exp(1.0F))) / 2);
  EXPECT_EQ(yes_no.per_class[1].support, 1);
  EXPECT_TRUE(yes_no.confusion.empty());
  EXPECT_FALSE(yes_no.calibration.has_value());

  Outcomes targets({.loss = Loss::mse, .outputs = 2, .samples = 1, .most_outcomes = 1});
  Samples{.labels = {}, .rows = {1, 5}, .logits = {2, 2}}.add_to(targets, 1);
  EXPECT_FLOAT_EQ(targets.result({.samples = 1}).outcomes[0].loss, 5);
}

TEST(Outcomes, OfManySamplesEveryNthIsKeptAndAllAreCounted) {
  Outcomes outcomes({.outputs = 2, .samples = 10, .most_outcomes = 4});
  Samples{.labels = std::vector<std::int32_t>(10), .rows = {}, .logits = std::vector<float>(20)}.add_to(outcomes, 10);
  const EvalResult result = outcomes.result({.samples = 10});
  std::vector<std::int64_t> kept;
  for (const SampleOutcome& outcome : result.outcomes) kept.push_back(outcome.sample);
  EXPECT_THAT(kept, ElementsAre(0, 3, 6, 9));
  EXPECT_EQ(result.confusion[0][0], 10);

  Outcomes wide({.outputs = 3, .samples = 1, .most_classes = 2});
  Samples{.labels = {2}, .rows = {}, .logits = {0, 0, 1}}.add_to(wide, 1);
  EXPECT_TRUE(wide.result({.samples = 1}).confusion.empty()) << "no matrix of more classes than asked for";
}

TEST(Outcomes, TheWorstAreWrongAndExpensive) {
  const auto of = [](std::int64_t sample, std::int32_t truth, std::int32_t predicted, float loss) {
    return SampleOutcome{.sample = sample, .truth = truth, .predicted = predicted, .loss = loss};
  };
  const std::vector<SampleOutcome> outcomes{of(0, 1, 1, 9), of(1, 0, 1, 2), of(2, 1, 0, 5), of(3, 1, 0, 2)};
  std::vector<std::int64_t> samples;
  for (const SampleOutcome& outcome : worst_outcomes(outcomes, 2)) samples.push_back(outcome.sample);
  EXPECT_THAT(samples, ElementsAre(2, 1));
  EXPECT_EQ(worst_outcomes(outcomes, 9).size(), 3U) << "what is right is no mistake";
}

}  // namespace
}  // namespace snug
