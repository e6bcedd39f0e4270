// Which precisions a processor can compute in: what the findings of `check` and of a run rest on.
#pragma once

#include <optional>
#include <string>

#include "snug/config.h"

namespace snug {

/// A GPU as a precision sees it.
struct Gpu {
  std::string name;
  int capability = 0;  ///< 10 · major + minor
};

/// What a processor can do that a precision asks for.
struct Processor {
  bool avx512 = false;  ///< the foundation with BW, DQ and VL: from here on bf16 can be computed, by AVX-512 itself
  std::optional<Gpu> gpu{};  ///< then it alone counts
};
[[nodiscard]] Processor this_processor();

/// Why a processor cannot compute in a precision; nothing when it can.
[[nodiscard]] std::optional<std::string> cannot_compute(Precision precision, const Processor& processor);
/// The line that sets the nearest precision which it can compute in.
[[nodiscard]] std::string computable_instead(Precision precision, const Processor& processor);

}  // namespace snug
