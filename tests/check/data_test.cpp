// Findings on opened data: every one with its near miss.
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "check/cases.h"

namespace snug::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using Content = FakeData::Content;

struct Case {
  std::int64_t outputs = 3;
  std::string loss = "sparse_categorical_crossentropy";
  std::string train, data;  // further lines of [train], [data]
  Content samples;
  std::optional<Content> val{};
};

std::vector<Diagnostic> findings_of(const Case& c) {
  Text text{
      .layers = "{ global_avgpool = true }, { dense = " + std::to_string(c.outputs) + " }",
      .train = "loss = \"" + c.loss + "\"\n" + c.train,
      .data = "train = { images = \"x.npy\", labels = \"y.npy\" }\nval = { images = \"v.npy\", labels = \"w.npy\" }\n" +
              c.data};
  const Config config = parse_config(to_toml(text), "run.toml");
  std::vector<Diagnostic> ignored;
  const Graph graph = build_graph(config.model, ignored);
  Splits splits{.train = std::make_shared<FakeData>(c.samples)};
  if (c.val) splits.val = std::make_shared<FakeData>(*c.val);
  return check_data(config, splits, graph);
}

struct DataCase {
  std::string name;
  Case faulty;
  std::string code;
  Severity severity = Severity::error;
  std::string where, what, fix;
  Case near_miss;
};
void PrintTo(const DataCase& c, std::ostream* out) { *out << c.name; }

class DataFault : public testing::TestWithParam<DataCase> {};

TEST_P(DataFault, IsOneFinding) {
  const DataCase& c = GetParam();
  const std::vector<Diagnostic> findings = findings_of(c.faulty);
  ASSERT_EQ(findings.size(), 1U) << (findings.size() > 1 ? to_string(findings[0]) + "\n" + to_string(findings[1]) : "");
  EXPECT_EQ(findings[0].code, c.code);
  EXPECT_EQ(findings[0].severity, c.severity);
  EXPECT_THAT(findings[0].where, HasSubstr(c.where));
  EXPECT_THAT(findings[0].what, HasSubstr(c.what));
  EXPECT_LE(findings[0].what.size(), 160U);
  EXPECT_THAT(findings[0].fix, HasSubstr(c.fix));
}

TEST_P(DataFault, IsNotSeenInTheNearMiss) {
  const std::vector<Diagnostic> findings = findings_of(GetParam().near_miss);
  EXPECT_THAT(findings, IsEmpty()) << to_string(findings.at(0));
}

Content numbers(std::vector<std::int64_t> labels) { return {.numbers = std::move(labels)}; }
Content rows(std::vector<std::vector<float>> labels) { return {.rows = std::move(labels)}; }
/// Labels 0, 1, 2 again and again, one of them replaced.
Content with_label(std::int64_t sample, std::int64_t label) {
  Content content = numbers(cycle(60, 3));
  content.numbers[static_cast<std::size_t>(sample)] = label;
  return content;
}
Content floats(std::function<double(std::int64_t, std::int64_t)> pixel) {
  return {.numbers = cycle(60, 3),
          .dtype = DType::f32,
          .source_dtype = "float32",
          .integer_max = 0,
          .pixel = std::move(pixel)};
}
Content sized(Shape image) { return {.numbers = cycle(60, 3), .image = image}; }
const Content kSound = numbers(cycle(60, 3));
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

