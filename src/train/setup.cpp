#include "train/setup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <system_error>
#include <utility>

#include <malloc.h>

#include "base/cache_folder.h"
#include "base/ensure.h"
#include "base/shell.h"
#include "base/text.h"
#include "config/precision.h"
#include "data/augment.h"
#include "planner/ladders.h"
#include "runtime/staging.h"
#include "train/changed_runs.h"
#include "train/metrics.h"
#include "train/process.h"
#include "train/safetensors.h"
#include "train/safetensors_header.h"
#include "tune/tuned.h"

namespace snug {

namespace {

Diagnostic finding(std::string code, std::string where, std::string what, std::string fix) {
  return {.code = std::move(code), .where = std::move(where), .what = std::move(what), .fix = std::move(fix)};
}

bool takes_rows(Loss loss) { return loss != Loss::sparse_categorical_crossentropy; }

/// The first sample whose class number lies outside [0, count), or −1.
std::int64_t first_outside(const Dataset& data, std::int64_t count) {
  for (std::int64_t sample = 0; sample < data.info().samples; ++sample)
    if (const std::int64_t label = data.label(sample); label < 0 || label >= count) return sample;
  return -1;
}

void check_splits(const Config& config, const RunSetup& setup, std::vector<Diagnostic>& findings) {
  const Splits& splits = setup.splits;
  if (splits.train == nullptr) {
    findings.push_back(finding("C611", to_string(config.where("data")), "the config names no data.train to train on",
                               "train = { images = \"x.npy\", labels = \"y.npy\" }"));
    return;
  }
  check_images(*splits.train, config, "train", findings);
  check_labels(*splits.train, config, setup.outputs, findings);
  if (splits.val == nullptr) return;
  const DatasetInfo& train = splits.train->info();
  const DatasetInfo& val = splits.val->info();
  if (train.dtype != val.dtype || train.integer_max != val.integer_max)
    findings.push_back(finding(
        "D203", to_string(config.where("data.val")),
        fmt::format("data.val holds {}, data.train {}: their scales differ", val.source_dtype, train.source_dtype),
        fmt::format("store data.val as {} on the same scale", train.source_dtype)));
  check_images(*splits.val, config, "val", findings);
  check_labels(*splits.val, config, setup.outputs, findings);
}

void check_class_weights(const Config& config, std::int64_t outputs, std::vector<Diagnostic>& findings) {
  const auto given = static_cast<std::int64_t>(config.train.class_weights.size());
  if (given == 0 || given == outputs) return;
  findings.push_back(finding("T107", to_string(config.where("train.class_weights")),
                             fmt::format("class_weights has {} numbers, the network {} outputs", given, outputs),
                             fmt::format("give {} numbers, one per class", outputs)));
}

void check_monitor(const Config& config, bool has_val, std::vector<Diagnostic>& findings) {
  if (!config.train.early_stopping) return;
  const std::string& monitor = config.train.early_stopping->monitor;
  const bool known = metric_value({.val_loss = 0.0, .val_accuracy = 0.0}, monitor).has_value();
  if (known && (has_val || !monitor.starts_with("val_"))) return;
  const std::string where = to_string(config.where("train.early_stopping.monitor"));
  if (!known)
    findings.push_back(finding("T106", where, fmt::format("no epoch has a metric {}", short_name(monitor)),
                               "monitor = \"val_accuracy\""));
  else
    findings.push_back(finding("T106", where,
                               fmt::format("early_stopping looks at {}, the config has no data.val", monitor),
                               "val_split = 0.1"));
}

/// Keys that this version reads and cannot carry out.
void check_supported(const Config& config, const Processor& processor, std::vector<Diagnostic>& findings) {
  const Precision precision = config.train.precision;
  if (const auto why = cannot_compute(precision, processor))
    findings.push_back(
        finding("T616", to_string(config.where("train.precision")), *why, computable_instead(precision, processor)));
  if (auto why = cannot_keep_images(config, processor)) findings.push_back(*std::move(why));
  if (config.data.balance == Balance::weights && !config.train.class_weights.empty())
    findings.push_back(finding(
        "T107", to_string(config.where("data.balance")),
        fmt::format("balance = \"weights\" and {} class_weights exclude each other", config.train.class_weights.size()),
        "balance = \"none\""));
}

/// Bytes of file pages that this process has in memory.
std::int64_t resident_file_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  std::int64_t kibibytes = 0;
  while (status >> word)
    if (word == "RssFile:") return status >> kibibytes ? kibibytes * 1024 : 0;
  return 0;
}

/// Whether so much free memory holds what files are mapped.
bool holds(const Splits& splits, std::int64_t free_bytes) { return mapped_bytes(splits) <= free_bytes / 2; }

/// The device's memory was asked for with the data open; the data counts as host memory, not as the process's.
DeviceMemory without_data(const DeviceMemory& device, const Splits& splits) {
  // Pages of mapped files are free as it is. What data have in memory is given back here, and taken as host memory.
  return steady(device, device.driver_bytes - std::min(mapped_bytes(splits), resident_file_bytes()));
}

/// What holds for plans on a GPU, which has memory and limits of its own. Returns the most samples at a time.
std::int64_t limit_to_gpu(const Graph& graph, const DeviceMemory& device, PlanRequest& request) {
  request.most_elements = std::numeric_limits<std::int32_t>::max();  // cuDNN counts with 32 bits
  const std::int64_t limit = index_limit(graph, request);
  request.batch_limit = request.batch_limit > 0     ? std::min(request.batch_limit, limit)
                        : request.train_samples > 0 ? std::min(request.train_samples, limit)
                                                    : limit;
  if (request.budget.bytes) request.budget.bytes = std::min(*request.budget.bytes, device.free_bytes);
  return limit;
}

/// A plan that would fit, of maps that the library cannot address. What does not fit either is told by its bytes.
void require_indexable(const Config& config, std::int64_t limit, const PlanReport& report) {
  if (!report.fits || report.micro_batch <= limit) return;
  throw Error(finding("M613", to_string(config.where("train.batch")),
                      fmt::format("{} samples at a time: cuDNN takes {} of this network, for it counts with 32 bits",
                                  report.micro_batch, limit),
                      fmt::format("train.batch = {}", limit * report.accumulation)));
}

/// Weights that make classes count alike: the mean number of samples of a class over its own number.
std::vector<double> even_weights(const Dataset& data, std::int64_t outputs) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(std::max<std::int64_t>(outputs, 1)));
  for (const std::int64_t label : class_numbers(data)) {
    if (label >= 0 && std::cmp_less(label, counts.size())) ++counts[static_cast<std::size_t>(label)];
  }
  const auto used = std::ranges::count_if(counts, [](std::int64_t count) { return count > 0; });
  const double mean = static_cast<double>(data.info().samples) / static_cast<double>(std::max<std::int64_t>(used, 1));
  std::vector<double> weights;
  weights.reserve(counts.size());
  for (const std::int64_t count : counts) weights.push_back(count > 0 ? mean / static_cast<double>(count) : 1.0);
  return weights;
}

