// `snug plan --problem` as users write it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/program.h"

namespace snug {
namespace {

using Json = nlohmann::json;

class PlanProblem : public ::testing::Test {
 protected:
  [[nodiscard]] ProgramResult run(const std::string& line) const {
    return run_program(split_words(line), "cd " + folder_ / "");
  }
  [[nodiscard]] Json run_json(const std::string& line, int code) const {
    const ProgramResult result = run(line + " --json");
    EXPECT_EQ(result.code, code) << line << "\n" << result.out << result.error;
    EXPECT_EQ(result.error, "") << line;
    return Json::parse(result.out, nullptr, false);
  }
  [[nodiscard]] std::string text_of(const std::string& name) const {
    std::ifstream file(folder_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  TemporaryFolder folder_;
  // Eight bytes are alive at once, and fit: b2 and b1 share, b3 stays.
  std::string problem_ = folder_.file("p.csv", "id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\nb3,0,9,4\nb4,9,21,4\n");
};

TEST_F(PlanProblem, ResultHasTheContractsFields) {
  const Json result = run_json("plan --problem p.csv", 0);
  EXPECT_EQ(result["buffers"], 4);
  EXPECT_EQ(result["height"], 8);
  EXPECT_EQ(result["lower_bound"], 8);
  EXPECT_EQ(result["capacity"], 0);
  EXPECT_EQ(result["optimal"], true);
  EXPECT_TRUE(result["seconds"].is_number_float());
  EXPECT_EQ(run_json("plan --problem p.csv --capacity 8 --time-limit 0.5", 0)["capacity"], 8);
  const ProgramResult text = run("plan --problem p.csv");
  EXPECT_NE(text.out.find("4 buffers placed in 8 bytes"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("proven the least"), std::string::npos) << text.out;
}

TEST_F(PlanProblem, TheSolutionIsWrittenWhetherItFitsOrNot) {
  EXPECT_EQ(run_json("plan --problem p.csv --capacity 8 --out s.csv", 0)["height"], 8);
  const std::string solution = text_of("s.csv");
  EXPECT_TRUE(solution.starts_with("id,lower,upper,size,offset\nb1,0,3,4,")) << solution;
  const Json failed = run_json("plan --problem p.csv --capacity 7 --out t.csv", 4);
  EXPECT_EQ(failed["height"], 8);
  EXPECT_EQ(failed["capacity"], 7);
  EXPECT_TRUE(text_of("t.csv").starts_with("id,lower,upper,size,offset\n"));
  EXPECT_NE(run("plan --problem p.csv --capacity 7").out.find("--capacity 8"), std::string::npos);
  // A solution is a problem too, and keeps its columns.
  EXPECT_EQ(run_json("plan --problem s.csv --out again.csv", 0)["height"], 8);
  EXPECT_EQ(text_of("again.csv"), solution);
}

TEST_F(PlanProblem, ACapacityThatNothingFitsIsProven) {
  folder_.file("hole.csv",
               "id,lower,upper,size\n1,0,2,2\n2,0,1,2\n3,1,4,1\n4,1,3,1\n5,2,3,1\n6,2,4,1\n7,3,5,2\n8,4,5,2\n");
  const Json failed = run_json("plan --problem hole.csv --capacity 4", 4);
  EXPECT_EQ(failed["lower_bound"], 4);
  EXPECT_EQ(failed["proven_bound"], 5);
  EXPECT_EQ(run_json("plan --problem hole.csv --capacity 5", 0)["height"], 5);
  const Json least = run_json("plan --problem hole.csv", 0);
  EXPECT_EQ(least["height"], 5);
  EXPECT_EQ(least["optimal"], true);
}

TEST_F(PlanProblem, FaultsHaveTheirCodeAndFamily) {
  folder_.file("bad.csv", "id,lower,upper,size\nb1,0,3,4\nb1,3,3,x\n");
  folder_.file("c.toml", small_config());
  struct Row {
    const char* line;
    int code;
    char family;
    std::size_t findings;
  };
  const Row rows[] = {{"plan --problem bad.csv", 3, 'D', 3},
                      {"plan --problem none.csv", 3, 'D', 1},
                      {"plan --problem .", 3, 'D', 1},
                      {"plan --problem p.csv c.toml", 2, 'C', 1},
                      {"plan --problem p.csv --batch 3", 2, 'C', 1},
                      {"plan --problem p.csv --set train.epochs=3", 2, 'C', 1},
                      {"plan --problem p.csv --capacity much", 2, 'C', 1},
                      {"plan --problem p.csv --capacity -1", 2, 'C', 1},
                      {"plan --problem p.csv --capacity 9223372036854775808", 2, 'C', 1},
                      {"plan --problem p.csv --time-limit -1", 2, 'C', 1},
                      {"plan --problem p.csv --time-limit 1s", 2, 'C', 1},
                      {"plan --problem p.csv --time-limit nan", 2, 'C', 1},
                      {"plan --problem p.csv --out none/s.csv", 2, 'C', 1},
                      {"plan --problem p.csv --out .", 2, 'C', 1},
                      {"plan --problem p.csv --out p.csv", 2, 'C', 1},
                      {"plan --problem p.csv --problem p.csv", 2, 'C', 1},
                      {"plan c.toml --capacity 8", 2, 'C', 1},
                      {"plan c.toml --time-limit 8", 2, 'C', 1},
                      {"plan c.toml --out s.csv", 2, 'C', 1},
                      {"plan", 2, 'C', 1}};
  for (const Row& row : rows) {
    const Json result = run_json(row.line, row.code);
    ASSERT_TRUE(result.contains("findings")) << row.line;
    EXPECT_EQ(result["findings"].size(), row.findings) << row.line << "\n" << result.dump();
    for (const Json& finding : result["findings"]) {
      EXPECT_EQ(finding["code"].get<std::string>().front(), row.family) << row.line;
      EXPECT_FALSE(finding["fix"].get<std::string>().empty()) << row.line;
    }
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "s.csv"));
}

TEST_F(PlanProblem, SharedProblems) {
  const char* root = std::getenv("SNUG_TEST_DATA");
  const auto folder = std::filesystem::absolute(root != nullptr ? root : "../shared/data") / "minimalloc";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no shared data: set SNUG_TEST_DATA";
  for (const std::string name : {"A", "B", "C", "D", "E"}) {
    const std::string file = (folder / (name + ".1048576.csv")).string();
    const Json result = run_json("plan --problem " + file + " --capacity 1048576 --time-limit 60", 0);
    EXPECT_LE(result["height"], 1048576) << name;
  }
}

}  // namespace
}  // namespace snug