INSTANTIATE_TEST_SUITE_P(
    Pixels, DataFault,
    testing::Values(
        DataCase{.name = "no samples",
                 .faulty = {.samples = numbers({})},
                 .code = "D201",
                 .where = "run.toml:2:",
                 .what = "data.train has 0 samples",
                 .fix = "train = {",
                 .near_miss = {.samples = kSound}},
        DataCase{.name = "another size",
                 .faulty = {.samples = sized({20, 16, 3})},
                 .code = "D202",
                 .where = "x.npy[0]",
                 .what = "images of data.train are 20×16×3, model.input is 16×16×3",
                 .fix = "input = [20, 16, 3]",
                 .near_miss = {.samples = sized({16, 16, 3})}},
        DataCase{.name = "gray for colour",
                 .faulty = {.samples = sized({16, 16, 1})},
                 .code = "D202",
                 .where = "x.npy[0]",
                 .what = "1 channels for 3",
                 .fix = "input = [16, 16, 1]",
                 .near_miss = {.samples = kSound}},
        DataCase{.name = "channels first",
                 .faulty = {.samples = sized({3, 16, 16})},
                 .code = "D202",
                 .where = "x.npy[0]",
                 .what = "data.layout is not nhwc",
                 .fix = "layout = \"nchw\"",
                 .near_miss = {.samples = kSound}},
        DataCase{.name = "another size in val",
                 .faulty = {.samples = kSound, .val = sized({12, 16, 3})},
                 .code = "D202",
                 .where = "x.npy[0]",
                 .what = "images of data.val are 12×16×3",
                 .fix = "input = ",
                 .near_miss = {.samples = kSound, .val = kSound}},
        DataCase{.name = "another scale in val",
                 .faulty = {.samples = kSound, .val = floats([](std::int64_t sample, std::int64_t element) {
                                                 return 0.001 * static_cast<double>(element + sample);
                                               })},
                 .code = "D203",
                 .where = "x.npy[0]",
                 .what = "data.val holds float32, data.train uint8",
                 .fix = "astype(np.uint8)",
                 .near_miss = {.samples = kSound, .val = numbers(cycle(6, 3))}},
        DataCase{.name = "NaN",
                 .faulty = {.samples = floats([](std::int64_t sample, std::int64_t element) {
                              return sample == 17 && element == 5 ? kNan
                                                                  : 0.001 * static_cast<double>(element + sample);
                            })},
                 .code = "D204",
                 .where = "x.npy[17]",
                 .what = "image 17 of data.train has NaN or Inf",
                 .fix = "np.isfinite",
                 .near_miss = {.samples = floats([](std::int64_t sample, std::int64_t element) {
                                 return 0.01 * static_cast<double>(element + sample);
                               })}},
        DataCase{
            .name = "constant",
            .faulty = {.samples = {.numbers = cycle(60, 3), .pixel = [](std::int64_t, std::int64_t) { return 7.0; }}},
            .code = "D205",
            .where = "x.npy[0]",
            .what = "is 7: there is nothing to learn",
            .fix = "np.save",
            .near_miss = {.samples = {.numbers = cycle(60, 3), .pixel = [](std::int64_t sample, std::int64_t element) {
                                        return element == sample ? 80.0 : 7.0;
                                      }}}}));

