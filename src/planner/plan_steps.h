// A planned program step by step and buffer by buffer, for whoever wants to look at it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "memory/placement.h"
#include "planner/planner.h"

namespace snug {

/// What each step costs and how much of the transient arena is alive at it.
[[nodiscard]] std::vector<PlanStep> plan_steps(const PlannedProgram& planned, const DeviceRates& rates);

/// Of every storage the tensor that last touched it at or before `step`: what the bytes are at that time.
[[nodiscard]] std::vector<TensorId> contents_at(const Program& program, std::int64_t step);

/// A storage of the transient arena at its place.
struct PlacedBuffer {
  std::vector<std::string> tensors;  ///< that lie in it, in the order in which they are first used
  std::string layer;                 ///< of the tensor that gives the role; may be empty
  Role role = Role::activation;      ///< as PlanPeak has it at the peak; else of the first tensor
  std::int64_t offset = 0, size_bytes = 0;
  Lifetime life;
};
/// In the order of their storages. What no step uses has no place and is left out.
[[nodiscard]] std::vector<PlacedBuffer> placed_buffers(const PlannedProgram& planned);

/// The training program of a plan, also of one that does not fit; null where there is none.
[[nodiscard]] const PlannedProgram* training_program(const Plan& plan);

}  // namespace snug
