// Findings as command lines show them: where they point, what they propose, and that nothing hides another.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "cli/program.h"

namespace snug {
namespace {

using Json = nlohmann::json;

class CommandFindings : public ::testing::Test {
 protected:
  CommandFindings() { folder_.file("c.toml", small_config()); }
  [[nodiscard]] ProgramResult run(const std::string& line) const {
    return run_program(split_words(line), "cd " + folder_ / "");
  }
  /// The findings of a command with --json.
  [[nodiscard]] std::vector<Json> findings(const std::string& line, int code) const {
    const ProgramResult result = run(line + " --json");
    EXPECT_EQ(result.code, code) << line << "\n" << result.out << result.error;
    const Json object = Json::parse(result.out, nullptr, false);
    if (!object.contains("findings")) return {};
    return object["findings"];
  }
  [[nodiscard]] static std::vector<std::string> codes(const std::vector<Json>& findings) {
    std::vector<std::string> list;
    list.reserve(findings.size());
    for (const Json& finding : findings) list.push_back(finding["code"]);
    return list;
  }
  TemporaryFolder folder_;
};

TEST_F(CommandFindings, ADeviceThatIsNotHereHidesNothing) {
  for (const std::string command : {"check", "train", "plan"}) {
    const auto found = codes(findings(command + " c.toml --device cuda --set train.epoch=3", 2));
    EXPECT_EQ(std::ranges::count(found, "G901"), 1) << command;
    EXPECT_EQ(std::ranges::count(found, "C007"), 1) << command;
    EXPECT_EQ(codes(findings(command + " c.toml --device cuda", 5)), std::vector<std::string>{"G901"}) << command;
  }
}

TEST_F(CommandFindings, WarningsOfTheConfigAreFindingsOfTheCheck) {
  const auto found = findings("check c.toml --set train.optimizer.name=adam --set train.optimizer.lr=0.001", 0);
  ASSERT_EQ(codes(found), std::vector<std::string>{"T012"});
  EXPECT_EQ(run("check c.toml --strict --set train.optimizer.name=adam --set train.optimizer.lr=0.001").code, 2);
}

TEST_F(CommandFindings, FixesAreWrittenAsTheValueWas) {
  const std::string text = small_config();
  std::string typo = text;
  typo.replace(typo.find("[train]"), 7, "[training]");
  folder_.file("section.toml", typo);
  std::string softmax = text;
  softmax.replace(softmax.find("{ maxpool = 2 }"), 15, "{ softmax = true }");
  folder_.file("softmax.toml", softmax);
  std::string slip = text;
  slip.replace(slip.find("momentum"), 8, "nesterov = true, momentun");
  folder_.file("slip.toml", slip);
  struct Row {
    std::string line, where, fix;
  };
  const Row rows[] = {
      {"c.toml --set train.schedule.warmup_epochs=9", "--set train.schedule.warmup_epochs",
       "--set train.schedule.warmup_epochs=0.2"},
      {"c.toml --set train.loss=mse", "--set train.loss", "--set train.loss='\"sparse_categorical_crossentropy\"'"},
      {"c.toml --set train.optimizer=adam", "--set train.optimizer", "--set train.optimizer='{ name = \"adam\" }'"},
      {"c.toml --set training.epochs=3", "--set training.epochs", "--set train.epochs=3"},
      {"c.toml --set train.optimizer.lr", "--set train.optimizer.lr", "--set train.optimizer.lr=0.05"},
      {"section.toml", "section.toml:13:2", "[train]"},
      {"softmax.toml", "softmax.toml:9:5", "{ activation = \"softmax\" }"},
      {"slip.toml", "slip.toml:16:57", "momentum = 0.9"},
  };
  for (const Row& row : rows) {
    const auto found = findings("check " + row.line, row.line.ends_with("mse") ? 3 : 2);
    ASSERT_EQ(found.size(), 1U) << row.line << "\n" << Json(found).dump(1);
    EXPECT_EQ(found[0]["where"], row.where) << row.line;
    EXPECT_EQ(found[0]["fix"], row.fix) << row.line;
  }
}

TEST_F(CommandFindings, WhatIsNoConfigLeadsToOne) {
  std::filesystem::create_directory(folder_ / "mnist");
  EXPECT_EQ(findings("check mnist", 2)[0]["fix"], "name a config; its data's folder is an option: --data-root mnist");
  folder_.file("mnist/own.toml", small_config());
  EXPECT_EQ(findings("check mnist", 2)[0]["fix"], "did you mean mnist/own.toml?");
  const std::string fix = findings("check configs/quickstart.toml", 2)[0]["fix"];
  EXPECT_TRUE(fix.starts_with("did you mean /")) << fix << ": the one that came with the program";
  EXPECT_TRUE(findings("check zebra-xyzzy.toml", 2)[0]["fix"].get<std::string>().starts_with("snug data synth"));
}

TEST_F(CommandFindings, PredictSpeaksOfFilesNotOfTheConfig) {
  ASSERT_EQ(run("train c.toml --out run --max-steps 1 --quiet").code, 0);
  ASSERT_EQ(run("data synth --out shapes --count 20 --val-count 10 --size 20").code, 0);
  const auto missing = findings("predict run none.npy", 3);
  EXPECT_EQ(missing[0]["fix"], "ls .   # and correct the path");
  const auto picture = findings("predict run none.jpg", 3);
  EXPECT_EQ(picture[0]["code"], "D101");
  EXPECT_EQ(picture[0]["fix"], "ls .   # and correct the path");
  EXPECT_EQ(findings("predict run shapes/no*.npy", 3)[0]["fix"], "ls shapes   # and correct the pattern");
  const auto size = findings("predict run shapes/val-images.npy", 3);
  EXPECT_EQ(size[0]["fix"], "np.save(\"shapes/val-images.npy\", x)   # x of shape (N, 16, 16, 3)");
  const auto unwritable = findings("predict run none.npy --logits /nonexist/o.npy", 2);
  EXPECT_EQ(unwritable[0]["where"], "--logits /nonexist/o.npy") << "before the work";
  EXPECT_EQ(codes(findings("predict nope none.npy", 2)), (std::vector<std::string>{"C601", "D101"}));
}

TEST_F(CommandFindings, HelpIsThereWhereItIsAskedFor) {
  for (const std::string line : {"data --help", "help data", "bench --help", "data info --help", "help bench model"}) {
    const ProgramResult result = run(line);
    EXPECT_EQ(result.code, 0) << line << result.error;
    EXPECT_NE(result.out.find("snug " + line.substr(line.starts_with("help") ? 5 : 0, 4)), std::string::npos) << line;
  }
  EXPECT_EQ(findings("data", 2)[0]["fix"], "snug data --help");
  EXPECT_EQ(Json::parse(run("--json check c.toml").out)["errors"], 0) << "common options may come first";
  EXPECT_EQ(findings("check c.toml d.toml", 2)[0]["fix"], "snug check c.toml");
  EXPECT_EQ(findings("predict run", 2)[0]["fix"], "snug predict run photos/ images.npy --logits out.npy");
}

TEST_F(CommandFindings, WhatEndsATrainingIsAnEvent) {
  const ProgramResult result =
      run("train c.toml --json --out run --set train.optimizer.lr=1e30 --set train.optimizer.momentum=0");
  EXPECT_EQ(result.code, 6);
  std::istringstream lines(result.out);
  Json last;
  for (std::string line; std::getline(lines, line);) {
    last = Json::parse(line);
    EXPECT_TRUE(last.contains("event")) << line;
  }
  EXPECT_EQ(last["event"], "finding");
  EXPECT_EQ(last["code"], "N601");
}

}  // namespace
}  // namespace snug
