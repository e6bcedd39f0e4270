// Which precisions a processor can compute in: what the findings of `check` and of a run rest on.
#pragma once

#include <optional>
#include <string>

#include "snug/config.h"

namespace snug {

/// What a processor can do that a precision asks for.
struct Processor {
  bool avx512 = false;  ///< the foundation with BW, DQ and VL: from here on bf16 can be computed, by AVX-512 itself
};
[[nodiscard]] Processor this_processor();

/// Why a processor cannot compute in a precision; nothing when it can.
[[nodiscard]] std::optional<std::string> cannot_compute(Precision precision, const Processor& processor);

}  // namespace snug
