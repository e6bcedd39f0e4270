// What `bench` and `tune` print and draw, from made-up figures.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "report/bench.h"
#include "report/markup.h"
#include "snug/diagnostic.h"

namespace snug {
namespace {

using Json = nlohmann::json;

TEST(BenchJson, ModelBeginsWithTheContractsFields) {
  const BenchReport report{
      .device = "cpu", .model = "net", .batch = 8, .layers = {{.name = "0", .forward_ms = 1, .backward_ms = 2}}};
  EXPECT_TRUE(to_json(report).starts_with(
      R"({"device":"cpu","model":"net","batch":8,"precision":"fp32","images_per_second":0.0,"ms_per_step":0.0,)"
      R"("flops_per_second":0.0,"flops_share":0.0,"bytes_per_second":0.0,"bytes_share":0.0,"planned_bytes":0,)"
      R"("measured_bytes":0,"layers":[{"name":"0","forward_ms":1.0,"backward_ms":2.0,"flops":0,"bytes":0,)"))
      << to_json(report);
}

/// A curve of three batches, the middle one its knee.
TuneReport tuned() {
  TuneReport report{.device = "cpu", .model = "net <a>", .best = 1, .fastest = 2, .end = "known", .seconds = 12};
  report.conditions.processor = "A processor";
  for (const auto& [batch, rate] : {std::pair{8, 400.0}, {16, 980.0}, {32, 1000.0}})
    report.curve.push_back({.batch = batch,
                            .micro_batch = batch,
                            .precision = "fp32",
                            .images_per_second = rate,
                            .low = 0.98 * rate,
                            .high = 1.02 * rate,
                            .samples = 5,
                            .planned_bytes = batch << 20,
                            .measured_bytes = batch << 19});
  report.largest = {
      .batch = 4096, .micro_batch = 4096, .precision = "fp32", .images_per_second = {}, .planned_bytes = 5 << 20};
  report.budget_bytes = 1 << 30;
  return report;
}

TuneReport one_point() {
  TuneReport report = tuned();
  report.curve.resize(1);
  report.best = report.fastest = 0;
  return report;
}

TEST(TuneReport, JsonBeginsWithTheContractsFields) {
  const Json json = Json::parse(to_json(tuned()));
  EXPECT_TRUE(to_json(tuned()).starts_with(
      R"({"device":"cpu","best":{"batch":16,"micro_batch":16,"images_per_second":980.0,)"));
  EXPECT_EQ(json["fastest"]["batch"], 32);
  EXPECT_EQ(json["largest"]["batch"], 4096);
  EXPECT_TRUE(json["largest"]["images_per_second"].is_null()) << "it was not run";
  ASSERT_EQ(json["curve"].size(), 3U);
  for (const char* field : {"batch", "images_per_second", "planned_bytes", "measured_bytes"})
    EXPECT_TRUE(json["curve"][0].contains(field)) << field;
}

TEST(TuneReport, TextMarksTheKneeAndSaysWhenDataAreTheLimit) {
  TuneReport report = tuned();
  const std::string text = to_text(report);
  EXPECT_NE(text.find("◀ knee"), std::string::npos) << text;
  EXPECT_NE(text.find("◀ fastest"), std::string::npos) << text;
  EXPECT_EQ(text.find("input-bound"), std::string::npos);
  report.data = WithData{
      .alone = 5100, .with_data = 1900, .loader = 1950, .workers = 2, .input_bound = true, .advice = "pack it"};
  const std::string bound = to_text(report);
  EXPECT_NE(bound.find("alone 5,100 img/s, with your data 1,900"), std::string::npos) << bound;
  EXPECT_NE(bound.find("input-bound"), std::string::npos) << bound;
  EXPECT_NE(bound.find("pack it"), std::string::npos) << bound;
}

TEST(TuneReport, CurveIsOnePictureAsMarkupAndAsPixels) {
  for (const TuneReport& report : {tuned(), one_point()}) {
    const Drawing drawing = tune_curve(report);
    const std::string svg = to_svg(drawing);
    std::string fault;
    const auto elements = test::read_markup(svg, fault);
    EXPECT_EQ(fault, "");
    const auto dots = std::ranges::count(elements, "circle", &test::Element::name);
    EXPECT_GE(dots, 2 * std::ssize(report.curve)) << "rates and bytes";
    EXPECT_EQ(svg.find("nan"), std::string::npos) << svg;
    EXPECT_EQ(svg.find("inf"), std::string::npos) << svg;
    const Picture picture = to_picture(drawing, 2);
    EXPECT_EQ(picture.width, 2 * static_cast<std::int64_t>(drawing.width));
    EXPECT_EQ(picture.pixels.size(), static_cast<std::size_t>(picture.width * picture.height * 3));
    const auto ink = std::ranges::count_if(picture.pixels, [](std::uint8_t value) { return value < 128; });
    EXPECT_GT(ink, 2000);
    EXPECT_LT(ink, std::ssize(picture.pixels) / 10);
  }
}

TEST(Drawing, StrokesLieWhereTheyAreSaidToLie) {
  const Drawing drawing{.width = 20,
                        .height = 10,
                        .title = "x",
                        .shapes = {DrawnLine{{{2, 5}, {18, 5}}, Ink::text, 2},
                                   DrawnDot{.at = {10, 2}, .radius = 1, .ink = Ink::text, .title = ""}}};
  const Picture picture = to_picture(drawing, 1);
  const auto dark = [&](std::int64_t x, std::int64_t y) {
    return picture.pixels[static_cast<std::size_t>((y * picture.width + x) * 3)] < 128;
  };
  EXPECT_TRUE(dark(10, 4));
  EXPECT_TRUE(dark(10, 5));
  EXPECT_FALSE(dark(10, 7));
  EXPECT_FALSE(dark(0, 5));
  EXPECT_TRUE(dark(10, 2) || dark(9, 2));
}

TEST(ReadBench, TakesOneRunOrALineForEach) {
  const std::string run =
      R"({"bench":"model","model":"net","batch":4,"precision":"fp32","planned_bytes":7,"times_ms":[8,12],)"
      R"("conditions":{"threads":2,"libraries":{"oneDNN":"3.2"}}})";
  const BenchRuns one = read_bench(run, "a.json");
  EXPECT_EQ(one.what, "net");
  EXPECT_EQ(one.milliseconds, (std::vector<std::vector<double>>{{2, 3}})) << "of one image";
  EXPECT_EQ(read_bench(run + "\n" + run + "\n", "a.json").milliseconds.size(), 2U);
  EXPECT_EQ(read_bench(Json::parse(run).dump(2), "a.json").planned_bytes, 7);
  for (const std::string& wrong :
       {std::string(), std::string("{}"), std::string("[1]"), std::string("x"), run + "\n{",
        run.substr(0, run.size() / 2), std::string(R"({"bench":"model","model":"n","batch":0,"times_ms":[1]})"),
        std::string(R"({"bench":"model","model":"n","batch":1,"times_ms":[]})"),
        std::string(R"({"bench":"model","model":"n","batch":1,"times_ms":[0]})"),
        std::string(R"({"bench":"model","model":"n","batch":1,"times_ms":["a"]})")}) {
    EXPECT_THROW(static_cast<void>(read_bench(wrong, "a.json")), Error) << wrong;
  }
  std::string other = run;
  other.replace(other.find("\"net\""), 5, "\"two\"");
  EXPECT_THROW(static_cast<void>(read_bench(run + "\n" + other, "a.json")), Error) << "of different things";
}

}  // namespace
}  // namespace snug
