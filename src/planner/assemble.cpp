#include "planner/assemble.h"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/ensure.h"
#include "base/round.h"
#include "program/lifetimes.h"

namespace snug {
namespace {

std::vector<const Program*> pointers(std::span<const PlannedProgram> planned) {
  std::vector<const Program*> programs;
  programs.reserve(planned.size());
  for (const PlannedProgram& one : planned) programs.push_back(&one.program);
  return programs;
}

void ensure_sound(std::span<const Buffer> buffers, std::span<const std::int64_t> offsets, std::int64_t capacity) {
  const auto faults = validate(buffers, offsets, kArenaAlignmentBytes, capacity);
  ensure(faults.empty(), faults.empty() ? "" : faults.front());
}

/// Offsets of the program's storages in a shared arena.
void take_offsets(PlannedProgram& planned, const SharedArena& shared, Arena arena) {
  std::unordered_map<std::string_view, std::int64_t> offsets;
  for (const SharedStorage& storage : shared.storages) offsets.emplace(storage.name, storage.offset);
  for (std::size_t i = 0; i < planned.program.storages.size(); ++i) {
    const Storage& storage = planned.program.storages[i];
    if (storage.arena == arena) planned.offsets[i] = offsets.at(storage.name);
  }
}

/// Places the transient storages of one program; returns the arena's size.
std::int64_t place_transient(PlannedProgram& planned) {
  const std::vector<Buffer> buffers = transient_buffers(planned.program);
  const Placement placement = place(buffers, {.alignment_bytes = kArenaAlignmentBytes});
  ensure_sound(buffers, placement.offsets, placement.height_bytes);
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    if (planned.program.storages[i].arena == Arena::transient) planned.offsets[i] = placement.offsets[i];
  }
  return round_up(placement.height_bytes, kArenaAlignmentBytes);
}

}  // namespace

PlannedProgram prepare_steps(Program program, Backend& backend) {
  PlannedProgram planned{.program = std::move(program)};
  ProgramBuilder builder(planned.program);
  for (std::size_t i = 0; i < planned.program.steps.size(); ++i) {
    ensure(!planned.program.steps[i].has_workspace, "a program is prepared once");
    PreparedStep prepared = backend.prepare(planned.program, planned.program.steps[i]);
    if (prepared.workspace_bytes > 0) {
      const TensorId scratch = builder.add_tensor({.name = fmt::format("workspace:{}", i),
                                                   .shape = {prepared.workspace_bytes},
                                                   .dtype = DType::u8,
                                                   .role = Role::workspace,
                                                   .layer = planned.program.steps[i].layer});
      planned.program.steps[i].operands.push_back({scratch, Access::inout});
      planned.program.steps[i].has_workspace = true;
    }
    planned.steps.push_back(std::move(prepared));
  }
  return planned;
}

std::vector<Buffer> transient_buffers(const Program& program) {
  const std::vector<Lifetime> lives = lifetimes(program);
  std::vector<Buffer> buffers(program.storages.size());
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    if (program.storages[i].arena == Arena::transient) buffers[i] = {program.storages[i].size_bytes, lives[i]};
  }
  return buffers;
}

SharedArena share_by_name(std::span<const Program* const> programs, Arena arena) {
  SharedArena shared;
  std::unordered_map<std::string_view, std::size_t> known;
  for (const Program* program : programs) {
    std::unordered_set<std::string_view> names;
    for (const Storage& storage : program->storages) {
      if (storage.arena != arena) continue;
      ensure(names.insert(storage.name).second, "storages of one program have different names");
      const auto [at, is_new] = known.try_emplace(storage.name, shared.storages.size());
      if (is_new) shared.storages.push_back({storage.name, storage.size_bytes, 0});
      SharedStorage& slot = shared.storages[at->second];
      ensure(arena != Arena::persistent || slot.size_bytes == storage.size_bytes,
             "a persistent storage has one size in all programs");
      slot.size_bytes = std::max(slot.size_bytes, storage.size_bytes);
    }
  }
  std::vector<Buffer> buffers;
  std::vector<std::int64_t> offsets;
  for (SharedStorage& storage : shared.storages) {
    storage.offset = shared.bytes;
    shared.bytes += round_up(storage.size_bytes, kArenaAlignmentBytes);
    buffers.push_back({storage.size_bytes, {0, 1}});
    offsets.push_back(storage.offset);
  }
  ensure_sound(buffers, offsets, shared.bytes);
  return shared;
}

Plan assemble(std::vector<Program> programs, Backend& backend) {
  Plan plan;
  for (Program& program : programs) plan.programs.push_back(prepare_steps(std::move(program), backend));
  const std::vector<const Program*> all = pointers(plan.programs);
  const SharedArena persistent = share_by_name(all, Arena::persistent);
  const SharedArena input = share_by_name(all, Arena::input);
  plan.persistent_bytes = persistent.bytes;
  plan.input_bytes = input.bytes;
  for (PlannedProgram& planned : plan.programs) {
    planned.offsets.assign(planned.program.storages.size(), 0);
    take_offsets(planned, persistent, Arena::persistent);
    take_offsets(planned, input, Arena::input);
    plan.transient_bytes = std::max(plan.transient_bytes, place_transient(planned));
  }
  return plan;
}

}  // namespace snug
