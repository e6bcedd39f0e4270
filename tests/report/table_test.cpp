#include "report/table.h"

#include <gtest/gtest.h>

namespace snug {
namespace {

TEST(Table, AlignsColumnsByWhatIsSeen) {
  Table table({"layer", ">size"});
  table.add_row({"a", "1 KiB"});
  table.add_row({"3×3", "17 KiB"});
  EXPECT_EQ(table.text(1),
            " layer    size\n"
            " a       1 KiB\n"
            " 3×3    17 KiB\n");
}

TEST(Table, LeavesNoTrailingSpaces) {
  Table table({"name", "note"});
  table.add_row({"x", ""});
  EXPECT_EQ(table.text(0), "name  note\nx\n");
}

TEST(DisplayWidth, CountsCodePoints) {
  EXPECT_EQ(display_width("3×3"), 3U);
  EXPECT_EQ(display_width(""), 0U);
  EXPECT_EQ(pad_left("×", 3), "  ×");
  EXPECT_EQ(pad_right("wide", 2), "wide");
}

}  // namespace
}  // namespace snug
