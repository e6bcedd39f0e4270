#include "planner/assemble.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/ensure.h"
#include "base/round.h"
#include "lowering/lowering.h"
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

/// The storages of an arena that is shared over the step, by StorageId; what lies in another has size 0.
std::vector<Buffer> buffers_of(const Program& program, Arena arena) {
  const std::vector<Lifetime> lives = lifetimes(program);
  std::vector<Buffer> buffers(program.storages.size());
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    if (program.storages[i].arena == arena) buffers[i] = {program.storages[i].size_bytes, lives[i]};
  }
  return buffers;
}

/// Places the storages of one program in an arena that is shared over the step; returns the arena's size.
std::int64_t place_shared(PlannedProgram& planned, Arena arena,
                          std::optional<std::int64_t> enough_bytes = std::nullopt) {
  const std::vector<Buffer> buffers = buffers_of(planned.program, arena);
  const Placement placement = place(buffers, {.alignment_bytes = kArenaAlignmentBytes, .enough_bytes = enough_bytes});
  ensure_sound(buffers, placement.offsets, placement.height_bytes);
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    if (planned.program.storages[i].arena == arena) planned.offsets[i] = placement.offsets[i];
  }
  return round_up(placement.height_bytes, kArenaAlignmentBytes);
}

/// By step, the sum of what is alive.
std::vector<std::int64_t> live_bytes(std::span<const Buffer> buffers, std::size_t steps) {
  std::vector<std::int64_t> change(steps + 1, 0);
  for (const Buffer& buffer : buffers) {
    if (buffer.life.first >= buffer.life.last) continue;
    change[static_cast<std::size_t>(buffer.life.first)] += buffer.size_bytes;
    change[static_cast<std::size_t>(buffer.life.last)] -= buffer.size_bytes;
  }
  std::partial_sum(change.begin(), change.end(), change.begin());
  change.pop_back();
  return change;
}

/// As they are placed.
std::vector<Buffer> rounded(std::vector<Buffer> buffers) {
  for (Buffer& buffer : buffers) buffer.size_bytes = round_up(buffer.size_bytes, kArenaAlignmentBytes);
  return buffers;
}

bool uses_host(const Program& program) {
  return std::ranges::any_of(program.storages, [](const Storage& storage) { return storage.arena == Arena::host; });
}

/// Gives the step scratch, or other scratch than it has; returns its storage.
StorageId set_workspace(Program& program, std::size_t index, std::int64_t bytes) {
  Step& step = program.steps[index];
  if (step.has_workspace) {
    TensorInfo& scratch = program[step.operands.back().tensor];
    scratch.shape = {bytes};
    program[scratch.view.storage].size_bytes = bytes;
    return scratch.view.storage;
  }
  const TensorId scratch = ProgramBuilder(program).add_tensor({.name = fmt::format("workspace:{}", index),
                                                               .shape = {bytes},
                                                               .dtype = DType::u8,
                                                               .role = Role::workspace,
                                                               .layer = step.layer});
  step.operands.push_back({scratch, Access::inout});
  step.has_workspace = true;
  return program[scratch].view.storage;
}

}  // namespace

PlannedProgram prepare_steps(Program program, Backend& backend, std::optional<std::int64_t> room_bytes) {
  PlannedProgram planned{.program = std::move(program)};
  const std::vector<std::int64_t> live =
      room_bytes ? live_bytes(rounded(transient_buffers(planned.program)), planned.program.steps.size())
                 : std::vector<std::int64_t>();
  for (std::size_t i = 0; i < planned.program.steps.size(); ++i) {
    ensure(!planned.program.steps[i].has_workspace, "a program is prepared once");
    const Step& step = planned.program.steps[i];
    std::int64_t bound = -1;
    if (room_bytes) bound = backend.scratch_bound(planned.program, step).value_or(-1);
    const bool enough = bound >= 0 && live[i] + round_up(bound, kArenaAlignmentBytes) <= room_bytes.value_or(0);
    PreparedStep prepared = enough ? PreparedStep{.algorithm = {}, .workspace_bytes = bound, .run = {}}
                                   : backend.prepare(planned.program, step);
    if (prepared.workspace_bytes > 0) set_workspace(planned.program, i, prepared.workspace_bytes);
    planned.steps.push_back(std::move(prepared));
  }
  return planned;
}

std::vector<Buffer> transient_buffers(const Program& program) { return buffers_of(program, Arena::transient); }

std::vector<Buffer> host_buffers(const Program& program) { return buffers_of(program, Arena::host); }

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

std::vector<StagedInput> staged_inputs(std::span<const Program* const> programs) {
  std::vector<StagedInput> staged;
  std::int64_t offset = 0;
  for (const SharedStorage& storage : share_by_name(programs, Arena::input).storages) {
    const bool of_batch = storage.name == exchange::kImages || storage.name == exchange::kPlaces;
    if (!of_batch && storage.name != exchange::kLabels) continue;
    staged.push_back({storage.name, offset, storage.size_bytes});
    offset += round_up(storage.size_bytes, kArenaAlignmentBytes);
  }
  return staged;
}

