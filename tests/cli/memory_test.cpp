// What `plan` and `check` say of memory holds when it is taken at its word.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/program.h"

namespace snug {
namespace {

using Json = nlohmann::json;

class Memory : public ::testing::Test {
 protected:
  Memory() : config_(folder_.file("c.toml", small_config())) {}
  /// `--set` and other options take words as a shell gives them.
  [[nodiscard]] ProgramResult run(std::vector<std::string> words) const {
    words.insert(words.begin() + 1, config_);
    return run_program(words, "cd " + folder_ / "");
  }
  TemporaryFolder folder_;
  std::string config_;
};

/// "--set train.batch=5" as words; `line` may be "--set KEY=\"VALUE\"".
std::vector<std::string> option_words(std::string line) {
  std::erase(line, '"');
  return split_words(line);
}

TEST_F(Memory, PlansOfOneThingDifferInSecondsAlone) {
  std::vector<Json> plans;
  for (int i = 0; i < 3; ++i) {
    const ProgramResult result = run({"plan", "--json", "--budget", "300MiB"});
    ASSERT_EQ(result.code, 0) << result.error;
    plans.push_back(Json::parse(result.out));
    plans.back().erase("seconds");
  }
  EXPECT_EQ(plans[0], plans[1]);
  EXPECT_EQ(plans[0], plans[2]);
}

TEST_F(Memory, TheTotalIsTheSumOfWhatIsReported) {
  const Json plan = Json::parse(run({"plan", "--json"}).out);
  const auto at = [&plan](const char* name) { return plan.at(Json::json_pointer(name)).get<std::int64_t>(); };
  EXPECT_EQ(at("/total_bytes"), at("/breakdown/driver") + at("/breakdown/library") + at("/persistent_arena_bytes") +
                                    at("/transient_arena_bytes") + at("/breakdown/input") + at("/breakdown/padding"));
}

TEST_F(Memory, EveryRemedyFitsWhenItIsPasted) {
  const Json whole = Json::parse(run({"plan", "--json"}).out);
  const std::int64_t budget = whole["total_bytes"].get<std::int64_t>() - 300'000;
  const ProgramResult result = run({"plan", "--budget", std::to_string(budget)});
  ASSERT_EQ(result.code, 4) << result.out;
  int remedies = 0;
  for (std::size_t at = 0; (at = result.out.find("  --set ", at)) != std::string::npos; ++at) {
    const std::string line = result.out.substr(at, result.out.find(" →", at) - at);
    std::vector<std::string> words{"check"};
    for (const std::string& word : option_words(line)) words.push_back(word);
    if (line.find("memory.budget") == std::string::npos) {
      words.insert(words.end(), {"--set", "memory.budget=" + std::to_string(budget)});
    }
    const ProgramResult checked = run(words);
    EXPECT_EQ(checked.code, 0) << line << "\n" << checked.out;
    ++remedies;
  }
  EXPECT_GE(remedies, 2) << result.out;
}

TEST_F(Memory, TheFixOfWhatDoesNotFitFits) {
  for (const std::string change : {"train.batch=10000000", "memory.budget=1MiB"}) {
    const ProgramResult result = run({"check", "--json", "--set", change});
    ASSERT_EQ(result.code, 4) << result.out;
    for (const Json& finding : Json::parse(result.out)["findings"]) {
      if (finding["code"] != "M611") continue;
      EXPECT_EQ(finding["where"], "--set " + change.substr(0, change.find('=')));
      std::vector<std::string> words = option_words(finding["fix"]);
      ASSERT_EQ(words.at(0), "--set") << finding["fix"];
      words.insert(words.begin(), "check");
      const ProgramResult fixed = run(words);
      EXPECT_EQ(fixed.code, 0) << finding["fix"] << "\n" << fixed.out;
    }
  }
}

TEST_F(Memory, TheProcessStaysBelowItsPlan) {
  if (std::string(SNUG_SANITIZERS) != "") GTEST_SKIP() << "sanitizers take memory of their own";
  const ProgramResult result = run({"train", "--json", "--out", "run"});
  ASSERT_EQ(result.code, 0) << result.error;
  const Json done = Json::parse(result.out.substr(result.out.rfind("\n{") + 1));
  EXPECT_LE(done["measured_peak_bytes"], done["planned_peak_bytes"]);
  EXPECT_GT(done["measured_peak_bytes"].get<std::int64_t>(),
            done["planned_peak_bytes"].get<std::int64_t>() - (32 << 20));
}

}  // namespace
}  // namespace snug
