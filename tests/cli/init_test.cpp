// The first hour: a config is written for what lies in a folder, and every command prints the line that comes next.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include <fmt/format.h>

#include "cli/program.h"
#include "data/files.h"
#include "data/zip.h"

namespace snug {
namespace {

using Json = nlohmann::json;

/// The line to paste below "next: …", without the program.
std::vector<std::string> next_words(const ProgramResult& result) {
  const std::size_t place = result.out.rfind("\nnext: ");
  if (place == std::string::npos) return {};
  std::istringstream rest(result.out.substr(place + 1));
  std::string why, line;
  std::getline(rest, why);
  std::getline(rest, line);
  std::vector<std::string> words = split_words(line);
  EXPECT_EQ(words.at(0), SNUG_PROGRAM);
  words.erase(words.begin());
  return words;
}

class Init : public ::testing::Test {
 protected:
  ProgramResult run(const std::vector<std::string>& words) { return run_program(words, "cd " + folder_ / ""); }
  ProgramResult run(const std::string& line) { return run(split_words(line)); }
  std::string text_of(const std::string& name) {
    std::ifstream file(folder_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void expect_clean(const std::string& config) {
    const ProgramResult result = run("check " + config + " --json");
    EXPECT_EQ(result.code, 0) << result.out;
    const Json object = Json::parse(result.out);
    EXPECT_EQ(object["errors"], 0) << object.dump(1);
    EXPECT_EQ(object["warnings"], 0) << object.dump(1);
  }

  TemporaryFolder folder_;
};

TEST_F(Init, EveryStepPrintsTheNextUpToAnExport) {
  ASSERT_EQ(run("data synth --out shapes --count 120 --val-count 40 --size 16").code, 0);
  ProgramResult step = run("init shapes");
  ASSERT_EQ(step.code, 0) << step.error;
  for (const std::string command : {"check", "train", "eval", "predict", "export"}) {
    const std::vector<std::string> words = next_words(step);
    ASSERT_FALSE(words.empty()) << step.out << step.error;
    ASSERT_EQ(words[0], command) << step.out;
    step = run(words);
    ASSERT_EQ(step.code, 0) << command << step.out << step.error;
  }
  EXPECT_EQ(next_words(step), std::vector<std::string>());
  EXPECT_TRUE(std::filesystem::exists(folder_ / "shapes-1.onnx"));
}

/// `predict` reads pictures and .npy; after data of other kinds the step behind it is the next.
TEST_F(Init, AfterDataThatPredictDoesNotReadComesTheExport) {
  constexpr std::uint32_t kTrain = 60, kVal = 40, kBytes = 8 * 8;
  const std::string pixels = counting((kTrain + kVal) * kBytes);
  std::string labels, wide;
  for (std::uint32_t i = 0; i < kTrain; ++i) {
    labels += static_cast<char>(i % 10);
    wide += stored(static_cast<std::int64_t>(i % 10));
  }
  const auto part = [&](bool val) { return val ? pixels.substr(kTrain * kBytes) : pixels.substr(0, kTrain * kBytes); };
  for (const bool val : {false, true}) {
    const std::uint32_t count = val ? kVal : kTrain;
    const std::string name = val ? "val" : "train", shape = fmt::format("({}, 8, 8)", count);
    folder_.file(name + "-x.idx", idx({count, 8, 8}, part(val)));
    folder_.file(name + "-y.idx", idx({count}, labels.substr(0, count)));
    folder_.file(name + ".npz", zip({{"x.npy", npy("|u1", shape, part(val))},
                                     {"y.npy", npy("<i8", fmt::format("({},)", count), wide.substr(0, 8 * count))}}));
  }
  for (const std::string kind : {"idx", "npz"}) {
    const auto source = [&](const std::string& split) {
      return kind == "npz" ? fmt::format(R"(images = "{0}.npz:x", labels = "{0}.npz:y")", split)
                           : fmt::format(R"(images = "{0}-x.idx", labels = "{0}-y.idx", format = "idx")", split);
    };
    folder_.file(kind + ".toml",
                 fmt::format("name = \"{}\"\n[data]\ntrain = {{ {} }}\nval = {{ {} }}\n[model]\ninput = [8, 8, 1]\n"
                             "layers = [{{ flatten = true }}, {{ dense = 10 }}]\n[train]\nepochs = 1\n",
                             kind, source("train"), source("val")));
    const ProgramResult trained = run("train " + kind + ".toml --quiet");
    ASSERT_EQ(trained.code, 0) << trained.error;
    const ProgramResult evaluated = run("eval runs/" + kind + "-1");
    EXPECT_EQ(evaluated.code, 0) << evaluated.error;
    EXPECT_EQ(next_words(evaluated), split_words(fmt::format("export runs/{0}-1 --to onnx --out {0}-1.onnx", kind)));
  }
}

TEST_F(Init, TheDataKeepTheNamesThatWereTyped) {
  ASSERT_EQ(run("data synth --out deep/shapes --count 100 --val-count 40 --size 16").code, 0);
  std::filesystem::create_directory_symlink("deep/shapes", folder_ / "link");
  std::filesystem::create_directories(folder_ / "far/below");
  std::filesystem::create_directory_symlink("far/below", folder_ / "configs");
  struct Case {
    std::string folder, out, root;
  };
  const std::string whole = folder_ / "link";
  for (const Case& c :
       {Case{"link", "a.toml", "link"}, Case{"./link/", "b.toml", "link"}, Case{"link", "far/c.toml", "../link"},
        Case{whole, "d.toml", "link"}, Case{whole, "far/e.toml", whole},
        // From where this folder's ".." leads.
        Case{"link", "configs/f.toml", "../../deep/shapes"}}) {
    ASSERT_EQ(run("init " + c.folder + " --out " + c.out).code, 0) << c.out;
    EXPECT_NE(text_of(c.out).find(fmt::format("root = \"{}\"", c.root)), std::string::npos) << text_of(c.out);
    expect_clean(c.out);
  }
}

TEST_F(Init, NoNextStepForProgramsOrInQuiet) {
  ASSERT_EQ(run("data synth --out shapes --count 100 --val-count 40 --size 16").code, 0);
  const ProgramResult json = run("init shapes --json --out a.toml");
  const Json object = Json::parse(json.out);
  EXPECT_EQ(object["train"], 100);
  EXPECT_EQ(object["val"], 40);
  EXPECT_EQ(object["input"], Json::parse("[16,16,3]"));
  EXPECT_EQ(run("check a.toml --quiet").out.find("next:"), std::string::npos);
}

TEST_F(Init, NothingIsWrittenOver) {
  ASSERT_EQ(run("data synth --out shapes --count 100 --val-count 40 --size 16").code, 0);
  folder_.file("config.toml", "mine");
  const ProgramResult result = run("init shapes");
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.error.find("--out config-2.toml"), std::string::npos) << result.error;
  EXPECT_EQ(text_of("config.toml"), "mine");
}

TEST_F(Init, WhereNothingIsFoundItSaysWhatWasLookedFor) {
  std::filesystem::create_directories(folder_ / "empty");
  const ProgramResult result = run("init empty");
  EXPECT_EQ(result.code, 3);
  EXPECT_NE(result.error.find("no class folders"), std::string::npos) << result.error;
  EXPECT_EQ(run("init nowhere").code, 3);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "config.toml"));
}

TEST_F(Init, RealDataGetConfigsWithoutFindings) {
  const char* given = std::getenv("SNUG_TEST_DATA");
  const std::filesystem::path data = std::filesystem::absolute(given != nullptr ? given : "../shared/data");
  if (!std::filesystem::exists(data / "catsdogs")) GTEST_SKIP() << data << " is not there";
  struct Case {
    std::string name, loss, says;
  };
  for (const Case& c : {Case{"catsdogs", "sparse_categorical_crossentropy", "resize = "},
                        Case{"medical", "sparse_categorical_crossentropy", "input = [28, 28, 1]"}}) {
    const std::string config = c.name + ".toml";
    const ProgramResult result = run({"init", (data / c.name).string(), "--out", config});
    ASSERT_EQ(result.code, 0) << result.error;
    EXPECT_NE(text_of(config).find(c.loss), std::string::npos) << text_of(config);
    EXPECT_NE(text_of(config).find(c.says), std::string::npos) << text_of(config);
    expect_clean(config);
  }
}

}  // namespace
}  // namespace snug
