#include "snug/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "config/precision.h"
#include "train/checkpoint.h"
#include "train/full_disk.h"
#include "train/npy_bytes.h"
#include "train/state.h"
#include "train/test_folder.h"

namespace snug {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

/// Keeps what happened; sets `stop` at a step.
class Recorder : public Reporter {
 public:
  void on_event(const TrainEvent& event) override {
    if (const auto* step = std::get_if<StepEvent>(&event)) {
      steps.push_back(*step);
      if (step->step == stop_at) stop = true;
    }
    if (const auto* epoch = std::get_if<EpochEvent>(&event)) epochs.push_back(*epoch);
    if (const auto* finding = std::get_if<FindingEvent>(&event)) findings.push_back(finding->finding);
    if (const auto* plan = std::get_if<PlanEvent>(&event)) plans.push_back(plan->plan);
  }
  [[nodiscard]] std::vector<double> losses() const {
    std::vector<double> values;
    values.reserve(steps.size());
    for (const StepEvent& step : steps) values.push_back(step.loss);
    return values;
  }
  std::vector<StepEvent> steps;
  std::vector<EpochEvent> epochs;
  std::vector<Diagnostic> findings;
  std::vector<PlanReport> plans;
  std::int64_t stop_at = -1;
  std::atomic<bool> stop = false;
};

/// Every kind of state in one small net: batch statistics, dropout, momentum, averages; a partial last batch.
constexpr std::string_view kConfig = R"(
name = "small"
[data]
train = { synthetic = "shapes", count = 70 }
val = { synthetic = "shapes", count = 30 }
augment = [ { random_crop = 16, pad = 2 }, { hflip = 0.5 } ]
[model]
input = [16, 16, 1]
layers = [
  { conv = 6, kernel = 3, stride = 2, padding = "same", norm = "batch", activation = "relu" },
  { conv = 8, kernel = 3, activation = "relu" },
  { maxpool = 2 },
  { flatten = true },
  { dropout = 0.2 },
  { dense = 10 },
]
[train]
epochs = 3
batch = 16
optimizer = { name = "sgd", lr = 0.05, momentum = 0.9, weight_decay = 5e-4 }
schedule = { name = "cosine", warmup_epochs = 0.5 }
ema = 0.9
seed = 7
)";

class Trainer : public testing::Test {
 protected:
  [[nodiscard]] Config config(const std::vector<std::pair<std::string, std::string>>& set = {}) const {
    const fs::path path = folder_.path() / "small.toml";
    write_text(path, kConfig);
    return load_config(path, {.set = set});
  }
  [[nodiscard]] fs::path out(const std::string& name) const { return folder_.path() / name; }
  [[nodiscard]] TrainOptions options(const std::string& name, Recorder& recorder) const {
    return {.out = out(name), .log_every = 1, .threads = 1, .stop = &recorder.stop};
  }
  /// The finding that a run ends with.
  [[nodiscard]] Diagnostic failure(const Config& config, const TrainOptions& options) const {
    Recorder recorder;
    try {
      (void)train(config, options, recorder);
    } catch (const Error& error) {
      return error.findings().front();
    }
    return {};
  }
  /// A run in one piece ("whole") and one that is stopped and resumed ("parts") end with the same bits.
  DoneEvent expect_exact_resume(const Config& config) const {
    fs::remove_all(out("whole"));
    fs::remove_all(out("parts"));
    Recorder whole, first, second;
    DoneEvent done = train(config, options("whole", whole), whole);
    TrainOptions parts = options("parts", first);
    parts.max_steps = 8;
    (void)train(config, parts, first);
    parts.resume = true;
    parts.max_steps = 0;
    (void)train(config, parts, second);
    EXPECT_TRUE(read_text(out("parts") / "last.safetensors") == read_text(out("whole") / "last.safetensors"));
    return done;
  }
  TestFolder folder_;
};

std::vector<std::string> lines(const fs::path& path) {
  std::ifstream file(path);
  std::vector<std::string> result;
  for (std::string line; std::getline(file, line);) result.push_back(line);
  return result;
}

TEST_F(Trainer, mixed_and_evened_data_train_and_resume_exactly) {
  for (const char* augment : {"[ { mixup = 0.4 } ]", "[ { cutmix = 1.0 }, { erase = 0.5 }, { rotate = 20 } ]"}) {
    for (const char* balance : {"\"weights\"", "\"sampler\""}) {
      const DoneEvent done = expect_exact_resume(config({{"data.augment", augment}, {"data.balance", balance}}));
      EXPECT_EQ(done.epochs, 3) << augment << balance;
    }
  }
}