INSTANTIATE_TEST_SUITE_P(
    Numbers, DataFault,
    testing::Values(
        DataCase{.name = "a stray label",
                 .faulty = {.samples = with_label(17, 3)},
                 .code = "L202",
                 .where = "y-of-x.npy[17]",
                 .what = "label 3 is outside 0 to 2",
                 .fix = "ignore_label = 3",
                 .near_miss = {.samples = with_label(17, 2)}},
        DataCase{.name = "a stray label far off",
                 .faulty = {.samples = with_label(17, 255)},
                 .code = "L202",
                 .where = "y-of-x.npy[17]",
                 .what = "label 255 is outside 0 to 2",
                 .fix = "ignore_label = 255",
                 .near_miss = {.samples = kSound}},
        DataCase{.name = "a stray label in val",
                 .faulty = {.samples = kSound, .val = with_label(4, 9)},
                 .code = "L202",
                 .where = "y-of-x.npy[4]",
                 .what = "label 9 is outside",
                 .fix = "ignore_label = 9",
                 .near_miss = {.samples = kSound, .val = numbers({0, 0, 2})}},
        DataCase{.name = "a marker below zero",
                 .faulty = {.samples = with_label(17, -1)},
                 .code = "L202",
                 .where = "y-of-x.npy[17]",
                 .what = "label -1 is negative",
                 .fix = "ignore_label = -1",
                 .near_miss = {.samples = kSound}},
        DataCase{.name = "numbers that start below zero",
                 .faulty = {.samples = numbers(cycle(60, 3, -2))},
                 .code = "L202",
                 .where = "y-of-x.npy[0]",
                 .what = "label -2 is negative",
                 .fix = "label_offset = 2",
                 .near_miss = {.samples = kSound}},
        DataCase{.name = "counting from one",
                 .faulty = {.samples = numbers(cycle(60, 3, 1))},
                 .code = "L203",
                 .where = "y-of-x.npy[2]",
                 .what = "labels are 1 to 3 for 3 outputs",
                 .fix = "label_offset = -1",
                 .near_miss = {.outputs = 4, .samples = numbers(cycle(60, 3, 1))}},
        DataCase{.name = "more classes than outputs",
                 .faulty = {.samples = numbers(cycle(60, 5))},
                 .code = "F104",
                 .where = "run.toml:",
                 .what = "the network has 3 outputs, the data has 5 classes",
                 .fix = "{ dense = 5 }",
                 .near_miss = {.outputs = 5, .samples = numbers(cycle(60, 5))}},
        DataCase{.name = "more outputs than classes",
                 .faulty = {.outputs = 7, .samples = numbers(cycle(60, 3))},
                 .code = "F104",
                 .severity = Severity::warning,
                 .where = "run.toml:",
                 .what = "the network has 7 outputs, the data has 3 classes",
                 .fix = "{ dense = 3 }",
                 .near_miss = {.outputs = 7, .samples = numbers({0, 1, 2, 6})}},  // some are missing here
        DataCase{.name = "one class only",
                 .faulty = {.samples = numbers(cycle(60, 1, 2))},
                 .code = "L204",
                 .where = "y-of-x.npy[0]",
                 .what = "all 60 labels of data.train are 2",
                 .fix = "labels = ",
                 .near_miss = {.samples = kSound, .val = numbers({1, 1, 1})}},
        DataCase{.name = "class numbers for rows",
                 .faulty = {.loss = "categorical_crossentropy", .samples = kSound},
                 .code = "L201",
                 .where = "run.toml:",
                 .what = "needs rows of 3 values, the labels are class numbers (0 to 2)",
                 .fix = "loss = \"sparse_categorical_crossentropy\"",
                 .near_miss = {.loss = "categorical_crossentropy", .samples = rows(one_hot(60, 3))}},
        DataCase{.name = "class numbers for several binary outputs",
                 .faulty = {.loss = "binary_crossentropy", .samples = kSound},
                 .code = "L201",
                 .where = "run.toml:",
                 .what = "needs rows of 3 zeros and ones",
                 .fix = "loss = \"sparse_categorical_crossentropy\"",
                 .near_miss = {.loss = "binary_crossentropy", .samples = rows({{1, 1, 0}, {0, 0, 0}})}},
        DataCase{.name = "two outputs with binary",
                 .faulty = {.outputs = 2, .loss = "binary_crossentropy", .samples = numbers(cycle(60, 2))},
                 .code = "F107",
                 .where = "run.toml:",
                 .what = "has 1 output, the network 2",
                 .fix = "sparse_categorical_crossentropy",
                 .near_miss = {.outputs = 1, .loss = "binary_crossentropy", .samples = numbers(cycle(60, 2))}},
        DataCase{.name = "three classes with one binary output",
                 .faulty = {.outputs = 1, .loss = "binary_crossentropy", .samples = kSound},
                 .code = "F104",
                 .where = "run.toml:",
                 .what = "tells 2 classes apart, the labels go to 2",
                 .fix = "{ dense = 3 }",
                 .near_miss = {.outputs = 1, .loss = "binary_crossentropy", .samples = numbers(cycle(60, 2))}},
        DataCase{.name = "1 and 2 with one binary output",
                 .faulty = {.outputs = 1, .loss = "binary_crossentropy", .samples = numbers(cycle(60, 2, 1))},
                 .code = "L203",
                 .where = "y-of-x.npy[1]",
                 .what = "labels are 1 and 2",
                 .fix = "label_offset = -1",
                 .near_miss = {.outputs = 1, .loss = "binary_crossentropy", .samples = numbers(cycle(60, 2))}},
        DataCase{.name = "class numbers as targets",
                 .faulty = {.outputs = 1, .loss = "mse", .samples = kSound},
                 .code = "L201",
                 .where = "y-of-x.npy[2]",
                 .what = "mse with 1 output needs float targets",
                 .fix = "astype(np.float32)",
                 .near_miss = {.outputs = 1, .loss = "mse", .samples = rows({{17.5F}, {-3.0F}})}},
        DataCase{.name = "class numbers for several targets",
                 .faulty = {.loss = "mse", .samples = kSound},
                 .code = "L201",
                 .where = "run.toml:",
                 .what = "mse with 3 outputs needs rows of 3 floats, the labels are class numbers (0 to 2)",
                 .fix = "loss = \"sparse_categorical_crossentropy\"",
                 .near_miss = {.loss = "mse", .samples = rows({{0.5, 2, 1}, {0, 1, 0}})}},
        DataCase{.name = "batch larger than the data",
                 .faulty = {.train = "batch = 61", .samples = kSound},
                 .code = "T108",
                 .severity = Severity::warning,
                 .where = "run.toml:",
                 .what = "batch = 61 is larger than the training data of 60 samples",
                 .fix = "batch = 6",
                 .near_miss = {.train = "batch = 60", .data = "drop_last = true", .samples = kSound}},
        DataCase{.name = "no batch at all",
                 .faulty = {.train = "batch = 61", .data = "drop_last = true", .samples = kSound},
                 .code = "T108",
                 .where = "run.toml:",
                 .what = "drop_last leaves no batch",
                 .fix = "batch = 6",
                 .near_miss = {.train = "batch = 60", .data = "drop_last = true", .samples = kSound}}));

