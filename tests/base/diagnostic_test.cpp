#include "snug/diagnostic.h"

#include <vector>

#include <gtest/gtest.h>

namespace snug {
namespace {

std::vector<Diagnostic> findings(std::initializer_list<const char*> codes, Severity severity = Severity::error) {
  std::vector<Diagnostic> result;
  for (const char* code : codes) result.push_back({code, severity, "where", "what", "fix"});
  return result;
}

TEST(ExitCode, follows_the_family) {
  const std::vector<std::pair<const char*, int>> table{{"C101", 2}, {"A104", 2}, {"F2", 2}, {"T7", 2},
                                                       {"D301", 3}, {"L302", 3}, {"M1", 4}, {"G1", 5},
                                                       {"N1", 6},   {"I1", 1},   {"", 1}};
  for (const auto& [code, expected] : table) EXPECT_EQ(exit_code(findings({code})), expected) << code;
}

TEST(ExitCode, is_the_lowest_of_the_errors) {
  EXPECT_EQ(exit_code({}), 0);
  EXPECT_EQ(exit_code(findings({"M1", "D2", "N3"})), 3);
  EXPECT_EQ(exit_code(findings({"M1", "C2"})), 2);
}

TEST(ExitCode, ignores_warnings_and_notes) {
  EXPECT_EQ(exit_code(findings({"C1"}, Severity::warning)), 0);
  EXPECT_EQ(exit_code(findings({"D1"}, Severity::note)), 0);
  std::vector<Diagnostic> mixed = findings({"C1"}, Severity::warning);
  mixed.push_back(findings({"M1"}).front());
  EXPECT_EQ(exit_code(mixed), 4);
  EXPECT_TRUE(has_errors(mixed));
  EXPECT_FALSE(has_errors(findings({"C1"}, Severity::warning)));
}

TEST(Diagnostic, reads_as_one_text) {
  const Diagnostic finding{"A104", Severity::error, "x.toml:12:5", "expects 6 channels, receives 16", "conv = 16"};
  EXPECT_EQ(to_string(finding), "error A104 at x.toml:12:5: expects 6 channels, receives 16\n  fix: conv = 16");
  EXPECT_EQ(to_string(Diagnostic{"D1", Severity::note, "", "what", ""}), "note D1: what");
}

TEST(Error, carries_every_finding) {
  const Error error(findings({"D2", "C1"}));
  EXPECT_EQ(error.findings().size(), 2U);
  EXPECT_NE(std::string_view(error.what()).find("D2"), std::string_view::npos);
}

TEST(ErrorDeathTest, needs_a_finding) { EXPECT_DEATH(const Error none(std::vector<Diagnostic>{}), "needs a finding"); }

}  // namespace
}  // namespace snug