/// What the data settings ask of the loss: rows where samples are mixed, weights where classes are evened out.
void adapt_loss(const Config& config, RunSetup& setup) {
  TrainConfig& train = setup.lowering.train;
  if (has_mix(config.data.augment) && train.loss == Loss::sparse_categorical_crossentropy)
    train.loss = Loss::categorical_crossentropy;
  setup.row_width = label_row_width(train.loss, setup.outputs);
  if (config.data.balance == Balance::weights) train.class_weights = even_weights(*setup.splits.train, setup.outputs);
}

/// cache = "ram" is a promise: what does not fit is refused before it is read.
void require_cached(const Config& config, const RunSetup& setup, std::int64_t free_bytes) {
  if (config.data.cache != CacheMode::ram) return;
  std::int64_t bytes = 0;
  for (const auto& split : {setup.splits.train, setup.splits.val, setup.splits.test})
    if (split != nullptr) bytes += split->info().resident_bytes;
  if (bytes <= free_bytes) return;
  throw Error(finding("M614", to_string(config.where("data.cache")),
                      fmt::format("cache = \"ram\" keeps {} of images, {} of memory are free: {} too much",
                                  format_bytes(bytes), format_bytes(free_bytes), format_bytes(bytes - free_bytes)),
                      "cache = \"stream\""));
}

