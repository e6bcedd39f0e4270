#include "backend/cuda/engine_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"

namespace snug {
namespace {

namespace fs = std::filesystem;

class EngineCacheTest : public ::testing::Test {
 public:
  EngineCacheTest() : folder_(fs::temp_directory_path() / ("snug_cache_" + std::to_string(::getpid()))) {
    fs::remove_all(folder_);
  }
  ~EngineCacheTest() override { fs::remove_all(folder_); }
  EngineCacheTest(const EngineCacheTest&) = delete;
  EngineCacheTest& operator=(const EngineCacheTest&) = delete;

 protected:
  [[nodiscard]] fs::path only_file() const {
    const auto entry = fs::directory_iterator(folder_);
    EXPECT_NE(entry, fs::directory_iterator());
    return entry->path();
  }
  void store(const std::string& key, std::int64_t bytes, const std::string& subject = "a device") const {
    EngineCache cache(folder_, subject);
    cache.add(key, {{"62{2=9}", bytes}, {"0", 0}});
    cache.save();
  }
  [[nodiscard]] bool knows(const std::string& key, const std::string& subject = "a device") const {
    return EngineCache(folder_, subject).find(key) != nullptr;
  }

  fs::path folder_;
};

TEST_F(EngineCacheTest, KeepsAnswersFromRunToRun) {
  store("forward bf16 1", 17);
  const EngineCache cache(folder_, "a device");
  const std::vector<Engine>* engines = cache.find("forward bf16 1");
  ASSERT_NE(engines, nullptr);
  ASSERT_EQ(engines->size(), 2U);
  EXPECT_EQ((*engines)[0].name, "62{2=9}");
  EXPECT_EQ((*engines)[0].workspace_bytes, 17);
  EXPECT_FALSE(knows("forward bf16 2"));
  EXPECT_FALSE(knows("forward bf16 1", "another device")) << "answers hold for one device and version";
}

TEST_F(EngineCacheTest, WhoSavesLastKeepsWhatOthersAdded) {
  EngineCache one(folder_, "a device");
  EngineCache two(folder_, "a device");
  one.add("a", {{"1", 1}});
  two.add("b", {{"2", 2}});
  one.save();
  two.save();
  EXPECT_TRUE(knows("a"));
  EXPECT_TRUE(knows("b"));
}

TEST_F(EngineCacheTest, LinesThatAreNotWholeArePassedOver) {
  store("kept", 1);
  store("damaged", 123456);
  std::string text = read_text(only_file());
  const std::size_t digits = text.find("123456");
  ASSERT_NE(digits, std::string::npos);
  text.replace(digits, 6, "123457");
  std::ofstream(only_file()) << text << "0123456789abcdef|cut off";
  EXPECT_TRUE(knows("kept"));
  EXPECT_FALSE(knows("damaged"));
}

TEST_F(EngineCacheTest, FilesOfAnotherKindAreNoFault) {
  for (const std::string& content : {std::string(), std::string("snug engines 99\nx\n"), std::string(1000, '\0')}) {
    store("a", 1);
    std::ofstream(only_file()) << content;
    EXPECT_FALSE(knows("a"));
  }
  store("a", 1);
  EXPECT_TRUE(knows("a")) << "a useless file is replaced";
}

TEST_F(EngineCacheTest, AFileThatIsTooLargeBeginsAnew) {
  store("a", 1);
  fs::resize_file(only_file(), 64 << 20);
  EXPECT_FALSE(knows("a"));
  store("b", 1);
  EXPECT_LT(fs::file_size(only_file()), 1000U);
}

TEST_F(EngineCacheTest, TheFolderStaysBounded) {
  for (int i = 0; i < 80; ++i) store("a", 1, "device " + std::to_string(i));
  EXPECT_LE(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 64);
  EXPECT_TRUE(knows("a", "device 79"));
}

TEST_F(EngineCacheTest, WithoutAFolderNothingIsKept) {
  EngineCache cache({}, "a device");
  cache.add("a", {{"1", 1}});
  cache.save();
  EXPECT_NE(cache.find("a"), nullptr);
  EngineCache("/proc/nowhere", "a device").save();
  EngineCache unwritable("/proc/nowhere", "a device");
  unwritable.add("a", {{"1", 1}});
  EXPECT_NO_THROW(unwritable.save());
}

}  // namespace
}  // namespace snug
