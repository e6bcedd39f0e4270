// Learning rates that cannot be meant, and those that can.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "check/cases.h"
#include "config/rates.h"

namespace snug::test {
namespace {

struct RateCase {
  std::string train;
  std::string where, fix;  ///< empty: sound
};

TEST(Rates, AreHeldAgainstTheOptimizer) {
  const RateCase cases[] = {
      {"optimizer = { lr = 50 }", "run.toml:9:", "lr = 0.1"},
      {"optimizer = { lr = 1e30 }", "run.toml:9:", "lr = 0.1"},
      {"optimizer = { lr = 10 }", "", ""},
      {"optimizer = { name = \"adam\", lr = 0.5 }", "run.toml:9:", "lr = 0.001"},
      {"optimizer = { name = \"adamw\", lr = 0.05 }", "", ""},
      {"optimizer = { name = \"adamw\", lr = 0.06 }", "run.toml:9:", "lr = 0.001"},
      {"optimizer = { lr = 2.0, momentum = 0.9 }", "", ""},
      {"optimizer = { lr = 2.1, momentum = 0.9 }", "run.toml:9:", "lr = 0.1"},
      {"batch = 4096\noptimizer = { lr = 8.0, momentum = 0.9 }", "", ""},
      {"optimizer = { lr = 1e-5 }", "", ""},
      {"optimizer = { lr = 9e-6 }", "run.toml:9:", "lr = 0.05"},
      {"optimizer = { name = \"adam\", lr = 1e-7 }", "", ""},
      {"optimizer = { name = \"adam\", lr = 1e-8 }", "run.toml:9:", "lr = 0.001"},
      {"optimizer = { lr = 0.1 }\nschedule = { name = \"onecycle\", max_lr = 20 }", "run.toml:10:", "max_lr = 0.1"},
  };
  for (const RateCase& row : cases) {
    const Checked checked = check({.train = row.train});
    if (row.fix.empty()) {
      EXPECT_TRUE(checked.findings.empty()) << row.train;
      continue;
    }
    ASSERT_EQ(checked.findings.size(), 1U) << row.train;
    EXPECT_EQ(checked.findings[0].severity, Severity::warning);
    EXPECT_THAT(checked.findings[0].where, testing::StartsWith(row.where));
    EXPECT_EQ(checked.findings[0].fix, row.fix);
  }
}

TEST(Rates, ThatAreProposedAreLowerAndUsual) {
  struct Row {
    OptimizerKind kind;
    double rate, expected;
  };
  const Row rows[] = {{OptimizerKind::sgd, 0.5, 0.05},   {OptimizerKind::sgd, 0.02, 0.002},
                      {OptimizerKind::sgd, 1e30, 0.1},   {OptimizerKind::sgd, 3, 0.1},
                      {OptimizerKind::adam, 0.3, 0.001}, {OptimizerKind::adamw, 0.001, 0.0001}};
  for (const Row& row : rows) EXPECT_DOUBLE_EQ(sane_rate(row.kind, row.rate), row.expected) << row.rate;
}

}  // namespace
}  // namespace snug::test
