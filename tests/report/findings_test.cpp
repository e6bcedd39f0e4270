#include "report/findings.h"

#include <gtest/gtest.h>

namespace snug {
namespace {

const Diagnostic kError{.code = "A104",
                        .severity = Severity::error,
                        .where = "configs/x.toml:12:5",
                        .what = "expects 6 channels, receives 16",
                        .fix = "conv = 6"};
const Diagnostic kWarning{
    .code = "T201", .severity = Severity::warning, .where = {}, .what = "a \"quoted\" thing", .fix = "a\nb"};
const Diagnostic kNote{.code = "D300", .severity = Severity::note, .where = "x.npy[17]", .what = "n", .fix = "f"};

TEST(FindingsJson, IsTheContractsObject) {
  const std::vector<Diagnostic> findings{kError, kWarning};
  EXPECT_EQ(findings_json(findings),
            R"({"findings":[{"code":"A104","severity":"error","where":"configs/x.toml:12:5",)"
            R"("what":"expects 6 channels, receives 16","fix":"conv = 6"},)"
            R"({"code":"T201","severity":"warning","where":"","what":"a \"quoted\" thing","fix":"a\nb"}],)"
            R"("errors":1,"warnings":1,"notes":0})");
}

TEST(FindingsJson, OfNothingHasAllFields) {
  EXPECT_EQ(findings_json({}), R"({"findings":[],"errors":0,"warnings":0,"notes":0})");
}

TEST(FindingsJson, SurvivesNamesThatAreNotUtf8) {
  Diagnostic finding = kNote;
  finding.where = "bad\xff.npy";
  EXPECT_NE(findings_json({&finding, 1}).find("bad\xEF\xBF\xBD.npy"), std::string::npos);
}

TEST(FindingsText, PutsErrorsLastAndIndentsLines) {
  const std::vector<Diagnostic> findings{kError, kWarning, kNote};
  EXPECT_EQ(findings_text(findings, false),
            "note D300 at x.npy[17]\n  n\n  fix: f\n"
            "warning T201\n  a \"quoted\" thing\n  fix: a\n       b\n"
            "error A104 at configs/x.toml:12:5\n  expects 6 channels, receives 16\n  fix: conv = 6\n");
}

TEST(FindingsText, HasEscapesOnlyWhenAsked) {
  EXPECT_EQ(findings_text({&kError, 1}, false).find('\x1b'), std::string::npos);
  EXPECT_NE(findings_text({&kError, 1}, true).find("\x1b[1;31merror A104"), std::string::npos);
}

TEST(FindingsCount, SpeaksPlainly) {
  const std::vector<Diagnostic> all{kError, kWarning, kNote};
  EXPECT_EQ(findings_count(all), "1 error, 1 warning, 1 note");
  EXPECT_EQ(findings_count({}), "clean: no errors, no warnings");
  EXPECT_EQ(findings_count({&kNote, 1}), "clean: no errors, no warnings, 1 note");
}

}  // namespace
}  // namespace snug
