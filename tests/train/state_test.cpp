#include "train/state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/fake_tensors.h"
#include "train/test_folder.h"

namespace snug {
namespace {

using testing::HasSubstr;

const TrainState kState{.step = 41,
                        .epoch = 2,
                        .steps_per_epoch = 20,
                        .batch = 32,
                        .samples = 640,
                        .seed = ~std::uint64_t{0},
                        .totals = {1.0 / 3.0, 32, 1e-300, 5, 32, 0},
                        .last_lr = 0.1,
                        .epoch_seconds = 0.7,
                        .best = 0.1 + 0.2,
                        .best_step = 40,
                        .best_epoch = 2,
                        .best_val_accuracy = 0.5,
                        .stale_epochs = 1,
                        .log_bytes = 1234,
                        .metrics_bytes = 99,
                        .events = {.file = "events.out.tfevents.1.snug", .bytes = 77},
                        .engines = {{"0 conv_forward", "conv:own"}, {"2 dense_forward", "inner:a + inner:b"}}};

class StateOnDisk : public testing::Test {
 protected:
  StateOnDisk() {
    tensors_.count_up(0.1F);
    write_state(path_, graph_, tensors_, kState);
  }
  void damage(std::size_t from_end) {
    std::string text = read_text(path_);
    text[text.size() - from_end] = static_cast<char>(text[text.size() - from_end] ^ 1);
    write_text(path_, text);
  }

  TestFolder folder_;
  std::filesystem::path path_ = folder_.path() / "last.state";
  Graph graph_ = small_graph();
  FakeTensors tensors_{graph_, {state_prefix::kFirstMoment, state_prefix::kSecondMoment, state_prefix::kAverage}};
};

TEST_F(StateOnDisk, comes_back_bit_for_bit) {
  const StateFile file(path_);
  EXPECT_EQ(file.state(), kState);
  FakeTensors back(graph_, {state_prefix::kFirstMoment, state_prefix::kSecondMoment, state_prefix::kAverage});
  file.restore(graph_, back);
  EXPECT_EQ(back.values(), tensors_.values());
}

TEST(Engines, are_those_of_the_plan) {
  PlanReport plan;
  plan.layers.push_back({.name = "0", .engines = {{"conv_forward", "a", 0}, {"conv_backward_data", "b", 0}}});
  plan.layers.push_back({.name = "1"});
  plan.layers.push_back({.name = "2", .engines = {{"dense_forward", "c", 0}, {"dense_forward", "d", 0}}});
  EXPECT_THAT(engines_of(plan),
              testing::ElementsAre(testing::Pair("0 conv_backward_data", "b"), testing::Pair("0 conv_forward", "a"),
                                   testing::Pair("2 dense_forward", "c + d")));
}

TEST(Engines, that_changed_are_told) {
  const std::map<std::string, std::string> saved{{"0 conv_forward", "a"}, {"1 conv_forward", "b"}};
  EXPECT_FALSE(changed_engines(saved, saved, "last.state"));
  EXPECT_FALSE(changed_engines({}, saved, "last.state")) << "not recorded";
  std::map<std::string, std::string> now = saved;
  now["1 conv_forward"] = "other";
  const Diagnostic changed = changed_engines(saved, now, "last.state").value_or(Diagnostic{});
  EXPECT_EQ(changed.code, "T623");
  EXPECT_EQ(changed.severity, Severity::warning);
  EXPECT_THAT(changed.what, HasSubstr("1 of 2 products"));
  EXPECT_THAT(changed.what, HasSubstr("1 conv_forward: other, was b"));
  now["0 conv_forward"] = now["2 dense_forward"] = std::string(300, 'x');
  EXPECT_LE(changed_engines(saved, now, "last.state").value_or(Diagnostic{}).what.size(), 160U);
}

TEST_F(StateOnDisk, another_optimizer_is_refused) {
  FakeTensors momentum(graph_, {state_prefix::kMomentum});
  FakeTensors fewer(graph_, {state_prefix::kFirstMoment});
  const StateFile file(path_);
  EXPECT_THROW(file.restore(graph_, momentum), Error);
  EXPECT_THROW(file.restore(graph_, fewer), Error);
}

TEST_F(StateOnDisk, another_shape_is_refused) {
  graph_.nodes[1].parameters[0].shape = {2, 2, 2, 2};
  try {
    StateFile(path_).restore(graph_, tensors_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.findings()), 2);
    EXPECT_THAT(error.what(), HasSubstr("c.weight"));
  }
}

TEST_F(StateOnDisk, a_flipped_bit_is_noticed) {
  damage(5);
  try {
    const StateFile file(path_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("checksum"));
  }
  EXPECT_FALSE(is_finished_run(path_));
}

TEST_F(StateOnDisk, a_checkpoint_is_no_state) {
  std::vector<float> buffer(64);
  write_safetensors(path_, {}, {{"format", "pt"}});
  EXPECT_THROW(StateFile{path_}, Error);
}

TEST_F(StateOnDisk, says_whether_the_run_has_ended) {
  EXPECT_FALSE(is_finished_run(path_));
  TrainState state = kState;
  state.finished = true;
  write_state(path_, graph_, tensors_, state);
  EXPECT_TRUE(is_finished_run(path_));
  EXPECT_FALSE(is_finished_run(folder_.path() / "none"));
}

}  // namespace
}  // namespace snug