/// The plan of the batch that was measured to be the best; nothing where none was, or where it does not fit now.
std::optional<Plan> plan_tuned(const RunSetup& setup, PlanRequest request, const DeviceMemory& memory, Backend& backend,
                               const TunedKey& key) {
  if (request.batch.kind != BatchChoice::Kind::automatic) return std::nullopt;
  const auto tuned = load_tuned(key);
  if (!tuned || (request.train_samples > 0 && tuned->batch > request.train_samples)) return std::nullopt;
  request.batch = {.kind = BatchChoice::Kind::number, .number = tuned->batch};
  const bool alone = std::exchange(request.alone, true);
  if (!plan_training(setup.graph, request, memory, backend).report.fits) return std::nullopt;
  request.alone = alone;
  Plan plan = plan_training(setup.graph, request, memory, backend);
  plan.report.tuned = fmt::format("measured by snug tune on {}: {:.4g} img/s", tuned->date, tuned->images_per_second);
  return plan;
}

bool may(const MemoryConfig& memory, std::string_view strategy) {
  return memory.strategy_auto || std::ranges::find(memory.strategy, strategy) != memory.strategy.end();
}

}  // namespace

LoweringOptions lowering_options(const Config& config, const RunSetup& setup, std::vector<Diagnostic>& findings) {
  LoweringOptions options{.dtype = activation_dtype(config.train.precision),
                          .image_divisor = setup.scaling.divisor,
                          .train = config.train,
                          .in_place = may(config.memory, "inplace")};
  if (setup.splits.train != nullptr) options.image_dtype = setup.splits.train->info().dtype;
  if (!config.train.freeze.empty())
    options.frozen = frozen_nodes(setup.graph, config.train.freeze, config.where("train.freeze"), findings);
  return options;
}

std::optional<Diagnostic> cannot_keep_images(const Config& config, const Processor& processor) {
  if (config.data.cache != CacheMode::device) return std::nullopt;
  const auto refuse = [&](std::string code, std::string what) {
    return finding(std::move(code), to_string(config.where("data.cache")), std::move(what), "cache = \"ram\"");
  };
  if (!processor.gpu)
    return refuse("C201", "data.cache = \"device\" keeps the training images on a GPU; this run is on the CPU");
  const std::vector<std::string> others = not_placed(config.data.augment);
  if (others.empty()) return std::nullopt;
  return refuse("C202", fmt::format("data.cache = \"device\" flips and shifts images on the GPU, and does not do {}",
                                    fmt::join(others, ", ")));
}

std::int64_t kept_samples(const Config& config, const RunSetup& setup) {
  const bool kept = config.data.cache == CacheMode::device && setup.splits.train != nullptr;
  return kept ? setup.splits.train->info().samples : 0;
}

Computer this_computer(int threads) {
  return {.planning =
              [=](const Config& config) {
                return Planning{.memory = cpu_device(threads, config.train.precision),
                                .make_backend = [=] { return make_cpu_backend({.threads = threads}); }};
              },
          .make_backend = [=](const Config&) { return make_cpu_backend({.threads = threads}); }};
}

std::int64_t measured_bytes(const Computer& computer) {
  if (computer.device == nullptr) return resident_bytes();
  if (computer.used_bytes) return computer.used_bytes();
  const DeviceMemoryState memory = computer.device->memory();
  return memory.total_bytes - memory.free_bytes;
}

RunSetup make_setup(const Config& config) {
  std::vector<Diagnostic> findings;
  Graph graph = build_graph(config.model, findings);
  if (has_errors(findings)) throw Error(std::move(findings));
  Splits splits = open_data(config.data, config.model.input, config.train.seed);
  pass_large_through(splits);
  return make_setup(config, std::move(graph), std::move(splits));
}

void pass_large_through(const Splits& splits) {
  if (holds(splits, cpu_memory().free_bytes)) return;
  for (const auto& split : {splits.train, splits.val, splits.test}) {
    if (split != nullptr) split->pass_through();
  }
}

RunSetup make_setup(const Config& config, Graph graph, Splits splits, const Processor& processor) {
  std::vector<Diagnostic> findings;
  RunSetup setup{.splits = std::move(splits), .graph = std::move(graph)};
  setup.outputs = setup.graph[final_layer(setup.graph, config.train.loss).logits].output.elements();
  setup.row_width = label_row_width(config.train.loss, setup.outputs);
  check_splits(config, setup, findings);
  check_class_weights(config, setup.outputs, findings);
  check_monitor(config, setup.splits.val != nullptr, findings);
  check_supported(config, processor, findings);
  if (has_errors(findings)) throw Error(std::move(findings));
  setup.scaling = input_scaling(config.data.normalize, *setup.splits.train);
  setup.lowering = lowering_options(config, setup, findings);
  if (has_errors(findings)) throw Error(std::move(findings));
  adapt_loss(config, setup);
  return setup;
}

