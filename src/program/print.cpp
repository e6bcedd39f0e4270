#include <fmt/format.h>

#include "program/program.h"

namespace snug {

namespace {

std::string_view mark(Access access) {
  switch (access) {
    case Access::in: return "";
    case Access::out: return "→";
    case Access::inout: return "±";
  }
  return "?";
}

std::string describe(const Program& program, const Operand& operand) {
  const TensorInfo& tensor = program[operand.tensor];
  return fmt::format("{}{}[{} {}]", mark(operand.access), tensor.name, to_string(tensor.shape),
                     to_string(tensor.dtype));
}

}  // namespace

std::string print(const Program& program) {
  std::string text;
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    std::string operands;
    for (const Operand& operand : step.operands) {
      if (!operands.empty()) operands += ", ";
      operands += describe(program, operand);
    }
    for (const Alternative& alternative : step.saved)
      operands += fmt::format(" | {}", program[alternative.tensor].name);
    const std::string layer = program.layer_name(step.layer);
    text += fmt::format("{:>5}  {:<8}  {:<24}  {}{}{}\n", i, to_string(step.phase), to_string(step.op), layer,
                        layer.empty() ? "" : ": ", operands);
  }
  return text;
}

}  // namespace snug
