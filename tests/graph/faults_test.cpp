// Every finding with its arithmetic and fix, and beside it the nearest net about which nothing may be said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/findings.h"
#include "graph/layers.h"

namespace snug::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr Padding kSame{.kind = Padding::Kind::same};
Padding pixels(std::int64_t count) { return {.kind = Padding::Kind::number, .pixels = {count, count}}; }

LayerConfig conv(ConvLayer what) {
  return layer_at(7, {"conv", "kernel", "groups", "stride", "padding", "dilation"}, what);
}
LayerConfig pool(PoolLayer what) { return layer_at(7, {"maxpool", "padding"}, what); }
LayerConfig dense(std::int64_t units) { return layer_at(9, {"dense"}, DenseLayer{.units = units}); }
const LayerConfig kGlobal = layer(GlobalAveragePoolLayer{});
const LayerConfig kFlatten = layer(FlattenLayer{});

struct FaultCase {
  std::string name;
  std::array<std::int64_t, 3> input;
  LayerList faulty;
  std::string code, where, what, fix;  // what, fix: parts of the text
  LayerList near_miss;                 // sound
};
void PrintTo(const FaultCase& c, std::ostream* out) { *out << c.name; }

class Fault : public testing::TestWithParam<FaultCase> {};

TEST_P(Fault, IsOneFindingWithPlaceArithmeticAndFix) {
  const FaultCase& c = GetParam();
  const Built built = build(c.input, c.faulty);
  ASSERT_EQ(built.findings.size(), 1U);
  const Diagnostic& found = built.findings[0];
  EXPECT_EQ(found.code, c.code);
  EXPECT_EQ(found.severity, Severity::error);
  EXPECT_EQ(found.where, c.where);
  EXPECT_THAT(found.what, HasSubstr(c.what));
  EXPECT_THAT(found.fix, HasSubstr(c.fix));
  EXPECT_EQ(elide(found.what, 160), found.what) << "longer than 160 characters";
}

TEST_P(Fault, IsNotSeenInTheNearMiss) {
  EXPECT_THAT(build(GetParam().input, GetParam().near_miss).findings, IsEmpty());
}

ConvLayer conv3(std::int64_t filters, std::int64_t stride = 1) {
  return {.filters = filters, .kernel = {3, 3}, .stride = {stride, stride}, .padding = kSame};
}
LayerConfig residual(LayerList body, LayerList shortcut = {}) {
  std::vector<std::string> keys{"residual"};
  if (!shortcut.empty()) keys.push_back("shortcut");
  return layer_at(5, keys, ResidualLayer{.body = std::move(body), .shortcut = std::move(shortcut)});
}
LayerConfig branches(std::vector<LayerList> lists) {
  return layer_at(6, {"branches"}, BranchesLayer{.branches = std::move(lists)});
}
LayerConfig shortcut(std::int64_t filters, std::int64_t stride) {
  return layer(ConvLayer{.filters = filters, .stride = {stride, stride}, .norm = true});
}

