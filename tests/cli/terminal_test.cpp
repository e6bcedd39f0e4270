// What only a terminal gets: colours, unless somebody asks for none, and tables that fit.
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/program.h"
#include "report/table.h"

namespace snug {
namespace {

class Terminal : public ::testing::Test {
 protected:
  Terminal() { folder_.file("c.toml", small_config()); }
  /// What the program writes to a terminal of `columns`. `environment`: "NO_COLOR=1", or nothing.
  [[nodiscard]] std::string shown(const std::string& line, const std::string& environment = "",
                                  unsigned short columns = 80) const {
    winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    int terminal = -1;
    const pid_t child = ::forkpty(&terminal, nullptr, nullptr, &size);
    if (child == 0) {
      const std::string command = "cd '" + folder_ / "" + "'; unset NO_COLOR; export TERM=xterm; " +
                                  (environment.empty() ? "" : "export " + environment + "; ") +
                                  "SNUG_CPU_RATES='" SNUG_TEST_RATES "' exec '" SNUG_PROGRAM "' " + line;
      ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
      ::_exit(127);
    }
    std::string text;
    char piece[4096];
    for (ssize_t got = 0; (got = ::read(terminal, piece, sizeof piece)) > 0;)  // an error when the program has ended
      text.append(piece, static_cast<std::size_t>(got));
    ::close(terminal);
    ::waitpid(child, nullptr, 0);
    return text;
  }
  [[nodiscard]] static bool coloured(const std::string& text) {
    for (std::size_t at = text.find("\x1b["); at != std::string::npos; at = text.find("\x1b[", at + 1)) {
      if (text[std::min(text.find_first_not_of("0123456789;", at + 2), text.size() - 1)] == 'm') return true;
    }
    return false;
  }
  TemporaryFolder folder_;
};

TEST_F(Terminal, EveryCommandIsPlainWhereThatIsAsked) {
  const std::string bad = " c.toml --set train.epoch=3";
  for (const std::string& line :
       {"check" + bad, "plan" + bad, "train" + bad, "summary" + bad, "data info" + bad, "tune" + bad,
        "bench model" + bad, std::string("train c.toml --out run"), std::string("eval none"),
        std::string("predict none x.npy"), std::string("export none --to onnx --out x"), std::string("init none"),
        std::string("runs show none"), std::string("completion tcsh"), std::string("nonsense")}) {
    const std::string text = shown(line);
    EXPECT_TRUE(coloured(text)) << line << "\n" << text;
    EXPECT_FALSE(coloured(shown(line, "NO_COLOR=1"))) << line;
    EXPECT_FALSE(coloured(shown(line, "TERM=dumb"))) << line;
  }
}

TEST_F(Terminal, PredictionsFit) {
  ASSERT_EQ(run_program({"train", folder_ / "c.toml", "--out", folder_ / "run", "--max-steps", "2", "--quiet"}).code,
            0);
  ASSERT_EQ(run_program({"data", "synth", "--out", folder_ / "a-folder-with-a-long-name", "--count", "20",
                         "--val-count", "10", "--size", "16"})
                .code,
            0);
  for (const unsigned short columns : {60, 100}) {
    std::istringstream lines(
        shown("predict run a-folder-with-a-long-name/val-images.npy --quiet", "NO_COLOR=1", columns));
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
      line.erase(line.find_last_not_of('\r') + 1);
      EXPECT_LE(display_width(line), columns) << line;
      EXPECT_NE(line.find(count == 0 ? "file" : "val-images.npy["), std::string::npos) << line;
    }
    EXPECT_EQ(count, 11);
  }
}

}  // namespace
}  // namespace snug
