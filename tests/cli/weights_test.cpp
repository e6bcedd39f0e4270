// Weights that go in and out as users do it: --init, freeze and export, on files that other programs read.
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>

#include "cli/program.h"
#include "train/safetensors.h"

namespace snug {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

class Weights : public ::testing::Test {
 protected:
  ProgramResult run(const std::string& line) { return run_program(split_words(line), "cd " + folder_ / ""); }
  void run_well(const std::string& line) {
    const ProgramResult result = run(line);
    ASSERT_EQ(result.code, 0) << line << "\n" << result.out << result.error;
  }
  Json run_json(const std::string& line, int code) {
    const ProgramResult result = run(line + " --json");
    EXPECT_EQ(result.code, code) << line << "\n" << result.out << result.error;
    return Json::parse(result.out, nullptr, false);
  }
  [[nodiscard]] SafetensorsFile open(const std::string& name) const { return SafetensorsFile(folder_ / name); }

  TemporaryFolder folder_;
};

bool same_bytes(const SafeTensor& a, const SafeTensor& b) {
  return a.shape == b.shape && std::ranges::equal(a.bytes, b.bytes);
}

// Nets of the same names with 7 and 10 classes: the first stands for the trained one that weights come from.
std::string fine_tuning_config(int classes, const std::string& train) {
  return "name = \"tune\"\n[data]\ntrain = { synthetic = \"shapes\", count = 64 }\n"
         "val = { synthetic = \"shapes\", count = 32 }\n"
         "[model]\nfile = \"models/squeezenet1_1.toml\"\ninput = [32, 32, 3]\nclasses = " +
         std::to_string(classes) + "\n[train]\nbatch = 16\noptimizer = { name = \"sgd\", lr = 0.01 }\n" + train;
}

TEST_F(Weights, FineTuningTrainsTheNewLastLayerAlone) {
  folder_.file("first.toml", fine_tuning_config(17, "epochs = 1\n"));
  folder_.file("tune.toml", fine_tuning_config(10, "epochs = 2\nfreeze = [\"backbone\"]\n"));
  run_well("train first.toml --out first --max-steps 1");
  run_well("export first --to safetensors --out weights.safetensors");

  const ProgramResult tuned = run("train tune.toml --init weights.safetensors --out tuned --json");
  ASSERT_EQ(tuned.code, 0) << tuned.out << tuned.error;
  std::istringstream lines(tuned.out);
  int epochs = 0;
  std::vector<std::string> notes;
  for (std::string line; std::getline(lines, line);) {
    const Json event = Json::parse(line);
    if (event["event"] == "epoch") ++epochs;
    if (event["event"] != "finding" || event["code"] != "T612") continue;
    EXPECT_EQ(event["severity"], "note");
    notes.push_back(event["what"]);
  }
  EXPECT_EQ(epochs, 2);
  ASSERT_EQ(notes.size(), 2U) << "weight and bias of the last layer";
  EXPECT_NE(notes[0].find("classifier.1.weight"), std::string::npos) << notes[0];

  run_well("export tuned/last.safetensors --to safetensors --out tuned.safetensors");
  const SafetensorsFile before = open("weights.safetensors"), after = open("tuned.safetensors");
  ASSERT_EQ(after.view().tensors.size(), before.view().tensors.size());
  for (const SafeTensor& tensor : after.view().tensors) {
    const bool last = tensor.name.starts_with("classifier.");
    EXPECT_EQ(same_bytes(tensor, *before.find(tensor.name)), !last) << tensor.name;
  }
  EXPECT_EQ(after.find("classifier.1.weight")->shape, (std::vector<std::int64_t>{10, 512, 1, 1}));
}

TEST_F(Weights, ExportGivesWhatEvaluationUses) {
  folder_.file("c.toml", small_config());
  run_well("train c.toml --out run --set train.ema=0.9");
  const Json result = run_json("export run --to safetensors --out best.safetensors", 0);
  EXPECT_EQ(result["file"], "best.safetensors");
  EXPECT_EQ(result["tensors"], 7);
  EXPECT_EQ(result["bytes"], 4 * (8 * 27 + 4 * 8 + 80 + 10));
  run_well("export run/last.safetensors --to safetensors --out last.safetensors");
  const SafetensorsFile best = open("best.safetensors"), last = open("last.safetensors");
  EXPECT_EQ(best.metadata(), (Metadata{{"format", "pt"}}));
  const SafetensorsFile averaged = open("run/best.safetensors"), plain = open("run/last.safetensors");
  for (const SafeTensor& tensor : best.view().tensors) {
    EXPECT_TRUE(same_bytes(tensor, *averaged.find(tensor.name))) << tensor.name;
    EXPECT_TRUE(same_bytes(*last.find(tensor.name), *plain.find(tensor.name))) << tensor.name;
  }
  EXPECT_FALSE(same_bytes(*best.find("3.weight"), *last.find("3.weight"))) << "the best checkpoint holds averages";
}

onnx::ModelProto read_model(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromIstream(&file)) << path;
  return model;
}