TEST_F(Trainer, a_run_leaves_the_folder_of_the_contract) {
  Recorder recorder;
  const DoneEvent done = train(config(), options("run", recorder), recorder);
  EXPECT_EQ(done.epochs, 3);
  EXPECT_FALSE(done.interrupted);
  EXPECT_EQ(done.step_allocations, 0);
  EXPECT_EQ(done.checkpoint, (out("run") / "best.safetensors").string());
  EXPECT_GT(done.planned_peak_bytes, 0);
  EXPECT_GT(done.measured_peak_bytes, 0);
  EXPECT_GT(done.best_val_accuracy, 0);
  for (const char* name : {"config.toml", "log.jsonl", "metrics.csv", "plan.json", "last.safetensors",
                           "best.safetensors", "last.state", "run.json", "evaluation.json"})
    EXPECT_TRUE(fs::is_regular_file(out("run") / name)) << name;
  EXPECT_EQ(std::distance(fs::directory_iterator(out("run")), fs::directory_iterator()), 10) << "and events";

  ASSERT_EQ(recorder.epochs.size(), 3U);
  EXPECT_EQ(recorder.epochs[2].epoch, 3);
  EXPECT_GT(recorder.epochs[2].images_per_second, 0);
  ASSERT_EQ(recorder.steps.size(), 15U) << "70 samples are four batches of 16 and one of 6";
  EXPECT_EQ(recorder.steps[14].step, 14);
  EXPECT_NEAR(recorder.steps[0].lr, 0.05 / 3, 1e-12) << "half an epoch of warm-up is 3 steps, 2.5 rounded";
  EXPECT_EQ(lines(out("run") / "metrics.csv").size(), 4U);
  EXPECT_THAT(lines(out("run") / "log.jsonl").front(), HasSubstr(R"({"event":"plan","device":"cpu")"));
  EXPECT_THAT(lines(out("run") / "log.jsonl").back(), HasSubstr(R"({"event":"done","epochs":3)"));
  EXPECT_EQ(load_config(out("run") / "config.toml"), config());
}

TEST_F(Trainer, histograms_show_every_gradient_and_change_nothing) {
  Recorder plain, looked_into;
  (void)train(config(), options("plain", plain), plain);
  const DoneEvent done =
      train(config({{"train.histograms", "true"}}), options("looked_into", looked_into), looked_into);
  EXPECT_EQ(done.step_allocations, 0);
  EXPECT_EQ(looked_into.losses(), plain.losses());
  const auto events = [&](const std::string& run) {
    std::string all;
    for (const fs::directory_entry& entry : fs::directory_iterator(out(run)))
      if (entry.path().extension() == ".snug") all += read_text(entry.path());
    return all;
  };
  const SafetensorsFile weights(out("plain") / "last.safetensors");
  for (const SafeTensor& tensor : weights.view().tensors) {
    const bool statistic = tensor.name.find("running") != std::string::npos;
    EXPECT_THAT(events("looked_into"), HasSubstr((statistic ? "statistics/" : "weights/") + tensor.name));
    if (statistic) continue;
    EXPECT_THAT(events("looked_into"), HasSubstr("gradients/" + tensor.name));
  }
  EXPECT_THAT(events("plain"), testing::Not(HasSubstr("gradients/")));
}

TEST_F(Trainer, checkpoints_have_the_contract_s_names_and_shapes) {
  Recorder recorder;
  (void)train(config(), options("run", recorder), recorder);
  using Shape = std::vector<std::int64_t>;
  const std::vector<std::pair<std::string, Shape>> expected{{"0.norm.bias", {6}},        {"0.norm.running_mean", {6}},
                                                            {"0.norm.running_var", {6}}, {"0.norm.weight", {6}},
                                                            {"0.weight", {6, 1, 3, 3}},  {"1.bias", {8}},
                                                            {"1.weight", {8, 6, 3, 3}},  {"5.bias", {10}},
                                                            {"5.weight", {10, 72}}};
  for (const char* name : {"last.safetensors", "best.safetensors"}) {
    const SafetensorsFile file(out("run") / name);
    std::vector<std::pair<std::string, Shape>> found;
    for (const SafeTensor& tensor : file.view().tensors) found.emplace_back(tensor.name, tensor.shape);
    EXPECT_EQ(found, expected) << name;
  }
}

TEST_F(Trainer, one_seed_gives_the_same_bits_another_gives_others) {
  Recorder a, b, c;
  (void)train(config(), options("a", a), a);
  (void)train(config(), options("b", b), b);
  (void)train(config({{"train.seed", "8"}}), options("c", c), c);
  EXPECT_EQ(a.losses(), b.losses());
  EXPECT_NE(a.losses(), c.losses());
  for (const char* name : {"last.safetensors", "best.safetensors"})
    EXPECT_TRUE(read_text(out("a") / name) == read_text(out("b") / name)) << name;
}

