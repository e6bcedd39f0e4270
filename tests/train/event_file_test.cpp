#include "train/event_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "base/file.h"
#include "train/event_pictures.h"
#include "train/test_folder.h"

namespace snug {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Protobuf, is_the_wire_format) {
  ProtoMessage inner, message;
  inner.bytes(1, "ab");
  message.integer(1, 300).single(2, 1.0).message(3, inner).real(4, -2.0).integer(5, -1);
  const std::string expected(
      "\x08\xac\x02\x15\x00\x00\x80\x3f\x1a\x04\x0a\x02\x61\x62\x21\0\0\0\0\0\0\x00\xc0\x28"
      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
      34);
  EXPECT_EQ(message.data(), expected);
}

TEST(EventRecord, has_lengths_and_masked_checksums) {
  const std::string record = tf_record("abc");
  ASSERT_EQ(record.size(), 8U + 4U + 3U + 4U);
  EXPECT_EQ(record.substr(0, 8), std::string("\x03\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(record.substr(12, 3), "abc");
  EXPECT_NE(tf_record("abd").substr(15), record.substr(15));
}

TEST(Histogram, counts_finite_values_in_equal_parts) {
  const std::vector<float> values{-1.0F, 0.0F, 0.5F, 3.0F, std::numeric_limits<float>::infinity()};
  const Histogram made = histogram_of(values);
  EXPECT_EQ(made.count, 4);
  EXPECT_EQ(made.min, -1.0);
  EXPECT_EQ(made.max, 3.0);
  EXPECT_EQ(made.sum, 2.5);
  EXPECT_EQ(made.counts[0], 1);
  EXPECT_EQ(made.counts[16], 1) << "0 is a quarter of the way";
  EXPECT_EQ(made.counts[Histogram::kBins - 1], 1);
  EXPECT_EQ(std::reduce(made.counts.begin(), made.counts.end()), 4.0);
  EXPECT_EQ(histogram_of(std::vector<float>(3, 2.0F)).counts.back(), 3);
  EXPECT_EQ(histogram_of({}).count, 0);
}

TEST(EventFile, that_goes_on_takes_back_what_was_not_committed) {
  const TestFolder folder;
  EventMark committed;
  {
    EventFile file(folder.path(), {}, 0);
    file.add(0, {scalar_value("kept", 1)});
    committed = file.mark();
    file.add(1, {scalar_value("lost", 1)});
  }
  { EventFile killed(folder.path(), committed, 1); }
  EventFile file(folder.path(), committed, 1);
  EXPECT_EQ(folder.count(), 2) << "what a killed process began is gone";
  const std::string first = read_text(folder.path() / committed.file);
  EXPECT_THAT(first, HasSubstr("kept"));
  EXPECT_THAT(first, Not(HasSubstr("lost")));
  EXPECT_GT(file.mark().file, committed.file) << "readers take files by their names";
}

TEST(EventFile, touches_no_file_that_is_not_its_own) {
  const TestFolder folder;
  write_text(folder.path() / "events.out.tfevents.9999999999.host.7.0", "another program's");
  write_text(folder.path() / "notes.txt", "mine");
  const EventFile file(folder.path(), {.file = "notes.txt", .bytes = 1}, 0);
  EXPECT_EQ(folder.count(), 3);
  EXPECT_EQ(read_text(folder.path() / "notes.txt"), "mine");
}

TEST(EventPictures, shade_right_and_wrong_cells) {
  const Picture picture = confusion_picture({{4, 0}, {1, 3}}, {"cat", "dog"});
  const auto has = [&](int r, int g, int b) {
    for (std::size_t i = 0; i + 2 < picture.pixels.size(); i += 3)
      if (picture.pixels[i] == r && picture.pixels[i + 1] == g && picture.pixels[i + 2] == b) return true;
    return false;
  };
  EXPECT_TRUE(has(110, 165, 235)) << "a row that is all right";
  EXPECT_FALSE(has(240, 130, 110)) << "no row is all wrong";
  EXPECT_EQ(outcome_text({.truth = 0, .predicted = 0, .probability = 0.93F}, {"cat", "dog"}), "cat 93%");
  EXPECT_EQ(outcome_text({.truth = 0, .predicted = 1}, {"cat", "dog"}), "dog, is cat");
}

}  // namespace
}  // namespace snug
