#include "program/lifetimes.h"

#include <algorithm>

namespace snug {
namespace {

bool names(const Step& step, TensorId tensor) {
  return std::ranges::any_of(step.operands, [&](const Operand& operand) { return operand.tensor == tensor; });
}

/// Past the last step at which the operands of `steps[launch]` on a queue of its own may still be in use by it.
std::int64_t end_of_use(const Program& program, std::size_t launch, const Operand& operand) {
  const Step& step = program.steps[launch];
  const bool scratch = step.has_workspace && &operand == &step.operands.back();
  for (std::size_t i = launch + 1; i < program.steps.size(); ++i) {
    const Step& later = program.steps[i];
    if (later.op != Op::wait) continue;
    // A wait never names scratch; it is free once any other operand of its step is.
    const bool done = scratch
                          ? std::ranges::any_of(step.operands, [&](const Operand& o) { return names(later, o.tensor); })
                          : names(later, operand.tensor);
    if (done) return static_cast<std::int64_t>(i) + 1;
  }
  return static_cast<std::int64_t>(program.steps.size());
}

}  // namespace

std::vector<Lifetime> lifetimes(const Program& program) {
  std::vector<Lifetime> lives(program.storages.size());
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    const auto now = static_cast<std::int64_t>(i);
    for (const Operand& operand : step.operands) {
      Lifetime& life = lives[program[operand.tensor].view.storage.index()];
      if (life.last == 0) life.first = now;
      life.last = std::max(life.last, step.queue == kMainQueue ? now + 1 : end_of_use(program, i, operand));
    }
  }
  return lives;
}

}  // namespace snug
