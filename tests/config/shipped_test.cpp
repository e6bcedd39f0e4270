// Every config and model that comes with the program is read without a finding, and written back equal.
#include <filesystem>

#include <gtest/gtest.h>

#include "support.h"

namespace snug::config {
namespace {

namespace fs = std::filesystem;

int read_all(const fs::path& folder, bool model_only) {
  int count = 0;
  if (!fs::is_directory(folder)) return 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".toml") continue;
    ++count;
    try {
      const Config config = load_config(entry.path(), {.model_only = model_only});
      EXPECT_TRUE(config.warnings.empty()) << entry.path() << all(config.warnings);
      EXPECT_EQ(to_toml(parse_config(to_toml(config), "/elsewhere/run.toml", {.model_only = model_only})),
                to_toml(config));
    } catch (const Error& error) {
      ADD_FAILURE() << all(error.findings());
    }
  }
  return count;
}

TEST(Shipped, ConfigsAndModelsAreSound) {
  const fs::path configs = fs::path(SNUG_SOURCE_DIR) / "configs";
  EXPECT_GT(read_all(configs, false) + read_all(configs / "examples", false), 0);
  EXPECT_GT(read_all(configs / "models", true), 0);
}

}  // namespace
}  // namespace snug::config
