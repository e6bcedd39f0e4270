// The contract's objects, letter by letter: what scripts read must not change by accident.
#include <gtest/gtest.h>

#include "report/npy.h"
#include "report/reports.h"
#include "train/event_json.h"

namespace snug {
namespace {

TEST(Json, Summary) {
  const SummaryReport report{
      .name = "net",
      .input = {28, 28, 1},
      .parameters = 320,
      .flops_forward = 451584,
      .layers = {{.name = "0", .type = "conv", .output = {1, 28, 28, 32}, .parameters = 320, .flops = 451584}}};
  EXPECT_EQ(to_json(report), R"({"name":"net","input":[28,28,1],"parameters":320,"flops_forward":451584,"layers":[)"
                             R"({"name":"0","type":"conv","output":[1,28,28,32],"parameters":320,"flops":451584}]})");
}

TEST(Json, Devices) {
  const DevicesReport report{
      .devices = {{.id = "cuda:0",
                   .name = "NVIDIA H200",
                   .total_bytes = 2,
                   .free_bytes = 1,
                   .processes = {{.pid = 7, .name = "x", .bytes = 3}}}},
      .profiles = {{.name = "h200", .device = "NVIDIA H200", .total_bytes = 2, .compute_capability = "9.0"}}};
  EXPECT_EQ(to_json(report),
            R"({"devices":[{"id":"cuda:0","name":"NVIDIA H200","total_bytes":2,"free_bytes":1,)"
            R"("processes":[{"pid":7,"name":"x","bytes":3}]}],)"
            R"("profiles":[{"name":"h200","device":"NVIDIA H200","total_bytes":2,"compute_capability":"9.0"}]})");
}

TEST(Json, DataInfoWritesWholeNumbersAsSuch) {
  DataSummary data{.samples = 2, .image = {28, 28, 1}, .dtype = "uint8"};
  data.pixels.mean = {0.5};
  data.pixels.std = {2};
  data.pixels.max = 255;
  data.classes.push_back({.name = "0", .count = 2});
  EXPECT_EQ(to_json(data),
            R"({"samples":2,"shape":[28,28,1],"dtype":"uint8","min":0,"max":255,"mean":[0.5],"std":[2.0],)"
            R"("classes":[{"name":"0","count":2}]})");
  data.pixels.min = -0.5;
  EXPECT_NE(to_json(data).find(R"("min":-0.5)"), std::string::npos);
}

TEST(Json, Eval) {
  const EvalResult result{.loss = 0.25,
                          .accuracy = 0.5,
                          .top5_accuracy = 1,
                          .samples = 2,
                          .confusion = {{1, 0}, {1, 0}},
                          .per_class = {{.name = "cat", .precision = 0.5, .recall = 1, .f1 = 0.75, .support = 1}}};
  EXPECT_EQ(to_json(result), R"({"loss":0.25,"accuracy":0.5,"top5_accuracy":1.0,"samples":2,"confusion":[[1,0],[1,0]],)"
                             R"("per_class":[{"name":"cat","precision":0.5,"recall":1.0,"f1":0.75,"support":1}]})");
}

TEST(Json, Prediction) {
  const Prediction prediction{
      .file = "x.npy[17]", .label = "cat", .probability = 0.75, .top = {{"cat", 0.75}, {"dog", 0.25}}, .logits = {}};
  EXPECT_EQ(to_json(prediction),
            R"({"file":"x.npy[17]","class":"cat","probability":0.75,"top":[["cat",0.75],["dog",0.25]]})");
}

TEST(Json, PlanHasItsStepsAndTheEventOfARunHasNot) {
  PlanReport plan{.device = "cpu", .fits = true};
  plan.steps = {{.step = 0,
                 .op = "conv_forward",
                 .phase = "forward",
                 .layer = "0",
                 .algorithm = "jit",
                 .flops = 2,
                 .bytes = 3,
                 .seconds = 0.5,
                 .live_bytes = 4,
                 .arena_bytes = 5,
                 .workspace_bytes = 6}};
  EXPECT_TRUE(plan_json(plan).ends_with(
      R"("steps":[{"step":0,"op":"conv_forward","phase":"forward","layer":"0","flops":2,"bytes":3,"seconds":0.5,)"
      R"("live_bytes":4,"workspace_bytes":6,"algorithm":"jit","queue":0}]})"))
      << plan_json(plan);
  EXPECT_EQ(event_json(PlanEvent{plan}).find("steps"), std::string::npos);
  EXPECT_EQ(plan_json(plan).find("free_bytes"), std::string::npos);
  plan.fits = false;
  plan.processes = {{7, "x", 9}};
  EXPECT_NE(plan_json(plan).find(R"("free_bytes":0,"processes":[{"pid":7,"name":"x","bytes":9}])"), std::string::npos);
}

TEST(Npy, HeaderIsAlignedAndEndsItsLine) {
  const std::array<std::int64_t, 2> shape{3, 10};
  const std::string header = npy_header("<f4", shape);
  EXPECT_EQ(header.size() % 64, 0U);
  EXPECT_EQ(header.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  const auto length = static_cast<unsigned char>(header[8]) + 256 * static_cast<unsigned char>(header[9]);
  EXPECT_EQ(length + 10, static_cast<int>(header.size()));
  EXPECT_NE(header.find("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 10), }"), std::string::npos);
  EXPECT_EQ(header.back(), '\n');
  const std::array<std::int64_t, 1> flat{5};
  EXPECT_NE(npy_header("|u1", flat).find("'shape': (5,)"), std::string::npos);
}

}  // namespace
}  // namespace snug
