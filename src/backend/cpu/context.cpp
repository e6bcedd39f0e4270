#include "backend/cpu/context.h"

#include <fmt/format.h>

#include "snug/diagnostic.h"

namespace snug::cpu {

void StepView::cannot_run(std::string_view why) const {
  const std::string layer = step_.layer.valid() && step_.layer.index() < program_.layers.size()
                                ? program_.layers[step_.layer.index()]
                                : std::string("no layer");
  throw Error({.code = "I401",
               .where = fmt::format("{} ({})", layer, to_string(step_.op)),
               .what = fmt::format("the CPU backend cannot run this step: {}", why),
               .fix = "report this with the config and the output of: snug version --json"});
}

void StepView::expect(std::initializer_list<DType> types, bool pitched_allowed) const {
  if (count() != types.size()) cannot_run(fmt::format("{} operands, expects {}", count(), types.size()));
  std::size_t i = 0;
  for (const DType type : types) {
    const TensorInfo& tensor = (*this)[i];
    if (tensor.dtype != type) {
      cannot_run(fmt::format("operand {} is {}, expects {}", i, to_string(tensor.dtype), to_string(type)));
    }
    if (!pitched_allowed && !is_packed(tensor)) cannot_run(fmt::format("operand {} is not packed", i));
    ++i;
  }
}

Segments chunks_of(const Segments& segments) {
  Segments chunks;
  for (const Segment& segment : segments) {
    for (std::int64_t at = 0; at < segment.count; at += kChunkElements) {
      chunks.push_back({segment.begin + at, std::min(kChunkElements, segment.count - at)});
    }
  }
  return chunks;
}

}  // namespace snug::cpu
