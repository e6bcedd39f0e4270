// Programs → a Plan without its report: steps prepared, workspaces added, every storage placed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "memory/placement.h"
#include "planner/planner.h"

namespace snug {

/// Prepares every step and gives each that needs scratch a workspace tensor as its last operand. With `room_bytes`,
/// what the transient arena may have, a step at which even the bound of its scratch keeps to it gets the bound instead
/// of an answer: that is for trials, and never run.
[[nodiscard]] PlannedProgram prepare_steps(Program program, Backend& backend,
                                           std::optional<std::int64_t> room_bytes = std::nullopt);

/// The transient storages as a placement problem, by StorageId; what lies in another arena has size 0.
[[nodiscard]] std::vector<Buffer> transient_buffers(const Program& program);

/// The same of the storages in host memory.
[[nodiscard]] std::vector<Buffer> host_buffers(const Program& program);

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

/// The same of programs whose steps are prepared. `enough_bytes`: no lower transient arena is searched for.
[[nodiscard]] Plan assemble(std::vector<PlannedProgram> prepared,
                            std::optional<std::int64_t> enough_bytes = std::nullopt);

/// Gives steps what is free under the peak while they run as scratch, where the backend has a better way with it. No
/// arena grows, nothing else moves, and the peak stays where it is.
void use_free_space(Plan& plan, Backend& backend);

}  // namespace snug
