#include <gtest/gtest.h>

#include "program/programs.h"

namespace snug {
namespace {

StorageId storage(const Program& program, std::string_view tensor) {
  const TensorId id = program.find(tensor);
  return id.valid() ? program[id].view.storage : StorageId{};
}

/// x → relu → y → relu → z; backward of the second: reads z or y.
struct Net {
  Program program;
  TensorId x, y, z, dz, dy;
  Net() {
    ProgramBuilder builder(program);
    x = test::image(builder, "x", Arena::input);
    y = test::image(builder, "y");
    z = test::image(builder, "z");
    dz = test::image(builder, "dz", Arena::input);
    dy = test::image(builder, "dy");
    builder.add_step(test::relu(x, y));
    builder.add_step(test::relu(y, z));
  }
  void backward(std::vector<Alternative> saved) {
    ProgramBuilder(program).add_step(test::relu_backward(dz, dy, std::move(saved)));
  }
};

TEST(ChooseSaved, TakesWhatIsAliveAnyway) {
  Net net;
  net.backward({{Saved::output, net.z}, {Saved::input, net.y}});
  // A later reader keeps y alive, so that the first alternative would cost more.
  ProgramBuilder builder(net.program);
  builder.add_step(test::relu_backward(net.dy, test::image(builder, "dx"), {{Saved::output, net.y}}));
  choose_saved(net.program);
  EXPECT_EQ(net.program.steps[2].chosen, Saved::input);
  EXPECT_EQ(net.program[net.program.steps[2].operands.back().tensor].name, "y");
  EXPECT_TRUE(verify(net.program).empty());
}

TEST(ChooseSaved, TiesGoToTheFirst) {
  Net net;
  net.backward({{Saved::output, net.z}, {Saved::input, net.y}});
  choose_saved(net.program);
  EXPECT_EQ(net.program.steps[2].chosen, Saved::output);
}

TEST(AliasInPlace, MergesWhatDies) {
  Net net;
  net.backward({{Saved::output, net.z}});
  choose_saved(net.program);
  alias_in_place(net.program);
  EXPECT_EQ(storage(net.program, "z"), storage(net.program, "y"));  // y dies where z is made
  EXPECT_NE(storage(net.program, "y"), storage(net.program, "x"));  // x belongs to the host
  EXPECT_NE(storage(net.program, "dy"), storage(net.program, "dz"));
  EXPECT_TRUE(verify(net.program).empty());
}

TEST(AliasInPlace, KeepsWhatIsReadLater) {
  Net net;
  net.backward({{Saved::input, net.y}});
  choose_saved(net.program);
  alias_in_place(net.program);
  EXPECT_NE(storage(net.program, "z"), storage(net.program, "y"));
}

TEST(AliasInPlace, ASumMayOverwriteEitherTerm) {
  for (const bool first_dies : {true, false}) {
    Program program;
    ProgramBuilder builder(program);
    const TensorId x = test::image(builder, "x", Arena::input);
    const TensorId a = test::image(builder, "a");
    const TensorId b = test::image(builder, "b");
    const TensorId sum = test::image(builder, "sum");
    const TensorId last = test::image(builder, "last");
    builder.add_step(test::relu(x, a));
    builder.add_step(test::relu(x, b));
    builder.add_step({.op = Op::add, .operands = {{a}, {b}, {sum, Access::out}}});
    builder.add_step({.op = Op::add, .operands = {{sum}, {first_dies ? b : a}, {last, Access::out}}});
    alias_in_place(program);
    EXPECT_EQ(storage(program, "sum"), storage(program, first_dies ? "a" : "b"));
    EXPECT_TRUE(verify(program).empty());
  }
}

TEST(AliasInPlace, LeavesSlicesAlone) {
  Program program;
  ProgramBuilder builder(program);
  const TensorId x = test::image(builder, "x", Arena::input);
  const TensorId whole = builder.add_tensor({.name = "whole", .shape = {2, 4, 4, 6}});
  const TensorId slice = builder.add_channel_slice(whole, 3, 3, "slice");
  const TensorId y = test::image(builder, "y");
  builder.add_step({.op = Op::copy, .operands = {{x}, {slice, Access::out}}});
  builder.add_step(test::relu(slice, y));
  alias_in_place(program);
  EXPECT_NE(storage(program, "y"), storage(program, "whole"));
}

TEST(Views, SlicesKnowTheirPlace) {
  Program program;
  ProgramBuilder builder(program);
  const TensorId whole = builder.add_tensor({.name = "whole", .shape = {5, 2, 3, 8}});
  const TensorInfo channels = program[builder.add_channel_slice(whole, 2, 5, "c")];
  EXPECT_EQ(channels.view.offset_bytes, 2 * 4);
  EXPECT_FALSE(is_packed(channels));
  EXPECT_EQ(extent_bytes(channels), ((5 * 2 * 3 - 1) * 8 + 5) * 4);
  const TensorInfo rows = program[builder.add_batch_slice(whole, 3, 2, "r")];
  EXPECT_EQ(rows.view.offset_bytes, 3 * 2 * 3 * 8 * 4);
  EXPECT_TRUE(is_packed(rows));
}

}  // namespace
}  // namespace snug
