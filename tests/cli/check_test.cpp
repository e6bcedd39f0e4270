// `snug check` as users have it: the three examples, effort, what it leaves alone, and what a training tells by itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "check/catalogue.h"
#include "cli/program.h"

namespace snug {
namespace {

using Json = nlohmann::json;

class CheckCommand : public ::testing::Test {
 protected:
  [[nodiscard]] ProgramResult run(const std::string& line) const {
    return run_program(split_words(line), "cd " + folder_ / "");
  }
  [[nodiscard]] std::vector<Json> findings(const std::string& line, int code) const {
    const ProgramResult result = run(line + " --json");
    EXPECT_EQ(result.code, code) << line << "\n" << result.out << result.error;
    const Json object = Json::parse(result.out, nullptr, false);
    if (!object.contains("findings")) return {};
    for (const Json& finding : object["findings"]) {
      EXPECT_NE(find_code(finding["code"].get<std::string>()), nullptr) << finding;
    }
    return object["findings"];
  }
  /// What is no note.
  [[nodiscard]] std::vector<Json> faults(const std::string& line, int code) const {
    std::vector<Json> list = findings(line, code);
    std::erase_if(list, [](const Json& finding) { return finding["severity"] == "note"; });
    return list;
  }
  [[nodiscard]] static std::string example(const std::string& name) {
    return std::string(SNUG_SOURCE_DIR) + "/configs/examples/" + name + ".toml";
  }
  TemporaryFolder folder_;
};

TEST_F(CheckCommand, GrayImagesForANetworkOfColour) {
  ASSERT_EQ(run("data synth --random --no-channel-axis --count 100 --size 32 --classes 2 --out gray").code, 0);
  const std::string line = example("gray-for-color") + " --data-root gray";
  const auto found = faults("check " + line, 3);
  ASSERT_EQ(found.size(), 1U) << Json(found).dump(1);
  EXPECT_EQ(found[0]["code"], "D111");
  EXPECT_EQ(found[0]["where"], "gray/train-images.npy[0]");
  EXPECT_EQ(found[0]["what"], "images are 32×32×1 (gray), model.input is 32×32×3");
  EXPECT_EQ(found[0]["fix"], "gray_to_rgb = true   # in [data]");
  EXPECT_TRUE(faults("check " + line + " --set data.gray_to_rgb=true", 0).empty());
  EXPECT_EQ(run("train " + line + " --set data.gray_to_rgb=true --quiet").code, 0);
}

TEST_F(CheckCommand, ClassNumbersForALossOfRows) {
  ASSERT_EQ(run("data synth --random --gray --label-column --count 100 --size 28 --classes 10 --out numbers").code, 0);
  const std::string line = example("numbers-for-rows") + " --data-root numbers";
  const auto found = faults("check " + line, 3);
  ASSERT_EQ(found.size(), 1U) << Json(found).dump(1);
  EXPECT_EQ(found[0]["code"], "L201");
  EXPECT_EQ(found[0]["what"],
            "categorical_crossentropy needs rows of 10 values, the labels are class numbers (0 to 9)");
  EXPECT_EQ(found[0]["fix"], "loss = \"sparse_categorical_crossentropy\"");
  const std::string mended = line + " --set train.loss=sparse_categorical_crossentropy";
  EXPECT_TRUE(faults("check " + mended, 0).empty());
  EXPECT_EQ(run("train " + mended + " --quiet").code, 0);
}

TEST_F(CheckCommand, ImagesAndABatchBeyondMemory) {
  // The example as it is, 224×224 in float64; its 788 million weights alone are 12 GiB with Adam, which only a machine
  // of that much can train. A max pool of more pixels in front of flatten makes that 200 MB.
  ASSERT_EQ(run("data synth --random --count 48 --size 224 --classes 1000 --out large").code, 0);
  const std::string whole = example("beyond-memory") + " --data-root large --set memory.budget=8GiB";
  const auto told = faults("check " + whole + " --set train.batch=48", 4);
  ASSERT_EQ(told.size(), 1U) << Json(told).dump(1);
  EXPECT_EQ(told[0]["code"], "M611");
  EXPECT_NE(told[0]["what"].get<std::string>().find("batch 48 needs 12"), std::string::npos) << told[0];

  std::string config = read_text(example("beyond-memory"));
  config.replace(config.find("{ maxpool = 2 }"), 15, "{ maxpool = 14 }");
  write_text(folder_ / "smaller.toml", config);
  const std::string line = "smaller.toml --data-root large --set train.batch=48";
  const auto found = faults("check " + line + " --set memory.budget=300MiB", 4);
  ASSERT_EQ(found.size(), 1U) << Json(found).dump(1);
  EXPECT_EQ(found[0]["code"], "M611");
  EXPECT_EQ(found[0]["where"], "--set memory.budget");
  EXPECT_NE(found[0]["what"].get<std::string>().find("batch 48 needs"), std::string::npos);
  // The proposal was planned and fits: pasted in place of the option, it does; and then it trains.
  const std::string fix = found[0]["fix"];
  ASSERT_TRUE(fix.starts_with("--set ")) << fix;
  const bool budget = fix.find("memory.budget") != std::string::npos;
  const std::string mended = line + (budget ? " " : " --set memory.budget=300MiB ") + fix.substr(0, fix.find("   #"));
  EXPECT_TRUE(faults("check " + mended, 0).empty()) << mended;
  EXPECT_EQ(run("train " + mended + " --max-steps 2 --quiet").code, 0);
}

TEST_F(CheckCommand, AHostThatDoesNotHoldTheImagesIsToldFirst) {
  // 100,000 images of 224×224×3 in float64, as a file of holes behind the first: 120 GB, no disk.
  ASSERT_EQ(run("data synth --random --count 40 --size 224 --classes 1000 --out large").code, 0);
  constexpr std::int64_t kImage = 224LL * 224 * 3 * 8;
  constexpr std::int64_t kImages = 100'000;
  const auto grow = [&](const std::string& name, std::int64_t bytes) {
    std::fstream file(folder_ / name, std::ios::binary | std::ios::in | std::ios::out);
    std::string header(128, ' ');
    file.read(header.data(), 128);
    const std::size_t length =
        10 + static_cast<unsigned char>(header[8]) + 256U * static_cast<unsigned char>(header[9]);
    std::string text = header.substr(10, length - 10);
    const std::size_t at = text.find("(40,");
    ASSERT_NE(at, std::string::npos);
    text.replace(at, 4, "(" + std::to_string(kImages) + ",");
    text.erase(text.find_last_not_of(" \n") + 1);
    text.resize(length - 11, ' ');
    text += '\n';
    file.seekp(10);
    file << text;
    file.close();
    std::filesystem::resize_file(folder_ / name,
                                 static_cast<std::uintmax_t>(length) + static_cast<std::uintmax_t>(bytes));
  };
  grow("large/train-images.npy", kImages * kImage);
  grow("large/train-labels.npy", kImages * 8);
  const auto found = findings("check " + example("beyond-memory") + " --data-root large --set memory.budget=8GiB", 4);
  std::map<std::string, std::string> what;
  for (const Json& finding : found) what[finding["code"]] = finding["what"];
  ASSERT_TRUE(what.contains("M614")) << Json(found).dump(1);
  EXPECT_NE(what["M614"].find("56.1 GiB of images"), std::string::npos) << what["M614"];
  ASSERT_TRUE(what.contains("M611")) << "and the batch in the same run\n" << Json(found).dump(1);
  EXPECT_NE(what["M611"].find("batch 1024 needs"), std::string::npos);
}

TEST_F(CheckCommand, LeavesTheDataAlone) {
  ASSERT_EQ(run("data synth --out shapes --count 200 --val-count 60 --size 16").code, 0);
  const auto tree = [&] {
    std::map<std::string, std::pair<std::uintmax_t, std::filesystem::file_time_type>> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_ / "shapes")) {
      if (entry.is_regular_file()) files[entry.path()] = {entry.file_size(), entry.last_write_time()};
    }
    return files;
  };
  const auto before = tree();
  EXPECT_TRUE(faults("check shapes/config.toml --deep --full", 0).empty());
  EXPECT_EQ(tree(), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_ / ""), {}), 1) << "and nothing beside it";
}

