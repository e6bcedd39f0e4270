// Programs → a Plan without its report: steps prepared, workspaces added, every storage placed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "memory/placement.h"
#include "planner/planner.h"

namespace snug {

/// Prepares every step and gives each that needs scratch a workspace tensor as its last operand.
[[nodiscard]] PlannedProgram prepare_steps(Program program, Backend& backend);

/// The transient storages as a placement problem, by StorageId; what lies in another arena has size 0.
[[nodiscard]] std::vector<Buffer> transient_buffers(const Program& program);

/// Storages of the same name in all programs, side by side: what the persistent and the input arena hold.
struct SharedStorage {
  std::string name;
  std::int64_t size_bytes = 0;  ///< the largest of all programs
  std::int64_t offset = 0;
};
struct SharedArena {
  std::vector<SharedStorage> storages;
  std::int64_t bytes = 0;
};
[[nodiscard]] SharedArena share_by_name(std::span<const Program* const> programs, Arena arena);

/// Places everything; every placement has passed the independent validator. The report is left empty.
[[nodiscard]] Plan assemble(std::vector<Program> programs, Backend& backend);

}  // namespace snug