void check_images(const Dataset& data, const Config& config, std::string_view whose,
                  std::vector<Diagnostic>& findings) {
  const auto& input = config.model.input;
  const Shape wanted{input[0], input[1], input[2]};
  const Shape& image = data.info().image;
  if (image == wanted) return;
  findings.push_back(
      finding("D202", data.where(0),
              fmt::format("the {} images are {}, model.input is {}", whose, to_string(image), to_string(wanted)),
              fmt::format("input = [{}, {}, {}]", image[0], image[1], image[2])));
}

void check_labels(const Dataset& data, const Config& config, std::int64_t outputs, std::vector<Diagnostic>& findings) {
  const DatasetInfo& info = data.info();
  const Loss loss = config.train.loss;
  const std::string loss_place = to_string(config.where("train.loss"));
  if (info.labels == LabelKind::rows) {
    if (!takes_rows(loss))
      findings.push_back(finding(
          "L201", loss_place,
          fmt::format("{} takes class numbers, the labels are rows of {} numbers", to_string(loss), info.label_width),
          "loss = \"categorical_crossentropy\""));
    else if (info.label_width != outputs)
      findings.push_back(
          finding("L206", data.label_where(0),
                  fmt::format("labels are rows of {} numbers, the network has {} outputs", info.label_width, outputs),
                  fmt::format("{{ dense = {} }}", info.label_width)));
    return;
  }
  // A single output takes the class numbers 0 and 1.
  const bool single = takes_rows(loss) && outputs == 1;
  const std::int64_t classes = single ? 2 : outputs;
  const std::int64_t sample = first_outside(data, classes);
  if (sample < 0) return;
  findings.push_back(
      finding("L202", data.label_where(sample),
              fmt::format("label {} is outside 0 to {}, which {} outputs with {} tell apart", data.label(sample),
                          classes - 1, outputs, to_string(loss)),
              data.label(sample) >= classes
                  ? fmt::format("{{ dense = {} }}", std::max(data.label(sample) + 1, std::ssize(info.classes)))
                  : "label_offset = 1"));
}

std::int64_t label_row_width(Loss loss, std::int64_t outputs) { return takes_rows(loss) ? outputs : 0; }

LoaderOptions train_loader_options(const Config& config, std::int64_t batch, std::int64_t row_width) {
  return {.batch = batch,
          .shuffle = config.data.shuffle,
          .drop_last = config.data.drop_last,
          .seed = config.train.seed,
          .workers = static_cast<int>(config.data.workers),
          .augment = config.data.augment,
          .row_width = row_width,
          .places = config.data.cache == CacheMode::device,
          .even_classes = config.data.balance == Balance::sampler};
}

LoaderOptions eval_loader_options(const Config& config, std::int64_t batch, std::int64_t row_width) {
  return {.batch = batch,
          .seed = config.train.seed,
          .workers = static_cast<int>(config.data.workers),
          .augment = {},
          .row_width = row_width};
}

LoaderOptions keeping_loader_options(const Config& config, const Dataset& train, std::int64_t row_width) {
  constexpr std::int64_t kBytes = 4 << 20;
  const DatasetInfo& info = train.info();
  const std::int64_t image_bytes = info.image.elements() * size_bytes(info.dtype);
  return eval_loader_options(config, std::clamp<std::int64_t>(kBytes / image_bytes, 1, info.samples), row_width);
}

OutcomesOptions epoch_outcomes(const Config& config, const RunSetup& setup) {
  constexpr std::int64_t kMostOutcomes = 50'000;  // 1.6 MB
  constexpr std::int64_t kMostClasses = 1000;     // a confusion matrix of 8 MB
  OutcomesOptions options{.loss = config.train.loss,
                          .outputs = setup.outputs,
                          .most_outcomes = kMostOutcomes,
                          .most_classes = kMostClasses};
  if (setup.splits.train != nullptr) options.classes = setup.splits.train->info().classes;
  if (setup.splits.val != nullptr) options.samples = setup.splits.val->info().samples;
  return options;
}

