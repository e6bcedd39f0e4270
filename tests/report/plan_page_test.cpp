// The page is read without a browser: well-formed, every buffer once, sums that agree.
#include "report/plan_page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "report/html.h"
#include "report/markup.h"

namespace snug {
namespace {

constexpr std::string_view kNastyLayer = "a<b>&\"c\",]]></script>";

/// Three buffers over four steps; the names need every kind of care.
PlanPage sample_page(bool fits) {
  PlanPage page{.name = "net <1>", .config = "c.toml", .command = "snug plan 'c d.toml'"};
  PlanReport& plan = page.plan;
  plan = {.device = "cpu", .device_bytes = 10'000, .budget_bytes = fits ? 9'000 : 4'000, .fits = fits, .batch = 8};
  plan.max_batch = 12;
  plan.breakdown = {.driver = 1000, .weights = 500, .gradients = 500, .activations = 3000, .padding = 24};
  plan.total_bytes = plan.breakdown.total();
  plan.short_by_bytes = fits ? 0 : plan.total_bytes - plan.budget_bytes;
  plan.lower_bound_bytes = 3500;
  plan.allocated = {.persistent = 512, .transient = 3500, .input = 12};
  plan.peak = {
      .step = 1,
      .phase = "forward",
      .layer = std::string(kNastyLayer),
      .tensors = {{"a:y", "a", "activation", 2000}, {"b:y", "b", "activation", 1000}, {"w", "", "gradient", 500}}};
  const auto step = [&](std::int64_t at, const char* phase, std::int64_t live) {
    plan.steps.push_back({.step = at,
                          .op = "conv_forward",
                          .phase = phase,
                          .layer = std::string(kNastyLayer),
                          .algorithm = "jit",
                          .flops = 10,
                          .bytes = 20,
                          .seconds = 0.5,
                          .live_bytes = live,
                          .arena_bytes = live,
                          .workspace_bytes = 0});
  };
  step(0, "forward", 2000), step(1, "forward", 3500), step(2, "backward", 1500), step(3, "update", 500);
  page.buffers = {{.tensors = {"a:y",
                               "\xff"
                               "bad"},
                   .layer = std::string(kNastyLayer),
                   .size_bytes = 2000,
                   .life = {0, 2}},
                  {.tensors = {"b:y"}, .layer = "b", .offset = 2000, .size_bytes = 1000, .life = {1, 3}},
                  {.tensors = {"w"}, .role = Role::gradient, .offset = 3000, .size_bytes = 500, .life = {1, 4}}};
  plan.layers = {{.name = std::string(kNastyLayer), .output = {8, 2, 2, 3}, .parameters = 7, .flops = 4}};
  page.batches = {{1, 2000, true}, {8, plan.total_bytes, fits}, {12, 8000, fits}, {13, 9500, false}};
  page.findings = {
      {.code = "T101", .severity = Severity::warning, .where = "c.toml:1:1", .what = "a < b", .fix = "a = 1"}};
  if (!fits) plan.remedies = {{.change = "train.batch = 2\nmemory.budget = \"5KB\"", .total_bytes = 3900}};
  return page;
}

std::vector<test::Element> read(const std::string& page) {
  std::string fault;
  std::vector<test::Element> elements = test::read_markup(page, fault);
  EXPECT_EQ(fault, "");
  return elements;
}

std::vector<test::Element> named(const std::vector<test::Element>& elements, std::string_view name) {
  std::vector<test::Element> found;
  std::ranges::copy_if(elements, std::back_inserter(found), [&](const auto& element) { return element.name == name; });
  return found;
}

/// Sums of `data-bytes` in the table of a class.
std::int64_t table_sum(const std::vector<test::Element>& elements, std::string_view kind) {
  std::int64_t sum = 0;
  bool inside = false;
  for (const test::Element& element : elements) {
    if (element.name == "table")
      inside = element.attributes.contains("class") && element.attributes.at("class") == kind;
    if (inside && element.attributes.contains("data-bytes")) sum += std::stoll(element.attributes.at("data-bytes"));
  }
  return sum;
}

TEST(PlanPage, TheReaderOfTheseTestsFindsFaults) {
  for (const std::string_view broken :
       {"<a><b></a>", "<a>", "<a b=c></a>", "<a>1 & 2</a>", "<a b=\"1\" b=\"2\"/>", "</a>", "<a b=\"<\"/>"}) {
    std::string fault;
    (void)test::read_markup(broken, fault);
    EXPECT_NE(fault, "") << broken;
  }
}

TEST(PlanPage, IsWellFormedAndLoadsNothing) {
  for (const bool fits : {true, false}) {
    const std::string page = plan_page(sample_page(fits));
    const auto elements = read(page);
    for (const test::Element& element : elements) {
      for (const auto& [name, value] : element.attributes) {
        EXPECT_TRUE(name != "src" && name != "href") << element.name;
        EXPECT_TRUE(name == "xmlns" || value.find("//") == std::string::npos) << value;
      }
    }
    EXPECT_EQ(page.find("url("), std::string::npos);
    EXPECT_EQ(page.find("@import"), std::string::npos);
    EXPECT_EQ(page.find("<b>&"), std::string::npos) << "a name's markup is escaped";
    EXPECT_EQ(named(elements, "h1").at(0).text,
              fits ? "net &lt;1&gt; on cpu: batch 8 fits" : "net &lt;1&gt; on cpu: batch 8 does not fit");
  }
}

TEST(PlanPage, TheSamePlanGivesTheSamePage) {
  PlanPage slow = sample_page(true);
  slow.plan.seconds = 3;
  EXPECT_EQ(plan_page(slow), plan_page(sample_page(true)));
}

TEST(PlanPage, ShowsEveryBufferOnceAtItsPlace) {
  const PlanPage sample = sample_page(true);
  const auto blocks = named(read(plan_page(sample)), "rect");
  ASSERT_EQ(blocks.size(), sample.buffers.size());
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const PlacedBuffer& buffer = sample.buffers[i];
    const auto& at = blocks[i].attributes;
    EXPECT_EQ(at.at("x"), std::to_string(buffer.life.first));
    EXPECT_EQ(at.at("width"), std::to_string(buffer.life.last - buffer.life.first));
    EXPECT_EQ(at.at("class"), to_string(buffer.role));
    // Offsets count from below, and 10,000 units are the arena's height.
    EXPECT_NEAR(10'000 - std::stod(at.at("y")), static_cast<double>(buffer.offset + buffer.size_bytes) / 0.35, 0.01);
    EXPECT_NEAR(std::stod(at.at("height")), static_cast<double>(buffer.size_bytes) / 0.35, 0.01);
  }
  const auto titles = named(read(plan_page(sample)), "title");
  ASSERT_EQ(titles.size(), 1 + sample.buffers.size());
  EXPECT_EQ(titles[2].text, "b:y · layer b · activation · 0.98 KiB (1,000 bytes) at 2,000 · steps 1 to 2");
}

TEST(PlanPage, SumsAgree) {
  const PlanPage sample = sample_page(false);
  const auto elements = read(plan_page(sample));
  EXPECT_EQ(table_sum(elements, "breakdown"), sample.plan.total_bytes);
  EXPECT_EQ(table_sum(elements, "peak"), sample.plan.lower_bound_bytes);
  const auto total = std::ranges::find_if(elements, [](const auto& e) { return e.attributes.contains("data-total"); });
  ASSERT_NE(total, elements.end());
  EXPECT_EQ(total->attributes.at("data-total"), std::to_string(sample.plan.total_bytes));
}

TEST(PlanPage, PicturesHaveATextInTheirPlace) {
  const auto pictures = named(read(plan_page(sample_page(true))), "svg");
  ASSERT_EQ(pictures.size(), 3u);
  for (const test::Element& picture : pictures) {
    EXPECT_EQ(picture.attributes.at("role"), "img");
    EXPECT_GT(picture.attributes.at("aria-label").size(), 40u);
  }
}

TEST(PlanPage, IdsAreUnique) {
  std::set<std::string> ids;
  for (const test::Element& element : read(plan_page(sample_page(false)))) {
    const auto id = element.attributes.find("id");
    if (id == element.attributes.end()) continue;
    EXPECT_TRUE(ids.insert(id->second).second) << id->second;
  }
  EXPECT_TRUE(ids.contains("steps"));
}

TEST(PlanPage, ItsScriptReadsTheSteps) {
  const PlanPage sample = sample_page(true);
  const auto scripts = named(read(plan_page(sample)), "script");
  const auto data = std::ranges::find_if(scripts, [](const auto& e) { return e.attributes.contains("id"); });
  ASSERT_NE(data, scripts.end());
  const auto rows = nlohmann::json::parse(data->text);
  ASSERT_EQ(rows.size(), sample.plan.steps.size());
  EXPECT_EQ(rows[1][2], kNastyLayer);
  EXPECT_EQ(rows[1][3], 3500);
}

TEST(PlanPage, APlanWithoutStepsHasNoPicturesOfThem) {
  PlanPage page = sample_page(true);
  page.plan.steps.clear();
  page.buffers.clear();
  page.batches.clear();
  EXPECT_TRUE(named(read(plan_page(page)), "svg").empty());
}

TEST(PlanPage, AFarAwayBudgetDoesNotFlattenThePicture) {
  PlanPage page = sample_page(true);
  const auto lines = [](const PlanPage& shown) {
    const std::string text = memory_curve(shown);
    return text.find("level budget") != std::string::npos;
  };
  EXPECT_TRUE(lines(page));
  page.plan.budget_bytes = 1'000'000;
  EXPECT_FALSE(lines(page));
}

TEST(TimelineCsv, QuotesWhatNeedsIt) {
  const std::string csv = timeline_csv(sample_page(true).plan.steps);
  EXPECT_TRUE(
      csv.starts_with("step,phase,op,layer,algorithm,live_bytes,arena_bytes,workspace_bytes,flops,bytes,seconds\n"
                      "0,forward,conv_forward,\"a<b>&\"\"c\"\",]]></script>\",jit,2000,2000,0,10,20,0.5\n"))
      << csv;
  EXPECT_EQ(std::ranges::count(csv, '\n'), 5);
}

TEST(HtmlText, EscapesMarkupAndMendsText) {
  struct Row {
    std::string_view text, html;
  };
  for (const Row& row :
       {Row{"a<b>&\"", "a&lt;b&gt;&amp;&quot;"}, Row{"3×3 \xF0\x9F\x98\x80", "3×3 \xF0\x9F\x98\x80"},
        Row{"\xff", "\xEF\xBF\xBD"}, Row{"\xC3", "\xEF\xBF\xBD"},
        Row{"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}, Row{"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        Row{std::string_view("a\0b", 3),
            "a\xEF\xBF\xBD"
            "b"},
        Row{"\x1b[1m", "\xEF\xBF\xBD[1m"}, Row{"a\tb\n", "a\tb\n"}, Row{"", ""}}) {
    EXPECT_EQ(html_text(row.text), row.html);
  }
}

TEST(ShortNumber, SaysNoMoreThanItMust) {
  EXPECT_EQ(short_number(3), "3");
  EXPECT_EQ(short_number(0.504), "0.5");
  EXPECT_EQ(short_number(-0.001), "0");
  EXPECT_EQ(short_number(100), "100");
  EXPECT_EQ(short_number(12.345678), "12.35");
}

}  // namespace
}  // namespace snug
