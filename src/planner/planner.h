// Every byte of a run: programs are lowered, prepared and placed for a batch size, and held against the budget.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "lowering/lowering.h"
#include "program/program.h"
#include "snug/plan.h"

namespace snug {

/// What a device does in a second, as plans and benchmarks count on it; 0: not known.
struct DeviceRates {
  double flops_per_second = 0;            ///< of convolutions and matrix products in the run's precision
  double bytes_per_second = 0;            ///< of a sweep: read and written bytes counted
  double least_seconds = 0;               ///< of any step: between the starts of two small kernels
  double depthwise_flops_per_second = 0;  ///< of convolutions of each channel by itself; 0: as others
  double fused_flops_per_second = 0;      ///< of products with norms around them (is_fused_product); 0: as others
  double norm_bytes_per_second = 0;       ///< of the sweeps of batch norm; 0: as others
  double product_seconds = 0;  ///< of a convolution or product beside that: to rearrange weights, to divide the work
  double host_bytes_per_second = 0;  ///< of a copy between device and host, beside the steps; 0: it is a step as others
  /// What a weight gradient takes besides when its input comes from memory: the input's bytes at this rate; 0: nothing.
  double cold_bytes_per_second = 0;
  /// What a norm takes less whose output is soon read for the last time, so that it overwrites what the caches hold:
  /// the output's bytes at this rate; 0: nothing.
  double stay_bytes_per_second = 0;
  double cache_bytes = 0;  ///< of the last level of caches; 0: what they hold is not counted
  friend bool operator==(const DeviceRates&, const DeviceRates&) = default;
};

/// The memory that a run is planned for.
struct DeviceMemory {
  std::string name;  ///< "cpu", "NVIDIA H200"
  std::int64_t total_bytes = 0;
  std::int64_t free_bytes = 0;
  std::int64_t driver_bytes = 0;          ///< context; on the CPU the process before its arenas
  std::int64_t library_bytes = 0;         ///< loaded kernels
  std::int64_t kernel_bytes = 0;          ///< and for every library kernel that a run prepares
  std::int64_t granularity_bytes = 4096;  ///< an allocation takes a multiple of it: here a page
  bool driver_in_use = false;  ///< driver and library are taken already and so not part of free_bytes; host memory
                               ///< is taken from free_bytes too (the CPU)
  /// Whether batches wait on the device beside the one that is computed: everywhere but in this process's own memory.
  [[nodiscard]] bool stages_inputs() const { return !driver_in_use; }
  DeviceRates rates{};
  std::string engines{};  ///< where engines of convolutions come from: "cudnn 9.19.1", "bound"; for reports
  std::vector<std::string> estimated{};  ///< what of a device's numbers is estimated: "driver", "library"
};
/// This machine's memory now: the least of physical memory, the control group's limit and ulimit.
[[nodiscard]] DeviceMemory cpu_memory();
/// The same with this processor's rates, where they have been measured.
[[nodiscard]] DeviceMemory cpu_device(int threads, Precision precision);
/// The same memory as plans see it. What a process takes changes from run to run with what happens to be loaded, and
/// plans of one thing must not: the measured process becomes a fixed reserve that it stays below, and what is free is
/// rounded down. `process_bytes`: of the process now, without what is counted elsewhere. Other devices stay as they
/// are.
[[nodiscard]] DeviceMemory steady(DeviceMemory device, std::int64_t process_bytes);

/// What a plan may do to fit, where it would not fit without.
struct Strategies {
  bool recompute = true;     ///< do steps of the forward pass again instead of keeping what they make
  bool split = true;         ///< do the first layers slice by slice of the batch
  bool eager_update = true;  ///< update parameters as soon as their gradients are complete; not with clipping
  bool microbatch = false;   ///< do the batch in parts; with batch norm that changes what is learned
  bool offload = false;      ///< let activations wait for backward in host memory
  friend bool operator==(const Strategies&, const Strategies&) = default;
};

struct ChangedRun;
struct LadderShelf;

struct PlanRequest {
  LoweringOptions lowering;  ///< batch, parts and what is recomputed are the planner's to set
  Strategies strategies;
  BatchChoice batch;
  std::int64_t train_samples = 0;  ///< 0: unknown; gives the last partial batch
  std::int64_t val_samples = 0;
  bool drop_last = false;
  std::int64_t batch_limit = 0;  ///< bounds batch = "max" and max_batch; 0: train_samples, or 65,535 when unknown
  Budget budget;
  std::optional<std::int64_t> arena_budget_bytes;           ///< of persistent + transient + input alone
  std::optional<std::int64_t> workspace_limit_bytes;        ///< of the scratch of one step
  std::optional<std::int64_t> offload_limit_bytes;          ///< of the arena in host memory
  std::int64_t host_bytes = 0;                              ///< data set, prefetch ring, checkpoint buffer
  std::function<std::int64_t(std::int64_t)> host_bytes_of;  ///< instead: of a batch size
  /// Makes a backend to try one batch size with. A backend keeps what it has prepared, and most of what a search tries
  /// is never run. Without it everything is prepared by the backend that runs.
  std::function<std::unique_ptr<Backend>()> trial_backend;
  /// Where what was worked out for one run is kept for others of the same search; may be null.
  std::shared_ptr<LadderShelf> shelf{};
  std::filesystem::path cache{};  ///< the folder in which it is kept for other searches; empty: none
  std::int64_t checkpoint_bytes = 0;
  std::int64_t most_elements = 0;  ///< of a map that the library reads or writes; 0: not bounded
  bool alone = false;              ///< the batch as asked and nothing else: neither max_batch nor remedies
  /// Other ways to run that the user may choose, asked for when this one does not fit; from what changes little to what
  /// changes much.
  std::function<std::vector<ChangedRun>(const PlanReport& refused)> changed_runs;
};

/// The same run with some settings changed: what the settings are is known above the planner.
struct ChangedRun {
  std::string change;                    ///< lines of the config, "memory.strategy = \"auto\""
  std::string effect;                    ///< on what is learned, in a few words
  int weight = 0;                        ///< how much it changes
  unsigned changes = 0;                  ///< a bit for each setting
  bool keeps_results = false;            ///< nothing that is learned changes
  bool last_resort = false;              ///< tried where nothing else fits
  std::shared_ptr<const Graph> graph{};  ///< null: the same
  PlanRequest request;
  DeviceMemory device;
  std::function<std::unique_ptr<Backend>()> make_backend;
};

/// The largest batch, in one part, of which some split keeps to `request.most_elements`.
[[nodiscard]] std::int64_t index_limit(const Graph& graph, const PlanRequest& request);

/// A program ready to run: workspaces added, every storage placed in its arena.
struct PlannedProgram {
  Program program;
  std::vector<PreparedStep> steps;    ///< by StepId
  std::vector<std::int64_t> offsets;  ///< by StorageId, in the storage's arena
};

/// What a training run executes. Programs share the arenas; storages of the same name in the persistent and
/// input arenas have the same offset in all of them.
struct Plan {
  PlanReport report;
  std::int64_t persistent_bytes = 0, transient_bytes = 0, input_bytes = 0;  ///< sizes of the arenas
  std::int64_t data_bytes = 0;  ///< of the arena of images that stay on the device
  std::int64_t host_bytes = 0;  ///< of the arena in host memory: activations that wait there
  std::vector<PlannedProgram> programs;
  int train = -1, train_last = -1, eval = -1, eval_last = -1;  ///< indices into programs; -1: not needed
  std::vector<PlannedProgram> picture;  ///< when it does not fit what `programs` would be, to be shown and never run
};

inline constexpr std::int64_t kArenaAlignmentBytes = 256;

/// What a batch is in while the one before it is computed: beside the input arena of a device, where copies from the
/// host end. Images, or the places of images that are kept, and labels.
struct StagedInput {
  std::string tensor;
  std::int64_t offset = 0, size_bytes = 0;  ///< within the staging; the largest of all programs
};
[[nodiscard]] std::vector<StagedInput> staged_inputs(std::span<const Program* const> programs);
/// Of the staging as a whole.
[[nodiscard]] std::int64_t staged_bytes(std::span<const Program* const> programs);

/// Where the search for the largest batch ends when nothing else bounds it; cuDNN takes no larger one.
inline constexpr std::int64_t kBatchLimit = 65'535;

/// Prepares every step, adds the workspaces and places everything. Several programs share the arenas.
/// This is the mechanism below `plan_training`; tests and `predict` use it directly.
[[nodiscard]] Plan plan_programs(std::vector<Program> programs, Backend& backend);

/// Chooses the batch and plans it. When nothing fits, or a fixed batch does not, `report.fits` is false, the report
/// says by how much, and `programs` is empty.
[[nodiscard]] Plan plan_training(const Graph& graph, const PlanRequest& request, const DeviceMemory& device,
                                 Backend& backend);

}  // namespace snug
