#include "runtime/finite.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <vector>

namespace snug {
namespace {

struct Row {
  DType dtype;
  std::uint64_t bits;  // of element 5 of 8; the others are 0
  bool finite;
};

TEST(FindNotFinite, EveryType) {
  const Row rows[] = {
      {DType::f32, 0x7F800000, false},
      {DType::f32, 0xFFC00001, false},
      {DType::f32, 0x7F7FFFFF, true},
      {DType::f64, 0x7FF0000000000000, false},
      {DType::f64, 0x7FEFFFFFFFFFFFFF, true},
      {DType::bf16, 0x7F80, false},
      {DType::bf16, 0xFFFF, false},
      {DType::bf16, 0x7F7F, true},
      {DType::f16, 0x7C00, false},
      {DType::f16, 0x7E00, false},
      {DType::f16, 0x7BFF, true},
      {DType::f16, 0x0001, true},
      {DType::u8, 0xFF, true},
      {DType::i32, 0x7F800000, true},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(testing::Message() << to_string(row.dtype) << " " << std::hex << row.bits);
    const auto width = static_cast<std::size_t>(size_bytes(row.dtype));
    std::vector<std::byte> data(8 * width);
    std::memcpy(data.data() + 5 * width, &row.bits, width);
    Program program;
    const TensorId id = ProgramBuilder(program).add_tensor({.name = "t", .shape = {2, 4}, .dtype = row.dtype});
    const auto bad = find_not_finite(program[id], data.data());
    ASSERT_EQ(bad.has_value(), !row.finite);
    if (bad) {
      EXPECT_EQ(bad->element, 5);
      EXPECT_FALSE(std::isfinite(bad->value));
    }
  }
}

TEST(FindNotFinite, LooksOnlyInsideAPitchedView) {
  Program program;
  ProgramBuilder builder(program);
  const TensorId whole = builder.add_tensor({.name = "t", .shape = {2, 3, 4}});
  const TensorId slice = builder.add_channel_slice(whole, 1, 2, "slice");
  std::array<float, 24> data{};
  data[3] = NAN;  // channel 3 of the first pixel: outside
  const auto* first = reinterpret_cast<const std::byte*>(data.data() + 1);
  EXPECT_FALSE(find_not_finite(program[slice], first).has_value());
  data[4 * 4 + 2] = NAN;  // channel 2 of pixel 4: element 4·2 + 1 of the slice
  const auto bad = find_not_finite(program[slice], first);
  ASSERT_TRUE(bad.has_value());
  EXPECT_EQ(bad->element, 9);
}

}  // namespace
}  // namespace snug
