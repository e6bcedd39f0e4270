// Runs as tables, JSON and as a page: read without a browser.
#include "report/runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "report/markup.h"
#include "report/run_page.h"

namespace snug {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kNasty = "a<b>&\"c\",]]></script>";

/// A run with something of everything; names need every kind of care.
RunDetails sample_run() {
  RunDetails run;
  run.folder = "runs/net <1>-1";
  run.state = "finished";
  run.config_text = "name = \"net\"\n[train]\nepochs = 2\noptimizer = { name = \"sgd\", lr = 0.1 }\n";
  run.config = parse_config(
      "[data]\ntrain = { synthetic = \"shapes\", count = 4 }\n[model]\ninput = [4, 4, 1]\nlayers = [ { flatten = true "
      "}, "
      "{ dense = 2 } ]\n[train]\nepochs = 2\n",
      "c.toml");
  run.record.starts = {{.started = "2026-01-31T12:00:00Z",
                        .ended = "2026-01-31T12:00:09Z",
                        .state = "finished",
                        .command = "snug train 'a <b>.toml'",
                        .seconds = 9,
                        .versions = {{"snug", "1"}}}};
  run.epochs = {{.epoch = 1, .train_loss = 2, .val_loss = 2.5, .val_accuracy = 0.5, .images_per_second = 10, .lr = 0.1},
                {.epoch = 2, .train_loss = 1, .val_loss = NAN, .val_accuracy = 0.75, .images_per_second = 12, .lr = 0}};
  run.metric = "val_accuracy";
  run.best = 0.75;
  run.best_epoch = 2;
  run.model = kNasty;
  run.steps = {
      {.step = 0, .loss = 3, .lr = 0.1}, {.step = 1, .loss = NAN, .lr = 0.1}, {.step = 2, .loss = 1, .lr = 0.1}};
  run.findings = {{.code = "T305", .severity = Severity::note, .where = kNasty, .what = kNasty, .fix = kNasty}};
  StoredPlan stored{.plan = {.device = "cpu", .budget_bytes = 9000, .fits = true, .batch = 2}, .buffers = {}};
  stored.plan.breakdown.activations = stored.plan.total_bytes = 2000;
  stored.plan.layers = {{.name = kNasty, .output = {2, 2}, .parameters = 34, .flops = 64}};
  stored.plan.steps = {
      {.step = 0, .op = "dense", .phase = "forward", .layer = kNasty, .seconds = 0.001, .live_bytes = 9}};
  stored.buffers = {{.tensors = {kNasty}, .layer = kNasty, .size_bytes = 9, .life = {0, 1}}};
  run.plan = stored;
  run.evaluation = RunEvaluation{.epoch = 2, .result = {}, .samples = {}, .mistakes = {}};
  EvalResult& result = run.evaluation->result;
  result = {.loss = 0.5, .accuracy = 0.75, .samples = 4, .confusion = {{2, 0}, {1, 1}}, .auc = 0.875};
  result.per_class = {{.name = kNasty, .precision = 0.6, .recall = 1, .f1 = 0.75, .support = 2},
                      {.name = "dog", .precision = 1, .recall = 0.5, .f1 = 0.66, .support = 2}};
  result.calibration = Calibration{.expected_error = 0.1, .bins = {{}, {4, 0.8, 0.75}}};
  run.evaluation->mistakes = {{.outcome = {.sample = 3, .truth = 0, .predicted = 1, .probability = 0.9F},
                               .where = "val/dog/7.jpg",
                               .truth = "dog",
                               .predicted = kNasty,
                               .picture = "iVBORw0KGgo="}};
  return run;
}

std::vector<test::Element> read(const std::string& page) {
  std::string fault;
  std::vector<test::Element> elements = test::read_markup(page, fault);
  EXPECT_EQ(fault, "");
  return elements;
}

TEST(RunPage, IsWellFormedAndHoldsEverything) {
  const std::string page = run_page(sample_run());
  const std::vector<test::Element> elements = read(page);
  std::vector<std::string> ids;
  for (const test::Element& element : elements)
    if (const auto id = element.attributes.find("id"); element.name == "h2" && id != element.attributes.end())
      ids.push_back(id->second);
  EXPECT_THAT(ids, testing::ElementsAre("curves", "evaluation", "mistakes", "findings", "time", "parts", "floor",
                                        "memory", "layers", "making"));
  for (const test::Element& element : elements) {
    EXPECT_TRUE(element.name != "link" && element.name != "iframe") << "the page loads nothing";
    const auto source = element.attributes.find("src");
    if (source == element.attributes.end()) continue;
    EXPECT_THAT(source->second, testing::StartsWith("data:image/png;base64,"));
  }
  EXPECT_THAT(page, HasSubstr("snug train 'a &lt;b&gt;.toml'"));
  EXPECT_THAT(page, Not(HasSubstr("nan")));
  EXPECT_THAT(page, Not(HasSubstr("inf\"")));
}

TEST(RunPage, LeavesOutWhatTheRunDoesNotHave) {
  RunDetails run;
  run.folder = "runs/x-1";
  run.state = "damaged";
  run.problems = {"config.toml: <gone>"};
  const std::string page = run_page(run);
  const std::vector<test::Element> elements = read(page);
  EXPECT_TRUE(std::ranges::none_of(elements, [](const auto& element) { return element.name == "section"; }));
  EXPECT_THAT(page, HasSubstr("config.toml: &lt;gone&gt;"));
  EXPECT_TRUE(std::ranges::none_of(elements, [](const auto& element) { return element.name == "script"; }));

  RunDetails old = sample_run();
  StoredPlan plan = old.plan.value_or(StoredPlan());
  plan.buffers.clear();  // as folders of before are
  old.plan = plan;
  EXPECT_THAT(run_page(old), Not(HasSubstr("id=\"floor\"")));
}

TEST(RunPage, ManyClassesAreShownByWhatTheyAreTakenFor) {
  RunDetails run = sample_run();
  RunEvaluation evaluation = run.evaluation.value_or(RunEvaluation());
  EvalResult& result = evaluation.result;
  result.confusion.assign(30, std::vector<std::int64_t>(30));
  result.per_class.clear();
  for (int c = 0; c < 30; ++c) result.per_class.push_back({.name = "class" + std::to_string(c), .support = 9});
  result.confusion[4][7] = 5;
  result.confusion[1][2] = 3;
  result.confusion[1][1] = 99;
  run.evaluation = evaluation;
  std::vector<std::string> cells;
  for (const test::Element& element : read(run_page(run)))
    if (element.name == "td" && element.attributes.contains("class") && element.text.starts_with("class"))
      cells.push_back(element.text);
  EXPECT_THAT(cells, testing::ElementsAre("class7", "class2")) << "mistakes alone, the most frequent first";
}

struct StepCase {
  double range, step;
};

TEST(RunPage, AxesHaveThreeToSixMarks) {
  for (const StepCase& c :
       {StepCase{1, 0.2}, StepCase{3, 1}, StepCase{0.07, 0.02}, StepCase{400, 100}, StepCase{5.9, 1}}) {
    EXPECT_NEAR(axis_step(c.range), c.step, 1e-12) << c.range;
  }
  for (int i = 0; i < 110; ++i) {
    const double range = 1e-6 * std::pow(1.37, i);
    EXPECT_GE(range / axis_step(range), 3 - 1e-9) << range;
    EXPECT_LT(range / axis_step(range), 7.6) << range;
  }
}

TEST(RunPage, CurvesBearWhatIsFlatEmptyOrNotFinite) {
  const auto points_of = [](const std::vector<std::pair<double, double>>& points) {
    return curve_figure({.title = "t", .x_name = "epoch", .series = {{"s", "first", points}}});
  };
  EXPECT_EQ(points_of({}), "");
  EXPECT_EQ(points_of({{1, NAN}}), "");
  for (const std::string& figure :
       {points_of({{1, 2}}), points_of({{1, 0}, {2, 0}}), points_of({{1, 1}, {2, NAN}, {3, 2}})}) {
    EXPECT_THAT(figure, Not(HasSubstr("nan")));
    EXPECT_THAT(figure, Not(HasSubstr("inf")));
    (void)read("<div>" + figure + "</div>");
  }
  const std::string parted = points_of({{1, 1}, {2, 1}, {3, NAN}, {4, 2}, {5, 2}});
  const std::size_t at = parted.find("class=\"line");
  const std::string path = parted.substr(at, parted.find("/>", at) - at);
  EXPECT_EQ(std::ranges::count(path, 'M'), 2) << path;
}

TEST(Runs, CompareShowsOnlyKeysThatDiffer) {
  RunDetails a = sample_run();
  RunDetails b = sample_run();
  b.folder = "runs/b-1";
  b.config_text = "name = \"net\"\n[train]\nepochs = 2\nclip_norm = 1.0\noptimizer = { name = \"sgd\", lr = 0.2 }\n";
  b.plan.reset();
  const RunComparison comparison = compare_runs(std::vector<RunDetails>{a, b});
  ASSERT_EQ(comparison.keys.size(), 2U);
  EXPECT_EQ(comparison.keys[0].name, "train.clip_norm");
  EXPECT_THAT(comparison.keys[0].values, testing::ElementsAre("", "1.0"));
  EXPECT_EQ(comparison.keys[1].name, "train.optimizer.lr");
  EXPECT_THAT(comparison.keys[1].values, testing::ElementsAre("0.1", "0.2"));
  const Json json = Json::parse(comparison_json(comparison));
  EXPECT_TRUE(json["config"]["train.clip_norm"][0].is_null());
  EXPECT_TRUE(json["results"]["batch"][1].is_null());
  EXPECT_THAT(comparison_text(comparison), HasSubstr("train.optimizer.lr"));
  EXPECT_THAT(comparison_text(compare_runs(std::vector<RunDetails>{a, a})), HasSubstr("the same"));
}

TEST(Runs, ListsAndDetailsAreJson) {
  const RunDetails run = sample_run();
  RunOverview broken;
  broken.folder = "runs/\xff";
  broken.state = "damaged";
  broken.problems = {"config.toml: gone"};
  const std::vector<RunOverview> all{static_cast<const RunOverview&>(run), broken};
  const Json list = Json::parse(runs_json(all));
  EXPECT_EQ(list["runs"][0]["best"], 0.75);
  EXPECT_TRUE(list["runs"][1]["best"].is_null());
  EXPECT_EQ(list["runs"][1]["problems"][0], "config.toml: gone");
  const std::string text = runs_text(all, "runs");
  EXPECT_THAT(text, HasSubstr("val_accuracy 75.00 %"));
  EXPECT_THAT(text, HasSubstr("config.toml: gone"));
  EXPECT_THAT(runs_text({}, "there"), HasSubstr("no runs in there"));
  const Json details = Json::parse(run_json(run));
  for (const char* key : {"record", "config", "plan", "metrics", "findings", "evaluation"})
    EXPECT_TRUE(details.contains(key)) << key;
  EXPECT_EQ(details["metrics"].size(), 2U);
  EXPECT_THAT(run_text(run), HasSubstr("snug train 'a <b>.toml'"));
}

}  // namespace
}  // namespace snug
