#include "train/training.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/ensure.h"
#include "base/shell.h"
#include "base/text.h"
#include "config/rates.h"
#include "snug/version.h"
#include "train/metrics.h"
#include "train/outcomes.h"
#include "train/process.h"
#include "train/safetensors_header.h"
#include "train/schedule.h"

namespace snug {

Training::Training(const Config& config, const TrainOptions& options, Reporter& reporter, std::optional<RunSetup> setup,
                   std::optional<Computer> computer)
    : config_(config),
      options_(options),
      reporter_(reporter),
      computer_(computer ? std::move(*computer) : this_computer(options.threads)) {
  choice_ = choose_run_folder(options.out, options.resume, config.name);
  setup_ = setup ? std::move(*setup) : make_setup(config);
  read_state();
  make_plan();
  make_loaders();
  fill_parameters();
  buffer_.resize(static_cast<std::size_t>(largest_parameter(setup_.graph)));  // one such buffer at a time
  begin_watch();
}

// ---- before the first step ------------------------------------------------------------------------------------

void Training::read_state() {
  const std::filesystem::path path = choice_.folder / "last.state";
  if (!choice_.exists || !std::filesystem::exists(path)) return;
  saved_.emplace(path);
  state_ = saved_->state();
  const std::int64_t samples = setup_.splits.train->info().samples;
  const BatchChoice& batch = config_.train.batch;
  const auto count = [](std::int64_t value) { return static_cast<std::uint64_t>(value); };
  require_same("train.batch", count(state_.batch),
               count(batch.kind == BatchChoice::Kind::number ? batch.number : std::min(state_.batch, samples)));
  require_same("the number of training samples", count(state_.samples), count(samples));
  require_same("train.seed", state_.seed, config_.train.seed);
}

void Training::make_plan() {
  backend_ = computer_.make_backend(config_);
  const Planning planning = computer_.planning(config_);
  PlanRunOptions options{.batch = saved_ ? state_.batch : 0,
                         .trial_backend = planning.make_backend,
                         .planning = computer_.planning,
                         .processor = computer_.processor};
  options.tuned_threads = options_.threads;
  plan_ = plan_run(config_, setup_, planning.memory, *backend_, options);
  const PlanReport& report = plan_.report;
  if (report.fits) return;
  reporter_.on_event(PlanEvent{report});
  throw Error(does_not_fit(config_, report));
}

void Training::make_loaders() {
  network_ = std::make_unique<Network>(plan_, setup_.scaling, setup_.lowering.train,
                                       RuntimeOptions{.device = computer_.device});
  keep_images();
  const std::int64_t batch = network_->train_batch();
  const std::int64_t samples = setup_.splits.train->info().samples;
  train_loader_ = std::make_unique<Loader>(setup_.splits.train, train_loader_options(config_, batch, setup_.row_width));
  passes_batches_ = train_loader_->batches_per_epoch();
  if (passes_batches_ == 0)
    throw Error(Diagnostic{.code = "T614",
                           .where = to_string(config_.where("data.drop_last")),
                           .what = fmt::format("drop_last leaves no batch of {} in {} samples", batch, samples),
                           .fix = fmt::format("batch = {}", samples)});
  steps_per_epoch_ = config_.train.steps_per_epoch > 0 ? config_.train.steps_per_epoch : passes_batches_;
  if (setup_.splits.val != nullptr)
    val_loader_ = std::make_unique<Loader>(setup_.splits.val,
                                           eval_loader_options(config_, network_->eval_batch(), setup_.row_width));
  const std::map<std::string, std::string> engines = engines_of(plan_.report);
  if (saved_) {
    require_same("steps per epoch", static_cast<std::uint64_t>(state_.steps_per_epoch),
                 static_cast<std::uint64_t>(steps_per_epoch_));
    if (auto changed = changed_engines(state_.engines, engines, choice_.folder / "last.state"))
      notes_.push_back(*std::move(changed));
  }
  state_.engines = engines;
  state_.batch = batch;
  state_.samples = samples;
  state_.steps_per_epoch = steps_per_epoch_;
  state_.seed = config_.train.seed;
}

/// Where images stay on the device, they are read once now, as they are before augmentation.
void Training::keep_images() {
  if (network_->kept_samples() == 0) return;
  Loader loader(setup_.splits.train, keeping_loader_options(config_, *setup_.splits.train, setup_.row_width));
  loader.start_epoch(0);
  std::int64_t first = 0;
  while (const Batch* batch = loader.next()) {
    if (stop_asked()) return;  // no step follows
    network_->keep(first, batch->images);
    first += batch->count;
  }
}

/// A run goes on exactly only over the same batches.
void Training::require_same(std::string_view what, std::uint64_t saved, std::uint64_t now) const {
  if (saved == now) return;
  throw Error(Diagnostic{.code = "T622",
                         .where = (choice_.folder / "last.state").string(),
                         .what = fmt::format("{} was {} when the run was saved, now it is {}", what, saved, now),
                         .fix = fmt::format("snug train {} --out {} --resume",
                                            (choice_.folder / "config.toml").string(), choice_.folder.string())});
}

void Training::fill_parameters() {
  if (saved_) {
    saved_->restore(setup_.graph, *network_);
    network_->set_totals(state_.totals);
    if (state_.scaling[LossScale::scale] > 0) network_->set_scaling(state_.scaling);
    saved_.reset();  // unmaps it
    saved_step_ = state_.step;
    saved_epoch_ = state_.epoch;
    return;
  }
  initialize_parameters(setup_.graph, config_.train, *network_);
  if (options_.init) load_init(*options_.init);
}

void Training::load_init(const std::filesystem::path& path) {
  notes_ = load_weights(SafetensorsFile(path), path, setup_.graph, *network_, true);
  if (has_errors(notes_)) throw Error(std::move(notes_));
  reset_averages(setup_.graph, *network_);
}

RunStart Training::run_start() const {
  RunStart start{.started = time_text(),
                 .command = options_.command,
                 .machine = host_name(),
                 .device = plan_.report.device,
                 .model = std::filesystem::path(config_.model.file).stem().string(),
                 .step = state_.step,
                 .threads = options_.threads,
                 .versions = options_.versions};
  std::error_code ignored;
  start.folder = std::filesystem::current_path(ignored).string();
  if (start.versions.empty()) start.versions.emplace_back("snug", kVersion);
  return start;
}

void Training::open_files() {
  files_ = std::make_unique<RunFiles>(choice_, config_, plan_, state_, run_start());
  if (options_.resume && saved_step_ < 0)
    notes_.push_back({.code = "C606",
                      .severity = Severity::note,
                      .where = "--resume",
                      .what = options_.out.empty()
                                  ? fmt::format("no unfinished run {}-N is in runs/: a new one begins in {}",
                                                config_.name, files_->folder().string())
                                  : fmt::format("{} holds no last.state: training begins anew in it",
                                                short_name(files_->folder().string())),
                      .fix = "--out RUN --resume   # to go on with a run that lies elsewhere"});
  if (!plan_.report.tuned.empty())
    notes_.push_back(
        {.code = "T631",
         .severity = Severity::note,
         .where = to_string(config_.where("train.batch")),
         .what = fmt::format("batch = \"auto\" is {}, {}", plan_.report.batch, plan_.report.tuned),
         .fix = fmt::format("batch = {}   # in [train]; or measure again: snug tune", plan_.report.batch)});
  for (Diagnostic& note : notes_of(setup_.splits)) notes_.push_back(std::move(note));
  if (saved_step_ >= 0) files_->repair(state_, weights(), checkpoint_info());
  begin_events();
  emit(PlanEvent{plan_.report});
  for (const Diagnostic& finding : options_.findings) files_->log(FindingEvent{finding});  // whoever reports has them
  for (Diagnostic& note : notes_) emit(FindingEvent{std::move(note)});
}

void Training::begin_events() {
  const auto used = [this] { return measured_bytes(computer_); };
  events_ = std::make_unique<RunEvents>(files_->events(), RunEvents::Run{.config = config_,
                                                                         .graph = setup_.graph,
                                                                         .plan = plan_.report,
                                                                         .tensors = *network_,
                                                                         .classes = setup_.splits.train->info().classes,
                                                                         .val = setup_.splits.val,
                                                                         .used_bytes = used});
  events_->begin(state_.step, !state_.events.file.empty());
}

// ---- the loop -------------------------------------------------------------------------------------------------

DoneEvent Training::run() {
  open_files();
  while (state_.epoch < config_.train.epochs && !stopped_early()) {
    if (!run_steps()) {
      state_.totals = network_->totals();
      if (saved_step_ != state_.step || saved_epoch_ != state_.epoch) save();
      break;
    }
    end_epoch();
  }
  if (steps_here_ > 0 && state_.step % passes_batches_ == 0) tell(watch_->begin_pass(false));
  if (state_.finished) events_->end(state_.step - 1, true);
  DoneEvent done = done_event(stop_asked() && !state_.finished);
  emit(done);
  return done;
}

bool Training::run_steps() {
  const std::int64_t end = (state_.epoch + 1) * steps_per_epoch_;
  if (state_.step == state_.epoch * steps_per_epoch_) {
    network_->set_totals({});
    state_.epoch_seconds = 0;
    state_.skipped_before = network_->scaling()[LossScale::skipped];
  }
  issued_ = state_.step;
  while (state_.step < end) {
    if (may_issue(end)) issue_step();
    if (issued_ == state_.step) return false;
    if (issued_ - state_.step <= network_->lag() && may_issue(end)) continue;
    look_at_loss();
    const std::int64_t every = config_.train.checkpoint_every;
    if (every > 0 && state_.step % every == 0 && state_.step < end) {
      state_.totals = network_->totals();
      save();
    }
  }
  return !stop_asked();
}

bool Training::may_issue(std::int64_t end) const {
  if (issued_ >= end || issued_ - state_.step > network_->lag() || stop_asked()) return false;
  if (options_.max_steps > 0 && issued_ >= options_.max_steps) return false;
  // What is saved is the state behind the last step that was issued.
  const std::int64_t every = config_.train.checkpoint_every;
  return every == 0 || issued_ == state_.step || issued_ % every != 0;
}

double Training::rate_of(std::int64_t step) const {
  return learning_rate(config_.train, step, steps_per_epoch_, total_steps(), state_.batch);
}

void Training::add_seconds(Clock::time_point since) {
  const double seconds = std::chrono::duration<double>(Clock::now() - since).count();
  seconds_here_ += seconds;
  state_.epoch_seconds += seconds;
}

void Training::issue_step() {
  const std::int64_t step = issued_;
  const std::int64_t place = step % passes_batches_;
  if (place == 0 || steps_here_ == 0) {
    waited_before_ += steps_here_ == 0 ? 0 : train_loader_->waited_seconds();
    train_loader_->start_epoch(step / passes_batches_, place);
    tell(watch_->begin_pass(place == 0));
  }
  const double rate = rate_of(step);
  const auto begin = Clock::now();
  std::int64_t allocations = 0;
  std::int64_t samples = 0;
  bool settled = false;
  const Batch* batch = nullptr;
  {
    const AllocationCounter counter;
    batch = train_loader_->next();
    ensure(batch != nullptr, "a pass has the batches that it was said to have");
    samples = batch->count;
    network_->load(*batch);
    network_->set_control(rate, step);
    const int program = network_->train_program(samples);
    programs_[static_cast<std::size_t>(step % 2)] = program;
    settled = network_->settled(program);
    const std::int64_t looking = run_program(program);
    network_->post_stats();
    allocations = counter.count() - looking;
  }
  add_seconds(begin);
  if (steps_here_ > 0 && settled) step_allocations_ += allocations;  // the first step warms libraries up
  ++steps_here_;
  ++issued_;
  samples_here_ += samples;
  watch_->take(*batch);
}

/// The last step of an epoch may be looked into, which takes memory. Returns how often.
std::int64_t Training::run_program(int program) {
  if (!events_->wants_gradients() || (issued_ + 1) % steps_per_epoch_ != 0) {
    network_->run(program);
    return 0;
  }
  const AllocationCounter counter;
  network_->run_showing_gradients(
      program, [this](std::string_view name, std::span<const float> values) { events_->take_gradient(name, values); });
  return counter.count();
}

/// Of the oldest step on its way.
void Training::look_at_loss() {
  const auto begin = Clock::now();
  const Network::Stats stats = network_->take_stats();
  add_seconds(begin);
  const double loss = stats[TrainStats::loss_sum] / stats[TrainStats::weight_sum];
  if (!std::isfinite(loss) || (stats[TrainStats::not_finite] != 0 && !may_skip())) fail_diverged(divergence(loss));
  const double rate = rate_of(state_.step);
  state_.last_lr = rate;
  report_step(loss, rate);
  events_->step(state_.step, loss, rate);
  if (auto found = watch_->step(state_.step, loss)) tell({*std::move(found)});
  ++state_.step;
  report_progress(loss);
}

/// In fp16 a gradient that overflows is tried again with less of a scale, as long as there is some.
bool Training::may_skip() { return network_->scaling()[LossScale::scale] > LossScale::kLeast; }

/// Fills in what fp16 did in an epoch, and says so the first time that steps were skipped.
void Training::tell_scale(EpochEvent& epoch) {
  const Network::Scaling scaling = network_->scaling();
  if (scaling[LossScale::scale] <= 0) return;
  epoch.loss_scale = scaling[LossScale::scale];
  epoch.skipped_steps = std::llround(scaling[LossScale::skipped] - state_.skipped_before);
  if (epoch.skipped_steps == 0 || std::exchange(told_skipping_, true)) return;
  emit(FindingEvent{
      {.code = "T632",
       .severity = Severity::note,
       .where = to_string(config_.where("train.precision")),
       .what = fmt::format("fp16: {} of {} steps overflowed and changed nothing; the loss is scaled by {:g} now",
                           epoch.skipped_steps, steps_per_epoch_, *epoch.loss_scale),
       .fix = "precision = \"bf16\"   # needs no scale; a few such steps are usual in fp16"}});
}

void Training::report_step(double loss, double learning_rate) {
  const auto now = Clock::now();
  if (options_.log_every > 0) {
    if (state_.step % options_.log_every != 0) return;
  } else if (step_event_ && now - *step_event_ < std::chrono::seconds(1)) {
    return;
  }
  step_event_ = now;
  emit(StepEvent{.step = state_.step, .loss = loss, .lr = learning_rate});
}

void Training::report_progress(double loss) {
  const auto now = Clock::now();
  if (progress_event_ && now - *progress_event_ < std::chrono::milliseconds(100)) return;
  progress_event_ = now;
  const double step_seconds = seconds_here_ / static_cast<double>(steps_here_);
  reporter_.on_event(
      ProgressEvent{.epoch = state_.epoch + 1,
                    .epochs = config_.train.epochs,
                    .step = state_.step - state_.epoch * steps_per_epoch_,
                    .steps = steps_per_epoch_,
                    .loss = loss,
                    .images_per_second = static_cast<double>(samples_here_) / seconds_here_,
                    .eta_seconds = step_seconds * static_cast<double>(total_steps() - state_.step),
                    .memory_bytes = computer_.device != nullptr ? plan_.report.total_bytes : resident_bytes()});
}

void Training::end_epoch() {
  const Metrics train = metrics_of(network_->totals());
  EpochEvent epoch{.epoch = state_.epoch + 1, .train_loss = train.loss, .train_accuracy = train.accuracy};
  epoch.lr = state_.last_lr;
  if (state_.epoch_seconds > 0) epoch.images_per_second = static_cast<double>(train.samples) / state_.epoch_seconds;
  if (val_loader_ != nullptr) {
    evaluation_ = evaluate();
    const EvalResult& val = evaluation_;
    if (!std::isfinite(val.loss))
      fail_diverged(
          {.code = "N602",
           .where = fmt::format("epoch {}", epoch.epoch),
           .what = fmt::format("the validation loss is {} though the training loss is {:.4g}", val.loss, train.loss),
           .fix = lower_rate()});
    epoch.val_loss = val.loss;
    epoch.val_accuracy = val.accuracy;
  }
  tell_waiting();
  tell_scale(epoch);
  state_.epoch = epoch.epoch;
  state_.totals = {};
  follow(epoch);
  state_.finished = state_.epoch >= config_.train.epochs || stopped_early();
  emit(epoch);
  tell(watch_->end_epoch(epoch, state_.step));
  events_->epoch(epoch, val_loader_ != nullptr ? &evaluation_ : nullptr, state_.step - 1, state_.finished);
  save();
}

EvalResult Training::evaluate() {
  evaluation_ = {};  // two of them are planned: the best, and the one that is made
  Outcomes outcomes(epoch_outcomes(config_, setup_));
  const Metrics metrics =
      network_->evaluate(*val_loader_, [&](const Batch& batch) { outcomes.add(batch, network_->outputs()); });
  return outcomes.take_result(metrics);
}

void Training::begin_watch() {
  const bool drop_last = config_.data.drop_last;
  watch_ = std::make_unique<TrainingWatch>(
      TrainingWatch::Run{.config = config_,
                         .graph = setup_.graph,
                         .frozen = setup_.lowering.frozen,
                         .tensors = *network_,
                         .samples = state_.samples,
                         .outputs = setup_.outputs,
                         .steps_per_epoch = steps_per_epoch_,
                         .pass_samples = drop_last ? passes_batches_ * state_.batch : state_.samples,
                         .drawn_evenly = config_.data.balance == Balance::sampler});
}

void Training::tell(std::vector<Diagnostic> findings) {
  for (Diagnostic& finding : findings) emit(FindingEvent{std::move(finding)});
}

/// Says once when steps wait for data, and what helps.
void Training::tell_waiting() {
  constexpr double kWorthTelling = 0.1;
  if (told_waiting_ || seconds_here_ <= 0) return;
  const double waited = waited_before_ + train_loader_->waited_seconds();
  const double share = waited / seconds_here_;
  if (share < kWorthTelling || waited < 1) return;
  told_waiting_ = true;
  const int more = 2 * train_loader_->workers();
  const bool packed = config_.data.train && config_.data.train->format == DataFormat::pack;
  emit(FindingEvent{
      {.code = "D151",
       .severity = Severity::note,
       .where = to_string(config_.where("data")),
       .what = fmt::format("input-bound: {:.0f} % of the step waits for data; {}workers = {}", 100 * share,
                           packed ? "" : "pack it, or ", more),
       .fix = packed ? fmt::format("workers = {}   # in [data]", more)
                     : fmt::format("snug data pack {} --out PACK   # or workers = {} in [data]", config_.file, more)}});
}

/// Keeps what the best checkpoint and early stopping go by.
void Training::follow(const EpochEvent& epoch) {
  const std::string metric = best_metric(config_.train.loss, val_loader_ != nullptr);
  if (const auto value = metric_value(epoch, metric); value && improves(metric, *value, state_.best)) {
    state_.best = *value;
    state_.best_step = state_.step;
    state_.best_epoch = state_.epoch;
    best_evaluation_ = evaluation_;
  }
  state_.best_val_accuracy = std::max(state_.best_val_accuracy, epoch.val_accuracy.value_or(0.0));
  if (!config_.train.early_stopping) return;
  const std::string& monitor = config_.train.early_stopping->monitor;
  if (const auto value = metric_value(epoch, monitor); value && improves(monitor, *value, state_.monitored)) {
    state_.monitored = *value;
    state_.stale_epochs = 0;
  } else {
    ++state_.stale_epochs;
  }
}

bool Training::stopped_early() const {
  const auto& early = config_.train.early_stopping;
  return early && state_.monitored && state_.stale_epochs >= early->patience;
}

// ---- results --------------------------------------------------------------------------------------------------

void Training::emit(const TrainEvent& event) {
  files_->log(event);
  reporter_.on_event(event);
}

void Training::save() {
  state_.scaling = network_->scaling();
  files_->save(state_, weights(), checkpoint_info());
  saved_step_ = state_.step;
  saved_epoch_ = state_.epoch;
}

CheckpointInfo Training::checkpoint_info() const {
  const DatasetInfo& train = setup_.splits.train->info();
  return {.config = to_toml(config_),
          .classes = train.classes,
          .scaling = setup_.scaling,
          .integer_max = train.integer_max,
          .batch = state_.batch,
          .metric = best_metric(config_.train.loss, val_loader_ != nullptr)};
}

/// On a GPU its own memory is what counts, and does not change once a run has begun.
DoneEvent Training::done_event(bool interrupted) const {
  const bool on_device = computer_.device != nullptr;
  return {.epochs = state_.epoch,
          .best_val_accuracy = state_.best_val_accuracy,
          .planned_peak_bytes = plan_.report.total_bytes + (on_device ? 0 : plan_.report.host_bytes),
          .measured_peak_bytes = on_device ? measured_bytes(computer_) : peak_resident_bytes(),
          .step_allocations = step_allocations_,
          .arena_bytes = network_->arena_bytes(),
          .checkpoint = files_->checkpoint().string(),
          .interrupted = interrupted};
}

/// Of the best epoch, where this process has seen it; a folder that knows it from before keeps it.
void Training::keep_evaluation() const {
  const bool best = best_evaluation_.samples > 0;
  if (!best && (evaluation_.samples == 0 || std::filesystem::exists(files_->folder() / "evaluation.json"))) return;
  files_->write_evaluation(run_evaluation(best ? best_evaluation_ : evaluation_,
                                          best ? state_.best_epoch : state_.epoch, *setup_.splits.val,
                                          outcome_classes(epoch_outcomes(config_, setup_))));
}

void Training::close(std::string_view state) {
  if (files_ == nullptr) return;
  if (state.empty()) state = state_.finished ? "finished" : stop_asked() ? "interrupted" : "stopped";
  const auto attempt = [&](const std::function<void()>& act) {
    try {
      act();
    } catch (const std::exception& error) {
      reporter_.on_event(
          FindingEvent{{.code = "C607",
                        .severity = Severity::note,
                        .where = files_->folder().string(),
                        .what = fmt::format("the run has ended, but not all of its report was written: {}",
                                            std::string_view(error.what()).substr(0, 80)),
                        .fix = fmt::format("snug runs report {}", shell_word(files_->folder().string()))}});
    }
  };
  const double seconds = std::chrono::duration<double>(Clock::now() - began_).count();
  attempt([&] { keep_evaluation(); });
  attempt([&] { files_->end(state, seconds); });
  attempt([&] {
    if (options_.at_end) options_.at_end(files_->folder());
  });
}

void Training::fail_diverged(Diagnostic finding) {
  events_->end(state_.step, false);
  files_->log(FindingEvent{finding});  // whoever reports gets it as the Error
  throw Error(std::move(finding));
}

/// The line that gives the rate a value with which the run may hold; a rate that is usual may also be helped by
/// clipping.
std::string Training::lower_rate() const {
  const TrainConfig& train = config_.train;
  const PeakRate rate = peak_rate(train);
  const double lower = sane_rate(train.optimizer.kind, rate.value);
  const std::string line = pasteable(config_, fmt::format("{} = {:.3g}", rate.key, lower));
  const bool usual = lower == rate.value / 10;
  return usual && train.clip_norm == 0 ? line + ", or clip_norm = 1.0" : line;
}

/// Runs the batch again, step by step, to name the first tensor that is not finite. The weights are those of before
/// the step, because the update was skipped; or of one step later, where another was on its way.
Diagnostic Training::divergence(double loss) {
  Diagnostic finding{.code = "N601", .where = fmt::format("step {}", state_.step), .fix = lower_rate()};
  if (issued_ - state_.step > 1) network_->load_previous();
  const std::optional<NotFinite> bad = network_->run_watched(programs_[static_cast<std::size_t>(state_.step % 2)]);
  if (!bad) {
    finding.what = fmt::format("the loss of step {} is {}, though every tensor of it was finite", state_.step, loss);
    return finding;
  }
  const auto layer = std::ranges::find(setup_.graph.layers, bad->layer, &Layer::path);
  if (layer != setup_.graph.layers.end()) finding.where = to_string(layer->where);
  finding.what = fmt::format("step {}: tensor {} of layer {} is {} at element {}, the first that is not finite ({})",
                             state_.step, short_name(bad->tensor), bad->layer.empty() ? "–" : short_name(bad->layer),
                             bad->value, bad->element, bad->op);
  if (config_.train.precision == Precision::fp16) finding.fix = pasteable(config_, "train.precision = \"bf16\"");
  if (bad->op == "normalize_input") finding.fix = "normalize = \"0-1\", and look for NaN in the data: snug check";
  return finding;
}

}  // namespace snug
