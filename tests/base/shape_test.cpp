#include "base/shape.h"

#include <vector>

#include <gtest/gtest.h>

#include "base/dtype.h"
#include "base/ids.h"

namespace snug {
namespace {

TEST(Shape, counts_elements) {
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_EQ((Shape{7}.elements()), 7);
  EXPECT_EQ((Shape{2, 3, 5, 7}.elements()), 210);
  EXPECT_EQ((Shape{4, 0, 3}.elements()), 0);
  EXPECT_EQ((Shape{65535, 224, 224, 64}.elements()), std::int64_t{65535} * 224 * 224 * 64);  // more than 32 bits
}

TEST(Shape, compares_by_rank_and_extents) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2}), (Shape{2, 1}));
  EXPECT_NE(Shape{}, Shape{1});
}

TEST(Shape, takes_a_batch_in_front) {
  const Shape image{28, 27, 3};
  EXPECT_EQ(image.with_batch(5), (Shape{5, 28, 27, 3}));
  EXPECT_EQ(Shape{}.with_batch(5), Shape{5});
  EXPECT_EQ(image.back(), 3);
  EXPECT_EQ(image.rank(), 3);
}

TEST(Shape, reads_as_people_write_it) {
  EXPECT_EQ(to_string(Shape{28, 28, 1}), "28×28×1");
  EXPECT_EQ(to_string(Shape{10}), "10");
  EXPECT_EQ(to_string(Shape{}), "scalar");
}

TEST(ShapeDeathTest, has_at_most_five_axes) {
  const std::vector<std::int64_t> six(6, 1);
  EXPECT_DEATH(Shape{std::span<const std::int64_t>(six)}, "at most 5 axes");
  EXPECT_DEATH((void)Shape({1, 2, 3, 4, 5}).with_batch(1), "no room");
}

TEST(DType, knows_its_size) {
  EXPECT_EQ(size_bytes(DType::u8), 1);
  EXPECT_EQ(size_bytes(DType::bf16), 2);
  EXPECT_EQ(size_bytes(DType::f16), 2);
  EXPECT_EQ(size_bytes(DType::f32), 4);
  EXPECT_EQ(size_bytes(DType::i32), 4);
  EXPECT_EQ(size_bytes(DType::f64), 8);
  EXPECT_EQ(size_bytes(DType::i64), 8);
  EXPECT_TRUE(is_floating(DType::bf16));
  EXPECT_FALSE(is_floating(DType::u8));
}

TEST(Id, refers_to_nothing_by_default) {
  EXPECT_FALSE(TensorId{}.valid());
  EXPECT_TRUE(TensorId{0}.valid());
  EXPECT_LT(TensorId{1}, TensorId{2});
  static_assert(!std::is_convertible_v<TensorId, StepId>);
}

}  // namespace
}  // namespace snug
