#include "base/shell.h"

#include <gtest/gtest.h>

namespace snug {
namespace {

TEST(ShellWord, QuotesWhatAShellWouldSplit) {
  EXPECT_EQ(shell_word("train.batch=32"), "train.batch=32");
  EXPECT_EQ(shell_word("a b"), "'a b'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(AsOptions, ALineIsAnOption) {
  EXPECT_EQ(as_options("train.batch = 32"), "--set train.batch=32");
  EXPECT_EQ(as_options("train.precision = \"bf16\"\ntrain.batch = 2"),
            "--set train.precision=bf16 --set train.batch=2");
  EXPECT_EQ(as_options("memory.strategy = [\"split\"]"), "--set 'memory.strategy=[\"split\"]'");
}

}  // namespace
}  // namespace snug