TEST_F(Trainer, a_stopped_run_goes_on_as_if_it_had_not_been) {
  Recorder whole;
  (void)train(config(), options("whole", whole), whole);
  // Step 7 lies inside epoch 2; step 9 is its last, before the evaluation; 4 is the last of epoch 1.
  for (const std::int64_t stop : {0, 4, 7, 9}) {
    const std::string name = "stopped" + std::to_string(stop);
    Recorder first;
    first.stop_at = stop;
    const DoneEvent interrupted = train(config(), options(name, first), first);
    EXPECT_TRUE(interrupted.interrupted);
    EXPECT_EQ(first.steps.size(), static_cast<std::size_t>(stop + 1));
    Recorder second;
    TrainOptions again = options(name, second);
    again.resume = true;
    const DoneEvent done = train(config(), again, second);
    EXPECT_FALSE(done.interrupted);
    EXPECT_EQ(done.epochs, 3);

    std::vector<double> losses = first.losses();
    for (const double loss : second.losses()) losses.push_back(loss);
    EXPECT_EQ(losses, whole.losses());
    for (const char* file : {"last.safetensors", "best.safetensors"})
      EXPECT_TRUE(read_text(out(name) / file) == read_text(out("whole") / file)) << file << " stopped at " << stop;
    std::vector<double> train_losses, expected;
    for (const EpochEvent& epoch : first.epochs) train_losses.push_back(epoch.train_loss);
    for (const EpochEvent& epoch : second.epochs) train_losses.push_back(epoch.train_loss);
    for (const EpochEvent& epoch : whole.epochs) expected.push_back(epoch.train_loss);
    EXPECT_EQ(train_losses, expected) << "the sums of the broken epoch go on too";
    EXPECT_EQ(lines(out(name) / "metrics.csv").size(), 4U);
  }
}

TEST_F(Trainer, a_killed_run_goes_on_from_its_last_state) {
  Recorder whole;
  (void)train(config(), options("whole", whole), whole);
  Recorder first;
  TrainOptions half = options("killed", first);
  half.max_steps = 7;
  EXPECT_FALSE(train(config(), half, first).interrupted);
  // As if killed between the state and what is derived from it, with half a line in the log and a temporary file.
  fs::remove(out("killed") / "last.safetensors");
  write_text(out("killed") / "last.state.tmp123", "half");
  { std::ofstream(out("killed") / "log.jsonl", std::ios::app) << R"({"event":"st)"; }
  Recorder second;
  TrainOptions again = options("killed", second);
  again.resume = true;
  (void)train(config(), again, second);
  EXPECT_EQ(second.steps.front().step, 7);
  EXPECT_TRUE(read_text(out("killed") / "last.safetensors") == read_text(out("whole") / "last.safetensors"));
  EXPECT_FALSE(fs::exists(out("killed") / "last.state.tmp123"));
  std::int64_t step_lines = 0;
  for (const std::string& line : lines(out("killed") / "log.jsonl")) {
    EXPECT_TRUE(line.starts_with('{') && line.ends_with('}')) << line;
    if (line.starts_with(R"({"event":"step")")) ++step_lines;
  }
  EXPECT_EQ(step_lines, 15) << "each step once";
}

TEST_F(Trainer, resuming_derives_the_best_checkpoint_that_a_kill_left_out) {
  Recorder first;
  TrainOptions one = options("run", first);
  one.max_steps = 5;  // the first epoch, which is the best so far
  (void)train(config(), one, first);
  const std::string best = read_text(out("run") / "best.safetensors");
  fs::remove(out("run") / "best.safetensors");
  one.resume = true;
  (void)train(config(), one, first);
  EXPECT_TRUE(read_text(out("run") / "best.safetensors") == best);
}

/// Not a test of its own: what the killed process of the next one does.
TEST(TrainerChild, trains) {
  const char* folder = std::getenv("SNUG_TEST_CHILD");
  if (folder == nullptr) GTEST_SKIP() << "started by Trainer.a_run_that_is_killed_again_and_again only";
  Recorder recorder;
  const Config config = load_config(fs::path(folder) / "small.toml", {.set = {{"train.checkpoint_every", "1"}}});
  (void)train(config, {.out = fs::path(folder) / "killed", .resume = true, .threads = 1}, recorder);
}