std::int64_t staged_bytes(std::span<const Program* const> programs) {
  const std::vector<StagedInput> staged = staged_inputs(programs);
  return staged.empty() ? 0 : staged.back().offset + round_up(staged.back().size_bytes, kArenaAlignmentBytes);
}

Plan assemble(std::vector<Program> programs, Backend& backend) {
  std::vector<PlannedProgram> prepared;
  prepared.reserve(programs.size());
  for (Program& program : programs) prepared.push_back(prepare_steps(std::move(program), backend));
  return assemble(std::move(prepared));
}

Plan assemble(std::vector<PlannedProgram> prepared, std::optional<std::int64_t> enough_bytes) {
  Plan plan;
  plan.programs = std::move(prepared);
  const std::vector<const Program*> all = pointers(plan.programs);
  const SharedArena persistent = share_by_name(all, Arena::persistent);
  const SharedArena input = share_by_name(all, Arena::input);
  const SharedArena data = share_by_name(all, Arena::data);
  plan.persistent_bytes = persistent.bytes;
  plan.input_bytes = input.bytes;
  plan.data_bytes = data.bytes;
  for (PlannedProgram& planned : plan.programs) {
    planned.offsets.assign(planned.program.storages.size(), 0);
    take_offsets(planned, persistent, Arena::persistent);
    take_offsets(planned, input, Arena::input);
    take_offsets(planned, data, Arena::data);
    plan.transient_bytes = std::max(plan.transient_bytes, place_shared(planned, Arena::transient, enough_bytes));
    if (uses_host(planned.program)) plan.host_bytes = std::max(plan.host_bytes, place_shared(planned, Arena::host));
  }
  return plan;
}

namespace {

/// Bytes [begin, end) of an arena.
struct Gap {
  std::int64_t begin = 0, end = 0;
  [[nodiscard]] std::int64_t bytes() const { return end - begin; }
};

/// The largest part of the arena that no buffer but `except` has at the step.
Gap largest_gap(std::span<const Buffer> buffers, std::span<const std::int64_t> offsets, std::int64_t step,
                std::size_t except, std::int64_t arena_bytes) {
  std::vector<Gap> taken;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    if (i == except || buffers[i].size_bytes == 0 || !buffers[i].life.overlaps({step, step + 1})) continue;
    taken.push_back({offsets[i], offsets[i] + round_up(buffers[i].size_bytes, kArenaAlignmentBytes)});
  }
  std::ranges::sort(taken, {}, &Gap::begin);
  taken.push_back({arena_bytes, arena_bytes});
  Gap largest;
  std::int64_t end = 0;
  for (const Gap& one : taken) {
    if (one.begin - end > largest.bytes()) largest = {end, one.begin};
    end = std::max(end, one.end);
  }
  return largest;
}

void use_free_space(PlannedProgram& planned, std::int64_t arena_bytes, std::int64_t peak_bytes, Backend& backend) {
  Program& program = planned.program;
  std::vector<Buffer> buffers = transient_buffers(program);
  const std::vector<std::int64_t> live = live_bytes(buffers, program.steps.size());
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    const bool has = step.has_workspace;
    const std::size_t own = has ? program[step.operands.back().tensor].view.storage.index() : buffers.size();
    const std::int64_t taken = has ? buffers[own].size_bytes : 0;
    const std::int64_t under_peak = peak_bytes - (live[i] - taken) - 1;
    if (under_peak <= taken) continue;
    const Gap gap = largest_gap(buffers, planned.offsets, static_cast<std::int64_t>(i), own, arena_bytes);
    // Less than all that is free, so that neither the peak nor the program that reaches highest is another one.
    auto better = backend.prepare_within(program, step, std::min(gap.bytes() - kArenaAlignmentBytes, under_peak));
    if (!better) continue;
    if (better->workspace_bytes > 0) {
      const StorageId scratch = set_workspace(program, i, better->workspace_bytes);
      buffers.resize(program.storages.size());
      planned.offsets.resize(program.storages.size(), 0);
      const auto at = static_cast<std::int64_t>(i);
      buffers[scratch.index()] = {better->workspace_bytes, {at, at + 1}};
      planned.offsets[scratch.index()] = gap.begin;
    }
    planned.steps[i] = *std::move(better);
  }
  ensure_sound(buffers, planned.offsets, arena_bytes);
}

}  // namespace

void use_free_space(Plan& plan, Backend& backend) {
  for (PlannedProgram& planned : plan.programs) {
    const std::int64_t peak = live_peak(transient_buffers(planned.program)).bytes;
    use_free_space(planned, plan.transient_bytes, peak, backend);
  }
}

}  // namespace snug
