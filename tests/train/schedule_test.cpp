#include "train/schedule.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace snug {
namespace {

struct Case {
  std::string name;
  ScheduleConfig schedule;
  double lr_reference_batch = 0;
  std::int64_t steps_per_epoch = 10, total_steps = 40, batch = 64;
  std::vector<std::pair<std::int64_t, double>> rates;  ///< step, rate for lr = 0.1
};

class Schedule : public testing::TestWithParam<Case> {};

TEST_P(Schedule, has_the_rates_worked_out_by_hand) {
  const Case& c = GetParam();
  TrainConfig train;
  train.optimizer.lr = 0.1;
  train.schedule = c.schedule;
  train.lr_reference_batch = c.lr_reference_batch;
  for (const auto& [step, expected] : c.rates)
    EXPECT_NEAR(learning_rate(train, step, c.steps_per_epoch, c.total_steps, c.batch), expected,
                expected * 1e-9 + 1e-18)
        << "step " << step;
}

using Kind = ScheduleKind;
INSTANTIATE_TEST_SUITE_P(
    Table, Schedule,
    testing::Values(
        Case{.name = "constant", .schedule = {}, .rates = {{0, 0.1}, {39, 0.1}}},
        Case{.name = "scaled", .schedule = {}, .lr_reference_batch = 256, .rates = {{0, 0.025}, {39, 0.025}}},
        Case{.name = "constant_warmup",
             .schedule = {.warmup_epochs = 1},
             .rates = {{0, 0.01}, {4, 0.05}, {9, 0.1}, {10, 0.1}}},
        Case{.name = "half_an_epoch_of_warmup",
             .schedule = {.warmup_epochs = 0.5},
             .rates = {{0, 0.02}, {4, 0.1}, {5, 0.1}}},
        Case{.name = "step",
             .schedule = {.kind = Kind::step, .every_epochs = 2, .factor = 0.5},
             .rates = {{0, 0.1}, {19, 0.1}, {20, 0.05}, {39, 0.05}, {40, 0.025}}},
        Case{.name = "step_warmup",
             .schedule = {.kind = Kind::step, .warmup_epochs = 2, .every_epochs = 1, .factor = 0.1},
             .rates = {{9, 0.05}, {10, 0.055}, {19, 0.1}, {20, 0.001}}},
        // ½ (1 + cos π/4) = 0.853553390593…
        Case{.name = "cosine",
             .schedule = {.kind = Kind::cosine},
             .rates = {{0, 0.1}, {10, 0.0853553390593274}, {20, 0.05}, {30, 0.0146446609406726}}},
        // Half way between the end of the warm-up (10) and the end (40) is 25; a third is 20: ½ (1 + ½).
        Case{.name = "cosine_warmup",
             .schedule = {.kind = Kind::cosine, .warmup_epochs = 1},
             .rates = {{0, 0.01}, {9, 0.1}, {10, 0.1}, {20, 0.075}, {25, 0.05}, {30, 0.025}}},
        // Turns at 0.3 · 40 − 1 = 11 and 39; 25 lies half way down, 5.5 would be half way up: step 11/3 has no number.
        Case{.name = "onecycle",
             .schedule = {.kind = Kind::onecycle, .max_lr = 1.0, .warmup_fraction = 0.3},
             .rates = {{0, 0.04}, {11, 1.0}, {25, 0.500002}, {39, 4e-6}}},
        // Without max_lr the optimizer's rate is the top. Turns at 0.25 · 40 − 1 = 9: a third up is step 3,
        // 0.004 + 0.096 · ½ (1 − cos π/3) = 0.028; the way down takes 30 steps, a third of it ends at 19.
        Case{.name = "onecycle_of_lr",
             .schedule = {.kind = Kind::onecycle, .warmup_fraction = 0.25},
             .rates = {{3, 0.028}, {9, 0.1}, {19, 0.1 - (0.1 - 4e-7) * 0.25}, {39, 4e-7}}},
        Case{.name = "onecycle_scaled",
             .schedule = {.kind = Kind::onecycle, .max_lr = 1.0, .warmup_fraction = 0.3},
             .lr_reference_batch = 128,
             .rates = {{0, 0.02}, {11, 0.5}}},
        Case{.name = "onecycle_of_one_step",
             .schedule = {.kind = Kind::onecycle, .max_lr = 1.0, .warmup_fraction = 0.3},
             .steps_per_epoch = 1,
             .total_steps = 1,
             .rates = {{0, 4e-6}}}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace snug
