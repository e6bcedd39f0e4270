// Command lines as users write them: exit code, what is printed where, and the contract's fields.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"
#include "cli/command.h"
#include "cli/program.h"

namespace snug {
namespace {

using Json = nlohmann::json;

std::vector<Json> json_lines(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(Json::parse(line));
  return lines;
}

void expect_fields(const Json& object, const std::string& names) {
  for (const std::string& name : split_words(names))
    EXPECT_TRUE(object.contains(name)) << name << " in " << object.dump();
}

/// A folder with the small config, c.toml.
class Commands : public ::testing::Test {
 protected:
  ProgramResult run(const std::string& line, const std::string& setup = "") {
    std::vector<std::string> words = split_words(line);
    for (std::string& word : words) {
      if (const std::size_t at = word.find('@'); at != std::string::npos) word.replace(at, 1, folder_ / "");
    }
    return run_program(words, "cd " + folder_ / "" + (setup.empty() ? "" : "; " + setup));
  }
  Json run_json(const std::string& line, int code = 0) {
    const ProgramResult result = run(line + " --json");
    EXPECT_EQ(result.code, code) << line << "\n" << result.out << result.error;
    EXPECT_EQ(result.error, "") << line;
    return Json::parse(result.out, nullptr, false);
  }

  TemporaryFolder folder_;
  std::string config_ = folder_.file("c.toml", small_config());
};

struct FaultCase {
  std::string line;
  int code;
  char family;
};

TEST_F(Commands, FaultsHaveTheirCodeAndFamily) {
  folder_.file("typo.toml", small_config() + "epoch = 3\n");
  folder_.file("broken.toml", "name = \n");
  folder_.file("shape.toml", R"(name = "s"
[data]
train = { synthetic = "shapes", count = 100 }
[model]
input = [16, 16, 3]
layers = [ { conv = 4, kernel = 17 }, { global_avgpool = true }, { dense = 10 } ]
)");
  folder_.file("missing.toml", R"(name = "m"
[data]
train = { images = "nothing.npy", labels = "nothing-labels.npy" }
[model]
input = [8, 8, 3]
layers = [ { flatten = true }, { dense = 10 } ]
)");
  const std::vector<FaultCase> cases{
      {"trian @c.toml", 2, 'C'},
      {"train", 2, 'C'},
      {"train @c.toml @c.toml", 2, 'C'},
      {"train @none.toml", 2, 'C'},
      {"train @c.toml --bacth 3", 2, 'C'},
      {"train @c.toml --epochs 3x", 2, 'C'},
      {"train @c.toml --epochs 0", 2, 'C'},
      {"train @c.toml --epochs 2 --epochs 3", 2, 'C'},
      {"train @c.toml --epochs 2 --set train.epochs=3", 2, 'C'},
      {"train @c.toml --set train.epoch=3", 2, 'C'},
      {"train @c.toml --set train.epochs=many", 2, 'C'},
      {"train @c.toml --device gpu0", 2, 'C'},
      {"train @c.toml --device cuda", 5, 'G'},
      {"train @c.toml --device cuda:3", 5, 'G'},
      {"train @c.toml --out @", 2, 'C'},
      {"train @typo.toml", 2, 'C'},
      {"check @typo.toml", 2, 'C'},
      {"check @broken.toml", 2, 'C'},
      {"check @shape.toml", 2, 'A'},
      {"check @missing.toml", 3, 'D'},
      {"train @missing.toml", 3, 'D'},
      {"check @c.toml --set train.optimizer.lr=-1", 2, 'T'},
      {"plan @c.toml --batch 0", 2, 'C'},
      {"plan @c.toml --batch many", 2, 'C'},
      {"plan --problem a.csv", 3, 'D'},
      {"plan @c.toml --report none/out.html", 2, 'C'},
      {"check @c.toml --ful", 2, 'C'},
      {"summary @c.toml --device cuda", 5, 'G'},
      {"data info @c.toml --threads 0", 2, 'C'},
      {"plan @c.toml --budget 20GX", 2, 'C'},
      {"plan @c.toml --budget 150%", 2, 'C'},
      {"eval @none", 2, 'C'},
      {"eval @c.toml --split validation", 2, 'C'},
      {"eval @c.toml", 2, 'C'},
      {"predict @none @c.toml", 2, 'C'},
      {"predict @none", 2, 'C'},
      {"summary @none.toml", 2, 'C'},
      {"data", 2, 'C'},
      {"data inf @c.toml", 2, 'C'},
      {"data synth", 2, 'C'},
      {"data synth --out @", 2, 'C'},
      {"data convert a b", 3, 'D'},
      {"data convert a", 2, 'C'},
      {"data pack @c.toml", 2, 'C'},
      {"data preview @c.toml", 2, 'C'},
      {"tune @none.toml", 2, 'C'},
      {"tune @c.toml --max-batch 0", 2, 'C'},
      {"tune @c.toml --time-limit 0", 2, 'C'},
      {"tune @c.toml --time-limit soon", 2, 'C'},
      {"tune @c.toml --time-limit 0.001", 2, 'C'},
      {"tune @c.toml --set train.batch=0", 2, 'T'},
      {"tune @c.toml --set memory.budget=1MiB", 4, 'M'},
      {"tune @c.toml --precisions fp33", 2, 'C'},
      {"tune @c.toml --precisions fp32,fp16", 2, 'T'},
      {"tune @c.toml --parts 1,1", 2, 'C'},
      {"tune @c.toml --device cuda", 5, 'G'},
      {"tune @c.toml --out @c.toml/x", 2, 'C'},
      {"export x", 2, 'C'},
      {"init x", 3, 'D'},
      {"init", 2, 'C'},
      {"runs show @none", 2, 'C'},
      {"runs x", 2, 'C'},
      {"bench", 2, 'C'},
      {"bench op", 2, 'C'},
      {"bench op conv=4", 2, 'C'},
      {"bench op conv=4,kernel=9 --input 4x4x3", 2, 'A'},
      {"bench op conv=4,kernel=3 --input 4x4", 2, 'C'},
      {"bench op flatten=true", 2, 'C'},
      {"bench device --device cuda", 5, 'G'},
      {"bench loader @none.toml", 2, 'C'},
      {"bench loader @c.toml --batch 100000", 2, 'C'},
      {"bench compare @c.toml @c.toml", 2, 'C'},
      {"bench compare @none @none", 2, 'C'},
      {"bench compare @c.toml", 2, 'C'},
      {"bench model @c.toml --batch 0", 2, 'C'},
      {"bench model @c.toml --steps 0", 2, 'C'},
      {"version extra", 2, 'C'},
      {"help nothing", 2, 'C'},
  };
  for (const FaultCase& fault : cases) {
    const Json object = run_json(fault.line, fault.code);
    ASSERT_TRUE(object.is_object()) << fault.line;
    expect_fields(object, "findings errors warnings notes");
    ASSERT_GE(object["errors"].get<int>(), 1) << fault.line;
    for (const Json& finding : object["findings"]) {
      expect_fields(finding, "code severity where what fix");
      EXPECT_EQ(finding["code"].get<std::string>().front(), fault.family) << fault.line << finding.dump();
      EXPECT_FALSE(finding["fix"].get<std::string>().empty()) << fault.line;
      EXPECT_FALSE(finding["where"].get<std::string>().empty()) << fault.line;
      EXPECT_LE(finding["what"].get<std::string>().size(), 160U) << fault.line;
    }
    const ProgramResult plain = run(fault.line);
    EXPECT_EQ(plain.code, fault.code) << fault.line;
    const std::string& told = plain.error.empty() ? plain.out : plain.error;
    EXPECT_NE(told.find("error " + std::string(1, fault.family)), std::string::npos) << fault.line << told;
    EXPECT_EQ(told.find('\x1b'), std::string::npos) << "colour outside a terminal";
  }
}

TEST_F(Commands, LongWordsDoNotMakeLongMessages) {
  const Json object = run_json("train @c.toml --" + std::string(500, 'x'), 2);
  EXPECT_LE(object["findings"][0]["what"].get<std::string>().size(), 160U);
}

TEST_F(Commands, MistypedNamesGetTheNearest) {
  EXPECT_NE(run("trian @c.toml").error.find("did you mean snug train?"), std::string::npos);
  EXPECT_NE(run("data inf @c.toml").error.find("did you mean snug data info?"), std::string::npos);
  EXPECT_NE(run("train @c.toml --device cup").error.find("did you mean --device cpu?"), std::string::npos);
}

TEST_F(Commands, EveryHelpHasAnExampleAndNamesItsOptions) {
  const ProgramResult overview = run("--help");
  EXPECT_EQ(overview.code, 0);
  EXPECT_NE(overview.out.find("exit codes"), std::string::npos);
  for (const std::string command :
       {"init",      "check",        "plan",        "train",        "eval",         "predict",       "export",
        "summary",   "data info",    "data synth",  "data pack",    "data convert", "data preview",  "devices",
        "tune",      "bench model",  "bench op",    "bench device", "bench loader", "bench compare", "runs",
        "runs show", "runs compare", "runs report", "completion",   "version"}) {
    EXPECT_NE(overview.out.find("  " + command + " "), std::string::npos) << command;
    const ProgramResult help = run(command + " --help");
    EXPECT_EQ(help.code, 0) << command;
    EXPECT_NE(help.out.find("example: snug " + command), std::string::npos) << help.out;
    EXPECT_NE(help.out.find("--json"), std::string::npos) << command;
    EXPECT_EQ(run("help " + command).out, help.out);
  }
  EXPECT_EQ(run("").code, 2);
}

TEST_F(Commands, TheOverviewListsEveryCommandOnce) {
  const std::string overview = run("--help").out;
  for (const Command& command : commands()) {
    const std::string line = fmt::format("\n  {} ", command.name), summary(command.summary);
    EXPECT_NE(overview.find(line), std::string::npos) << command.name;
    EXPECT_EQ(overview.find(summary), overview.rfind(summary)) << command.name;
  }
}

TEST_F(Commands, CheckOfACleanConfigFindsNothing) {
  const Json object = run_json("check @c.toml");
  EXPECT_EQ(object["errors"], 0) << object.dump();
  EXPECT_EQ(object["warnings"], 0) << object.dump();
  EXPECT_EQ(run("check @c.toml").code, 0);
}

TEST_F(Commands, CheckTellsFaultsOfSeveralStagesAtOnce) {
  folder_.file("two.toml", R"(name = "two"
[data]
train = { images = "nothing.npy", labels = "nothing-labels.npy" }
[model]
input = [8, 8, 3]
layers = [ { conv = 4, kernel = 9 }, { global_avgpool = true }, { dense = 10 } ]
)");
  const Json object = run_json("check @two.toml", 2);
  std::string families;
  for (const Json& finding : object["findings"]) families += finding["code"].get<std::string>().front();
  EXPECT_NE(families.find('A'), std::string::npos) << object.dump();
  EXPECT_NE(families.find('D'), std::string::npos) << object.dump();
}

TEST_F(Commands, Summary) {
  const Json object = run_json("summary @c.toml");
  expect_fields(object, "name input parameters flops_forward layers");
  EXPECT_EQ(object["name"], "small");
  EXPECT_EQ(object["input"], Json::parse("[16,16,3]"));
  EXPECT_EQ(object["layers"].size(), 4U);
  EXPECT_EQ(object["layers"][0]["output"], Json::parse("[1,16,16,8]"));
  EXPECT_EQ(object["layers"][3]["output"], Json::parse("[1,10]"));
  // conv 3·3·3·8, norm 8 + 8, dense 8·10 + 10
  EXPECT_EQ(object["parameters"], 216 + 16 + 90);
  EXPECT_EQ(object["flops_forward"], 2 * (16 * 16 * 8 * 27 + 80));
  const ProgramResult program = run("summary @c.toml --program");
  EXPECT_EQ(program.code, 0);
  EXPECT_NE(program.out.find("conv_forward"), std::string::npos) << program.out;
  EXPECT_NE(program.out.find("sgd_update"), std::string::npos);
}

TEST_F(Commands, PlanAddsUp) {
  const Json plan = run_json("plan @c.toml");
  expect_fields(plan,
                "device device_bytes budget_bytes fits batch micro_batch accumulation max_batch total_bytes breakdown "
                "persistent_arena_bytes transient_arena_bytes lower_bound_bytes peak host_bytes checkpoint_bytes "
                "strategy estimated_images_per_second estimated_slowdown seconds layers");
  EXPECT_EQ(plan["fits"], true);
  EXPECT_EQ(plan["batch"], 32);
  std::int64_t sum = 0;
  for (const auto& part : plan["breakdown"].items()) sum += part.value().get<std::int64_t>();
  EXPECT_EQ(sum, plan["total_bytes"].get<std::int64_t>());
  std::int64_t alive = 0;
  for (const Json& tensor : plan["peak"]["tensors"]) alive += tensor["bytes"].get<std::int64_t>();
  EXPECT_EQ(alive, plan["lower_bound_bytes"].get<std::int64_t>());
  EXPECT_NE(run("plan @c.toml").out.find("memory peaks at step"), std::string::npos);
}

TEST_F(Commands, PlansAndProgramsKnowBf16) {
  const std::string bf16 = " --set train.precision=bf16";
  const ProgramResult check = run("check @c.toml" + bf16);
  if (check.code != 0) {
    EXPECT_NE((check.out + check.error).find("AVX-512"), std::string::npos) << check.out << check.error;
    GTEST_SKIP() << "no AVX-512";
  }
  const Json full = run_json("plan @c.toml"), low = run_json("plan @c.toml" + bf16);
  // conv 216 and dense 80 weights have copies; norm and biases have none
  EXPECT_EQ(full["breakdown"]["weights"], 4 * (216 + 16 + 90));
  EXPECT_EQ(low["breakdown"]["weights"], 4 * (216 + 16 + 90) + 2 * (216 + 80));
  EXPECT_LT(low["breakdown"]["activations"].get<std::int64_t>(), full["breakdown"]["activations"].get<std::int64_t>());
  const std::string program = run("summary @c.toml --program" + bf16).out;
  EXPECT_NE(program.find("cast"), std::string::npos) << program;
  EXPECT_NE(program.find(" bf16]"), std::string::npos) << program;
}

TEST_F(Commands, PlanOptionsWinOverTheConfig) {
  EXPECT_EQ(run_json("plan @c.toml --batch 64")["batch"], 64);
  const Json tight = run_json("plan @c.toml --arena-budget 4KiB", 4);
  EXPECT_EQ(tight["fits"], false);
  expect_fields(tight, "short_by_bytes remedies");
  EXPECT_GT(tight["short_by_bytes"].get<std::int64_t>(), 0);
  EXPECT_EQ(run_json("plan @c.toml --budget 1MiB", 4)["fits"], false);
}

TEST_F(Commands, PlanNeedsNoData) {
  folder_.file("later.toml", R"(name = "later"
[data]
train = { images = "nothing.npy", labels = "nothing-labels.npy" }
[model]
input = [8, 8, 3]
layers = [ { flatten = true }, { dense = 10 } ]
[train]
batch = 4
)");
  EXPECT_EQ(run_json("plan @later.toml")["batch"], 4);
  folder_.file("model.toml", "[model]\ninput = [8, 8, 3]\nlayers = [ { flatten = true }, { dense = 10 } ]\n");
  EXPECT_EQ(run_json("plan @model.toml --batch 4")["batch"], 4);
  EXPECT_EQ(run_json("summary @model.toml")["parameters"], 8 * 8 * 3 * 10 + 10);
}

TEST_F(Commands, TrainEvalAndPredict) {
  const ProgramResult trained = run("train @c.toml --out @run --json --log-every 1");
  ASSERT_EQ(trained.code, 0) << trained.out << trained.error;
  const std::vector<Json> events = json_lines(trained.out);
  std::string kinds;
  for (const Json& event : events) kinds += event["event"].get<std::string>().substr(0, 1);
  EXPECT_EQ(kinds,
            "pssssssse"
            "ssssssse"
            "d");
  expect_fields(events[8], "epoch train_loss train_accuracy val_loss val_accuracy images_per_second lr");
  const Json& done = events.back();
  expect_fields(done, "epochs best_val_accuracy planned_peak_bytes measured_peak_bytes step_allocations checkpoint");
  EXPECT_EQ(done["epochs"], 2);
  EXPECT_EQ(done["step_allocations"], 0);
  EXPECT_TRUE(std::filesystem::exists(done["checkpoint"].get<std::string>()));
  for (const std::string file : {"config.toml", "log.jsonl", "metrics.csv", "plan.json", "last.safetensors",
                                 "best.safetensors", "last.state", "run.json", "evaluation.json", "report.html"})
    EXPECT_TRUE(std::filesystem::exists(folder_ / "run/" + file)) << file;

  const Json evaluated = run_json("eval @run");
  expect_fields(evaluated, "loss accuracy top5_accuracy samples confusion per_class");
  EXPECT_EQ(evaluated["samples"], 60);
  EXPECT_DOUBLE_EQ(evaluated["accuracy"].get<double>(), done["best_val_accuracy"].get<double>());
  EXPECT_EQ(evaluated["confusion"].size(), 10U);
  EXPECT_NE(run("eval @run --split train").out.find("200 images"), std::string::npos);
  expect_fields(evaluated, "calibration mistakes");

  ASSERT_EQ(run("data synth --out @shapes --count 20 --val-count 10 --size 16").code, 0);
  const ProgramResult predicted = run("predict @run @shapes/val-images.npy --json --logits @out.npy");
  ASSERT_EQ(predicted.code, 0) << predicted.out << predicted.error;
  const std::vector<Json> lines = json_lines(predicted.out);
  ASSERT_EQ(lines.size(), 10U);
  expect_fields(lines[0], "file class probability top");
  EXPECT_EQ(lines[0]["top"].size(), 5U);
  EXPECT_GT(std::filesystem::file_size(folder_ / "out.npy"), 10U * 10 * 4);

  const ProgramResult globbed = run("predict @run @shapes/v*-images.npy --quiet --csv @out.csv");
  ASSERT_EQ(globbed.code, 0) << globbed.error;
  std::ifstream table(folder_ / "out.csv");
  std::string line;
  int rows = 0;
  ASSERT_TRUE(std::getline(table, line));
  EXPECT_EQ(line, "file,class,probability");
  while (std::getline(table, line)) ++rows;
  EXPECT_EQ(rows, 10);
  EXPECT_EQ(run("predict @run @shapes/none*.npy").code, 3);
  const ProgramResult drawn = run("predict @run @shapes/val-images.npy --sheet @sheet.png");
  ASSERT_EQ(drawn.code, 0) << drawn.error;
  EXPECT_NE(drawn.out.find("  file "), std::string::npos) << drawn.out;
  EXPECT_NE(drawn.out.find("val-images.npy[9]  "), std::string::npos) << drawn.out;
  EXPECT_EQ(read_text(folder_ / "sheet.png").substr(1, 3), "PNG");

  const ProgramResult partly = run("predict @run @none.npy @shapes/val-images.npy --json");
  EXPECT_EQ(partly.code, 3) << partly.out;
  EXPECT_EQ(json_lines(partly.out).size(), 11U) << "the rest goes on";
}

TEST_F(Commands, EvalWritesSamplesAndMistakes) {
  ASSERT_EQ(run("train @c.toml --out @run --max-steps 2 --quiet").code, 0);
  const Json answer = run_json("eval @run --csv @o.csv --mistakes @m.png");
  std::ifstream csv(folder_ / "o.csv");
  std::vector<std::string> lines;
  for (std::string line; std::getline(csv, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 61U);
  EXPECT_EQ(lines[0], "index,file,truth,predicted,probability,true_probability,loss");
  EXPECT_EQ(lines[1].substr(0, 12), "0,shapes[0],");
  std::int64_t wrong = 0;
  for (std::size_t row = 0; row < 10; ++row)
    for (std::size_t column = 0; column < 10; ++column)
      if (row != column) wrong += answer["confusion"][row][column].get<std::int64_t>();
  EXPECT_EQ(answer["mistakes"].size(), std::min<std::int64_t>(wrong, 25));
  EXPECT_NE(answer["mistakes"][0]["truth"], answer["mistakes"][0]["predicted"]);
  std::ifstream sheet(folder_ / "m.png", std::ios::binary);
  const std::string png((std::istreambuf_iterator<char>(sheet)), {});
  EXPECT_EQ(png.substr(1, 3), "PNG");
  EXPECT_EQ(run("eval @run --csv @none/o.csv").code, 2);
  EXPECT_EQ(run("eval @run --mistakes @run").code, 2) << "a folder is no picture";
  EXPECT_NE(run("eval @run").out.find("worst mistakes"), std::string::npos);
}

TEST_F(Commands, AnExistingRunIsNotOverwritten) {
  ASSERT_EQ(run("train @c.toml --out @run --max-steps 2 --quiet").code, 0);
  EXPECT_EQ(run("train @c.toml --out @run").code, 2);
  const ProgramResult resumed = run("train @c.toml --out @run --resume");
  EXPECT_EQ(resumed.code, 0) << resumed.error;
  EXPECT_NE(resumed.out.find("done: 2 epochs"), std::string::npos) << resumed.out;
}

TEST_F(Commands, RunsAreListedShownComparedAndReported) {
  EXPECT_NE(run("runs").out.find("no runs in runs"), std::string::npos);
  ASSERT_EQ(run("train @c.toml --quiet").code, 0);
  ASSERT_EQ(run("train @c.toml --quiet --max-steps 2 --set train.clip_norm=2").code, 0);
  std::filesystem::create_directory(folder_ / "runs/half-1");
  folder_.file("runs/half-1/log.jsonl", "{\"event\":");
  const Json list = run_json("runs");
  ASSERT_EQ(list["runs"].size(), 3U);
  std::map<std::string, std::string> states;
  for (const Json& one : list["runs"]) states[one["run"]] = one["state"];
  EXPECT_EQ(states, (std::map<std::string, std::string>{
                        {"small-1", "finished"}, {"small-2", "stopped"}, {"half-1", "damaged"}}));
  const Json shown = run_json("runs show small-2");
  expect_fields(shown, "run folder state started epochs metric best model bytes record config plan metrics findings");
  const std::string command = shown["record"][0]["command"];
  EXPECT_NE(command.find("snug train " + config_ + " --quiet --max-steps 2 --set train.clip_norm=2"), std::string::npos)
      << command;
  EXPECT_FALSE(shown["record"][0]["versions"]["oneDNN"].get<std::string>().empty());
  const Json compared = run_json("runs compare small-1 runs/small-2");
  EXPECT_EQ(compared["config"].dump(), R"({"train.clip_norm":["0.0","2.0"]})");
  EXPECT_NE(run("runs compare small-1 small-2").out.find("train.clip_norm"), std::string::npos);
  EXPECT_EQ(run("runs show half-1").code, 0) << "what is damaged is shown as such";
  EXPECT_EQ(run("runs show none").code, 2);
  EXPECT_EQ(run("runs compare small-1 none").code, 2);
  EXPECT_EQ(run("runs compare small-1").code, 2);
  EXPECT_NE(run("runs --help").out.find("runs compare"), std::string::npos);

  const std::filesystem::path folder = folder_ / "runs/small-1";
  std::filesystem::remove(folder / "report.html");
  std::filesystem::remove(folder / "evaluation.json");
  EXPECT_EQ(run_json("runs report small-1")["report"], "runs/small-1/report.html");
  EXPECT_TRUE(std::filesystem::exists(folder / "evaluation.json")) << "made anew from the best checkpoint";
  std::ifstream page(folder / "report.html");
  const std::string text((std::istreambuf_iterator<char>(page)), {});
  EXPECT_NE(text.find("data:image/png;base64,"), std::string::npos);
}

TEST_F(Commands, QuietTrainingSaysNothing) {
  const ProgramResult result = run("train @c.toml --out @run --quiet --epochs 1");
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out + result.error, "");
}

TEST_F(Commands, TrainingALogHasPlainLines) {
  const ProgramResult result = run("train @c.toml --out @run");
  EXPECT_EQ(result.out.find_first_of("\r\x1b"), std::string::npos);
  EXPECT_NE(result.out.find("epoch 2/2"), std::string::npos) << result.out;
}

TEST_F(Commands, InterruptedRunsSaveAndEndWith130) {
  for (const std::string signal : {"INT", "TERM"}) {
    // The signal comes once the first epoch stands in the metrics: steps are under way.
    const std::string command = fmt::format(
        "cd {}; {} train c.toml --out {} --set train.epochs=100000 >out.txt 2>&1 & program=$!; i=0; until grep -qs ^1, "
        "{}/metrics.csv || [ $((i += 1)) -gt 600 ]; do sleep 0.05; done; kill -{} $program; wait $program",
        folder_ / "", SNUG_PROGRAM, signal, folder_ / signal, signal);
    const int status = std::system(command.c_str());
    EXPECT_EQ(WEXITSTATUS(status), 130) << signal;
    EXPECT_TRUE(std::filesystem::exists(folder_ / signal + "/last.state")) << signal;
  }
}

TEST_F(Commands, AReaderThatGoesAwayEndsNothing) {
  const std::string command = "cd " + folder_ / "" + "; ( " + SNUG_PROGRAM +
                              " train c.toml --out run; echo $? >code ) 2>error | head -c 1 >/dev/null";
  EXPECT_EQ(std::system(command.c_str()), 0);
  std::ifstream code(folder_ / "code");
  int value = -1;
  code >> value;
  EXPECT_EQ(value, 0);
  EXPECT_EQ(std::filesystem::file_size(folder_ / "error"), 0U);
}

TEST_F(Commands, AFullOutputIsAFault) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const int status = std::system((std::string(SNUG_PROGRAM) + " version >/dev/full 2>/dev/null").c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

TEST_F(Commands, Devices) {
  const Json object = run_json("devices");
  expect_fields(object, "devices profiles");
  ASSERT_GE(object["devices"].size(), 1U);
  EXPECT_EQ(object["devices"][0]["id"], "cpu");
  EXPECT_GT(object["devices"][0]["total_bytes"].get<std::int64_t>(), 0);
  expect_fields(object["devices"][0], "id name total_bytes free_bytes processes");
}

TEST_F(Commands, DevicesListsWhatTheDriverTells) {
  const ProgramResult result =
      run_program({"devices", "--json"}, "export LD_LIBRARY_PATH=" + std::string(SNUG_FAKE_NVML));
  ASSERT_EQ(result.code, 0) << result.error;
  const Json devices = Json::parse(result.out)["devices"];
  ASSERT_EQ(devices.size(), 2U) << result.out;
  EXPECT_EQ(devices[1], Json::parse(R"({"id":"cuda:0","name":"NVIDIA Test","total_bytes":85520809984,)"
                                    R"("free_bytes":1000,"processes":[{"pid":42,"name":"python","bytes":7}]})"));
}

/// What programs cannot see is listed, and is no cuda:N.
TEST_F(Commands, DevicesFollowWhatTheEnvironmentShows) {
  const auto id = [](const std::string& visible) {
    const ProgramResult result =
        run_program({"devices", "--json"},
                    "export LD_LIBRARY_PATH=" + std::string(SNUG_FAKE_NVML) + " CUDA_VISIBLE_DEVICES=" + visible);
    return Json::parse(result.out)["devices"][1]["id"].get<std::string>();
  };
  EXPECT_EQ(id("0"), "cuda:0");
  EXPECT_EQ(id("GPU-5eed"), "cuda:0");
  EXPECT_EQ(id(""), "hidden:0");
  EXPECT_EQ(id("1"), "hidden:0");
  EXPECT_EQ(id("GPU-7"), "hidden:0");
}

TEST_F(Commands, DataInfo) {
  const Json object = run_json("data info @c.toml");
  expect_fields(object, "samples shape dtype min max mean std classes");
  EXPECT_EQ(object["samples"], 200);
  EXPECT_EQ(object["shape"], Json::parse("[16,16,3]"));
  EXPECT_EQ(object["dtype"], "uint8");
  EXPECT_EQ(object["mean"].size(), 3U);
  std::int64_t images = 0;
  for (const Json& entry : object["classes"]) images += entry["count"].get<std::int64_t>();
  EXPECT_EQ(images, 200);
}

TEST_F(Commands, DataSynthWritesWhatTrains) {
  const Json written = run_json("data synth --out @shapes --count 200 --val-count 50 --size 16");
  EXPECT_EQ(written["train"], 200);
  const ProgramResult checked = run("check @shapes/config.toml");
  EXPECT_EQ(checked.code, 0) << checked.out << checked.error;
  EXPECT_EQ(run("train @shapes/config.toml --epochs 1 --out @run --quiet").code, 0);
  EXPECT_EQ(run("data synth --out @shapes").code, 2) << "an existing folder is left alone";
}

TEST_F(Commands, BenchModelTakesTurns) {
  folder_.file("turns", "2\n1\n");
  folder_.file("wrong", "1\nmany\n");
  const ProgramResult result = run("bench model @c.toml --batch 16 --turns", "exec <turns");
  ASSERT_EQ(result.code, 0) << result.error;
  const std::vector<Json> answers = json_lines(result.out);
  ASSERT_EQ(answers.size(), 3U) << result.out;
  expect_fields(answers[0], "ready device model batch precision threads planned_bytes");
  EXPECT_EQ(answers[0]["batch"], 16);
  EXPECT_EQ(answers[1]["ms"].size(), 2U);
  EXPECT_EQ(answers[2]["ms"].size(), 1U);
  EXPECT_GT(answers[2]["ms"][0].get<double>(), 0);

  EXPECT_EQ(run("bench model @c.toml --turns --steps 3").code, 2) << "both say how many steps";
  const ProgramResult refused = run("bench model @c.toml --batch 16 --turns", "exec <wrong");
  EXPECT_EQ(refused.code, 2) << refused.error;
  EXPECT_NE(refused.error.find("'many'"), std::string::npos) << refused.error;
}

TEST_F(Commands, Version) {
  const Json object = run_json("version");
  expect_fields(object, "version libraries architectures");
  EXPECT_TRUE(object["libraries"]["oneDNN"].get<std::string>().starts_with("3."));
  EXPECT_EQ(run("--version").code, 0);
}

TEST_F(Commands, StrictMakesWarningsErrors) {
  // Twelve outputs for ten classes: may be meant.
  std::string text = small_config();
  text.replace(text.find("dense = 10"), 10, "dense = 12");
  folder_.file("wide.toml", text);
  const Json lenient = run_json("check @wide.toml");
  ASSERT_EQ(lenient["warnings"], 1) << lenient.dump();
  const Json strict = run_json("check @wide.toml --strict", 2);
  EXPECT_EQ(strict["errors"], 1);
  EXPECT_EQ(strict["warnings"], 0);
}

}  // namespace
}  // namespace snug
