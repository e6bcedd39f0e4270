// The table of keys itself, and the reference written from it.
#include "config/keys.h"

#include <cstdlib>
#include <filesystem>
#include <set>

#include <gtest/gtest.h>

#include "base/file.h"
#include "config/reference.h"
#include "support.h"

namespace snug::config {
namespace {

TEST(Keys, EveryExampleIsValid) {
  for (const Scope& scope : scopes()) {
    for (const Key* key : keys_of(scope.name)) {
      const std::string text = config_with(scope.name, key->name, key->example);
      const Outcome outcome = parse(text);
      // The model files of examples come with the program; here it counts that the key itself is fine.
      const bool file = key->name == "file" || (scope.name == "top" && key->name == "model");
      if (file && !outcome.config) continue;
      EXPECT_TRUE(outcome.config) << text << all(outcome.findings);
    }
  }
}

TEST(Keys, EveryDefaultIsValid) {
  for (const Scope& scope : scopes()) {
    for (const Key* key : keys_of(scope.name)) {
      const std::string_view fallback = key->fallback;
      const bool toml = fallback.starts_with('"') || fallback.starts_with('[') || fallback.starts_with('{') ||
                        (fallback[0] >= '0' && fallback[0] <= '9') || fallback == "true" || fallback == "false";
      const bool prose = fallback.find(" for ") != std::string_view::npos || fallback.ends_with("layer") ||
                         fallback.find("...") != std::string_view::npos;
      if (!toml || prose) continue;
      const std::string text = config_with(scope.name, key->name, fallback);
      const Outcome outcome = parse(text);
      EXPECT_TRUE(outcome.config) << text << all(outcome.findings);
    }
  }
}

TEST(Keys, NamesAreUniqueInTheirScopeAndScopesExist) {
  for (const Scope& scope : scopes()) {
    const std::vector<std::string> names = key_names(scope.name);
    EXPECT_FALSE(names.empty()) << scope.name;
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size()) << scope.name;
    for (const Key* key : keys_of(scope.name)) {
      EXPECT_FALSE(key->meaning.empty()) << key->name;
      EXPECT_FALSE(key->example.empty()) << key->name;
      EXPECT_FALSE(key->fallback.empty()) << key->name;
      EXPECT_EQ((key->forms & (kTable | kTables)) != 0, !key->table.empty()) << key->name;
    }
  }
}

TEST(Reference, SampleIsValid) {
  const Outcome outcome = parse(std::string(sample_config()));
  EXPECT_TRUE(outcome.config) << all(outcome.findings);
}

TEST(Reference, DocsAreUpToDate) {
  const std::filesystem::path file = std::filesystem::path(SNUG_SOURCE_DIR) / "docs/config.md";
  if (std::getenv("SNUG_UPDATE_DOCS") != nullptr) write_text(file, reference());
  ASSERT_TRUE(std::filesystem::exists(file)) << "SNUG_UPDATE_DOCS=1 snug_config_test writes it";
  EXPECT_TRUE(read_text(file) == reference()) << "docs/config.md differs from the table of keys; "
                                                 "SNUG_UPDATE_DOCS=1 snug_config_test writes it anew";
}

}  // namespace
}  // namespace snug::config
