// The byte plan of a training run, as `snug plan` reports it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace snug {

/// Adds up to PlanReport::total_bytes.
struct PlanBreakdown {
  std::int64_t driver = 0, library = 0, weights = 0, gradients = 0, optimizer = 0, statistics = 0, activations = 0,
               workspace = 0, input = 0, padding = 0;
  [[nodiscard]] std::int64_t total() const {
    return driver + library + weights + gradients + optimizer + statistics + activations + workspace + input + padding;
  }
};

struct PlanTensor {
  std::string name, layer, role;
  std::int64_t bytes = 0;
};

/// The step of the transient arena at which most bytes are alive.
struct PlanPeak {
  std::int64_t step = 0;
  std::string phase, layer;
  std::vector<PlanTensor> tensors;  ///< every live transient storage once, largest first
};

/// The arenas as they are allocated: with the holes between buffers and whole pages.
struct PlanArenas {
  std::int64_t persistent = 0, transient = 0, input = 0;
  std::int64_t data = 0;  ///< images that stay on the device: data.cache = "device"
  [[nodiscard]] std::int64_t total() const { return persistent + transient + input + data; }
};

/// What a library computes a step with.
struct PlanEngine {
  std::string step, engine;  ///< "conv_forward", "62{2=9}"
  std::int64_t workspace_bytes = 0;
};

struct PlanLayer {
  std::string name;
  std::vector<std::int64_t> output;  ///< with the batch
  std::int64_t parameters = 0, flops = 0, saved_bytes = 0, workspace_bytes = 0;
  std::vector<PlanEngine> engines{};
};

/// One step of the training program.
struct PlanStep {
  std::int64_t step = 0;
  std::string op, phase, layer, algorithm;
  std::int64_t queue = 0;  ///< 1: a copy between device and host beside the others, until the wait that names it
  std::int64_t flops = 0, bytes = 0;  ///< arithmetic, and what moves to and from memory
  double seconds = 0;  ///< estimated; 0 where the device's rates are not known. Those of queue 0 add up to the step
  std::int64_t live_bytes = 0;   ///< of the transient arena
  std::int64_t arena_bytes = 0;  ///< up to the end of the highest of them
  std::int64_t workspace_bytes = 0;
};

/// Who else has memory of the device.
struct PlanProcess {
  std::int64_t pid = 0;
  std::string name;
  std::int64_t bytes = 0;
};

struct PlanRemedy {
  std::string change;  ///< config keys to paste, one a line
  std::int64_t total_bytes = 0;
  double estimated_slowdown = 1;  ///< time of an image against the refused plan with unlimited memory, to hundredths
  std::string effect{};           ///< in a few words: what else changes
};

/// The fields of `plan --json`; bytes unless the name says otherwise.
struct PlanReport {
  std::string device;
  std::string engines;                 ///< of a GPU: where scratch comes from, "cudnn 9.19.1" or "bound"
  std::vector<std::string> estimated;  ///< of a GPU: what is not measured on it, "driver", "library"
  std::int64_t device_bytes = 0, budget_bytes = 0;
  bool fits = false;
  std::int64_t short_by_bytes = 0;  ///< when it does not fit
  std::int64_t batch = 0, micro_batch = 0, accumulation = 1, max_batch = 0;
  std::int64_t total_bytes = 0;
  PlanBreakdown breakdown;
  /// What the arenas hold: weights, optimizer and statistics; what lives at the peak. Their holes are padding, so that
  /// driver, library, both arenas, input and padding are the total.
  std::int64_t persistent_arena_bytes = 0, transient_arena_bytes = 0, lower_bound_bytes = 0;
  PlanArenas allocated;
  std::int64_t data_bytes = 0;  ///< of breakdown.input: images that stay on the device
  PlanPeak peak;
  std::int64_t host_bytes = 0, checkpoint_bytes = 0;
  std::int64_t offload_bytes = 0;    ///< of host_bytes: activations that wait there for the backward pass
  std::int64_t workspace_bytes = 0;  ///< the most scratch that one step takes
  std::vector<std::string> strategy;
  double estimated_images_per_second = 0, estimated_slowdown = 1, seconds = 0;
  std::vector<PlanLayer> layers;
  std::vector<PlanRemedy> remedies;
  std::vector<PlanStep> steps;
  std::int64_t free_bytes = 0;         ///< of the device
  std::vector<PlanProcess> processes;  ///< when it does not fit for what others hold; the largest first
  std::string tuned;                   ///< of batch = "auto": where its number was measured; empty: it was estimated
  std::vector<std::string> fits_on;    ///< when it does not fit a GPU: profiles of larger ones that were planned too
};

}  // namespace snug