INSTANTIATE_TEST_SUITE_P(
    Rows, DataFault,
    testing::Values(
        DataCase{.name = "one-hot for class numbers",
                 .faulty = {.samples = rows(one_hot(60, 3))},
                 .code = "L201",
                 .where = "run.toml:",
                 .what = "needs class numbers, the labels are rows of 3",
                 .fix = "loss = \"categorical_crossentropy\"",
                 .near_miss = {.samples = kSound}},
        DataCase{.name = "floats for class numbers",
                 .faulty = {.samples = rows({{0}, {1}, {2}})},
                 .code = "L201",
                 .where = "run.toml:",
                 .what = "is about classes, the labels are floats",
                 .fix = "astype(np.int64)",
                 .near_miss = {.samples = numbers({0, 1, 2})}},
        DataCase{.name = "another width",
                 .faulty = {.loss = "categorical_crossentropy", .samples = rows(one_hot(60, 4))},
                 .code = "L206",
                 .where = "y-of-x.npy[0]",
                 .what = "labels are rows of 4 values, the network has 3 outputs",
                 .fix = "{ dense = 4 }",
                 .near_miss = {.outputs = 4, .loss = "categorical_crossentropy", .samples = rows(one_hot(60, 4))}},
        DataCase{.name = "rows that do not sum to one",
                 .faulty = {.loss = "categorical_crossentropy", .samples = rows({{0.5, 0.5, 0}, {0.5, 0.2, 0}})},
                 .code = "L205",
                 .where = "y-of-x.npy[1]",
                 .what = "label row 1 sums to 0.7",
                 .fix = "keepdims=True",
                 .near_miss = {.loss = "categorical_crossentropy",
                               .samples = rows({{0.5, 0.5, 0}, {0.3333, 0.3333, 0.3333}})}},
        DataCase{.name = "several ones",
                 .faulty = {.loss = "categorical_crossentropy", .samples = rows({{1, 0, 0}, {1, 1, 0}})},
                 .code = "L205",
                 .where = "y-of-x.npy[1]",
                 .what = "sums to 2",
                 .fix = "loss = \"binary_crossentropy\"",
                 .near_miss = {.loss = "binary_crossentropy", .samples = rows({{1, 0, 0}, {1, 1, 0}})}},
        DataCase{.name = "values beyond one",
                 .faulty = {.loss = "binary_crossentropy", .samples = rows({{1, 0, 0}, {0, 2, 0}})},
                 .code = "L205",
                 .where = "y-of-x.npy[1]",
                 .what = "label row 1 goes from 0 to 2",
                 .fix = "np.clip",
                 .near_miss = {.loss = "mse", .samples = rows({{1, 0, 0}, {0, 2, 0}})}}));

TEST(SeveralFaults, AreToldTogetherInOrder) {
  Content samples = with_label(9, 7);
  samples.image = {16, 16, 1};
  const std::vector<Diagnostic> findings = findings_of({.train = "batch = 100", .samples = samples});
  ASSERT_EQ(findings.size(), 3U);
  EXPECT_EQ(findings[0].code, "T108");  // run.toml
  EXPECT_EQ(findings[1].code, "D202");  // x.npy
  EXPECT_EQ(findings[2].code, "L202");  // y-of-x.npy
}

TEST(LabelOffset, OfTheFixCountsFromTheOneThatIsThere) {
  const std::vector<Diagnostic> findings =
      findings_of({.data = "label_offset = 3", .samples = numbers(cycle(60, 3, 1))});
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].fix, "label_offset = 2");
}

TEST(GeneratedData, HasNoFinding) {
  const Config config =
      load_config("configs/quickstart.toml", {.set = {{"data.train.count", "300"}, {"data.val.count", "50"}}});
  std::vector<Diagnostic> findings;
  const Graph graph = build_graph(config.model, findings);
  const Splits splits = open_data(config.data, config.model.input, config.train.seed);
  EXPECT_THAT(check_data(config, splits, graph), IsEmpty());
}

TEST(Mnist, HasNoFinding) {
  const char* given = std::getenv("SNUG_TEST_DATA");
  const std::filesystem::path root = std::filesystem::path(given != nullptr ? given : "../shared/data") / "mnist";
  if (!std::filesystem::exists(root)) GTEST_SKIP() << "no " << root;
  const Config config = load_config("configs/mnist.toml", {.data_root = root});
  std::vector<Diagnostic> findings;
  const Graph graph = build_graph(config.model, findings);
  const Splits splits = open_data(config.data, config.model.input, config.train.seed);
  EXPECT_THAT(check_data(config, splits, graph), IsEmpty());
}

}  // namespace
}  // namespace snug::test
