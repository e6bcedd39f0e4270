#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "data/files.h"
#include "data/info.h"

namespace snug {
namespace {

Splits shapes(std::int64_t train, std::int64_t val, std::array<std::int64_t, 3> input, std::uint64_t seed = 1) {
  DataConfig config;
  config.train = shapes_source(train);
  config.val = shapes_source(val);
  return open_data(config, input, seed);
}

/// Softmax regression on pixels in −1…1, trained by plain stochastic gradient descent.
class LinearClassifier {
 public:
  explicit LinearClassifier(std::size_t inputs) : inputs_(inputs), weights_(10 * (inputs + 1), 0.0F) {}

  void train(const Dataset& data, int epochs, float rate) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(data.info().samples));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    Random random(1);
    for (int epoch = 0; epoch < epochs; ++epoch) {
      for (std::size_t i = order.size(); i > 1; --i)
        std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
      for (const std::int64_t sample : order) step(inputs(data, sample), data.label(sample), rate);
      rate *= 0.8F;
    }
  }
  [[nodiscard]] double accuracy(const Dataset& data) const {
    std::int64_t right = 0;
    for (std::int64_t sample = 0; sample < data.info().samples; ++sample) {
      const auto scores = logits(inputs(data, sample));
      right += std::ranges::max_element(scores) - scores.begin() == data.label(sample) ? 1 : 0;
    }
    return static_cast<double>(right) / static_cast<double>(data.info().samples);
  }

 private:
  [[nodiscard]] std::vector<float> inputs(const Dataset& data, std::int64_t sample) const {
    std::vector<float> x = pixels_of(data, sample);
    for (float& value : x) value = value / 127.5F - 1;
    return x;
  }
  [[nodiscard]] std::array<float, 10> logits(const std::vector<float>& x) const {
    std::array<float, 10> scores{};
    for (std::size_t k = 0; k < 10; ++k) {
      const float* row = weights_.data() + k * (inputs_ + 1);
      scores[k] = std::inner_product(x.begin(), x.end(), row, row[inputs_]);
    }
    return scores;
  }
  void step(const std::vector<float>& x, std::int64_t label, float rate) {
    auto p = logits(x);
    const float top = *std::ranges::max_element(p);
    float sum = 0;
    for (float& value : p) sum += value = std::exp(value - top);
    for (std::size_t k = 0; k < 10; ++k) {
      const float error = p[k] / sum - (static_cast<std::int64_t>(k) == label ? 1.0F : 0.0F);
      float* row = weights_.data() + k * (inputs_ + 1);
      for (std::size_t i = 0; i < inputs_; ++i) row[i] -= rate * error * x[i];
      row[inputs_] -= rate * error;
    }
  }

  std::size_t inputs_;
  std::vector<float> weights_;
};

TEST(Shapes, AreAFunctionOfSeedAndIndex) {
  const Splits once = shapes(50, 20, {20, 24, 3});
  const Splits longer = shapes(80, 20, {20, 24, 3});
  const Splits other = shapes(50, 20, {20, 24, 3}, 2);
  int same = 0;
  for (std::int64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(pixels_of(*once.train, i), pixels_of(*longer.train, i)) << "the count must not matter";
    same += pixels_of(*once.train, i) == pixels_of(*other.train, i) ? 1 : 0;
  }
  EXPECT_EQ(same, 0);
}

TEST(Shapes, OfValidationAreNotThoseOfTraining) {
  const Splits splits = shapes(50, 50, {16, 16, 1});
  for (std::int64_t i = 0; i < 50; ++i) EXPECT_NE(pixels_of(*splits.train, i), pixels_of(*splits.val, i));
}

TEST(Shapes, OfASplitAreTheSameHoweverItIsOpened) {
  DataConfig config;
  config.train = shapes_source(20);
  config.val = shapes_source(20);
  config.test = shapes_source(20);
  const Splits splits = open_data(config, {16, 16, 3}, 1);
  for (const auto& [source, split] : {std::pair(&*config.train, splits.train), std::pair(&*config.val, splits.val),
                                      std::pair(&*config.test, splits.test)}) {
    const auto alone = open_source(*source, config, {16, 16, 3}, 1);
    for (std::int64_t i = 0; i < 20; ++i) EXPECT_EQ(pixels_of(*alone, i), pixels_of(*split, i));
  }
  EXPECT_NE(pixels_of(*splits.val, 0), pixels_of(*splits.test, 0));
}

TEST(Shapes, AreBalancedAndNamed) {
  const DataSummary summary = summarize(*shapes(200, 10, {32, 32, 3}).train);
  ASSERT_EQ(summary.classes.size(), 10U);
  for (const LabelCount& one : summary.classes) EXPECT_EQ(one.count, 20) << one.name;
  EXPECT_EQ(summary.classes[0].name, "disc");
  EXPECT_EQ(summary.dtype, "uint8");
  for (const double deviation : summary.pixels.std) EXPECT_GT(deviation, 30);
}

TEST(Shapes, CannotBeToldApartByALinearClassifier) {
  struct Case {
    std::array<std::int64_t, 3> input;
    double trained;  ///< the classifier must learn its training set better than chance, or the test proves nothing
  };
  for (const Case& c : {Case{{16, 16, 1}, 0.2}, Case{{32, 32, 3}, 0.3}}) {
    const Splits splits = shapes(2000, 1000, c.input);
    LinearClassifier classifier(static_cast<std::size_t>(c.input[0] * c.input[1] * c.input[2]));
    classifier.train(*splits.train, 8, 0.002F);
    const double accuracy = classifier.accuracy(*splits.val);
    RecordProperty("linear_accuracy", std::to_string(accuracy));
    EXPECT_GT(classifier.accuracy(*splits.train), c.trained);
    EXPECT_LT(accuracy, 0.6);
  }
}

TEST(Shapes, RefuseWhatCannotBeDrawn) {
  struct Case {
    std::int64_t count;
    std::array<std::int64_t, 3> input;
    Expected expected;
  };
  const std::vector<Case> cases{
      {0, {32, 32, 3}, {"D108", "config.toml:4:1", {"count = 0"}, "count = "}},
      {-5, {32, 32, 3}, {"D108", "config.toml:4:1", {"count = -5"}, "count = "}},
      {10, {8, 32, 3}, {"D111", "config.toml:4:1", {"16×16", "8×32×3"}, "input = [16, 32, 3]"}},
      {10, {32, 32, 4}, {"D111", "config.toml:4:1", {"1 or 3 channels"}, "input = [32, 32, 3]"}},
      {1'000'000'000, {1024, 1024, 3}, {"D111", "config.toml:4:1", {"1 TiB"}, "count = "}},
  };
  for (const Case& c : cases) {
    expect_finding(findings_of([&] { return open_source(shapes_source(c.count), {}, c.input, 1); }), c.expected);
  }
  DataSource source = shapes_source(10);
  source.synthetic = "letters";
  expect_finding(findings_of([&] {
                   return open_source(source, {}, {32, 32, 3}, 1);
                 }),
                 {"D103", "config.toml:4:1", {"letters"}, "synthetic = \"shapes\""});
}

}  // namespace
}  // namespace snug