TEST_F(Trainer, a_run_that_is_killed_again_and_again_ends_with_the_same_bits) {
  Recorder recorder;
  (void)train(config(), options("whole", recorder), recorder);
  const std::string place = "SNUG_TEST_CHILD=" + folder_.path().string();
  const char* const arguments[] = {"child", "--gtest_filter=TrainerChild.trains", "--gtest_brief=1", nullptr};
  const char* const environment[] = {place.c_str(), nullptr};
  int kills = 0;
  for (useconds_t delay_us = 20'000;; delay_us += 20'000) {
    pid_t child = 0;
    ASSERT_EQ(::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, const_cast<char* const*>(arguments),
                            const_cast<char* const*>(environment)),
              0);
    int status = 0;
    ::usleep(delay_us);
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
      EXPECT_EQ(WEXITSTATUS(status), 0);
      break;
    }
    ++kills;
    // Whatever the moment was: what is there is whole.
    for (const char* name : {"last.safetensors", "best.safetensors", "last.state"}) {
      if (!fs::exists(out("killed") / name)) continue;
      EXPECT_NO_THROW(SafetensorsFile{out("killed") / name}) << name;
    }
  }
  EXPECT_GT(kills, 0);
  for (const char* name : {"last.safetensors", "best.safetensors"}) {
    const SafetensorsFile whole(out("whole") / name), killed(out("killed") / name);
    for (const SafeTensor& tensor : whole.view().tensors)
      EXPECT_TRUE(std::ranges::equal(tensor.bytes, killed.find(tensor.name)->bytes)) << name << " " << tensor.name;
  }
  EXPECT_EQ(lines(out("killed") / "metrics.csv").size(), 4U);
}

TEST_F(Trainer, a_disk_that_fills_up_is_a_finding_and_what_was_saved_stays) {
  Recorder recorder;
  TrainOptions some = options("run", recorder);
  some.max_steps = 6;
  (void)train(config(), some, recorder);
  const std::string state = read_text(out("run") / "last.state");
  const std::string last = read_text(out("run") / "last.safetensors");
  some.resume = true;
  some.max_steps = 0;
  Diagnostic finding;
  {
    const FullDisk full(state.size() - 256);  // the end of the next state finds no place
    finding = failure(config(), some);
  }
  EXPECT_EQ(finding.code[0], 'M') << to_string(finding);
  EXPECT_TRUE(read_text(out("run") / "last.state") == state);
  EXPECT_TRUE(read_text(out("run") / "last.safetensors") == last);
  (void)train(config(), some, recorder);
  EXPECT_EQ(recorder.epochs.back().epoch, 3) << "with space again, the run goes on";
}

TEST_F(Trainer, adam_state_is_resumed_too) {
  const auto adam = config(
      {{"train.optimizer", R"({ name = "adamw", lr = 0.003, weight_decay = 0.01 })"}, {"train.clip_norm", "1.0"}});
  (void)expect_exact_resume(adam);
}

/// The masters are what is saved: fp32 under the names of every run.
TEST_F(Trainer, a_run_in_bf16_is_resumed_and_evaluated_from_its_masters) {
  if (cannot_compute(Precision::bf16, this_processor())) GTEST_SKIP() << "no AVX-512";
  for (const char* optimizer :
       {R"({ name = "sgd", lr = 0.05, momentum = 0.9 })", R"({ name = "adamw", lr = 0.003 })"}) {
    const auto bf16 = config({{"train.precision", "\"bf16\""},
                              {"train.optimizer", optimizer},
                              {"train.clip_norm", "1.0"},
                              {"train.accumulate", "2"}});
    const DoneEvent done = expect_exact_resume(bf16);
    EXPECT_EQ(evaluate(out("whole"), {.threads = 1}).accuracy, done.best_val_accuracy);

    Recorder single;
    fs::remove_all(out("single"));
    (void)train(config(), options("single", single), single);
    const SafetensorsFile low(out("whole") / "last.safetensors"), full(out("single") / "last.safetensors");
    ASSERT_EQ(low.view().tensors.size(), full.view().tensors.size());
    for (const SafeTensor& tensor : full.view().tensors) {
      const SafeTensor* same = low.find(tensor.name);
      ASSERT_NE(same, nullptr) << tensor.name;
      EXPECT_EQ(same->dtype, "F32") << tensor.name;
    }
  }
}

TEST_F(Trainer, saving_more_often_changes_nothing) {
  Recorder a, b;
  (void)train(config(), options("a", a), a);
  (void)train(config({{"train.checkpoint_every", "2"}}), options("b", b), b);
  EXPECT_EQ(a.losses(), b.losses());
}