TEST_F(CheckCommand, AllFamiliesInOneRunByPlace) {
  ASSERT_EQ(run("data synth --random --count 60 --size 16 --classes 10 --out data").code, 0);
  std::string text = small_config();
  text.replace(text.find("train = {"), std::string("train = { synthetic = \"shapes\", count = 200 }").size(),
               "train = { images = \"train-images.npy\", labels = \"train-labels.npy\" }");
  text.erase(text.find("val = {"), text.find("[model]") - text.find("val = {"));
  text.replace(text.find("momentum = 0.9"), 14, "momentum = 0.9, weight_decay = 3.0");
  text.replace(text.find("{ maxpool = 2 }"), 15, "{ maxpool = 1 }");
  text.replace(text.find("epochs = 2"), 10, "epochs = 2\nlabel_smoothing = 0.9\nearly_stopping = { patience = 9 }");
  text.replace(text.find("dense = 10"), 10, "dense = 9");
  folder_.file("data/c.toml", text);
  const auto found = faults("check data/c.toml", 2);
  std::vector<std::string> codes;
  std::vector<std::pair<int, int>> places;
  for (const Json& finding : found) {
    codes.push_back(finding["code"]);
    int line = 0, column = 0;
    const std::string where = finding["where"];
    if (std::sscanf(where.c_str(), "data/c.toml:%d:%d", &line, &column) == 2) places.emplace_back(line, column);
  }
  std::vector<std::string> expected{"A206", "F104", "T105", "T106", "T115", "T117"};
  std::vector<std::string> sorted = codes;
  std::ranges::sort(sorted);
  EXPECT_EQ(sorted, expected) << Json(found).dump(1);
  EXPECT_TRUE(std::ranges::is_sorted(places));
}