INSTANTIATE_TEST_SUITE_P(Windows, Fault,
                         testing::Values(FaultCase{"kernel larger than its input",
                                                   {3, 3, 4},
                                                   {conv({.filters = 8, .kernel = {5, 5}})},
                                                   "A101",
                                                   "net.toml:7:23",
                                                   "layer '0': kernel 5 on 3×3 input",
                                                   "kernel = 3   # the largest that fits, or padding = \"same\"",
                                                   {conv({.filters = 8, .kernel = {3, 3}})}},
                                         FaultCase{"kernel larger than its padded input",
                                                   {3, 3, 4},
                                                   {conv({.filters = 8, .kernel = {7, 7}, .padding = pixels(1)})},
                                                   "A101",
                                                   "net.toml:7:23",
                                                   "kernel 7 on 3×3 input, 5×5 with padding",
                                                   "kernel = 5 ",
                                                   {conv({.filters = 8, .kernel = {5, 5}, .padding = pixels(1)})}},
                                         FaultCase{"dilated kernel",
                                                   {8, 8, 4},
                                                   {conv({.filters = 8, .kernel = {3, 3}, .dilation = {4, 4}})},
                                                   "A101",
                                                   "net.toml:7:23",
                                                   "kernel 3 on 8×8 input reaches over 9×9",
                                                   "kernel = 2 ",
                                                   {conv({.filters = 8, .kernel = {3, 3}, .dilation = {3, 3}})}},
                                         FaultCase{"one axis alone",
                                                   {8, 2, 4},
                                                   {conv({.filters = 8, .kernel = {5, 3}})},
                                                   "A101",
                                                   "net.toml:7:23",
                                                   "kernel 5×3 on 8×2 input",
                                                   "kernel = [5, 2] ",
                                                   {conv({.filters = 8, .kernel = {5, 2}})}},
                                         FaultCase{"\"same\" always fits",
                                                   {1, 1, 4},
                                                   {conv({.filters = 8, .kernel = {2, 2}})},
                                                   "A101",
                                                   "net.toml:7:23",
                                                   "kernel 2 on 1×1 input",
                                                   "remove this conv",
                                                   {conv({.filters = 8, .kernel = {5, 5}, .padding = kSame})}},
                                         FaultCase{"pool larger than its input",
                                                   {3, 3, 4},
                                                   {pool({.size = {4, 4}})},
                                                   "A101",
                                                   "net.toml:7:13",
                                                   "maxpool 4 on 3×3 input",
                                                   "maxpool = 3 ",
                                                   {pool({.size = {4, 4}, .stride = {2, 2}, .ceil = true})}},
                                         FaultCase{"shrunk to nothing",
                                                   {4, 4, 4},
                                                   {layer(PoolLayer{}), layer(PoolLayer{}), pool({})},
                                                   "A101",
                                                   "net.toml:7:13",
                                                   "layer '2': maxpool 2 on 1×1 input",
                                                   "remove this maxpool: its input has shrunk to 1×1",
                                                   {layer(PoolLayer{}), pool({})}},
                                         FaultCase{
                                             "a repeat that shrinks to nothing",
                                             {16, 16, 4},
                                             {layer(BlockLayer{.layers = {conv(conv3(4)), pool({})}, .repeat = 5})},
                                             "A101",
                                             "net.toml:7:13",
                                             "layer '0.4.1': maxpool 2 on 1×1 input",
                                             "repeat = 4 ",
                                             {layer(BlockLayer{.layers = {conv(conv3(4)), pool({})}, .repeat = 4})}},
                                         FaultCase{"padding over half of the window",
                                                   {8, 8, 4},
                                                   {pool({.size = {3, 3}, .padding = pixels(2)})},
                                                   "A109",
                                                   "net.toml:7:23",
                                                   "padding 2 is more than half of the window of 3×3",
                                                   "padding = 1",
                                                   {pool({.size = {3, 3}, .padding = pixels(1)})}},
                                         FaultCase{"maxpool beyond a byte of places",
                                                   {32, 32, 4},
                                                   {pool({.size = {16, 16}})},
                                                   "A101",
                                                   "net.toml:7:13",
                                                   "16×16",
                                                   "maxpool = 15",
                                                   {pool({.size = {15, 15}})}}));

INSTANTIATE_TEST_SUITE_P(
    Channels, Fault,
    testing::Values(FaultCase{"groups do not divide the input",
                              {8, 8, 6},
                              {conv({.filters = 8, .kernel = {3, 3}, .groups = 4})},
                              "A102",
                              "net.toml:7:33",
                              "groups = 4 must divide both 6 input channels and 8 filters",
                              "groups = 2",
                              {conv({.filters = 8, .kernel = {3, 3}, .groups = 2})}},
                    FaultCase{"groups do not divide the filters",
                              {8, 8, 6},
                              {conv({.filters = 8, .kernel = {3, 3}, .groups = 3})},
                              "A102",
                              "net.toml:7:33",
                              "groups = 3 must divide both 6 input channels and 8 filters",
                              "groups = 2",
                              {conv({.filters = 9, .kernel = {3, 3}, .groups = 3})}},
                    FaultCase{"dense on a map",
                              {7, 7, 512},
                              {dense(10)},
                              "A104",
                              "net.toml:9:13",
                              "7×7×512",
                              "global_avgpool",
                              {kGlobal, dense(10)}},
                    FaultCase{"dense on a 1×1 map",
                              {1, 1, 512},
                              {dense(10)},
                              "A104",
                              "net.toml:9:13",
                              "1×1×512",
                              "flatten",
                              {kFlatten, dense(10)}},
                    FaultCase{"conv on flat values",
                              {8, 8, 3},
                              {kFlatten, conv(conv3(4))},
                              "A103",
                              "net.toml:7:13",
                              "receives 192 flat values",
                              "before flatten",
                              {conv(conv3(4)), kFlatten}},
                    FaultCase{"pool on flat values",
                              {8, 8, 3},
                              {kGlobal, pool({})},
                              "A103",
                              "net.toml:7:13",
                              "receives 3 flat values",
                              "before flatten",
                              {pool({}), kGlobal}},
                    FaultCase{"squeeze_excite on flat values",
                              {8, 8, 3},
                              {kGlobal, layer_at(7, {"squeeze_excite"}, SqueezeExciteLayer{.reduced = 1})},
                              "A103",
                              "net.toml:7:13",
                              "receives 3 flat values",
                              "before flatten",
                              {layer(SqueezeExciteLayer{.reduced = 1}), kGlobal, layer(BatchNormLayer{})}}));

