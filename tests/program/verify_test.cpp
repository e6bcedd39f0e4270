#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "program/programs.h"

namespace snug {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

/// input → relu → y → relu → z, sound as built; each case breaks one thing.
struct Chain {
  Program program;
  TensorId x, y, z;
  Chain() {
    ProgramBuilder builder(program);
    program.layers = {"0", "1"};
    x = test::image(builder, "x", Arena::input);
    y = test::image(builder, "y");
    z = test::image(builder, "z");
    builder.add_step(test::relu(x, y));
    builder.add_step(test::relu(y, z));
  }
};

TEST(Verify, AcceptsASoundProgram) { EXPECT_THAT(verify(Chain().program), IsEmpty()); }

TEST(Verify, FindsEveryKindOfFault) {
  struct Case {
    const char* name;
    std::function<void(Chain&)> breaking;
    const char* says;
  };
  const std::vector<Case> cases{
      {"read before write", [](Chain& c) { std::swap(c.program.steps[0], c.program.steps[1]); },
       "before anything wrote"},
      {"no such tensor", [](Chain& c) { c.program.steps[0].operands[0].tensor = TensorId{99}; }, "does not exist"},
      {"invalid tensor", [](Chain& c) { c.program.steps[0].operands[1].tensor = TensorId{}; }, "does not exist"},
      {"wrong access", [](Chain& c) { c.program.steps[0].operands[1].access = Access::inout; }, "operands are im"},
      {"missing operand", [](Chain& c) { c.program.steps[1].operands.pop_back(); }, "the op list says io"},
      {"view outside storage", [](Chain& c) { c.program[c.y].view.offset_bytes = 4; }, "outside its storage"},
      {"negative offset", [](Chain& c) { c.program[c.y].view.offset_bytes = -4; }, "outside its storage"},
      {"misaligned",
       [](Chain& c) {
         c.program[c.y].shape = {1};
         c.program[c.y].view.offset_bytes = 2;
       },
       "misaligned"},
      {"no such storage", [](Chain& c) { c.program[c.y].view.storage = StorageId{9}; }, "no such storage"},
      {"no such layer", [](Chain& c) { c.program[c.y].layer = LayerId{2}; }, "no such layer"},
      {"weights read behind their update",
       [](Chain& c) {
         c.program.steps[0].phase = Phase::update;
         c.program[c.y].role = Role::weight;
       },
       "after the update of y"},
      {"alternatives where none are read",
       [](Chain& c) {
         c.program.steps[1].saved = {{Saved::input, c.x}};
       },
       "reads none"},
      {"workspace that is none",
       [](Chain& c) {
         c.program.steps[1].operands.push_back({c.x, Access::inout});
         c.program.steps[1].has_workspace = true;
       },
       "no workspace"},
  };
  for (const Case& test : cases) {
    Chain chain;
    test.breaking(chain);
    const std::vector<std::string> problems = verify(chain.program);
    ASSERT_FALSE(problems.empty()) << test.name;
    EXPECT_THAT(problems.front(), HasSubstr(test.says)) << test.name;
  }
}

/// x is copied to the host and back beside steps of the main queue.
struct Detour {
  Program program;
  TensorId x, device, host, back, y, z;

  Detour() {
    ProgramBuilder builder(program);
    program.layers = {"0"};
    x = test::image(builder, "x", Arena::input);
    device = test::image(builder, "device");
    host = test::image(builder, "host", Arena::host);
    back = test::image(builder, "back");
    y = test::image(builder, "y");
    z = test::image(builder, "z");
    const auto copy = [&](TensorId from, TensorId to) {
      builder.add_step({.op = Op::copy, .operands = {{from}, {to, Access::out}}, .queue = kCopyQueue});
    };
    builder.add_step(test::relu(x, device));                             // 0
    copy(device, host);                                                  // 1
    builder.add_step(test::relu(device, y));                             // 2: reads what is being copied
    builder.add_step({.op = Op::wait, .operands = {{device}, {host}}});  // 3
    copy(host, back);                                                    // 4
    builder.add_step(test::relu(y, z));                                  // 5
    builder.add_step({.op = Op::wait, .operands = {{host}, {back}}});    // 6
    builder.add_step(test::relu(back, z));                               // 7
  }
};

TEST(Verify, KnowsWhatRunsAtTheSameTime) {
  EXPECT_THAT(verify(Detour().program), IsEmpty());
  struct Case {
    const char* name;
    std::function<void(Detour&)> breaking;
    const char* says;
  };
  const std::vector<Case> cases{
      {"written while it is copied", [](Detour& d) { d.program.steps[2].operands[1].tensor = d.device; },
       "step 2 (activation_forward): touches device while step 1"},
      {"read before it is back", [](Detour& d) { std::swap(d.program.steps[6], d.program.steps[7]); },
       "step 6 (activation_forward): touches back while step 4"},
      {"overwritten before it is back", [](Detour& d) { d.program.steps[5].operands[1].tensor = d.back; },
       "touches back while step 4"},
      {"read on the device", [](Detour& d) { d.program.steps[5].operands[0].tensor = d.device; },
       "reads device on the device"},
      {"read again in the end", [](Detour& d) { d.program.steps[7].operands[0].tensor = d.device; },
       "reads device on the device"},
      {"no wait", [](Detour& d) { d.program.steps.erase(d.program.steps.begin() + 6); }, "touches back while step 4"},
      {"no wait at all", [](Detour& d) { d.program.steps.erase(d.program.steps.begin() + 6, d.program.steps.end()); },
       "host is never waited for"},
      {"copied before it was brought out", [](Detour& d) { std::swap(d.program.steps[1], d.program.steps[4]); },
       "reads host before anything wrote it"},
  };
  for (const Case& test : cases) {
    Detour detour;
    test.breaking(detour);
    const std::vector<std::string> problems = verify(detour.program);
    ASSERT_FALSE(problems.empty()) << test.name;
    EXPECT_THAT(problems.front(), HasSubstr(test.says)) << test.name;
  }
}

TEST(Verify, AsksForTheChosenAlternative) {
  Chain chain;
  ProgramBuilder builder(chain.program);
  const TensorId dx = test::image(builder, "dx");
  builder.add_step(test::relu_backward(chain.z, dx, {}));  // nothing saved, nothing chosen
  const std::vector<std::string> problems = verify(chain.program);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_THAT(problems.front(), HasSubstr("the op list says ioi"));
}

TEST(Print, NamesStepsOperandsAndLayers) {
  Chain chain;
  chain.program.steps[1].layer = LayerId{1};
  const std::string text = print(chain.program);
  EXPECT_THAT(text, HasSubstr("activation_forward"));
  EXPECT_THAT(text, HasSubstr("1: y[2×4×4×3 fp32], →z[2×4×4×3 fp32]"));
}

}  // namespace
}  // namespace snug
