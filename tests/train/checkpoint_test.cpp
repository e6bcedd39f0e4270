#include "train/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/fake_tensors.h"
#include "train/test_folder.h"

namespace snug {
namespace {

using testing::HasSubstr;

CheckpointInfo make_info() {
  CheckpointInfo info;
  info.config = "name = \"x\"\n";
  info.classes = {"cat", "dog"};
  info.scaling.divisor = 255;
  info.scaling.mean = {0.1, 0.2};
  info.scaling.inverse_std = {3.7, 1.0 / 3.0};
  info.batch = 32;
  info.epoch = 3;
  info.step = 77;
  info.metric = "val_accuracy";
  info.best = 0.99250000000000005;
  return info;
}
const CheckpointInfo kInfo = make_info();

class CheckpointFile : public testing::Test {
 protected:
  CheckpointFile() { tensors_.count_up(1); }
  void write(bool averages = false) {
    std::vector<float> buffer(64);
    write_checkpoint(path_, graph_, tensors_, averages, kInfo, buffer);
  }
  /// Codes and severities of loading into a graph that `change` was done to.
  template <class Change>
  std::vector<Diagnostic> load(Change change, bool spare_last_layer = true) {
    Graph graph = small_graph();
    change(graph);
    FakeTensors target(graph, {});
    return load_weights(SafetensorsFile(path_), path_, graph, target, spare_last_layer);
  }

  TestFolder folder_;
  std::filesystem::path path_ = folder_.path() / "x.safetensors";
  Graph graph_ = small_graph();
  FakeTensors tensors_{graph_, {state_prefix::kAverage}};
};

TEST_F(CheckpointFile, has_the_names_and_shapes_of_pytorch) {
  write();
  const SafetensorsFile file(path_);
  using Shape = std::vector<std::int64_t>;
  const std::vector<std::pair<std::string, Shape>> expected{
      {"c.weight", {4, 2, 1, 2}}, {"d.bias", {2}},        {"d.weight", {2, 24}}, {"n.bias", {4}},
      {"n.running_mean", {4}},    {"n.running_var", {4}}, {"n.weight", {4}}};
  std::vector<std::pair<std::string, Shape>> found;
  for (const SafeTensor& tensor : file.view().tensors) {
    found.emplace_back(tensor.name, tensor.shape);
    EXPECT_EQ(tensor.dtype, "F32");
  }
  EXPECT_EQ(found, expected);
}

TEST_F(CheckpointFile, comes_back_bit_for_bit) {
  write();
  FakeTensors back(graph_, {});
  EXPECT_TRUE(load_weights(SafetensorsFile(path_), path_, graph_, back, false).empty());
  for (const auto& [name, values] : back.values()) EXPECT_EQ(values, tensors_.values().at(name)) << name;
}

TEST_F(CheckpointFile, averages_stand_in_for_the_weights_that_have_them) {
  write(true);
  FakeTensors back(graph_, {});
  EXPECT_TRUE(load_weights(SafetensorsFile(path_), path_, graph_, back, false).empty());
  EXPECT_EQ(back.values().at("c.weight"), tensors_.values().at("average:c.weight"));
  EXPECT_EQ(back.values().at("n.running_var"), tensors_.values().at("n.running_var"));
}

TEST_F(CheckpointFile, carries_what_eval_needs) {
  write();
  const CheckpointInfo info = checkpoint_info(SafetensorsFile(path_).metadata(), "x");
  EXPECT_EQ(info.config, kInfo.config);
  EXPECT_EQ(info.classes, kInfo.classes);
  EXPECT_EQ(info.scaling.inverse_std, kInfo.scaling.inverse_std);
  EXPECT_EQ(info.scaling.mean, kInfo.scaling.mean);
  EXPECT_EQ(info.best, kInfo.best);
  EXPECT_EQ(info.step, 77);
  EXPECT_EQ(info.batch, 32);
}

TEST_F(CheckpointFile, metadata_that_is_not_ours_is_refused) {
  Metadata metadata = to_metadata(kInfo);
  EXPECT_THROW((void)checkpoint_info({{"format", "pt"}}, "x"), Error);
  metadata["snug.format"] = "2";
  EXPECT_THROW((void)checkpoint_info(metadata, "x"), Error);
  for (const char* text : {"", "[]", "{}", "nonsense", R"({"classes":3})"}) {
    metadata = to_metadata(kInfo);
    metadata["snug.info"] = text;
    EXPECT_THROW((void)checkpoint_info(metadata, "x"), Error) << text;
  }
}

TEST_F(CheckpointFile, every_tensor_that_does_not_fit_is_named) {
  write();
  const auto missing = load([](Graph& graph) { graph.nodes[1].parameters[0].name = "other.weight"; });
  ASSERT_EQ(missing.size(), 2U);
  EXPECT_THAT(missing[0].what, HasSubstr("no tensor \"other.weight\" (4, 2, 1, 2)"));
  EXPECT_THAT(missing[1].what, HasSubstr("\"c.weight\" (4, 2, 1, 2) has no place"));
  EXPECT_EQ(exit_code(missing), 2);

  const auto shape = load([](Graph& graph) { graph.nodes[1].parameters[0].shape = {4, 3, 3, 2}; });
  ASSERT_EQ(shape.size(), 1U);
  EXPECT_THAT(shape[0].what, HasSubstr("(4, 2, 1, 2) in the file, (4, 2, 3, 3) in the model"));
}

TEST_F(CheckpointFile, the_last_layer_may_differ_where_it_is_spared) {
  write();
  const auto more_classes = [](Graph& graph) {
    graph.nodes[3].parameters[0].shape = {5, 24};
    graph.nodes[3].parameters.pop_back();  // no bias: the file's is extra
  };
  const auto spared = load(more_classes);
  ASSERT_EQ(spared.size(), 2U);
  EXPECT_FALSE(has_errors(spared));
  EXPECT_TRUE(has_errors(load(more_classes, false)));
}

TEST_F(CheckpointFile, counts_of_batches_are_passed_over) {
  const std::vector<std::int64_t> count{7};
  std::vector<TensorSource> sources{
      {.name = "n.num_batches_tracked", .dtype = DType::i64, .bytes = [&] { return std::as_bytes(std::span(count)); }}};
  for (const auto& [name, values] : tensors_.values()) {
    if (name.starts_with("average:")) continue;
    const auto parameters = all_parameters(graph_);
    const auto* parameter = *std::ranges::find(parameters, name, &Parameter::name);
    sources.push_back({.name = name, .shape = checkpoint_shape(*parameter), .bytes = [&values = values] {
                         return std::as_bytes(std::span(values));
                       }});
  }
  write_safetensors(path_, std::move(sources), {});
  EXPECT_TRUE(load([](Graph&) {}, false).empty());
}

TEST_F(CheckpointFile, of_a_run_folder_the_best_is_taken) {
  EXPECT_THROW((void)find_checkpoint(folder_.path()), Error);
  write_text(folder_.path() / "last.safetensors", "x");
  EXPECT_EQ(find_checkpoint(folder_.path()).filename(), "last.safetensors");
  write_text(folder_.path() / "best.safetensors", "x");
  EXPECT_EQ(find_checkpoint(folder_.path()).filename(), "best.safetensors");
  EXPECT_EQ(find_checkpoint(path_), path_);
}

}  // namespace
}  // namespace snug