std::int64_t host_bytes(const Config& config, const RunSetup& setup, std::int64_t batch, std::int64_t free_bytes) {
  std::int64_t bytes = largest_parameter(setup.graph) * size_bytes(DType::f32);
  if (setup.splits.val != nullptr) bytes += 2 * outcomes_bytes(epoch_outcomes(config, setup));  // the last, the best
  for (const auto& split : {setup.splits.train, setup.splits.val, setup.splits.test}) {
    if (split != nullptr) bytes += split->info().resident_bytes;
  }
  if (holds(setup.splits, free_bytes)) bytes += mapped_bytes(setup.splits);
  const LoaderOptions train = train_loader_options(config, batch, setup.row_width);
  const LoaderOptions eval = eval_loader_options(config, batch, setup.row_width);
  if (setup.splits.train != nullptr) {
    const DatasetInfo& info = setup.splits.train->info();
    std::int64_t ring = Loader::ring_bytes(info, train);
    if (train.places) {  // they were read before the first batch
      const LoaderOptions keeping = keeping_loader_options(config, *setup.splits.train, setup.row_width);
      ring = std::max(ring, Loader::ring_bytes(info, keeping));
    }
    bytes += ring;
  }
  if (setup.splits.val != nullptr) bytes += Loader::ring_bytes(setup.splits.val->info(), eval);
  return bytes;
}

std::int64_t checkpoint_bytes(const Config& config, const Graph& graph) {
  const OptimizerConfig& optimizer = config.train.optimizer;
  std::int64_t moments = optimizer.kind == OptimizerKind::sgd ? (optimizer.momentum > 0 ? 1 : 0) : 2;
  if (config.train.ema > 0) ++moments;
  std::int64_t elements = 0;
  for (const Parameter* parameter : all_parameters(graph))
    elements += parameter->shape.elements() * (parameter->trainable() ? 3 + moments : 3);  // last, best, state
  return elements * size_bytes(DType::f32);
}

std::int64_t largest_parameter(const Graph& graph) {
  std::int64_t largest = 0;
  for (const Parameter* parameter : all_parameters(graph)) largest = std::max(largest, parameter->shape.elements());
  return largest;
}

Strategies strategies_of(const Config& config, bool on_gpu) {
  const MemoryConfig& memory = config.memory;
  return {.recompute = may(memory, "recompute"),
          .split = may(memory, "split"),
          .eager_update = may(memory, "eager_update") && config.train.clip_norm <= 0,
          .microbatch = !memory.strategy_auto && may(memory, "microbatch"),
          .offload = may(memory, "offload") && (on_gpu || !memory.strategy_auto)};
}

Plan plan_run(const Config& config, const RunSetup& setup, const DeviceMemory& device, Backend& backend,
              const PlanRunOptions& options) {
  const auto samples = [](const auto& split) { return split == nullptr ? std::int64_t{0} : split->info().samples; };
  // On a GPU the host's memory is another, and maybe another machine's: all of the data is counted.
  const bool on_gpu = !device.driver_in_use;
  PlanRequest request{.lowering = setup.lowering,
                      .strategies = strategies_of(config, on_gpu),
                      .batch = config.train.batch,
                      .train_samples = samples(setup.splits.train),
                      .val_samples = samples(setup.splits.val),
                      .drop_last = config.data.drop_last,
                      .budget = config.memory.budget,
                      .arena_budget_bytes = options.arena_budget_bytes,
                      .workspace_limit_bytes = config.memory.workspace_bytes,
                      .checkpoint_bytes = checkpoint_bytes(config, setup.graph)};
  if (on_gpu) request.lowering.kept_samples = kept_samples(config, setup);
  request.batch_limit = options.batch_limit;
  request.alone = options.alone;
  if (options.batch > 0) request.batch = {.kind = BatchChoice::Kind::number, .number = options.batch};
  const DeviceMemory memory = without_data(device, setup.splits);
  std::int64_t most_samples = std::numeric_limits<std::int64_t>::max();
  if (on_gpu) most_samples = limit_to_gpu(setup.graph, memory, request);
  if (!on_gpu) require_cached(config, setup, memory.free_bytes);
  const std::int64_t host_free = on_gpu ? std::numeric_limits<std::int64_t>::max() : memory.free_bytes;
  request.host_bytes_of = [&](std::int64_t batch) { return host_bytes(config, setup, batch, host_free); };
  if (options.trial_backend) request.trial_backend = options.trial_backend;
  // A machine has at least as much memory as one of its GPUs; how much more nobody knows before it is there.
  if (on_gpu) request.offload_limit_bytes = memory.total_bytes;
  request.shelf = std::make_shared<LadderShelf>();
  request.cache = cache_folder();
  request.changed_runs = [&](const PlanReport& refused) {
    return changed_runs(config, setup, request, memory, options, refused);
  };
  std::optional<Plan> tuned;
  if (options.tuned_threads && options.batch == 0)
    tuned = plan_tuned(setup, request, memory, backend,
                       tuned_key(config, *options.tuned_threads,
                                 options.processor.gpu ? options.processor.gpu->name : "", device.engines));
  Plan plan = tuned ? *std::move(tuned) : plan_training(setup.graph, request, memory, backend);
  if (on_gpu)  // inputs on their way to the device, and a copy of the parameter that is read or written
    plan.report.host_bytes += staging_bytes(plan.input_bytes) + largest_parameter(setup.graph) * size_bytes(DType::f32);
  ::malloc_trim(0);  // what the search took: pages that the run would only hold
  require_indexable(config, most_samples, plan.report);
  return plan;
}

