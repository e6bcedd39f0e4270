#include "base/file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include <gtest/gtest.h>
#include <unistd.h>

namespace snug {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("snug_file_test_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  [[nodiscard]] std::ptrdiff_t files() const {
    return std::distance(fs::directory_iterator(folder_), fs::directory_iterator());
  }
  fs::path folder_;
};

/// What a system_error of `call` says, or nothing.
template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error.what();
  }
  return "";
}

TEST_F(FileTest, writes_and_reads_whole) {
  const fs::path path = folder_ / "a.txt";
  const std::string text = std::string("line\0zero", 9) + "\n";
  write_text(path, text);
  EXPECT_EQ(read_text(path), text);
  write_text(path, "shorter");
  EXPECT_EQ(read_text(path), "shorter");
  EXPECT_EQ(files(), 1);
}

TEST_F(FileTest, an_empty_file_is_an_empty_text) {
  write_text(folder_ / "empty", "");
  EXPECT_EQ(read_text(folder_ / "empty"), "");
}

TEST_F(FileTest, without_commit_the_old_file_stays) {
  const fs::path path = folder_ / "a.txt";
  write_text(path, "old");
  {
    AtomicFile file(path);
    file.write("half of the n");
    EXPECT_EQ(read_text(path), "old");  // also while it is being written
  }
  EXPECT_EQ(read_text(path), "old");
  EXPECT_EQ(files(), 1);  // the temporary file is gone
}

TEST_F(FileTest, without_commit_no_file_appears) {
  { AtomicFile(folder_ / "a.txt").write("half"); }
  EXPECT_EQ(files(), 0);
}

TEST_F(FileTest, commit_replaces_in_one_step) {
  const fs::path path = folder_ / "a.txt";
  write_text(path, "old");
  AtomicFile file(path);
  file.write("new ");
  file.write("text");
  file.commit();
  EXPECT_EQ(read_text(path), "new text");
  EXPECT_EQ(files(), 1);
}

TEST_F(FileTest, failures_name_the_path) {
  const fs::path missing = folder_ / "missing" / "a.txt";
  EXPECT_NE(error_of([&] { (void)read_text(missing); }).find(missing.string()), std::string::npos);
  EXPECT_NE(error_of([&] { write_text(missing, "x"); }).find(missing.string()), std::string::npos);
  EXPECT_NE(error_of([&] { (void)read_text(folder_); }).find(folder_.string()), std::string::npos);
}

TEST_F(FileTest, a_full_disk_is_an_error_and_keeps_nothing) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  // The temporary file is a link to a device that is always full.
  const fs::path path = folder_ / "a.txt";
  fs::create_symlink("/dev/full", folder_ / ("a.txt.tmp" + std::to_string(::getpid())));
  const std::string error = error_of([&] { write_text(path, "x"); });
  EXPECT_NE(error.find(path.string()), std::string::npos) << error;
  EXPECT_FALSE(fs::exists(path));
  EXPECT_EQ(files(), 0);
}

TEST_F(FileTest, a_mapped_file_moves) {
  write_text(folder_ / "a", "abc");
  MappedFile first(folder_ / "a");
  const MappedFile second(std::move(first));
  EXPECT_EQ(second.bytes().size(), 3U);
  EXPECT_EQ(std::to_integer<char>(second.bytes()[1]), 'b');
}

}  // namespace
}  // namespace snug