/// A fault of one table hides nothing of the others, and nothing is said of what follows from a faulty key's default.
TEST_F(CheckCommand, AFaultyTableHidesNothingOfTheOthers) {
  ASSERT_EQ(run("data synth --random --count 60 --size 16 --classes 10 --out data").code, 0);
  const auto with = [&](std::string_view old_text, std::string_view new_text, std::string text) {
    return text.replace(text.find(old_text), old_text.size(), new_text);
  };
  std::string sound = small_config();
  sound = with("train = { synthetic = \"shapes\", count = 200 }",
               "train = { images = \"train-images.npy\", labels = \"train-labels.npy\" }", sound);
  sound.erase(sound.find("val = {"), sound.find("[model]") - sound.find("val = {"));
  sound = with("epochs = 2", "loss = \"sparse_categorical_crossentropy\"\nepochs = 2", sound);
  const std::string few = with("dense = 10", "dense = 9", sound);
  const auto codes_of = [&](const std::string& text, int code) {
    folder_.file("data/c.toml", text);
    std::vector<std::string> codes;
    for (const Json& finding : faults("check data/c.toml", code)) codes.push_back(finding["code"]);
    return codes;
  };
  using Codes = std::vector<std::string>;
  EXPECT_EQ(codes_of(with("epochs = 2", "epoch = 2", few), 2), (Codes{"F104", "C007"})) << "[train]";
  EXPECT_EQ(codes_of(with("loss = ", "los = ", few), 2), (Codes{"C007"})) << "the loss itself";
  const std::string no_epochs = with("epochs = 2", "epochs = 0", few);
  EXPECT_EQ(codes_of(with("{ maxpool = 2 }", "{ maxpol = 2 }", no_epochs), 2), (Codes{"C007", "T004"}))
      << "[model] and [train]";
  const std::string no_labels = with("train-labels.npy", "train-label.npy", sound);
  EXPECT_EQ(codes_of(with("{ maxpool = 2 }", "{ maxpol = 2 }", no_labels), 2), (Codes{"C007", "D101"}))
      << "data beside [model]";
  const auto and_in_data = [&](const std::string& line) { return with("[model]", line + "\n[model]", no_labels); };
  EXPECT_EQ(codes_of(and_in_data("shuffel = true"), 2), (Codes{"C007", "D101"})) << "a key of the run";
  EXPECT_EQ(codes_of(and_in_data("batch_size = 3"), 2), (Codes{"C007", "D101"})) << "a key of another table";
  EXPECT_EQ(codes_of(and_in_data("label_ofset = 1"), 2), (Codes{"C007"})) << "which labels, nobody knows";
  const std::string decayed = with("momentum = 0.9", "momentum = 0.9, weight_decay = 3.0", few);
  EXPECT_EQ(codes_of(with("[model]", "root = 3\n[model]", decayed), 2), (Codes{"C003", "T115"})) << "[data]";
  const auto refused = run("train data/c.toml --json");
  EXPECT_EQ(refused.code, 2);
  for (const char* code : {"C003", "T115"}) EXPECT_NE(refused.out.find(code), std::string::npos) << code;
}

/// Events of a training with --json.
std::vector<Json> events_of(const std::string& out) {
  std::vector<Json> events;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) events.push_back(Json::parse(line));
  return events;
}

TEST_F(CheckCommand, ATrainingTellsWhatTimeShows) {
  folder_.file("c.toml", small_config());
  const auto codes = [&](const std::string& words) {
    const ProgramResult result = run("train c.toml --json " + words);
    std::vector<std::string> list;
    for (const Json& event : events_of(result.out)) {
      if (event["event"] == "finding" && event["severity"] != "note") list.push_back(event["code"]);
    }
    return list;
  };
  EXPECT_EQ(codes("--out sound --epochs 8"), std::vector<std::string>{}) << "nothing to be told";
  EXPECT_EQ(codes("--out still --epochs 12 --set train.optimizer.lr=2e-6"), std::vector<std::string>{"T301"});
}

}  // namespace
}  // namespace snug