std::string operations(const onnx::ModelProto& model) {
  std::string text;
  for (const onnx::NodeProto& node : model.graph().node()) text += node.op_type() + " ";
  return text;
}

// That real readers compute our outputs is held by tests/clients/onnx_models.py.
TEST_F(Weights, OnnxHoldsTheNetworkItsWeightsAndClassNames) {
  folder_.file("c.toml", small_config());
  run_well("train c.toml --out run --max-steps 1");
  const Json result = run_json("export run --to onnx --out kept.onnx", 0);
  EXPECT_EQ(result["tensors"], 7);
  EXPECT_EQ(result["bytes"], 4 * (8 * 27 + 4 * 8 + 80 + 10));
  run_well("export run --to onnx --out folded.onnx --fold-norms");
  run_well("export run --to onnx --out raw.onnx --raw-input");
  const onnx::ModelProto kept = read_model(folder_ / "kept.onnx");
  const std::string behind = "Relu MaxPool GlobalAveragePool Flatten Gemm ";
  EXPECT_EQ(operations(kept), "Conv BatchNormalization " + behind);
  EXPECT_EQ(operations(read_model(folder_ / "folded.onnx")), "Conv " + behind);
  EXPECT_EQ(operations(read_model(folder_ / "raw.onnx")), "Mul Add Conv BatchNormalization " + behind);
  EXPECT_EQ(kept.opset_import(0).version(), 13);
  const auto& input = kept.graph().input(0).type().tensor_type().shape();
  EXPECT_EQ(input.dim(0).dim_param(), "N");
  EXPECT_EQ(input.dim(1).dim_value(), 3) << "channels come first";
  EXPECT_EQ(kept.graph().output(0).type().tensor_type().shape().dim(1).dim_value(), 10);
  EXPECT_EQ(Json::parse(kept.metadata_props(0).value()).size(), 10U);
  run_well("export run --to safetensors --out weights.safetensors");
  const SafetensorsFile weights = open("weights.safetensors");
  for (const onnx::TensorProto& tensor : kept.graph().initializer()) {
    const SafeTensor& stored = *weights.find(tensor.name());
    EXPECT_TRUE(std::ranges::equal(std::as_bytes(std::span(tensor.raw_data())), stored.bytes)) << tensor.name();
    EXPECT_TRUE(std::ranges::equal(tensor.dims(), stored.shape)) << tensor.name();
  }
}

TEST_F(Weights, ExportSaysWhatStandsInTheWay) {
  folder_.file("c.toml", small_config());
  run_well("train c.toml --out run --max-steps 1");
  folder_.file("there.safetensors", "mine");
  run_well("export run --to safetensors --out plain.safetensors");
  struct Case {
    std::string line;
    int code;
    char family;
    std::string where;
  };
  const Case cases[] = {
      {"export run --out x", 2, 'C', "--to"},
      {"export run --to safetensors", 2, 'C', "--out"},
      {"export run --to onnx --out none/x", 2, 'C', "none/x"},
      {"export run --to safetensors --out x --fold-norms", 2, 'C', "--fold-norms"},
      {"export run --to safetensors --out x --raw-input", 2, 'C', "--raw-input"},
      {"export run --to safetensor --out x", 2, 'C', "--to safetensor"},
      {"export run --to safetensors --out there.safetensors", 2, 'C', "--out there.safetensors"},
      {"export run --to safetensors --out none/x", 2, 'C', "none/x"},
      {"export none --to safetensors --out x", 2, 'C', "none"},
      {"export plain.safetensors --to safetensors --out x", 3, 'D', "plain.safetensors"},
      {"export there.safetensors --to safetensors --out x", 3, 'D', "there.safetensors"},
  };
  for (const Case& c : cases) {
    const Json result = run_json(c.line, c.code);
    ASSERT_TRUE(result.contains("findings")) << c.line << "\n" << result.dump();
    const Json& finding = result["findings"][0];
    EXPECT_EQ(finding["code"].get<std::string>()[0], c.family) << finding.dump();
    EXPECT_EQ(finding["where"], c.where) << c.line;
    EXPECT_FALSE(fs::exists(folder_ / "x")) << c.line;
  }
  std::ifstream there(folder_ / "there.safetensors");
  EXPECT_EQ(std::string(std::istreambuf_iterator(there), {}), "mine");
}

}  // namespace
}  // namespace snug
