// The first hour: a config is written for what lies in a folder, and every command prints the line that comes next.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/program.h"

namespace snug {
namespace {

using Json = nlohmann::json;

/// The line to paste below "next: …", without the program.
std::vector<std::string> next_words(const ProgramResult& result) {
  const std::size_t place = result.out.rfind("\nnext: ");
  if (place == std::string::npos) return {};
  std::istringstream rest(result.out.substr(place + 1));
  std::string why, line;
  std::getline(rest, why);
  std::getline(rest, line);
  std::vector<std::string> words = split_words(line);
  EXPECT_EQ(words.at(0), SNUG_PROGRAM);
  words.erase(words.begin());
  return words;
}

class Init : public ::testing::Test {
 protected:
  ProgramResult run(const std::vector<std::string>& words) { return run_program(words, "cd " + folder_ / ""); }
  ProgramResult run(const std::string& line) { return run(split_words(line)); }
  std::string text_of(const std::string& name) {
    std::ifstream file(folder_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void expect_clean(const std::string& config) {
    const ProgramResult result = run("check " + config + " --json");
    EXPECT_EQ(result.code, 0) << result.out;
    const Json object = Json::parse(result.out);
    EXPECT_EQ(object["errors"], 0) << object.dump(1);
    EXPECT_EQ(object["warnings"], 0) << object.dump(1);
  }

  TemporaryFolder folder_;
};

TEST_F(Init, EveryStepPrintsTheNextUpToAnExport) {
  ASSERT_EQ(run("data synth --out shapes --count 120 --val-count 40 --size 16").code, 0);
  ProgramResult step = run("init shapes");
  ASSERT_EQ(step.code, 0) << step.error;
  for (const std::string command : {"check", "train", "eval", "predict", "export"}) {
    const std::vector<std::string> words = next_words(step);
    ASSERT_FALSE(words.empty()) << step.out << step.error;
    ASSERT_EQ(words[0], command) << step.out;
    step = run(words);
    ASSERT_EQ(step.code, 0) << command << step.out << step.error;
  }
  EXPECT_EQ(next_words(step), std::vector<std::string>());
  EXPECT_TRUE(std::filesystem::exists(folder_ / "shapes-1.onnx"));
}

TEST_F(Init, NoNextStepForProgramsOrInQuiet) {
  ASSERT_EQ(run("data synth --out shapes --count 100 --val-count 40 --size 16").code, 0);
  const ProgramResult json = run("init shapes --json --out a.toml");
  const Json object = Json::parse(json.out);
  EXPECT_EQ(object["train"], 100);
  EXPECT_EQ(object["val"], 40);
  EXPECT_EQ(object["input"], Json::parse("[16,16,3]"));
  EXPECT_EQ(run("check a.toml --quiet").out.find("next:"), std::string::npos);
}

TEST_F(Init, NothingIsWrittenOver) {
  ASSERT_EQ(run("data synth --out shapes --count 100 --val-count 40 --size 16").code, 0);
  folder_.file("config.toml", "mine");
  const ProgramResult result = run("init shapes");
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.error.find("--out config-2.toml"), std::string::npos) << result.error;
  EXPECT_EQ(text_of("config.toml"), "mine");
}

TEST_F(Init, WhereNothingIsFoundItSaysWhatWasLookedFor) {
  std::filesystem::create_directories(folder_ / "empty");
  const ProgramResult result = run("init empty");
  EXPECT_EQ(result.code, 3);
  EXPECT_NE(result.error.find("no class folders"), std::string::npos) << result.error;
  EXPECT_EQ(run("init nowhere").code, 3);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "config.toml"));
}

TEST_F(Init, RealDataGetConfigsWithoutFindings) {
  const char* given = std::getenv("SNUG_TEST_DATA");
  const std::filesystem::path data = std::filesystem::absolute(given != nullptr ? given : "../shared/data");
  if (!std::filesystem::exists(data / "catsdogs")) GTEST_SKIP() << data << " is not there";
  struct Case {
    std::string name, loss, says;
  };
  for (const Case& c : {Case{"catsdogs", "sparse_categorical_crossentropy", "resize = "},
                        Case{"medical", "sparse_categorical_crossentropy", "input = [28, 28, 1]"}}) {
    const std::string config = c.name + ".toml";
    const ProgramResult result = run({"init", (data / c.name).string(), "--out", config});
    ASSERT_EQ(result.code, 0) << result.error;
    EXPECT_NE(text_of(config).find(c.loss), std::string::npos) << text_of(config);
    EXPECT_NE(text_of(config).find(c.says), std::string::npos) << text_of(config);
    expect_clean(config);
  }
}

}  // namespace
}  // namespace snug
