#include "train/metrics.h"

#include <gtest/gtest.h>

#include <array>

#include "train/event_json.h"

namespace snug {
namespace {

TEST(Metrics, are_weighted_means) {
  // loss_sum, weight_sum, correct, correct_top5, samples, not_finite
  const std::array<double, 6> totals{12, 8, 3, 9, 10, 0};
  const Metrics metrics = metrics_of(totals);
  EXPECT_EQ(metrics.loss, 1.5);
  EXPECT_EQ(metrics.accuracy, 0.3);
  EXPECT_EQ(metrics.top5_accuracy, 0.9);
  EXPECT_EQ(metrics.samples, 10);
  EXPECT_EQ(metrics_of(std::array<double, 6>{}).loss, 0);
}

TEST(Metrics, losses_fall_and_accuracies_rise) {
  EXPECT_EQ(best_metric(Loss::mse, true), "val_loss");
  EXPECT_EQ(best_metric(Loss::mse, false), "train_loss");
  EXPECT_EQ(best_metric(Loss::binary_crossentropy, true), "val_accuracy");
  EXPECT_TRUE(improves("val_loss", 1, {}));
  EXPECT_TRUE(improves("val_loss", 1, 2));
  EXPECT_FALSE(improves("val_loss", 2, 2));
  EXPECT_TRUE(improves("val_accuracy", 2, 1));
  EXPECT_FALSE(improves("val_accuracy", 1, 1));
  EXPECT_FALSE(metric_value({.epoch = 1}, "val_loss"));
  EXPECT_FALSE(metric_value({.epoch = 1}, "nonsense"));
}

TEST(Metrics, a_confusion_matrix_gives_precision_and_recall) {
  Confusion confusion({"a", "b", "c"});
  // a: 3 there, 2 found; b: 1 there, found, and one a taken for it; c is never there.
  for (const auto& [truth, predicted] : {std::pair{0, 0}, {0, 0}, {0, 1}, {1, 1}}) confusion.add(truth, predicted);
  EXPECT_EQ(confusion.counts()[0], (std::vector<std::int64_t>{2, 1, 0}));
  const auto classes = confusion.per_class();
  EXPECT_EQ(classes[0].precision, 1.0);
  EXPECT_DOUBLE_EQ(classes[0].recall, 2.0 / 3);
  EXPECT_DOUBLE_EQ(classes[0].f1, 0.8);
  EXPECT_EQ(classes[1].precision, 0.5);
  EXPECT_EQ(classes[1].support, 1);
  EXPECT_EQ(classes[2].f1, 0);
}

TEST(EventJson, has_the_contract_s_fields_in_order) {
  EXPECT_EQ(event_json(StepEvent{.step = 3, .loss = 0.5, .lr = 0.1}),
            R"({"event":"step","step":3,"loss":0.5,"lr":0.1})");
  EXPECT_EQ(event_json(
                EpochEvent{.epoch = 1, .train_loss = 2.0, .train_accuracy = 0.5, .images_per_second = 10.0, .lr = 0.1}),
            R"({"event":"epoch","epoch":1,"train_loss":2.0,"train_accuracy":0.5,"images_per_second":10.0,"lr":0.1})");
  EXPECT_EQ(event_json(ProgressEvent{}), "");
  EXPECT_EQ(event_json(DoneEvent{.epochs = 5, .checkpoint = "a\xff"}),
            R"({"event":"done","epochs":5,"best_val_accuracy":0.0,"planned_peak_bytes":0,"measured_peak_bytes":0,)"
            R"("step_allocations":0,"checkpoint":"a)"
            "\xEF\xBF\xBD"
            R"(","interrupted":false,"arena_bytes":0})");
}

TEST(EventJson, metrics_leave_what_is_absent_empty) {
  EXPECT_EQ(metrics_csv_line({.epoch = 2, .train_loss = 0.25, .train_accuracy = 1, .images_per_second = 3, .lr = 0.1}),
            "2,0.25,1,,,3,0.1\n");
}

}  // namespace
}  // namespace snug
