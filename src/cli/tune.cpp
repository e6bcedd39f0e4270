#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "cli/calibrate.h"
#include "cli/checked.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/conditions.h"
#include "cli/loader_bench.h"
#include "cli/signals.h"
#include "cli/target.h"
#include "cli/tune.h"
#include "cli/tune_meter.h"
#include "report/terminal.h"
#include "tune/search.h"
#include "tune/tuned.h"

namespace snug {

namespace {

using Clock = std::chrono::steady_clock;

constexpr double kTimeLimitSeconds = 300;    // on a CPU: what ResNet-50 may take
constexpr double kGpuTimeLimitSeconds = 60;  // what a ResNet-18 of small pictures may take there
constexpr double kDataShare = 0.1;           // of the limit, for the steps with the config's own data
constexpr double kDataSeconds = 2;
constexpr double kInputBound = 0.95;  // of the rate without data: below it, steps wait for the input

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// ---- options ----------------------------------------------------------------------------------------------------

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

double parse_time_limit(const Arguments& arguments, bool on_gpu) {
  const auto text = arguments.text("time-limit");
  if (!text) return on_gpu ? kGpuTimeLimitSeconds : kTimeLimitSeconds;
  const auto seconds = parse_number(*text);
  if (!seconds || !(*seconds > 0) || *seconds > 1e6) {
    throw Error({.code = "C904",
                 .where = "--time-limit",
                 .what = fmt::format("--time-limit expects seconds above 0, got '{}'", *text),
                 .fix = "--time-limit 60"});
  }
  return *seconds;
}

std::vector<Precision> parse_precisions(const Arguments& arguments, const Config& config, const Processor& processor) {
  const auto text = arguments.text("precisions");
  if (!text) return {config.train.precision};
  std::vector<Precision> list;
  for (const std::string& word : split_list(*text)) {
    constexpr std::array kAll{Precision::fp32, Precision::tf32, Precision::bf16, Precision::fp16};
    const auto* const found = std::ranges::find(kAll, word, [](Precision p) { return to_string(p); });
    if (found == kAll.end() || std::ranges::find(list, *found) != list.end()) {
      throw Error(
          {.code = "C904",
           .where = "--precisions",
           .what = fmt::format("--precisions expects some of fp32, tf32, bf16, fp16, each once; got '{}'", *text),
           .fix = "--precisions fp32,bf16"});
    }
    if (const auto why = cannot_compute(*found, processor))
      throw Error({.code = "T616", .where = "--precisions", .what = *why, .fix = "--precisions fp32"});
    list.push_back(*found);
  }
  return list;
}

std::vector<std::int64_t> parse_parts(const Arguments& arguments, const Config& config) {
  const auto text = arguments.text("parts");
  if (!text) return {config.train.accumulate};
  std::vector<std::int64_t> list;
  for (const std::string& word : split_list(*text)) {
    const auto number = parse_integer(word);
    if (!number || *number < 1 || std::ranges::find(list, *number) != list.end()) {
      throw Error({.code = "C904",
                   .where = "--parts",
                   .what = fmt::format("--parts expects numbers of at least 1, each once; got '{}'", *text),
                   .fix = "--parts 1,2,4"});
    }
    list.push_back(*number);
  }
  return list;
}

// ---- set-up -----------------------------------------------------------------------------------------------------

struct Tuning {
  Config config;
  std::vector<Diagnostic> asides;
  std::vector<TuneSetting> settings;
  std::vector<DeviceMemory> memory;                                 ///< of each setting
  std::vector<std::function<std::unique_ptr<Backend>()>> planners;  ///< likewise
  std::vector<PlanReport> smallest;                                 ///< batch 1 of each setting
  std::vector<std::int64_t> limits;                                 ///< of each setting, what fits
  bool has_data = false;
  double time_limit = 0;
  int threads = 0;
  std::optional<Computer> gpu;  ///< absent: this processor
  [[nodiscard]] Computer computer() const { return gpu.value_or(this_computer(threads)); }
};

TuneSetting make_setting(const Config& config, const RunSetup& setup, Precision precision, std::int64_t parts) {
  TuneSetting setting{.config = config, .setup = setup};
  TrainConfig& train = setting.config.train;
  train.precision = precision;
  train.accumulate = parts;
  train.batch = {.kind = BatchChoice::Kind::number, .number = parts};
  setting.setup.lowering.dtype = activation_dtype(precision);
  setting.setup.lowering.train.precision = precision;
  setting.setup.lowering.train.accumulate = parts;
  return setting;
}

/// The largest batch of each setting; settings without one have 0. Throws the refusal where none has any.
void plan_limits(Tuning& tuning, std::int64_t most) {
  std::optional<Error> refusal;
  bool any = false;
  const Computer computer = tuning.computer();
  for (const TuneSetting& setting : tuning.settings) {
    const Planning planning = computer.planning(setting.config);
    tuning.memory.push_back(planning.memory);
    tuning.planners.push_back(planning.make_backend);
    PlanReport report =
        plan_run(
            setting.config, setting.setup, planning.memory, *planning.make_backend(),
            {.trial_backend = planning.make_backend, .planning = computer.planning, .processor = computer.processor})
            .report;
    if (!report.fits && !refusal) refusal = Error(does_not_fit(setting.config, report));
    const std::int64_t parts = setting.config.train.accumulate;
    const std::int64_t samples = tuning.has_data ? setting.setup.splits.train->info().samples : kBatchLimit;
    const std::int64_t whole = std::min(report.max_batch * parts, samples);  // max_batch is of one part
    tuning.limits.push_back(report.fits ? std::min(whole, most) : 0);
    tuning.smallest.push_back(std::move(report));
    any = any || tuning.limits.back() > 0;
  }
  if (!any && refusal) throw *refusal;
}

Tuning set_up(const Arguments& arguments, std::optional<Computer> gpu) {
  Tuning tuning;
  tuning.time_limit = parse_time_limit(arguments, gpu.has_value());
  tuning.threads = thread_count(arguments);
  tuning.gpu = std::move(gpu);
  const Processor processor = tuning.computer().processor;
  const std::int64_t most = arguments.integer("max-batch", 1).value_or(kBatchLimit);
  tuning.config = read_config(arguments.positional()[0], arguments, true);
  const std::vector<Precision> precisions = parse_precisions(arguments, tuning.config, processor);
  const std::vector<std::int64_t> parts = parse_parts(arguments, tuning.config);
  CheckedRun checked = check_run(tuning.config, arguments, processor);
  const bool without = only_data_missing(checked) || !tuning.config.data.train;
  if (!without && has_errors(checked.findings)) throw Error(checked.findings);
  std::erase_if(checked.findings, [](const Diagnostic& finding) { return finding.severity == Severity::error; });
  if (without) {
    checked.findings.push_back({.code = "D902",
                                .severity = Severity::note,
                                .where = to_string(tuning.config.where("data")),
                                .what = "measured on random images: there are no data to feed it with",
                                .fix = "give their folder: --data-root DIR"});
  }
  tuning.has_data = !without;
  const RunSetup setup = without ? setup_without_data(tuning.config, std::move(checked.graph), checked.findings)
                                 : take_setup(tuning.config, checked);
  if (has_errors(checked.findings)) throw Error(checked.findings);
  tuning.asides = std::move(checked.findings);
  if (!tuning.gpu) ensure_cpu_rates(tuning.threads);
  for (const Precision precision : precisions)
    for (const std::int64_t count : parts)
      tuning.settings.push_back(make_setting(tuning.config, setup, precision, count));
  plan_limits(tuning, most);
  return tuning;
}

// ---- with data --------------------------------------------------------------------------------------------------

/// Images a second of whole steps on the config's own data.
double rate_with_data(const TuneSetting& setting, BenchNetwork& network, std::int64_t batch, double seconds) {
  Loader loader(setting.setup.splits.train, train_loader_options(setting.config, batch, setting.setup.row_width));
  const auto enough = [&](Clock::time_point begin, int steps) {
    return network.stopped() || (steps >= 3 && seconds_since(begin) >= seconds);
  };
  std::int64_t images = 0;
  int steps = 0;
  Clock::time_point begin = Clock::now();
  for (std::int64_t epoch = 0; !enough(begin, steps); ++epoch) {
    loader.start_epoch(epoch);
    while (const Batch* next = loader.next()) {
      if (steps == 1) {  // the first fills the loader's ring
        begin = Clock::now();
        images = 0;
      }
      network.step_on(*next);
      images += next->count;
      if (enough(begin, ++steps)) break;
    }
  }
  return static_cast<double>(images) / seconds_since(begin);
}

std::string advice_for(const Config& config, int workers) {
  if (config.data.train && config.data.train->format == DataFormat::pack)
    return fmt::format("a larger batch does not help; [data] workers = {}, or less augmentation", 2 * workers);
  return fmt::format("a larger batch does not help; `snug data pack {} --out PACK`, or [data] workers = {}",
                     config.file, 2 * workers);
}

WithData measure_with_data(const Tuning& tuning, NetworkMeter& meter, const TunePoint& best) {
  const TuneSetting& setting = tuning.settings[static_cast<std::size_t>(best.setting)];
  const double seconds = std::min(kDataSeconds, kDataShare * tuning.time_limit);
  const LoaderBench loader =
      measure_loader(setting.config, setting.setup, best.batch, seconds / 2, &StopSignals::flag());
  WithData data{.alone = best.images_per_second, .loader = loader.images_per_second, .workers = loader.workers};
  data.with_data = rate_with_data(setting, meter.network(best.setting, best.batch), best.batch, seconds);
  data.input_bound = data.with_data < kInputBound * data.alone && data.loader < 1.3 * data.alone;
  if (data.input_bound) data.advice = advice_for(tuning.config, loader.workers);
  return data;
}

// ---- the report -------------------------------------------------------------------------------------------------

/// How the learning rate follows the batch.
std::string rate_remark(const Config& config, std::int64_t batch) {
  const TrainConfig& train = config.train;
  const double lr = train.optimizer.lr;
  if (train.lr_reference_batch > 0) {
    return fmt::format("learning rate: lr_reference_batch = {:g} makes it {:.3g} at batch {}", train.lr_reference_batch,
                       lr * static_cast<double>(batch) / train.lr_reference_batch, batch);
  }
  if (train.batch.kind == BatchChoice::Kind::number && train.batch.number != batch) {
    return fmt::format(
        "learning rate: lr = {:g} was meant for batch {}; at {} {:.3g} learns alike (in proportion), or "
        "set lr_reference_batch = {}",
        lr, train.batch.number, batch, lr * static_cast<double>(batch) / static_cast<double>(train.batch.number),
        train.batch.number);
  }
  if (train.batch.kind == BatchChoice::Kind::number) return {};
  return fmt::format(
      "learning rate: lr = {:g} stays as it is at any batch; lr_reference_batch = N scales it in proportion", lr);
}

TunedPoint tuned_point(const Tuning& tuning, const NetworkMeter& meter, const TunePoint& point) {
  const TrainConfig& train = tuning.settings[static_cast<std::size_t>(point.setting)].config.train;
  const NetworkMeter::Bytes bytes = meter.bytes(point.setting, point.batch);
  const std::int64_t parts = std::min(train.accumulate, point.batch);
  return {.batch = point.batch,
          .micro_batch = (point.batch + parts - 1) / parts,
          .precision = std::string(to_string(train.precision)),
          .images_per_second = point.images_per_second,
          .low = point.low,
          .high = point.high,
          .samples = std::ssize(point.rates),
          .planned_bytes = bytes.planned,
          .measured_bytes = bytes.measured};
}

LargestBatch largest_of(const Tuning& tuning, const TuneResult& result) {
  const int setting = result.curve[result.knee].setting;
  const auto i = static_cast<std::size_t>(setting);
  const TrainConfig& train = tuning.settings[i].config.train;
  LargestBatch largest{.batch = tuning.limits[i],
                       .micro_batch = (tuning.limits[i] + train.accumulate - 1) / train.accumulate,
                       .precision = std::string(to_string(train.precision))};
  for (const TunePoint& point : result.curve)
    if (point.setting == setting && point.batch == largest.batch) largest.images_per_second = point.images_per_second;
  // The device is not asked: it may have failed.
  const PlanReport plan =
      plan_run(tuning.settings[i].config, tuning.settings[i].setup, tuning.memory[i], *tuning.planners[i](),
               {.batch = largest.batch,
                .trial_backend = tuning.planners[i],
                .alone = true,
                .processor = tuning.computer().processor})
          .report;
  largest.planned_bytes = plan.total_bytes + (tuning.gpu ? 0 : plan.host_bytes);
  return largest;
}

TuneReport report_of(const Tuning& tuning, const NetworkMeter& meter, const TuneResult& result) {
  TuneReport report{.device = tuning.smallest.front().device,
                    .model = tuning.config.name,
                    .best = result.knee,
                    .fastest = result.fastest,
                    .end = !meter.failure().empty()       ? "failed"
                           : result.end == TuneEnd::known ? "known"
                           : result.end == TuneEnd::time  ? "time"
                                                          : "interrupted",
                    .time_limit_seconds = tuning.time_limit,
                    .budget_bytes = tuning.smallest.front().budget_bytes};
  for (const TunePoint& point : result.curve) report.curve.push_back(tuned_point(tuning, meter, point));
  report.largest = largest_of(tuning, result);
  if (std::string remark = rate_remark(tuning.config, report.curve[report.best].batch); !remark.empty())
    report.remarks.push_back(std::move(remark));
  const TrainConfig& pick = tuning.settings[static_cast<std::size_t>(result.curve[result.knee].setting)].config.train;
  if (pick.precision != tuning.config.train.precision)
    report.remarks.push_back(fmt::format("to train so: train.precision = \"{}\"", to_string(pick.precision)));
  if (pick.accumulate != tuning.config.train.accumulate)
    report.remarks.push_back(fmt::format("to train so: train.accumulate = {}", pick.accumulate));
  return report;
}

/// Keeps the pick where `train` looks for it. A search that was broken off is not kept: its knee may be too small.
void store(const Tuning& tuning, const TunePoint& best, TuneReport& report) {
  if (report.end == "interrupted" || report.end == "failed") return;
  const std::optional<Gpu> gpu = tuning.gpu ? tuning.gpu->processor.gpu : std::nullopt;
  const auto setting = static_cast<std::size_t>(best.setting);
  const TunedKey key =
      tuned_key(tuning.settings[setting].config, tuning.threads, gpu ? gpu->name : "", tuning.memory[setting].engines);
  const bool kept = save_tuned(
      key,
      {.batch = best.batch, .images_per_second = best.images_per_second, .date = report.conditions.date.substr(0, 10)});
  if (kept) report.stored = tuned_file(key).string();
  if (!kept) report.remarks.emplace_back("not kept for `snug train`: there is no cache folder that can be written");
}

void write_files(const Arguments& arguments, TuneReport& report) {
  std::filesystem::path stem;
  const auto out = arguments.text("out");
  if (out) {
    stem = std::filesystem::path(*out) / "curve";
  } else if (!report.stored.empty()) {
    stem = std::filesystem::path(report.stored).replace_extension();
  } else {
    return;
  }
  const Drawing drawing = tune_curve(report);
  const std::vector<std::byte> png = encode_png(to_picture(drawing, 2));
  const std::string svg_file = stem.string() + ".svg", png_file = stem.string() + ".png";
  write_text(svg_file, to_svg(drawing));
  write_text(png_file, std::string_view(reinterpret_cast<const char*>(png.data()), png.size()));
  report.files = {svg_file, png_file};
  if (!out) return;
  const std::string json = (std::filesystem::path(*out) / "tune.json").string();
  report.files.push_back(json);
  write_text(json, to_json(report) + "\n");
}

/// An --out that cannot be written is known before anything is measured.
void make_folder(const Arguments& arguments) {
  const auto out = arguments.text("out");
  if (!out) return;
  std::error_code error;
  std::filesystem::create_directories(*out, error);
  if (!error && std::filesystem::is_directory(*out)) return;
  throw Error({.code = "C909",
               .where = "--out " + *out,
               .what = fmt::format("'{}' is no folder that can be made: {}", out->substr(0, 80), error.message()),
               .fix = "--out tune"});
}

[[noreturn]] void throw_too_short(double limit, double took) {
  throw Error({.code = "C934",
               .where = "--time-limit",
               .what = fmt::format("--time-limit is {:g} s; to plan and measure one batch took {:.2g} s", limit, took),
               .fix = fmt::format("--time-limit {:.0f}", std::max(10.0, std::ceil(20 * took)))});
}

/// With the config's own data, if there are any; false when the user or the device broke it off.
bool add_data(const Tuning& tuning, NetworkMeter& meter, const TunePoint& best, TuneReport& report) {
  if (!tuning.has_data) return true;
  try {
    const WithData data = measure_with_data(tuning, meter, best);
    if (StopSignals::flag()) return false;
    report.data = data;
    return true;
  } catch (...) {  // the curve is there: what went wrong is told behind it
    report.findings = current_exception_findings();
    return false;
  }
}

}  // namespace

int tune_on(const Arguments& arguments, std::optional<Computer> gpu) {
  const Clock::time_point begin = Clock::now();
  make_folder(arguments);
  Tuning tuning = set_up(arguments, std::move(gpu));
  const Conditions conditions = conditions_here("tune", arguments, tuning.threads);
  const StopSignals signals;
  const bool show = is_terminal(Stream::error) && !arguments.has("json") && !arguments.has("quiet");
  const auto told = [&](int setting, std::int64_t batch, double rate) {
    const Precision precision = tuning.settings[static_cast<std::size_t>(setting)].config.train.precision;
    if (show)
      write(Stream::error, fmt::format("\r\x1b[K{:.0f} s: batch {}, {}: {:.4g} img/s", seconds_since(begin), batch,
                                       to_string(precision), rate));
  };
  NetworkMeter meter(tuning.settings, tuning.memory,
                     {.threads = tuning.threads,
                      .computer = tuning.gpu,
                      .sample_seconds = std::clamp(tuning.time_limit / 100, 0.05, 0.4),
                      .budget_bytes = tuning.smallest.front().budget_bytes,
                      .stop = &StopSignals::flag(),
                      .told = told});
  const double for_search = tuning.time_limit * (tuning.has_data ? 1 - kDataShare : 1) - seconds_since(begin);
  const TuneResult result = for_search > 0 ? tune({.limits = tuning.limits, .time_limit_seconds = for_search}, meter)
                                           : TuneResult{.end = TuneEnd::time};
  if (show) write(Stream::error, "\r\x1b[K");
  if (result.curve.empty() && !meter.failure().empty()) throw Error(meter.failure());
  if (result.curve.empty() && result.end == TuneEnd::stopped) return kInterrupted;
  const bool too_long = result.end == TuneEnd::time && seconds_since(begin) > tuning.time_limit;
  if (result.curve.empty() || (result.curve.size() == 1 && too_long))
    throw_too_short(tuning.time_limit, seconds_since(begin));

  TuneReport report = report_of(tuning, meter, result);
  report.conditions = conditions;
  const TunePoint& best = result.curve[result.knee];
  report.findings = meter.failure();
  const bool whole = result.end != TuneEnd::stopped && !StopSignals::flag() && add_data(tuning, meter, best, report);
  report.seconds = seconds_since(begin);
  store(tuning, best, report);
  write_files(arguments, report);
  print_result(arguments, to_json(report), to_text(report));
  tuning.asides.insert(tuning.asides.end(), report.findings.begin(), report.findings.end());
  show_asides(arguments, tuning.asides);
  if (!report.findings.empty()) return exit_code(report.findings);
  return whole ? 0 : kInterrupted;
}

Command tune_command() {
  return {
      .name = "tune",
      .arguments = "CONFIG",
      .summary = "measures batch sizes that fit and keeps the best for `train` with batch = \"auto\"",
      .example = "snug tune configs/quickstart.toml --time-limit 60",
      .more = {"snug tune config.toml --out curve   # the curve as a picture, too"},
      .least_arguments = 1,
      .most_arguments = 1,
      .options = {{"time-limit", "S", "seconds at most (300, on a GPU 60); it ends earlier where the curve is known"},
                  {"max-batch", "N", "no batch above this"},
                  {"precisions", "LIST", "fp32,bf16: which may be used (the config's train.precision)"},
                  {"parts", "LIST", "1,2,4: parts that a batch may be done in (the config's train.accumulate)"},
                  {"out", "DIR", "write curve.svg, curve.png and tune.json there (else beside the kept result)"},
                  kSetOption,
                  kDataRootOption,
                  kComputeDeviceOption,
                  kThreadsOption},
      .run = [](const Arguments& arguments) { return tune_on(arguments, run_target(arguments)); }};
}

}  // namespace snug
