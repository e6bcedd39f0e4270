// Activations that wait for the backward pass in host memory: copied out behind their last forward use, copied back
// ahead of their first backward use, on a queue of their own. What is computed is the same bit for bit.
//
//   main   ── f ──────────────────▶ wait ── … ── turn ── … ─────────────────────▶ wait ── b ──▶
//   copies     └▶ device → host ──┘                          └▶ host → device ──┘
//                                   the bytes on the device are free in between
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_set>
#include <vector>

#include "program/program.h"

namespace snug {

/// Names of storages that wait on the host.
using Offloaded = std::unordered_set<std::string>;

/// A storage that can: made and used by the forward pass, then read, and nothing else, by the backward pass.
struct OffloadCandidate {
  StorageId storage;
  std::int64_t bytes = 0;
  std::size_t last_forward = 0, first_backward = 0;  ///< steps
};
/// In the order in which the forward pass is done with them. `program`: alternatives chosen, storages not yet merged.
[[nodiscard]] std::vector<OffloadCandidate> offload_candidates(const Program& program);

/// What a step takes, copies between device and host too; decides where copies are begun and waited for.
using StepSeconds = std::function<double(const Program&, const Step&)>;

/// Moves what is named (names that the program does not have, or that cannot be moved, are passed over) to the host and
/// back. Without `seconds` a copy's bytes count 32 times those of steps. Runs after what is dropped is done again, and
/// before storages are merged.
void offload(Program& program, const Offloaded& names, const StepSeconds& seconds = {});

}  // namespace snug