TEST_F(Trainer, an_epoch_of_few_steps_goes_through_all_of_the_data) {
  // Two epochs of 5 batches as five of 2: the same batches in the same order (no evaluation matters to the weights).
  const std::vector<std::pair<std::string, std::string>> constant{{"train.schedule", R"({ name = "constant" })"},
                                                                  {"train.epochs", "2"}};
  auto short_epochs = constant;
  short_epochs[1].second = "5";
  short_epochs.emplace_back("train.steps_per_epoch", "2");
  Recorder a, b;
  (void)train(config(constant), options("a", a), a);
  (void)train(config(short_epochs), options("b", b), b);
  EXPECT_EQ(a.losses(), b.losses());
  EXPECT_EQ(b.epochs.size(), 5U);
}

TEST_F(Trainer, overfits_one_batch) {
  Recorder recorder;
  const Config one =
      config({{"data.train.count", "16"},
              {"data.augment", "[]"},
              {"train.epochs", "60"},
              {"train.ema", "0"},
              {"train.schedule", R"({ name = "constant" })"},
              {"model.layers", R"([{ flatten = true }, { dense = 32, activation = "relu" }, { dense = 10 }])"}});
  (void)train(one, options("run", recorder), recorder);
  EXPECT_LT(recorder.epochs.back().train_loss, 0.05);
  EXPECT_EQ(recorder.epochs.back().train_accuracy, 1.0);
}

TEST_F(Trainer, stops_early_and_stays_stopped) {
  // Without a rate nothing improves: one best epoch, two stale ones.
  const Config still = config({{"train.optimizer.lr", "1e-30"},
                               {"train.ema", "0"},
                               {"train.epochs", "50"},
                               {"train.early_stopping", R"({ monitor = "val_accuracy", patience = 2 })"}});
  Recorder recorder;
  const DoneEvent done = train(still, options("run", recorder), recorder);
  EXPECT_LT(done.epochs, 50);
  EXPECT_TRUE(is_finished_run(out("run") / "last.state"));
  const auto epochs = recorder.epochs.size();
  TrainOptions again = options("run", recorder);
  again.resume = true;
  EXPECT_EQ(train(still, again, recorder).epochs, done.epochs);
  EXPECT_EQ(recorder.epochs.size(), epochs);
}