INSTANTIATE_TEST_SUITE_P(
    Joins, Fault,
    testing::Values(FaultCase{"more channels than the identity",
                              {8, 8, 16},
                              {residual({conv(conv3(32))})},
                              "A105",
                              "net.toml:5:13",
                              "layer '0': the body ends in 8×8×32, the identity shortcut in 8×8×16",
                              "shortcut = [ { conv = 32, kernel = 1, stride = 1, norm = \"batch\" } ]",
                              {residual({conv(conv3(32))}, {shortcut(32, 1)})}},
                    FaultCase{"strided body",
                              {15, 15, 16},
                              {residual({conv(conv3(32, 2)), conv(conv3(32, 2))})},
                              "A105",
                              "net.toml:5:13",
                              "4×4×32, the identity shortcut in 15×15×16",
                              "shortcut = [ { conv = 32, kernel = 1, stride = 4, norm = \"batch\" } ]",
                              {residual({conv(conv3(32, 2)), conv(conv3(32, 2))}, {shortcut(32, 4)})}},
                    FaultCase{"body without padding",
                              {8, 8, 16},
                              {residual({conv({.filters = 16, .kernel = {3, 3}})})},
                              "A105",
                              "net.toml:5:13",
                              "6×6×16, the identity shortcut in 8×8×16",
                              "padding = \"same\"",
                              {residual({conv(conv3(16))})}},
                    FaultCase{"body without padding that a stride would fit",
                              {4, 4, 16},
                              {residual({conv({.filters = 16, .kernel = {3, 3}})})},
                              "A105",
                              "net.toml:5:13",
                              "2×2×16, the identity shortcut in 4×4×16",
                              "padding = \"same\"",
                              {residual({conv(conv3(16))})}},
                    FaultCase{"wrong shortcut",
                              {8, 8, 16},
                              {residual({conv(conv3(32, 2))}, {shortcut(32, 1)})},
                              "A105",
                              "net.toml:5:23",
                              "4×4×32, the shortcut in 8×8×32",
                              "shortcut = [ { conv = 32, kernel = 1, stride = 2, norm = \"batch\" } ]",
                              {residual({conv(conv3(32, 2))}, {shortcut(32, 2)})}},
                    FaultCase{"flat residual",
                              {8, 8, 16},
                              {kGlobal, residual({dense(8)})},
                              "A105",
                              "net.toml:5:13",
                              "the body ends in 8, the identity shortcut in 16",
                              "shortcut = [ { dense = 8 } ]",
                              {kGlobal, residual({dense(16)})}},
                    FaultCase{"branches of different size",
                              {8, 8, 16},
                              {branches({{conv(conv3(4))}, {conv(conv3(4, 2))}})},
                              "A106",
                              "net.toml:6:13",
                              "8×8×4 and 4×4×4",
                              "same strides",
                              {branches({{conv(conv3(4, 2))}, {conv(conv3(7, 2))}})}},
                    FaultCase{"a flat branch beside a map",
                              {1, 1, 16},
                              {branches({{}, {kFlatten}})},
                              "A106",
                              "net.toml:6:13",
                              "1×1×16 and 16",
                              "branch",
                              {branches({{kFlatten}, {kGlobal}})}}));

