// Completion: the program's candidates, and the scripts in the shells that are here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "cli/completion.h"
#include "program.h"

namespace snug {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> candidates(const std::vector<std::string>& words) {
  std::vector<std::string> names;
  for (const auto& candidate : completions(words).candidates) names.push_back(candidate.word);
  return names;
}

TEST(Completion, CommandsComeFirst) {
  EXPECT_THAT(candidates({""}), testing::IsSupersetOf({"train", "data", "bench", "runs", "help", "completion"}));
  EXPECT_THAT(candidates({"tr"}), ElementsAre("train"));
  EXPECT_THAT(candidates({"bench", ""}), ElementsAre("model", "op", "device", "loader", "compare"));
  EXPECT_THAT(candidates({"runs", "s"}), ElementsAre("show"));
  EXPECT_THAT(candidates({"help", "ev"}), ElementsAre("eval"));
  EXPECT_THAT(candidates({"help", "data", "p"}), ElementsAre("pack", "preview"));
  EXPECT_THAT(candidates({"completion", ""}), ElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(candidates({"completion", "bash", ""}), IsEmpty());
  EXPECT_THAT(candidates({"--"}), ElementsAre("--help", "--version"));
  EXPECT_THAT(candidates({"nonsense", ""}), IsEmpty());
  EXPECT_THAT(candidates({}), Contains("train"));
}

TEST(Completion, OptionsAreThoseOfTheCommandAndComeOnce) {
  EXPECT_THAT(candidates({"train", "c.toml", "--max"}), ElementsAre("--max-steps"));
  EXPECT_THAT(candidates({"data", "pack", "c.toml", "--k"}), ElementsAre("--keep"));
  EXPECT_THAT(candidates({"train", "c.toml", "--resume", "--res"}), IsEmpty());
  EXPECT_THAT(candidates({"train", "--set", "name=a", "--se"}), ElementsAre("--set"));
  EXPECT_THAT(candidates({"train", "--"}), Not(Contains("--budget")));
}

TEST(Completion, ValuesAreWordsKeysDevicesOrFiles) {
  EXPECT_THAT(candidates({"eval", "run", "--split", ""}), ElementsAre("train", "val", "test"));
  EXPECT_THAT(candidates({"eval", "run", "--split=v"}), ElementsAre("--split=val"));
  EXPECT_THAT(candidates({"train", "c.toml", "--set", "train.optimizer.mom"}),
              ElementsAre("train.optimizer.momentum="));
  EXPECT_THAT(candidates({"train", "--set", "train.precision=b"}), ElementsAre("train.precision=bf16"));
  // As bash parts them.
  EXPECT_THAT(candidates({"train", "--set", "train.precision", "=", "b"}), ElementsAre("train.precision=bf16"));
  EXPECT_THAT(candidates({"train", "--set", "train.precision", "="}), Contains("train.precision=fp32"));
  EXPECT_THAT(candidates({"plan", "c.toml", "--device", "h200"}), ElementsAre("h200"));
  EXPECT_THAT(candidates({"summary", "c.toml", "--device", "h200"}), ElementsAre("h200"));
  EXPECT_THAT(candidates({"predict", "best.snug", "--device", ""}), ElementsAre("cpu"));
  EXPECT_THAT(candidates({"train", "--epochs", ""}), IsEmpty());
  const std::vector<std::string> config{"train", ""}, out{"plan", "c.toml", "--report", ""},
      epochs{"train", "--epochs", ""}, profile{"plan", "c.toml", "--device", "my"}, second{"train", "c.toml", ""},
      several{"predict", "run", "a.png", ""};
  EXPECT_TRUE(completions(config).files);
  EXPECT_TRUE(completions(out).files);
  EXPECT_FALSE(completions(epochs).files);
  EXPECT_TRUE(completions(profile).files) << "a profile of one's own";
  EXPECT_FALSE(completions(second).files) << "there is a config already";
  EXPECT_TRUE(completions(several).files);
}

TEST(Completion, RunsAreThoseOfTheFolderThatIsMeant) {
  const TemporaryFolder folder;
  for (const char* name : {"a-1", "a-2", "b-1", "none"}) std::filesystem::create_directory(folder / name);
  for (const char* name : {"a-1", "a-2", "b-1"}) (void)folder.file(std::string(name) + "/run.json", "");
  const std::string runs = folder / "";
  EXPECT_THAT(candidates({"runs", "show", "--dir", runs, ""}), ElementsAre("a-1", "a-2", "b-1"));
  EXPECT_THAT(candidates({"runs", "show", "--dir=" + runs, "b"}), ElementsAre("b-1"));
  EXPECT_THAT(candidates({"runs", "compare", "a-1", "--dir", runs, ""}), ElementsAre("a-2", "b-1"));
  EXPECT_THAT(candidates({"runs", "show", "a-1", "--dir", runs, ""}), IsEmpty()) << "one is enough";
  const std::vector<std::string> path{"runs", "show", "runs/a"};
  EXPECT_TRUE(completions(path).files);
}

TEST(Completion, AnyOtherShellIsAFinding) {
  const ProgramResult result = run_program({"completion", "tcsh"});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.error, HasSubstr("C904"));
  EXPECT_THAT(result.error, HasSubstr("snug completion bash"));
}

/// What `script` prints in a shell; the test is skipped where there is none.
class InShell : public testing::Test {
 protected:
  std::string print(const std::string& shell, const std::string& script) {
    const std::string file = folder_.file("script", script), out = folder_ / "out";
    if (std::system(("command -v " + shell + " >/dev/null").c_str()) != 0) return "no shell";
    EXPECT_EQ(std::system((shell + " " + file + " >" + out + " 2>&1").c_str()), 0);
    std::ifstream in(out);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  TemporaryFolder folder_;
  const std::string program_ = SNUG_PROGRAM;
};

TEST_F(InShell, BashShowsThem) {
  const std::string begin =
      "set -eu\ncd '" + folder_ / "" + "'\ntouch my.toml\nsource <('" + program_ +
      "' completion bash)\ncompopt() { echo \"compopt $*\"; }\n"
      "ask() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _snug; echo \"${COMPREPLY[*]-}\"; }\n";
  const auto ask = [&](const std::string& words) { return "ask '" + program_ + "' " + words + "\n"; };
  const std::string shown =
      print("bash", begin + ask("tr") + ask("train my") + ask("eval r --split ''") + ask("train '\"my'") +
                        ask("train --set train.precision = b") + ask("train --set train.epo"));
  if (shown == "no shell") GTEST_SKIP() << "no bash here";
  EXPECT_EQ(shown,
            "train\ncompopt -o filenames\nmy.toml\ntrain val test\ncompopt -o filenames\nmy.toml\nbf16\ncompopt -o "
            "nospace\ntrain.epochs=\n");
}

TEST_F(InShell, ZshReadsTheScript) {
  const std::string shown =
      print("zsh", "autoload -Uz compinit && compinit -u -D\nsource <('" + program_ +
                       "' completion zsh)\n_describe() { shift; [[ $1 == snug ]] && shift; print -l -- ${(P)1}; }\n"
                       "_files() { print FILES; }\nwords=('" +
                       program_ + "' eval run --split '')\nCURRENT=5\n_snug\nwords=('" + program_ +
                       "' train '')\nCURRENT=3\n_snug\nprint $_comps[snug]\n");
  if (shown == "no shell") GTEST_SKIP() << "no zsh here";
  EXPECT_EQ(shown, "train\nval\ntest\nFILES\n_snug\n");
}

TEST_F(InShell, FishShowsThem) {
  const std::string shown = print("fish", "fish_add_path --path (dirname '" + program_ + "')\n'" + program_ +
                                              "' completion fish | source\ncomplete -C 'snug eval run --split '\n"
                                              "complete -C 'snug tr'\n");
  if (shown == "no shell") GTEST_SKIP() << "no fish here";
  EXPECT_THAT(shown, HasSubstr("val"));
  EXPECT_THAT(shown, HasSubstr("train\t"));
}

}  // namespace
}  // namespace snug
