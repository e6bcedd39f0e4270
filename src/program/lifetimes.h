#pragma once

#include <vector>

#include "memory/placement.h"
#include "program/program.h"

namespace snug {

/// Of every storage, indexed by StorageId: from its first access to past its last one, over all views in it.
/// Operands of a step on another queue live until the `wait` that names them. Never accessed: empty.
[[nodiscard]] std::vector<Lifetime> lifetimes(const Program& program);

}  // namespace snug