INSTANTIATE_TEST_SUITE_P(
    Places, Fault,
    testing::Values(
        FaultCase{"two tensors of one name",
                  {8, 8, 4},
                  {layer(conv3(4), named("a")), layer_at(7, {"conv", "name"}, conv3(4), named("a"))},
                  "A107",
                  "net.toml:7:23",
                  "'a.weight' has the name of one at line 1",
                  "name = \"a_2\"",
                  {layer(conv3(4), named("a")), layer(PoolLayer{}, named("a")), layer(conv3(4), named("b"))}},
        FaultCase{"turns of one name",
                  {8, 8, 4},
                  {layer(BlockLayer{.layers = {conv(conv3(4))}, .repeat = 2}, {.turn = "turn"})},
                  "A107",
                  "net.toml:7:3",
                  "'0.turn.0.weight'",
                  "name = ",
                  {layer(BlockLayer{.layers = {conv(conv3(4))}, .repeat = 2}, {.turn = "turn{}"})}},
        FaultCase{
            "rates outside a repeat",
            {8, 8, 4},
            {layer_at(7, {"residual", "stochastic_depth"},
                      ResidualLayer{.body = {conv(conv3(4))}, .stochastic_depth = 0.1, .stochastic_depth_last = 0.2})},
            "A108",
            "net.toml:7:23",
            "stochastic_depth = [0.1, 0.2]",
            "stochastic_depth = 0.2",
            {layer(ResidualLayer{.body = {conv(conv3(4))}, .stochastic_depth = 0.1})}},
        FaultCase{"residual without body",
                  {8, 8, 4},
                  {residual({})},
                  "A110",
                  "net.toml:5:13",
                  "its residual holds no layers",
                  "residual = [",
                  {residual({conv(conv3(4))})}},
        FaultCase{"no branches",
                  {8, 8, 4},
                  {branches({})},
                  "A110",
                  "net.toml:6:13",
                  "its branches holds no layers",
                  "branches = [",
                  {branches({{}})}},
        FaultCase{"no layers", {8, 8, 4}, {}, "A110", "model.layers", "no layers", "layers = [", {kGlobal}},
        FaultCase{"tensor beyond any memory",
                  {8, 8, 4},
                  {kFlatten, dense(1'000'000'000), dense(1'000'000)},
                  "A111",
                  "net.toml:9:13",
                  "1e+15 values",
                  "fewer",
                  {kFlatten, dense(1'000'000), dense(1'000)}},
        FaultCase{
            "conv beyond any memory",
            {8, 8, 4},
            {conv({.filters = 2'000'000'000, .kernel = {1, 1}}), conv({.filters = 2'000'000'000, .kernel = {8, 8}})},
            "A111",
            "net.toml:7:13",
            "values fits no memory",
            "fewer",
            {conv({.filters = 2'000, .kernel = {1, 1}})}},
        FaultCase{"a repeat without end",
                  {8, 8, 4},
                  {layer(BlockLayer{.layers = {conv(conv3(1))}, .repeat = 1'000'000'000})},
                  "A111",
                  "net.toml:7:3",
                  "more than 100000 operations",
                  "repeat = 10",
                  {layer(BlockLayer{.layers = {conv(conv3(1))}, .repeat = 1'000})}},
        FaultCase{"stride 0",
                  {8, 8, 4},
                  {conv({.filters = 4, .kernel = {3, 3}, .stride = {0, 1}})},
                  "A112",
                  "net.toml:7:43",
                  "stride = 0 is not in 1 … 16384",
                  "stride = 1",
                  {conv({.filters = 4, .kernel = {3, 3}, .stride = {1, 8}})}}));

// ---- one finding per cause ------------------------------------------------------------------------------------

TEST(Findings, StopAtTheFaultyLayer) {
  const Built built = build({8, 8, 3}, {conv(conv3(4)), pool({}), conv({.filters = 8, .kernel = {9, 9}, .norm = true}),
                                        dense(10), dense(10)});
  ASSERT_EQ(built.findings.size(), 1U);
  EXPECT_EQ(built.graph.layers.size(), 2U);
  EXPECT_EQ(built.graph.nodes.size(), 3U);
  EXPECT_EQ(built.graph.output, NodeId(2));
}

TEST(Findings, LookIntoEveryBranch) {
  const LayerConfig bad = conv({.filters = 8, .kernel = {9, 9}});
  EXPECT_EQ(build({8, 8, 3}, {branches({{bad}, {conv(conv3(4))}, {bad}})}).findings.size(), 2U);
  EXPECT_EQ(build({8, 8, 3}, {residual({bad}, {bad})}).findings.size(), 2U);
}

TEST(Findings, KeepWithin160Characters) {
  const std::string part(70, 'x');
  const Built built =
      build({3, 3, 1}, {layer(BlockLayer{{layer(BlockLayer{{conv({.filters = 8, .kernel = {5, 5}})}}, named(part))}},
                              named("first" + part))});
  ASSERT_EQ(built.findings.size(), 1U);
  const std::string& what = built.findings[0].what;
  EXPECT_EQ(elide(what, 160), what);
  EXPECT_THAT(what, HasSubstr("kernel 5 on 3×3 input: it does not fit"));
  EXPECT_THAT(what, HasSubstr("firstx"));
}

TEST(Findings, NameAnInputThatIsNoImage) {
  const Built built = build({8, 0, 4}, {kGlobal});
  ASSERT_EQ(built.findings.size(), 1U);
  EXPECT_EQ(built.findings[0].code, "A110");
  EXPECT_THAT(built.findings[0].what, HasSubstr("[8, 0, 4]"));
}

TEST(Elide, CountsCharactersNotBytes) {
  EXPECT_EQ(elide("abcdef", 6), "abcdef");
  EXPECT_EQ(elide("abcdef", 5), "ab…ef");
  EXPECT_EQ(elide("××××××", 6), "××××××");
  EXPECT_EQ(elide("××××××", 4), "××…×");
}

}  // namespace
}  // namespace snug::test