TEST_F(Trainer, a_run_that_diverges_names_the_layer_and_keeps_what_was_saved) {
  const Config wild = config({{"train.optimizer.lr", "1e30"}, {"train.schedule", R"({ name = "constant" })"}});
  Recorder recorder;
  const Diagnostic finding = failure(wild, options("run", recorder));
  EXPECT_EQ(finding.code.substr(0, 1), "N") << to_string(finding);
  EXPECT_EQ(exit_code(std::vector{finding}), 6);
  EXPECT_THAT(finding.what, HasSubstr("not finite"));
  EXPECT_THAT(finding.what, HasSubstr("\""));
  EXPECT_THAT(finding.where, HasSubstr("small.toml:")) << "the layer's place in the config";
  EXPECT_THAT(finding.what, HasSubstr("tensor "));
  EXPECT_EQ(finding.fix, "--set train.optimizer.lr=0.1");
  EXPECT_LE(finding.what.size(), 160U);
  EXPECT_THAT(lines(out("run") / "log.jsonl").back(), HasSubstr(R"("code":"N)"));

  // Resumed from a sound state, it diverges again and the state is as it was.
  Recorder sound;
  TrainOptions some = options("sound", sound);
  some.max_steps = 6;
  (void)train(config(), some, sound);
  const std::string before = read_text(out("sound") / "last.state");
  some.resume = true;
  some.max_steps = 0;
  EXPECT_EQ(failure(wild, some).code.substr(0, 1), "N");
  EXPECT_TRUE(read_text(out("sound") / "last.state") == before);
}

TEST_F(Trainer, weights_of_another_run_begin_a_run) {
  Recorder a, b;
  (void)train(config(), options("a", a), a);
  TrainOptions with_init = options("b", b);
  with_init.init = out("a") / "last.safetensors";
  (void)train(config({{"train.optimizer.lr", "1e-30"}, {"train.ema", "0"}, {"train.epochs", "1"}}), with_init, b);
  const SafetensorsFile from(out("a") / "last.safetensors"), to(out("b") / "last.safetensors");
  for (const char* name : {"0.weight", "1.bias", "5.weight"}) {
    std::vector<float> x(static_cast<std::size_t>(from.find(name)->elements())), y(x.size());
    read_floats(*from.find(name), x);
    read_floats(*to.find(name), y);
    EXPECT_EQ(x, y) << name;
  }
}

TEST_F(Trainer, weights_that_do_not_fit_are_named_before_anything_is_written) {
  Recorder a, b;
  (void)train(config({{"train.epochs", "1"}}), options("a", a), a);
  TrainOptions with_init = options("b", b);
  with_init.init = out("a") / "last.safetensors";
  const std::string other =
      R"([ { conv = 7, kernel = 3, stride = 2, padding = "same", norm = "batch", activation = "relu" }, { conv = 8, kernel = 3, activation = "relu" }, { flatten = true }, { dense = 10 }])";
  try {
    (void)train(config({{"model.layers", other}}), with_init, b);
    FAIL();
  } catch (const Error& error) {
    // Weight, norm and its statistics of layer 0; the weight of layer 1; the file's layer 5. Layer 3 is the last.
    EXPECT_EQ(std::ranges::count(error.findings(), Severity::error, &Diagnostic::severity), 8);
    EXPECT_EQ(exit_code(error.findings()), 2);
  }
  EXPECT_FALSE(fs::exists(out("b")));

  const std::string more_classes =
      R"([ { conv = 6, kernel = 3, stride = 2, padding = "same", norm = "batch", activation = "relu" }, { conv = 8, kernel = 3, activation = "relu" }, { maxpool = 2 }, { flatten = true }, { dropout = 0.2 }, { dense = 12 }])";
  (void)train(config({{"model.layers", more_classes}, {"train.epochs", "1"}}), with_init, b);
  EXPECT_EQ(b.findings.size(), 2U) << "weight and bias of the last layer, as notes";
}

TEST_F(Trainer, frozen_layers_keep_their_weights) {
  Recorder a, b;
  (void)train(config({{"train.epochs", "1"}}), options("a", a), a);
  TrainOptions with_init = options("b", b);
  with_init.init = out("a") / "last.safetensors";
  (void)train(config({{"train.freeze", R"(["backbone"])"}, {"train.freeze_stats", "true"}}), with_init, b);
  const SafetensorsFile from(out("a") / "last.safetensors"), to(out("b") / "last.safetensors");
  for (const SafeTensor& tensor : from.view().tensors) {
    const bool same = std::ranges::equal(tensor.bytes, to.find(tensor.name)->bytes);
    EXPECT_EQ(same, !tensor.name.starts_with("5.")) << tensor.name;
  }
}

TEST_F(Trainer, the_same_number_comes_from_eval) {
  Recorder recorder;
  const DoneEvent done = train(config(), options("run", recorder), recorder);
  const EvalResult result = evaluate(out("run"), {.threads = 1});
  EXPECT_EQ(result.samples, 30);
  EXPECT_EQ(result.accuracy, done.best_val_accuracy);
  std::int64_t hits = 0, all = 0;
  for (std::size_t i = 0; i < result.confusion.size(); ++i)
    for (std::size_t j = 0; j < result.confusion.size(); ++j) {
      all += result.confusion[i][j];
      if (i == j) hits += result.confusion[i][j];
    }
  EXPECT_EQ(all, 30);
  EXPECT_DOUBLE_EQ(static_cast<double>(hits) / 30, result.accuracy);
  EXPECT_EQ(result.per_class.size(), 10U);
  EXPECT_GE(result.top5_accuracy, result.accuracy);
  EXPECT_EQ(evaluate(out("run"), {.split = "train", .batch = 7, .threads = 1}).samples, 70);
  EXPECT_THROW((void)evaluate(out("run"), {.split = "test"}), Error);
  EXPECT_THROW((void)evaluate(out("run"), {.split = "nonsense"}), Error);
}

struct LossCase {
  std::string loss, layers, labels;
  std::size_t confusion, per_class;
};

TEST_F(Trainer, every_loss_trains_evaluates_and_predicts) {
  // Six images of 4×4, three dark and three bright; labels by bytes.
  std::string images(96, '\x10');
  images.replace(48, 48, 48, '\xE0');
  write_text(out("x.npy"), npy_bytes("|u1", "(6, 4, 4, 1)", images));
  const auto rows = [](std::initializer_list<float> values) {
    return std::string(reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(float));
  };
  const std::string one_hot = rows({1, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1});
  const std::string numbers("\0\0\0\1\1\1", 6);
  const std::vector<LossCase> cases{
      {"sparse_categorical_crossentropy", "{ dense = 2 }", npy_bytes("|u1", "(6,)", numbers), 2, 2},
      {"sparse_categorical_crossentropy", "{ dense = 2, activation = \"softmax\" }", npy_bytes("|u1", "(6,)", numbers),
       2, 2},
      {"categorical_crossentropy", "{ dense = 2 }", npy_bytes("<f4", "(6, 2)", one_hot), 2, 2},
      {"binary_crossentropy", "{ dense = 1 }", npy_bytes("|u1", "(6,)", numbers), 2, 2},
      {"binary_crossentropy", "{ dense = 2 }", npy_bytes("<f4", "(6, 2)", one_hot), 0, 2},
      {"mse", "{ dense = 2 }", npy_bytes("<f4", "(6, 2)", one_hot), 0, 0},
  };
  int number = 0;
  for (const LossCase& c : cases) {
    write_text(out("y.npy"), c.labels);
    const std::string source =
        "{ images = \"" + out("x.npy").string() + "\", labels = \"" + out("y.npy").string() + "\" }";
    const std::string name = "run" + std::to_string(number++);
    Recorder recorder;
    const Config config_of = config({{"data.train", source},
                                     {"data.val", source},
                                     {"data.augment", "[]"},
                                     {"model.input", "[4, 4, 1]"},
                                     {"model.layers", "[{ flatten = true }, " + c.layers + "]"},
                                     {"train.loss", "\"" + c.loss + "\""},
                                     {"train.schedule", R"({ name = "constant" })"},
                                     {"train.epochs", "40"},
                                     {"train.batch", "6"},
                                     {"train.ema", "0"}});
    (void)train(config_of, options(name, recorder), recorder);
    EXPECT_LT(recorder.losses().back(), 0.5 * recorder.losses().front()) << c.loss;
    const EvalResult result = evaluate(out(name), {.threads = 1, .outcomes = true});
    ASSERT_EQ(result.outcomes.size(), 6U) << c.loss;
    double loss = 0;
    for (const SampleOutcome& outcome : result.outcomes) loss += static_cast<double>(outcome.loss) / 6;
    EXPECT_NEAR(loss, result.loss, 1e-5 * (1 + result.loss)) << c.loss << ": the mean of the samples' losses";
    EXPECT_EQ(result.auc.has_value(), c.confusion == 2) << c.loss;
    EXPECT_EQ(result.confusion.size(), c.confusion) << c.loss;
    EXPECT_EQ(result.per_class.size(), c.per_class) << c.loss;
    EXPECT_EQ(result.accuracy, c.loss == "mse" ? 0.0 : 1.0) << c.loss;
    for (const ClassMetrics& metrics : result.per_class) {
      EXPECT_EQ(metrics.f1, 1.0) << c.loss;
      EXPECT_EQ(metrics.support, 3) << c.loss;
    }
    std::vector<Diagnostic> findings;
    const std::vector<Prediction> predictions = predict(out(name), {out("x.npy")}, 1, findings);
    ASSERT_EQ(predictions.size(), 6U) << c.loss;
    EXPECT_EQ(predictions[5].label, c.loss == "mse" ? "" : "1") << c.loss;
    EXPECT_TRUE(findings.empty());
  }
}

TEST_F(Trainer, predicts_arrays_and_goes_on_after_what_cannot_be_read) {
  Recorder recorder;
  (void)train(config(), options("run", recorder), recorder);
  std::string pixels(std::size_t{2} * 16 * 16, '\0');
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<char>(i * 7 + i / 256 * 90);
  write_text(out("batch.npy"), npy_bytes("|u1", "(2, 16, 16, 1)", pixels));
  write_text(out("one.npy"), npy_bytes("|u1", "(16, 16, 1)", pixels.substr(256)));
  write_text(out("gray.npy"), npy_bytes("|u1", "(16, 16)", pixels.substr(256)));
  write_text(out("floats.npy"), npy_bytes("<f4", "(1, 16, 16, 1)", std::string(1024, '\0')));
  write_text(out("large.npy"), npy_bytes("|u1", "(1, 17, 16, 1)", std::string(272, '\0')));
  std::vector<Diagnostic> findings;
  const std::vector<Prediction> all = predict(out("run"),
                                              {out("batch.npy"), out("none.npy"), out("one.npy"), out("gray.npy"),
                                               out("floats.npy"), out("cat.jpg"), out("large.npy")},
                                              1, findings);
  for (const Diagnostic& finding : findings) EXPECT_LE(finding.what.size(), 160U) << to_string(finding);
  ASSERT_EQ(all.size(), 4U) << all.back().file;
  EXPECT_EQ(all[0].file, out("batch.npy").string() + "[0]");
  EXPECT_EQ(all[2].file, out("one.npy").string());
  EXPECT_EQ(all[1].logits, all[2].logits);
  EXPECT_EQ(all[2].logits, all[3].logits);
  EXPECT_NE(all[0].logits, all[1].logits);
  ASSERT_EQ(all[0].top.size(), 5U);
  EXPECT_EQ(all[0].label, all[0].top[0].first);
  double sum = 0, norm = 0;
  const auto largest = *std::ranges::max_element(all[0].logits);
  for (const float logit : all[0].logits) norm += std::exp(static_cast<double>(logit - largest));
  EXPECT_NEAR(all[0].probability, 1 / norm, 1e-6);
  for (std::size_t i = 1; i < 5; ++i) EXPECT_LE(all[0].top[i].second, all[0].top[i - 1].second);
  for (const auto& entry : all[0].top) sum += entry.second;
  EXPECT_LE(sum, 1.0 + 1e-9);
  ASSERT_EQ(findings.size(), 4U);
  EXPECT_EQ(exit_code(findings), 3);
}

struct BadRun {
  std::string name;
  std::vector<std::pair<std::string, std::string>> set;
  char family;
};
class BadRuns : public Trainer, public testing::WithParamInterface<BadRun> {};

TEST_P(BadRuns, are_refused_before_anything_is_written) {
  Recorder recorder;
  const Diagnostic finding = failure(config(GetParam().set), options("run", recorder));
  EXPECT_EQ(finding.code[0], GetParam().family) << to_string(finding);
  EXPECT_FALSE(finding.fix.empty());
  EXPECT_LE(finding.what.size(), 160U);
  EXPECT_FALSE(fs::exists(out("run")));
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadRuns,
    testing::Values(BadRun{"few_classes", {{"model.layers", "[{ flatten = true }, { dense = 9 }]"}}, 'L'},
                    BadRun{"class_weights", {{"train.class_weights", "[1.0, 2.0]"}}, 'T'},
                    BadRun{"drop_last", {{"data.drop_last", "true"}, {"train.batch", "71"}}, 'T'},
                    BadRun{"memory", {{"memory.budget", "\"1MiB\""}}, 'M'},
                    BadRun{"precision", {{"train.precision", "\"fp16\""}}, 'T'}),
    [](const auto& test) { return test.param.name; });

TEST_F(Trainer, a_folder_that_exists_or_cannot_be_made_is_refused) {
  Recorder recorder;
  fs::create_directory(out("run"));
  EXPECT_EQ(failure(config(), options("run", recorder)).code[0], 'C');
  TrainOptions nowhere = options("run", recorder);
  nowhere.out = "/proc/none/run";
  EXPECT_EQ(failure(config(), nowhere).code[0], 'C');
}

/// In another precision other kernels compute: the run goes on, and says that its bits are others.
TEST_F(Trainer, other_engines_are_told_on_resume) {
  if (cannot_compute(Precision::bf16, this_processor())) GTEST_SKIP() << "this processor has no bf16";
  Recorder first, same, other;
  TrainOptions some = options("run", first);
  some.max_steps = 2;
  (void)train(config(), some, first);
  EXPECT_FALSE(StateFile(out("run") / "last.state").state().engines.empty());
  some.resume = true;
  const auto told = [](const Recorder& recorder) {
    return std::ranges::count(recorder.findings, "T623", &Diagnostic::code);
  };
  some.max_steps = 4;
  (void)train(config(), some, same);
  EXPECT_EQ(told(same), 0);
  some.max_steps = 6;
  (void)train(config({{"train.precision", "bf16"}}), some, other);
  EXPECT_EQ(told(other), 1);
  EXPECT_EQ(other.steps.size(), 2U);
}

TEST_F(Trainer, another_batch_cannot_resume_a_run) {
  Recorder recorder;
  TrainOptions some = options("run", recorder);
  some.max_steps = 3;
  (void)train(config(), some, recorder);
  some.resume = true;
  for (const auto& [key, value] : {std::pair{"train.batch", "8"}, {"train.seed", "9"}, {"data.train.count", "71"}}) {
    const Diagnostic finding = failure(config({{key, value}}), some);
    EXPECT_EQ(finding.code[0], 'T') << key;
    EXPECT_THAT(finding.where, HasSubstr("last.state"));
    EXPECT_EQ(finding.fix,
              "snug train " + (out("run") / "config.toml").string() + " --out " + out("run").string() + " --resume");
  }
}

TEST_F(Trainer, resuming_where_nothing_is_saved_says_that_it_begins_anew) {
  Recorder recorder;
  TrainOptions some = options("run", recorder);
  some.max_steps = 1;
  some.resume = true;
  (void)train(config(), some, recorder);
  ASSERT_EQ(recorder.findings.size(), 1U);
  EXPECT_EQ(recorder.findings[0].severity, Severity::note);
  EXPECT_THAT(recorder.findings[0].what, HasSubstr("begins anew"));
  some.max_steps = 2;
  (void)train(config(), some, recorder);
  EXPECT_EQ(recorder.findings.size(), 1U) << "now it goes on";
  write_text(out("run") / "last.state", "broken");
  EXPECT_THAT(failure(config(), some).fix, HasSubstr("last.safetensors"));
}

}  // namespace
}  // namespace snug