std::string pasteable(const Config& config, const std::string& change) {
  if (change.find('\n') != std::string::npos) return as_options(change);
  const std::size_t equals = change.find(" = ");
  const std::size_t dot = change.rfind('.', equals);
  if (equals == std::string::npos || dot == std::string::npos) return change;
  const std::string key = change.substr(0, equals);
  if (config.where(key).line == 0) return as_options(change);
  return fmt::format("{}   # in [{}]", change.substr(dot + 1), change.substr(0, dot));
}

/// " of layer1.0.conv1": where the most scratch is taken.
std::string hungriest_layer(const PlanReport& report) {
  const auto layer = std::ranges::max_element(report.layers, {}, &PlanLayer::workspace_bytes);
  return layer == report.layers.end() || layer->workspace_bytes == 0 ? "" : " of " + layer->name;
}

Diagnostic does_not_fit(const Config& config, const PlanReport& report) {
  const std::string fix = report.remedies.empty()
                              ? "no change of the settings fits: a smaller model, or a device with more memory"
                              : pasteable(config, report.remedies.front().change);
  if (config.memory.workspace_bytes && report.workspace_bytes > *config.memory.workspace_bytes) {
    return {.code = "M612",
            .where = to_string(config.where("memory.workspace")),
            .what = fmt::format("a step{} at batch {} takes {} of scratch, memory.workspace is {}",
                                hungriest_layer(report), report.batch, format_bytes(report.workspace_bytes),
                                format_bytes(*config.memory.workspace_bytes)),
            .fix = fix};
  }
  const bool fits_without =
      std::ranges::find(report.remedies, kImagesFromHost, &PlanRemedy::change) != report.remedies.end();
  if (report.data_bytes > 0 && fits_without) {
    return {
        .code = "M618",
        .where = to_string(config.where("data.cache")),
        .what = fmt::format("cache = \"device\" keeps {} of images there; {} with batch {}, the budget is {}: {} too "
                            "much",
                            format_bytes(report.data_bytes), format_bytes(report.total_bytes), report.batch,
                            format_bytes(report.budget_bytes), format_bytes(report.short_by_bytes)),
        .fix = pasteable(config, std::string(kImagesFromHost))};
  }
  const bool own_budget = config.memory.budget.bytes.has_value() && config.positions.contains("memory.budget");
  const auto with_host = [](std::int64_t bytes, std::int64_t host) {
    return host > 0 ? fmt::format("{} and {} for data", format_bytes(bytes), format_bytes(host)) : format_bytes(bytes);
  };
  return {.code = "M611",
          .where = to_string(config.where(own_budget ? "memory.budget" : "train.batch")),
          .what = fmt::format("batch {} needs {}, the budget is {}: {} too much", report.batch,
                              with_host(report.total_bytes, report.host_bytes), format_bytes(report.budget_bytes),
                              format_bytes(report.short_by_bytes)),
          .fix = fix};
}

Config checkpoint_config(const CheckpointInfo& info, const std::filesystem::path& path, const ConfigOptions& changes) {
  try {
    return parse_config(info.config, path, changes);
  } catch (const Error& error) {
    if (!changes.set.empty()) throw;  // the fault may lie in them
    throw Error(Diagnostic{.code = "D605",
                           .where = path.string(),
                           .what = fmt::format("the config in the checkpoint cannot be read: {}",
                                               error.findings().front().what.substr(0, 100)),
                           .fix = "give the config: eval CHECKPOINT --config FILE"});
  }
}

}  // namespace snug
