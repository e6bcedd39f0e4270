#include "report/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "base/text.h"
#include "report/findings.h"
#include "report/reports.h"
#include "report/table.h"
#include "report/terminal.h"
#include "train/event_json.h"

namespace snug {

namespace {

std::string percent(double fraction) { return fmt::format("{:.2f} %", 100 * fraction); }

std::string rate(double images_per_second) {
  const double rounded = images_per_second < 100 ? images_per_second : std::round(images_per_second);
  if (rounded < 100) return fmt::format("{:.1f} img/s", rounded);
  return format_count(static_cast<std::int64_t>(rounded)) + " img/s";
}

/// The first `columns` code points of UTF-8 text.
std::string_view cut(std::string_view text, std::size_t columns) {
  std::size_t end = 0;
  for (std::size_t seen = 0; end < text.size(); ++end) {
    const bool starts = (static_cast<unsigned char>(text[end]) & 0xC0U) != 0x80U;
    if (starts && seen++ == columns) break;
  }
  return text.substr(0, end);
}

class ConsoleReporter final : public Reporter {
 public:
  explicit ConsoleReporter(ConsoleOptions options) : options_(std::move(options)) {
    last_line_seconds_ = options_.now_seconds();
  }
  void on_event(const TrainEvent& event) override {
    std::visit([this](const auto& fields) { show(fields); }, event);
  }

 private:
  void show(const PlanEvent& event) {
    const PlanReport& plan = event.plan;
    if (!plan.fits) {
      std::string refusal = to_text(plan, "");
      refusal.pop_back();
      line(refusal);
      return;
    }
    std::string text = fmt::format("plan: batch {}", plan.batch);
    if (plan.accumulation > 1) text += fmt::format(" in {} parts of {}", plan.accumulation, plan.micro_batch);
    text += fmt::format(" on {}, {} of a budget of {} ({} arenas, {} host memory)", plan.device,
                        format_bytes(plan.total_bytes), format_bytes(plan.budget_bytes),
                        format_bytes(plan.allocated.total()), format_bytes(plan.host_bytes));
    line(text);
  }
  void show(const StepEvent&) {}  // the progress line says it
  void show(const ProgressEvent& event) {
    if (!options_.rewrite && options_.now_seconds() - last_line_seconds_ < options_.seconds_between_lines) return;
    const std::string text = fmt::format(
        "epoch {}/{}  step {}/{}  loss {:.4f}  {}  {}  {} left", event.epoch, event.epochs, event.step, event.steps,
        event.loss, rate(event.images_per_second), format_bytes(event.memory_bytes), format_seconds(event.eta_seconds));
    if (!options_.rewrite) {
      line(text);
      return;
    }
    // One column is left free: some terminals wrap when the last one is written.
    const std::size_t room = options_.width > 1 ? static_cast<std::size_t>(options_.width - 1) : 1;
    options_.write("\r\x1b[K" + std::string(cut(text, room)));
    progress_shown_ = true;
  }
  void show(const EpochEvent& event) {
    const std::size_t digits = std::to_string(options_.epochs).size();
    std::string text =
        fmt::format("epoch {}/{}  loss {:.4f}  accuracy {}", pad_left(std::to_string(event.epoch), digits),
                    options_.epochs, event.train_loss, percent(event.train_accuracy));
    if (event.val_loss) text += fmt::format("  val loss {:.4f}", *event.val_loss);
    if (event.val_accuracy) {
      text += "  val accuracy " + paint(percent(*event.val_accuracy), Colour::bold, options_.colour);
      validated_ = true;
    }
    line(text + fmt::format("  {}", rate(event.images_per_second)));
  }
  void show(const FindingEvent& event) {
    std::string text = findings_text({&event.finding, 1}, options_.colour);
    text.pop_back();
    line(text);
  }
  void show(const DoneEvent& event) {
    std::string text = event.interrupted ? "interrupted: the state is saved, --resume continues"
                                         : fmt::format("done: {} epoch{}", event.epochs, event.epochs == 1 ? "" : "s");
    if (validated_) text += fmt::format(", best val accuracy {}", percent(event.best_val_accuracy));
    text += fmt::format(", peak memory {} planned, {} measured", format_bytes(event.planned_peak_bytes),
                        format_bytes(event.measured_peak_bytes));
    if (event.step_allocations > 0) text += fmt::format(", {} allocations in steps", event.step_allocations);
    line(text);
    if (!event.checkpoint.empty()) line("checkpoint: " + event.checkpoint);
  }

  /// A line that stays; the progress line under way is wiped.
  void line(const std::string& text) {
    options_.write((progress_shown_ ? "\r\x1b[K" : "") + text + "\n");
    progress_shown_ = false;
    last_line_seconds_ = options_.now_seconds();
  }

  ConsoleOptions options_;
  double last_line_seconds_ = 0;
  bool progress_shown_ = false;
  bool validated_ = false;
};

class JsonReporter final : public Reporter {
 public:
  explicit JsonReporter(std::function<void(std::string_view)> write) : write_(std::move(write)) {}
  void on_event(const TrainEvent& event) override {
    const std::string line = event_json(event);
    if (!line.empty()) write_(line + "\n");
  }

 private:
  std::function<void(std::string_view)> write_;
};

class QuietReporter final : public Reporter {
 public:
  explicit QuietReporter(std::function<void(std::string_view)> write) : write_(std::move(write)) {}
  void on_event(const TrainEvent& event) override {
    const auto* found = std::get_if<FindingEvent>(&event);
    if (found != nullptr && found->finding.severity != Severity::note)
      write_(findings_text({&found->finding, 1}, false));
  }

 private:
  std::function<void(std::string_view)> write_;
};

}  // namespace

ConsoleOptions console_options(std::int64_t epochs) {
  return {
      .epochs = epochs,
      .rewrite = is_terminal(Stream::out),
      .colour = use_colour(Stream::out),
      .width = terminal_width(),
      .write = [](std::string_view text) { write(Stream::out, text); },
      .now_seconds =
          [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }};
}

std::unique_ptr<Reporter> make_console_reporter(ConsoleOptions options) {
  return std::make_unique<ConsoleReporter>(std::move(options));
}

std::unique_ptr<Reporter> make_json_reporter(std::function<void(std::string_view)> write) {
  return std::make_unique<JsonReporter>(std::move(write));
}

std::unique_ptr<Reporter> make_quiet_reporter(std::function<void(std::string_view)> write) {
  return std::make_unique<QuietReporter>(std::move(write));
}

}  // namespace snug
