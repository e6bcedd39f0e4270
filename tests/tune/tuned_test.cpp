#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "base/file.h"
#include "tune/tuned.h"

namespace snug {
namespace {

/// A cache folder of its own.
class Tuned : public ::testing::Test {
 public:
  ~Tuned() override {
    ::unsetenv("XDG_CACHE_HOME");
    std::filesystem::remove_all(folder_);
  }

 protected:
  Tuned() {
    std::string name = (std::filesystem::temp_directory_path() / "snug-tuned-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    ::setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
  }
  std::string folder_;
};

constexpr const char* kText = R"(name = "a"
[data]
train = { synthetic = "shapes", count = 200 }
[model]
input = [16, 16, 3]
layers = [ { conv = 8, kernel = 3 }, { global_avgpool = true }, { dense = 10 } ]
[train]
optimizer = { name = "sgd", lr = 0.05, momentum = 0.9 }
)";

Config config_with(const std::string& key = "", const std::string& value = "") {
  ConfigOptions options;
  if (!key.empty()) options.set.emplace_back(key, value);
  return parse_config(kText, "a.toml", options);
}

TEST_F(Tuned, WhatIsSavedIsFound) {
  const TunedKey key = tuned_key(config_with(), 2);
  EXPECT_FALSE(load_tuned(key).has_value());
  ASSERT_TRUE(save_tuned(key, {.batch = 96, .images_per_second = 1234.5, .date = "2026-11-23"}));
  const TunedBatch found = load_tuned(key).value_or(TunedBatch{});
  EXPECT_EQ(found.batch, 96);
  EXPECT_NEAR(found.images_per_second, 1234.5, 1);
  EXPECT_EQ(found.date, "2026-11-23");
}

TEST_F(Tuned, NothingOfAnotherMachineModelOrVersionIsUsed) {
  const TunedKey key = tuned_key(config_with(), 2);
  ASSERT_TRUE(save_tuned(key, {.batch = 96, .images_per_second = 1000, .date = "2026-11-23"}));
  const std::vector<std::function<void(TunedKey&)>> changes{
      [](TunedKey& k) { k.machine = "another"; },   [](TunedKey& k) { k.device = "another"; },
      [](TunedKey& k) { k.threads = 3; },           [](TunedKey& k) { k.model = "0123456789abcdef"; },
      [](TunedKey& k) { k.precision = "bf16"; },    [](TunedKey& k) { k.parts = 2; },
      [](TunedKey& k) { k.libraries = "snug 0.0"; }};
  for (const auto& change : changes) {
    TunedKey other = key;
    change(other);
    EXPECT_FALSE(load_tuned(other).has_value());
    // A file that was copied to where the other's would lie is not believed either.
    std::filesystem::copy_file(tuned_file(key), tuned_file(other), std::filesystem::copy_options::overwrite_existing);
    EXPECT_FALSE(load_tuned(other).has_value());
  }
  EXPECT_TRUE(load_tuned(key).has_value());
  const TunedKey gpu = tuned_key(config_with(), 2, "a GPU", "cudnn 9.19.1");
  ASSERT_TRUE(save_tuned(gpu, {.batch = 96, .images_per_second = 1000, .date = "2026-11-23"}));
  EXPECT_FALSE(load_tuned(tuned_key(config_with(), 2, "a GPU", "cudnn 9.20.0")).has_value());
}

TEST_F(Tuned, DamagedFilesAreNothing) {
  const TunedKey key = tuned_key(config_with(), 2);
  ASSERT_TRUE(save_tuned(key, {.batch = 96, .images_per_second = 1000, .date = "2026-11-23"}));
  const std::string text = read_text(tuned_file(key));
  for (std::size_t size = 0; size < text.size(); ++size) {
    std::ofstream(tuned_file(key)) << text.substr(0, size);
    EXPECT_FALSE(load_tuned(key).has_value()) << text.substr(0, size);
  }
  std::string zero = text;
  zero.replace(zero.find("batch 96"), 8, "batch 0");
  std::ofstream(tuned_file(key)) << zero;
  EXPECT_FALSE(load_tuned(key).has_value());
}

TEST_F(Tuned, WithoutAFolderNothingIsKept) {
  ::setenv("XDG_CACHE_HOME", (folder_ + "/file").c_str(), 1);
  std::ofstream(folder_ + "/file") << "in the way";
  EXPECT_FALSE(save_tuned(tuned_key(config_with(), 2), {.batch = 1, .images_per_second = 1, .date = "x"}));
}

TEST(ModelDigest, IsOfTheWorkOfAStepAlone) {
  const std::string digest = model_digest(config_with());
  EXPECT_EQ(digest.size(), 16U);
  struct Row {
    std::string key, value;
    bool same;
  };
  for (const Row& row :
       {Row{"name", "\"b\"", true}, Row{"train.epochs", "7", true}, Row{"train.seed", "9", true},
        Row{"train.optimizer.lr", "0.3", true}, Row{"train.optimizer.momentum", "0.5", true},
        Row{"train.optimizer.momentum", "0.0", false}, Row{"model.input", "[32, 32, 3]", false},
        Row{"train.ema", "0.99", false}, Row{"train.batch", "77", true}, Row{"train.clip_norm", "1.0", false}})
    EXPECT_EQ(model_digest(config_with(row.key, row.value)) == digest, row.same) << row.key << " = " << row.value;
}

}  // namespace
}  // namespace snug
