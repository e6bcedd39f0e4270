#include "graph/windows.h"

#include <gtest/gtest.h>

#include "ops/op.h"

namespace snug {
namespace {

constexpr Padding kSame{.kind = Padding::Kind::same};
Padding pixels(std::int64_t count) { return {.kind = Padding::Kind::number, .pixels = {count, count}}; }

struct WindowCase {
  std::int64_t input;
  std::int64_t kernel, stride = 1, dilation = 1;
  Padding padding{};
  bool ceil = false;
  std::int64_t begin = 0, end = 0, output = 0;  // expected
};

class WindowRule : public testing::TestWithParam<WindowCase> {};

TEST_P(WindowRule, PadsAndCounts) {
  const WindowCase& c = GetParam();
  const Window window = resolve_window({.kernel = {c.kernel, c.kernel},
                                        .stride = {c.stride, c.stride},
                                        .dilation = {c.dilation, c.dilation},
                                        .padding = c.padding,
                                        .ceil = c.ceil},
                                       {c.input, c.input, 1});
  for (const std::size_t axis : {0U, 1U}) {
    EXPECT_EQ(window.pad_begin[axis], c.begin);
    EXPECT_EQ(window.pad_end[axis], c.end);
    EXPECT_EQ(window_extent(window, static_cast<int>(axis), c.input), c.output);
  }
}

// "same": the figures of Keras; numbers and ceil: those of PyTorch 2.
INSTANTIATE_TEST_SUITE_P(
    Table, WindowRule,
    testing::Values(
        WindowCase{.input = 28, .kernel = 3, .output = 26},
        WindowCase{.input = 28, .kernel = 3, .padding = kSame, .begin = 1, .end = 1, .output = 28},
        WindowCase{.input = 28, .kernel = 3, .stride = 2, .padding = kSame, .begin = 0, .end = 1, .output = 14},
        WindowCase{.input = 27, .kernel = 3, .stride = 2, .padding = kSame, .begin = 1, .end = 1, .output = 14},
        WindowCase{.input = 224, .kernel = 7, .stride = 2, .padding = kSame, .begin = 2, .end = 3, .output = 112},
        WindowCase{.input = 28, .kernel = 2, .padding = kSame, .begin = 0, .end = 1, .output = 28},
        WindowCase{.input = 2, .kernel = 5, .padding = kSame, .begin = 2, .end = 2, .output = 2},
        WindowCase{.input = 10, .kernel = 1, .stride = 3, .padding = kSame, .output = 4},
        WindowCase{.input = 9, .kernel = 3, .dilation = 2, .padding = kSame, .begin = 2, .end = 2, .output = 9},
        WindowCase{.input = 224, .kernel = 7, .stride = 2, .padding = pixels(3), .begin = 3, .end = 3, .output = 112},
        WindowCase{.input = 9, .kernel = 3, .dilation = 3, .padding = pixels(1), .begin = 1, .end = 1, .output = 5},
        // ceil: squeezenet's pools, a last window that would start in the padding, one larger than its input
        WindowCase{.input = 109, .kernel = 3, .stride = 2, .ceil = true, .output = 54},
        WindowCase{.input = 112, .kernel = 3, .stride = 2, .ceil = true, .end = 1, .output = 56},
        WindowCase{.input = 112, .kernel = 3, .stride = 2, .output = 55},
        WindowCase{.input = 4,
                   .kernel = 2,
                   .stride = 3,
                   .padding = pixels(1),
                   .ceil = true,
                   .begin = 1,
                   .end = 1,
                   .output = 2},
        WindowCase{.input = 5,
                   .kernel = 2,
                   .stride = 3,
                   .padding = pixels(1),
                   .ceil = true,
                   .begin = 1,
                   .end = 1,
                   .output = 2},
        WindowCase{.input = 6,
                   .kernel = 2,
                   .stride = 3,
                   .padding = pixels(1),
                   .ceil = true,
                   .begin = 1,
                   .end = 1,
                   .output = 3},
        WindowCase{.input = 2, .kernel = 3, .stride = 2, .ceil = true, .end = 1, .output = 1},
        WindowCase{.input = 3, .kernel = 5, .output = 0}));

TEST(WindowRule, TakesRowsAndColumnsApart) {
  const Window window = resolve_window({.kernel = {1, 7}, .stride = {2, 1}, .padding = kSame}, {8, 9, 3});
  EXPECT_EQ(window.pad_begin, (Extent2{0, 3}));
  EXPECT_EQ(window.pad_end, (Extent2{0, 3}));
  EXPECT_EQ(window_extent(window, 0, 8), 4);
  EXPECT_EQ(window_extent(window, 1, 9), 9);
}

}  // namespace
}  // namespace snug
