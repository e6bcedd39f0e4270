// Findings as command lines show them: where they point, what they propose, and that nothing hides another.
#include <gtest/gtest.h>

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
