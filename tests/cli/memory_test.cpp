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

/// Where strategies are restricted, the others are proposed; where nothing is, that is said.
TEST_F(Memory, RemediesGoBeyondTheBatch) {
  const Json whole = Json::parse(run({"plan", "--json", "--batch", "512"}).out);
  const std::int64_t budget = whole["total_bytes"].get<std::int64_t>() * 95 / 100;
  const ProgramResult refused =
      run({"plan", "--json", "--batch", "512", "--set", "memory.strategy=[]", "--budget", std::to_string(budget)});
  ASSERT_EQ(refused.code, 4) << refused.out;
  const Json remedies = Json::parse(refused.out)["remedies"];
  bool offered = false;
  double slowdown = 1;
  for (const Json& remedy : remedies) {
    offered = offered || remedy["change"].get<std::string>().starts_with("memory.strategy = \"auto\"");
    EXPECT_NE(remedy["effect"], "");
    EXPECT_GE(remedy["estimated_slowdown"], slowdown) << "sorted";
    slowdown = remedy["estimated_slowdown"];
  }
  EXPECT_TRUE(offered) << remedies;
  const ProgramResult none = run({"plan", "--arena-budget", "1KiB"});
  EXPECT_EQ(none.code, 4);
  EXPECT_NE(none.out.find("no remedy"), std::string::npos) << none.out;
}

/// `plan` and `train` count on the same rates, and so choose alike; without any there is still a plan.
TEST_F(Memory, TheAutomaticBatchIsThatOfTheRun) {
  const std::vector<std::string> run_of{"--json",
                                        "--set",
                                        "train.batch=auto",
                                        "--set",
                                        "data.train={ synthetic = \"shapes\", count = 4000 }",
                                        "--set",
                                        "model.input=[96, 96, 3]"};
  const auto with = [&](std::vector<std::string> words) {
    words.insert(words.end(), run_of.begin(), run_of.end());
    return words;
  };
  const Json plan = Json::parse(run(with({"plan"})).out);
  EXPECT_GT(plan["estimated_images_per_second"], 0);
  EXPECT_GT(plan["batch"], 1);
  const ProgramResult trained = run(with({"train", "--max-steps", "1", "--out", "run"}));
  ASSERT_EQ(trained.code, 0) << trained.error;
  const Json event = Json::parse(trained.out.substr(0, trained.out.find('\n')));
  ASSERT_EQ(event["event"], "plan");
  EXPECT_EQ(event["batch"], plan["batch"]);
  EXPECT_EQ(event["estimated_images_per_second"], plan["estimated_images_per_second"]);
}

TEST_F(Memory, APlanNeedsNoRates) {
  const std::string cache = folder_ / "cache";
  struct Row {
    std::string cache, option;
  };
  for (const Row& row : {Row{"/proc/nowhere", "--quiet"}, Row{cache, "--no-measure"}}) {
    const ProgramResult result =
        run_program({"plan", config_, "--json", row.option}, "export SNUG_CPU_RATES= XDG_CACHE_HOME=" + row.cache);
    ASSERT_EQ(result.code, 0) << result.error;
    EXPECT_EQ(Json::parse(result.out)["estimated_images_per_second"], 0) << row.cache;
  }
  EXPECT_FALSE(std::filesystem::exists(cache)) << "nothing was measured";
}

TEST_F(Memory, TheProcessStaysBelowItsPlan) {
  if (!std::string(SNUG_SANITIZERS).empty()) GTEST_SKIP() << "sanitizers take memory of their own";
  const ProgramResult result = run({"train", "--json", "--out", "run"});
  ASSERT_EQ(result.code, 0) << result.error;
  const Json done = Json::parse(result.out.substr(result.out.rfind("\n{") + 1));
  EXPECT_LE(done["measured_peak_bytes"], done["planned_peak_bytes"]);
  EXPECT_GT(done["measured_peak_bytes"].get<std::int64_t>(),
            done["planned_peak_bytes"].get<std::int64_t>() - (32 << 20));
}

}  // namespace
}  // namespace snug
