// What is known of a run before its plan: data, graph, how pixels become inputs; and the request for the plan.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "backend/device.h"
#include "config/precision.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "graph/graph.h"
#include "planner/planner.h"
#include "snug/config.h"
#include "snug/trainer.h"
#include "train/checkpoint.h"
#include "train/outcomes.h"

namespace snug {

struct RunSetup {
  Splits splits;
  Graph graph;
  std::int64_t outputs = 0;  ///< values per image that the loss reads
  std::int64_t row_width = 0;
  InputScaling scaling;
  LoweringOptions lowering;  ///< of training; batch and parts are still open
};

/// Splits whose mapped files are more than half of the free memory: their pages are given back as they are read, and
/// the plan does not count them.
void pass_large_through(const Splits& splits);

/// Opens the data, builds the graph, holds them against each other and against the loss. Throws Error with every
/// finding.
[[nodiscard]] RunSetup make_setup(const Config& config);
/// The same with what is open already. `graph` must be free of findings; `processor` is what is to compute.
[[nodiscard]] RunSetup make_setup(const Config& config, Graph graph, Splits splits,
                                  const Processor& processor = this_processor());

/// What the labels of a split contradict: the loss, or the number of the network's outputs. Appends to `findings`.
void check_labels(const Dataset& data, const Config& config, std::int64_t outputs, std::vector<Diagnostic>& findings);
/// Images of another size than model.input; `whose` says which they are ("train", "val").
void check_images(const Dataset& data, const Config& config, std::string_view whose, std::vector<Diagnostic>& findings);

/// What the programs of a run are lowered with. Of `setup` graph and scaling are set; without data, images are 8-bit.
[[nodiscard]] LoweringOptions lowering_options(const Config& config, const RunSetup& setup,
                                               std::vector<Diagnostic>& findings);

/// Why the training images cannot stay where they are computed with, as data.cache = "device" asks; nothing where they
/// can, or need not.
[[nodiscard]] std::optional<Diagnostic> cannot_keep_images(const Config& config, const Processor& processor);
/// Samples whose images stay on the device; 0: none do.
[[nodiscard]] std::int64_t kept_samples(const Config& config, const RunSetup& setup);

/// Width of the rows that labels are delivered as; 0: class numbers.
[[nodiscard]] std::int64_t label_row_width(Loss loss, std::int64_t outputs);
[[nodiscard]] LoaderOptions train_loader_options(const Config& config, std::int64_t batch, std::int64_t row_width);
/// In order, whole, without augmentation.
[[nodiscard]] LoaderOptions eval_loader_options(const Config& config, std::int64_t batch, std::int64_t row_width);
/// The same, for images that go to the device to stay: a few MiB at a time.
[[nodiscard]] LoaderOptions keeping_loader_options(const Config& config, const Dataset& train, std::int64_t row_width);

/// What a run is planned for: memory, and backends to prepare steps with; these share what the first has found out.
struct Planning {
  DeviceMemory memory;
  std::function<std::unique_ptr<Backend>()> make_backend;
};

/// What computes a run.
struct Computer {
  /// What to plan with, for the run's config or one with other settings.
  std::function<Planning(const Config&)> planning;
  /// The backend that runs what was planned.
  std::function<std::unique_ptr<Backend>(const Config&)> make_backend;
  std::shared_ptr<Device> device{};  ///< where it runs; null: this process
  Processor processor = this_processor();
  /// Of a device: what this process has taken of its memory by now, contexts and libraries included.
  std::function<std::int64_t()> used_bytes{};
};
/// What a run holds now: of the device's memory, or of this machine's.
[[nodiscard]] std::int64_t measured_bytes(const Computer& computer);
[[nodiscard]] Computer this_computer(int threads);

/// `train` for a run whose data is open and checked.
DoneEvent train(const Config& config, const TrainOptions& options, Reporter& reporter, RunSetup setup,
                std::optional<Computer> computer = {});

struct PlanRunOptions {
  std::int64_t batch = 0;  ///< instead of the config's, when not 0: a run that goes on keeps its batch
  std::optional<std::int64_t> arena_budget_bytes;  ///< a bound of the arenas alone, besides memory.budget
  std::int64_t batch_limit = 0;  ///< bounds batch = "max" and max_batch; 0: the number of training samples
  std::function<std::unique_ptr<Backend>()> trial_backend;  ///< see PlanRequest
  bool alone = false;                                       ///< see PlanRequest
  std::function<Planning(const Config&)> planning;          ///< of the same device, for remedies with other settings
  Processor processor = this_processor();                   ///< what is to compute
  std::optional<int> tuned_threads{};  ///< batch = "auto" is what `tune` found with so many threads, where it fits
};
/// Plans the batch of a run. Host memory is that of the batch that comes out. `device`: asked for once the data was
/// open.
[[nodiscard]] Plan plan_run(const Config& config, const RunSetup& setup, const DeviceMemory& device, Backend& backend,
                            const PlanRunOptions& options = {});
/// What a plan may use to fit. Waiting in host memory saves nothing where that is the device's own (the CPU), unless
/// the user has named it.
[[nodiscard]] Strategies strategies_of(const Config& config, bool on_gpu);
/// A change "train.batch = 32" of a dotted key as a line for its table in the file, or as the option that its value
/// came from; of several lines as options.
[[nodiscard]] std::string pasteable(const Config& config, const std::string& change);
/// The finding on a plan that does not fit.
[[nodiscard]] Diagnostic does_not_fit(const Config& config, const PlanReport& report);
/// What a training keeps of each evaluation of its validation data: every sample is counted, outcomes are kept of so
/// many that memory stays small. Without such data: of no samples.
[[nodiscard]] OutcomesOptions epoch_outcomes(const Config& config, const RunSetup& setup);
/// Data sets, prefetch rings, checkpoint buffer, outcomes of two evaluations. Mapped files count as long as they fit in
/// half of `free_bytes`: beyond, they stream, and the system takes their pages back.
[[nodiscard]] std::int64_t host_bytes(const Config& config, const RunSetup& setup, std::int64_t batch,
                                      std::int64_t free_bytes);
/// What one set of checkpoints takes on the disk: last, best, state.
[[nodiscard]] std::int64_t checkpoint_bytes(const Config& config, const Graph& graph);
/// Elements of the largest parameter: the buffer that checkpoints are written through.
[[nodiscard]] std::int64_t largest_parameter(const Graph& graph);

/// The config that a checkpoint carries, with what the user changes of it.
[[nodiscard]] Config checkpoint_config(const CheckpointInfo& info, const std::filesystem::path& path,
                                       const ConfigOptions& changes = {});

}  // namespace snug
