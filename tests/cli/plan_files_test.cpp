// --report and --timeline as users have them.
#include "cli/plan_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"
#include "cli/program.h"

namespace snug {
namespace {

using Json = nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PlanFilesOf : public ::testing::Test {
 protected:
  PlanFilesOf() : config_(folder_.file("c.toml", small_config())) {}
  [[nodiscard]] ProgramResult plan(const std::string& options) const {
    std::vector<std::string> words{"plan", config_};
    for (std::string& word : split_words(options)) words.push_back(std::move(word));
    return run_program(words, "cd " + folder_ / "");
  }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder_ / ""), {}));
  }
  TemporaryFolder folder_;
  std::string config_;
};

std::int64_t most_alive(const std::string& csv) {
  std::istringstream lines(csv);
  std::string line;
  std::getline(lines, line);
  std::int64_t most = 0;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string field;
    for (int i = 0; i < 6; ++i) std::getline(fields, field, ',');
    most = std::max(most, std::int64_t{std::stoll(field)});
  }
  return most;
}

TEST_F(PlanFilesOf, AreWrittenBesideTheAnswer) {
  const ProgramResult result = plan("--json --budget 300MiB --report p.html --timeline t.csv");
  ASSERT_EQ(result.code, 0) << result.error;
  const Json answer = Json::parse(result.out);
  const std::string csv = read_text(folder_ / "t.csv");
  EXPECT_EQ(std::ranges::count(csv, '\n'), std::ssize(answer["steps"]) + 1);
  EXPECT_EQ(most_alive(csv), answer["lower_bound_bytes"].get<std::int64_t>());
  const std::string page = read_text(folder_ / "p.html");
  EXPECT_THAT(page, HasSubstr("small on cpu: batch 32 fits"));
  EXPECT_THAT(page, HasSubstr("--report p.html --timeline t.csv</code>"));
  EXPECT_THAT(page, HasSubstr("batch\">Bytes by batch size"));
  EXPECT_EQ(files(), 3u) << "nothing else is left";
  ASSERT_EQ(plan("--json --budget 300MiB --report p.html --timeline t.csv").code, 0);
  EXPECT_EQ(read_text(folder_ / "p.html"), page) << "the same plan, the same page";
}

TEST_F(PlanFilesOf, StepsAddUp) {
  const Json answer = Json::parse(plan("--json").out);
  std::int64_t most = 0;
  std::int64_t conv_flops = 0;
  for (const Json& step : answer["steps"]) {
    most = std::max(most, step["live_bytes"].get<std::int64_t>());
    if (step["op"] == "conv_forward") conv_flops += step["flops"].get<std::int64_t>();
  }
  EXPECT_EQ(most, answer["lower_bound_bytes"].get<std::int64_t>());
  EXPECT_EQ(conv_flops, answer["layers"][0]["flops"].get<std::int64_t>());
  EXPECT_EQ(answer["steps"][answer["peak"]["step"].get<std::size_t>()]["layer"], answer["peak"]["layer"]);
}

TEST_F(PlanFilesOf, AreWrittenForWhatDoesNotFit) {
  const ProgramResult result = plan("--json --batch 512 --arena-budget 2MiB --report p.html --timeline t.csv");
  ASSERT_EQ(result.code, 4) << result.error;
  const Json answer = Json::parse(result.out);
  EXPECT_EQ(most_alive(read_text(folder_ / "t.csv")), answer["lower_bound_bytes"].get<std::int64_t>());
  const std::string page = read_text(folder_ / "p.html");
  EXPECT_THAT(page, HasSubstr("does not fit"));
  EXPECT_THAT(page, HasSubstr("M611"));
  EXPECT_THAT(page, HasSubstr("<rect "));
}

TEST_F(PlanFilesOf, APathThatCannotBeWrittenEndsBeforeThePlan) {
  for (const std::string options :
       {"--report none/p.html", "--timeline none/t.csv", "--report .", "--report same --timeline same"}) {
    const ProgramResult result = plan(options + " --json");
    EXPECT_EQ(result.code, 2) << options << result.out;
    EXPECT_EQ(Json::parse(result.out)["findings"][0]["code"], "C909");
    EXPECT_EQ(files(), 1u) << options;
  }
  EXPECT_EQ(plan("--report p.html --batch many").code, 2);
  EXPECT_EQ(files(), 1u) << "no half of a page stays behind";
}

TEST(ShownBatches, ReachBeyondTheLargestThatFits) {
  for (const auto& [batch, most] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {64, 300}, {256, 49}, {1, 0}, {1, 1}, {128, kBatchLimit}, {kBatchLimit, 7}}) {
    const std::vector<std::int64_t> sizes = shown_batches(batch, most);
    EXPECT_TRUE(std::ranges::is_sorted(sizes, std::less_equal{})) << "each once";
    EXPECT_THAT(sizes, Contains(batch));
    EXPECT_GE(sizes.front(), 1);
    EXPECT_LE(sizes.back(), kBatchLimit);
    EXPECT_LE(sizes.size(), 12u);
    if (most == 0) continue;
    EXPECT_THAT(sizes, Contains(most));
    EXPECT_THAT(sizes, Contains(std::min(most + 1, kBatchLimit)));
  }
}

TEST(CommandLine, IsWhatWasTyped) {
  const Arguments arguments({"my net.toml"}, {{"batch", "8"}, {"json", ""}, {"set", "data.root=a b"}});
  EXPECT_EQ(command_line("plan", arguments), "snug plan 'my net.toml' --batch 8 --json --set 'data.root=a b'");
}

}  // namespace
}  // namespace snug
