// What `tune` and the commands of `bench` report: plain structs, their JSON, their tables, the curve.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "report/drawing.h"
#include "report/reports.h"

namespace snug {

/// Everything that a time depends on besides what was timed.
struct Conditions {
  std::string device;     ///< "cpu"
  std::string processor;  ///< "AMD EPYC 9454"
  int cores = 0, threads = 0;
  double clock_mhz = 0;      ///< of the first core when the command began; 0 where the system does not tell
  double gpu_clock_mhz = 0;  ///< of the GPU that computes, when the command began; 0 where there is none
  double load = 0;           ///< of the machine in the minute before
  std::string system, version, commit, compiler, date, command;
  std::vector<LibraryVersion> libraries;
};

/// Times of one thing, in the order in which they were taken.
struct Timing {
  std::vector<double> milliseconds;
  double median = 0, p5 = 0, p95 = 0;
};
[[nodiscard]] Timing timing_of(std::vector<double> milliseconds);

/// What a device does at best; measured.
struct DeviceLimits {
  double flops_per_second = 0;         ///< of a matrix product or a wide convolution, the faster
  double memory_bytes_per_second = 0;  ///< of a copy beyond the caches, read and written bytes counted
  double cache_bytes_per_second = 0;   ///< of a copy that stays in them
  std::int64_t cache_bytes = 0;        ///< what a step may touch to count as staying in them
};

// ---- bench device ---------------------------------------------------------------------------------------------

struct ProductFigure {
  std::string type;  ///< "fp32", "bf16"
  std::string shape;
  double flops_per_second = 0, median_flops_per_second = 0;  ///< of the fastest run, of the median one
};
struct CopyFigure {
  std::string what;  ///< "memory", "cache"
  std::int64_t bytes = 0;
  double bytes_per_second = 0, median_bytes_per_second = 0;
};
struct DeviceBench {
  Conditions conditions;
  std::vector<CopyFigure> copies;
  std::vector<ProductFigure> products;
  double least_seconds = 0;  ///< of any step
  bool interrupted = false;  ///< each was run, less often than ever
};

// ---- bench model, bench op ------------------------------------------------------------------------------------

enum class Bound : std::uint8_t { flops, memory, cache };
[[nodiscard]] std::string_view to_string(Bound bound);

/// What work there is, and what the device needs for it at best: per step of the program, FLOP or bytes, the longer.
struct BenchCost {
  std::int64_t flops = 0, bytes = 0;
  double flops_ms = 0, memory_ms = 0, cache_ms = 0;  ///< limits of the steps that each binds
  [[nodiscard]] double limit_ms() const { return flops_ms + memory_ms + cache_ms; }
  /// What binds most of the time.
  [[nodiscard]] Bound bound() const;
};
struct BenchLayer {
  std::string name;
  double forward_ms = 0, backward_ms = 0;
  BenchCost cost;  ///< of forward and backward together
  [[nodiscard]] double ms() const { return forward_ms + backward_ms; }
};
struct BenchKind {
  std::string name;        ///< "conv_forward 3x3", "batchnorm_backward"
  std::int64_t steps = 0;  ///< of the program
  double ms = 0;
  BenchCost cost;
};
struct StartUp {
  double plan_seconds = 0, memory_seconds = 0, first_step_seconds = 0;
  double seconds = 0;  ///< from the start of the command to the end of the first step
};
struct BenchReport {
  Conditions conditions;
  std::string bench = "model";  ///< or "op"
  std::string device, model, precision = "fp32";
  std::int64_t batch = 0;
  int threads = 0;
  Timing step;                                                                        ///< whole
  double images_per_second = 0, images_per_second_p5 = 0, images_per_second_p95 = 0;  ///< median of steps and spread
  DeviceLimits limits;
  std::vector<std::string> raised;               ///< limits that a step here surpassed, and which were set to that
  double flops_per_second = 0, flops_share = 0;  ///< of a step, and its share of the limit
  double bytes_per_second = 0, bytes_share = 0;  ///< share: the time that its bytes need at best over the step's
  BenchCost cost;                                ///< of a step
  double layers_ms = 0;                   ///< the sum of all layers, measured step by step, loss and update included
  BenchLayer update;                      ///< loss, norm and optimizer, in backward_ms
  std::optional<double> joules_per_step;  ///< where the system tells
  StartUp start;
  bool interrupted = false;  ///< fewer steps than were asked for
  std::int64_t planned_bytes = 0, measured_bytes = 0;
  std::vector<BenchLayer> layers;  ///< those that take longest first
  std::vector<BenchKind> kinds;    ///< likewise
};

// ---- bench loader ---------------------------------------------------------------------------------------------

struct LoaderBench {
  Conditions conditions;
  std::string data;  ///< "cifar10"
  std::int64_t samples = 0, image_bytes = 0, batch = 0, batches = 0;
  int workers = 0;
  bool interrupted = false;
  double first_batch_seconds = 0, seconds = 0;
  double images_per_second = 0, bytes_per_second = 0;  ///< over the whole time
  Timing batch_time;
};

// ---- bench compare --------------------------------------------------------------------------------------------

enum class Change : std::uint8_t { none, faster, slower };
struct Comparison {
  std::string bench, what;              ///< "model", "resnet50 batch 16 bf16"
  double before = 0, after = 0;         ///< milliseconds for one image, medians
  double ratio = 1, low = 1, high = 1;  ///< of times: after over before, and the interval
  double share = 0.95, threshold = 0.02;
  std::size_t runs_before = 0, runs_after = 0, times_before = 0, times_after = 0;
  Change change = Change::none;
  std::vector<std::string> differences;            ///< of conditions: "threads 2 → 4"
  std::int64_t bytes_before = 0, bytes_after = 0;  ///< planned
};

// ---- tune -----------------------------------------------------------------------------------------------------

struct TunedPoint {
  std::int64_t batch = 0, micro_batch = 0;
  std::string precision;
  double images_per_second = 0, low = 0, high = 0;  ///< median and quartiles
  std::int64_t samples = 0, planned_bytes = 0, measured_bytes = 0;
};
struct LargestBatch {
  std::int64_t batch = 0, micro_batch = 0;
  std::string precision;
  std::optional<double> images_per_second;  ///< where it was worth measuring
  std::int64_t planned_bytes = 0;
};
/// The pick with the config's own data.
struct WithData {
  double alone = 0, with_data = 0, loader = 0;  ///< images a second: without data, with them, of the loader by itself
  int workers = 0;
  bool input_bound = false;
  std::string advice;  ///< what helps
};
struct TuneReport {
  Conditions conditions;
  std::string device, model;
  std::vector<TunedPoint> curve;  ///< by precision and batch
  std::size_t best = 0, fastest = 0;
  LargestBatch largest;
  std::optional<WithData> data;
  std::string end;     ///< "known", "time", "interrupted", "failed": see `findings`
  double seconds = 0;  ///< all of it
  double time_limit_seconds = 0;
  std::int64_t budget_bytes = 0;
  std::vector<std::string> remarks;  ///< on the learning rate, and what else should be known
  std::vector<std::string> files;    ///< that were written
  std::string stored;                ///< where `train` finds it; empty: not stored
  std::vector<Diagnostic> findings;  ///< what broke the search off
};

// ---- what is printed ------------------------------------------------------------------------------------------

[[nodiscard]] std::string to_json(const DeviceBench& bench);
[[nodiscard]] std::string to_json(const BenchReport& report);
[[nodiscard]] std::string to_json(const LoaderBench& bench);
[[nodiscard]] std::string to_json(const Comparison& comparison);
[[nodiscard]] std::string to_json(const TuneReport& report);
/// The two lines of `bench model --turns`: once everything stands ready, and after each turn.
[[nodiscard]] std::string ready_json(const BenchReport& report);
[[nodiscard]] std::string turn_json(const std::vector<double>& milliseconds);

[[nodiscard]] std::string to_text(const DeviceBench& bench);
[[nodiscard]] std::string to_text(const BenchReport& report);
[[nodiscard]] std::string to_text(const LoaderBench& bench);
[[nodiscard]] std::string to_text(const Comparison& comparison);
/// A bar for every batch: the curve in a terminal.
[[nodiscard]] std::string to_text(const TuneReport& report);

/// Images a second and bytes against the batch, with knee and limit.
[[nodiscard]] Drawing tune_curve(const TuneReport& report);

/// What a results file of `bench` holds, as `bench compare` needs it. A file may have several runs, one a line.
struct BenchRuns {
  std::string bench, what;
  std::int64_t batch = 0, planned_bytes = 0;
  std::vector<std::vector<double>> milliseconds;                ///< of one image, run by run
  std::vector<std::pair<std::string, std::string>> conditions;  ///< name and value of all that should be equal
};
/// Throws Error C… for what is no output of `bench model`, `bench op` or `bench loader`.
[[nodiscard]] BenchRuns read_bench(std::string_view text, const std::string& file);

}  // namespace snug
