#include "base/text.h"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace snug {
namespace {

TEST(ParseInteger, takes_the_whole_text_or_nothing) {
  struct Case {
    std::string_view text;
    std::optional<std::int64_t> expected;
  };
  const std::vector<Case> table{
      {"0", 0},
      {"-17", -17},
      {"9223372036854775807", std::numeric_limits<std::int64_t>::max()},
      {"9223372036854775808", std::nullopt},
      {"", std::nullopt},
      {" 1", std::nullopt},
      {"1 ", std::nullopt},
      {"1.0", std::nullopt},
      {"+1", std::nullopt},
      {"0x10", std::nullopt},
      {"12abc", std::nullopt},
  };
  for (const Case& c : table) EXPECT_EQ(parse_integer(c.text), c.expected) << '"' << c.text << '"';
}

TEST(ParseNumber, takes_finite_numbers_only) {
  struct Case {
    std::string_view text;
    std::optional<double> expected;
  };
  const std::vector<Case> table{
      {"0.5", 0.5},           {"-1e-3", -1e-3},        {"3", 3.0},
      {"5e-4", 5e-4},         {"", std::nullopt},      {"inf", std::nullopt},
      {"nan", std::nullopt},  {"1e999", std::nullopt}, {"1,5", std::nullopt},
      {"0.1x", std::nullopt}, {"-", std::nullopt},
  };
  for (const Case& c : table) EXPECT_EQ(parse_number(c.text), c.expected) << '"' << c.text << '"';
}

TEST(ParseSize, knows_powers_of_1024_and_of_1000) {
  struct Case {
    std::string_view text;
    std::optional<std::int64_t> expected;
  };
  const std::vector<Case> table{
      {"1000", 1000},
      {"17 B", 17},
      {"64KiB", 65536},
      {"512 MiB", 536870912},
      {"20GiB", 21474836480},
      {"1.5GiB", 1610612736},
      {"2TiB", 2199023255552},
      {"1KB", 1000},
      {"3 MB", 3000000},
      {"1.5GB", 1500000000},
      {"-1MiB", std::nullopt},
      {"", std::nullopt},
      {"MiB", std::nullopt},
      {"20Gib", std::nullopt},
      {"20 GiB free", std::nullopt},
      {"9999999999TiB", std::nullopt},
  };
  for (const Case& c : table) EXPECT_EQ(parse_size_bytes(c.text), c.expected) << '"' << c.text << '"';
}

TEST(Format, bytes_have_three_digits) {
  const std::vector<std::pair<std::int64_t, std::string>> table{
      {0, "0 B"},         {17, "17 B"},           {999, "999 B"},           {1024, "1.00 KiB"},
      {1536, "1.50 KiB"}, {327155712, "312 MiB"}, {1610612736, "1.50 GiB"}, {11811160064, "11.0 GiB"}};
  for (const auto& [bytes, text] : table) EXPECT_EQ(format_bytes(bytes), text);
}

TEST(Format, counts_have_commas) {
  const std::vector<std::pair<std::int64_t, std::string>> table{
      {0, "0"}, {999, "999"}, {1000, "1,000"}, {11173962, "11,173,962"}, {-1234, "-1,234"}, {-999, "-999"}};
  for (const auto& [count, text] : table) EXPECT_EQ(format_count(count), text);
}

TEST(Format, seconds_suit_people) {
  const std::vector<std::pair<double, std::string>> table{{0, "0.0 s"},         {4.14, "4.1 s"},
                                                          {192, "3 min 12 s"},  {65.4, "1 min 05 s"},
                                                          {7500, "2 h 05 min"}, {3600, "1 h 00 min"}};
  for (const auto& [seconds, text] : table) EXPECT_EQ(format_seconds(seconds), text);
}

TEST(Nearest, finds_typos_and_nothing_else) {
  const std::vector<std::string> candidates{"epochs", "batch", "optimizer", "loss", "lr"};
  struct Case {
    std::string_view word;
    std::optional<std::string> expected;
  };
  const std::vector<Case> table{
      {"epoch", "epochs"}, {"bacth", "batch"}, {"optimiser", "optimizer"},    {"los", "loss"},
      {"rl", "lr"},        {"batch", "batch"}, {"temperature", std::nullopt}, {"x", std::nullopt},
  };
  for (const Case& c : table) EXPECT_EQ(nearest(c.word, candidates), c.expected) << c.word;
  EXPECT_EQ(nearest("epochs", {}), std::nullopt);
}

}  // namespace
}  // namespace snug
