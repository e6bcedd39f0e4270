#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/placement.h"

namespace snug {
namespace {

using ::testing::HasSubstr;

struct Verdict {
  const char* name;
  std::vector<Buffer> buffers;
  std::vector<std::int64_t> offsets;
  const char* says;  // of the first fault; empty: sound
  std::int64_t alignment = 1;
  std::int64_t capacity = 1000;
};

const Verdict kVerdicts[] = {
    {.name = "nothing", .says = ""},
    {.name = "beside", .buffers = {{10, {0, 5}}, {10, {0, 5}}}, .offsets = {0, 10}, .says = ""},
    {.name = "after", .buffers = {{10, {0, 5}}, {10, {5, 9}}}, .offsets = {0, 0}, .says = ""},
    {.name = "before", .buffers = {{10, {5, 9}}, {10, {0, 5}}}, .offsets = {0, 0}, .says = ""},
    {.name = "empty size", .buffers = {{10, {0, 5}}, {0, {0, 5}}}, .offsets = {0, 4}, .says = ""},
    {.name = "empty life", .buffers = {{10, {0, 5}}, {10, {3, 3}}}, .offsets = {0, 4}, .says = ""},
    {.name = "full", .buffers = {{1000, {0, 5}}}, .offsets = {0}, .says = ""},
    {.name = "same place", .buffers = {{10, {0, 5}}, {10, {4, 9}}}, .offsets = {0, 0}, .says = "overlap"},
    {.name = "one byte", .buffers = {{10, {0, 5}}, {10, {4, 9}}}, .offsets = {9, 0}, .says = "overlap"},
    {.name = "inside", .buffers = {{100, {0, 9}}, {1, {4, 5}}}, .offsets = {0, 50}, .says = "overlap"},
    {.name = "around", .buffers = {{1, {0, 9}}, {100, {4, 5}}}, .offsets = {50, 0}, .says = "overlap"},
    {.name = "behind another",
     .buffers = {{100, {0, 9}}, {10, {1, 3}}, {10, {4, 6}}},
     .offsets = {0, 100, 90},
     .says = "buffers 0 and 2 overlap"},
    {.name = "count", .buffers = {{10, {0, 5}}}, .offsets = {}, .says = "1 buffers but 0 offsets"},
    {.name = "negative offset", .buffers = {{10, {0, 5}}}, .offsets = {-1}, .says = "negative offset"},
    {.name = "negative size", .buffers = {{-10, {0, 5}}}, .offsets = {0}, .says = "negative size"},
    {.name = "reversed life", .buffers = {{10, {5, 4}}}, .offsets = {0}, .says = "before it begins"},
    {.name = "misaligned", .buffers = {{10, {0, 5}}}, .offsets = {8}, .says = "not aligned to 16", .alignment = 16},
    {.name = "too high", .buffers = {{10, {0, 5}}}, .offsets = {991}, .says = "above the capacity 1000"},
    {.name = "overflow",
     .buffers = {{10, {0, 5}}},
     .offsets = {std::numeric_limits<std::int64_t>::max() - 1},
     .says = "above the capacity",
     .capacity = std::numeric_limits<std::int64_t>::max()},
};

TEST(Validate, Verdicts) {
  for (const Verdict& verdict : kVerdicts) {
    SCOPED_TRACE(verdict.name);
    const auto faults = validate(verdict.buffers, verdict.offsets, verdict.alignment, verdict.capacity);
    if (std::string_view(verdict.says).empty()) {
      EXPECT_THAT(faults, ::testing::IsEmpty());
    } else {
      ASSERT_FALSE(faults.empty());
      EXPECT_THAT(faults[0], HasSubstr(verdict.says));
    }
  }
}

TEST(Validate, NamesEveryFaultyBuffer) {
  const std::vector<Buffer> buffers{{10, {0, 5}}, {10, {0, 5}}, {10, {0, 5}}};
  EXPECT_EQ(validate(buffers, std::vector<std::int64_t>{-1, 0, 995}, 1, 1000).size(), 2u);
}

}  // namespace
}  // namespace snug
