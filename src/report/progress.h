// Reporters: what a training run shows while it runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "snug/trainer.h"

namespace snug {

struct ConsoleOptions {
  std::int64_t epochs = 0;  ///< of the whole run
  bool rewrite = false;     ///< a terminal: the progress line is written over; else a line now and then
  bool colour = false;
  int width = 80;                     ///< columns; the rewritten line never wraps
  double seconds_between_lines = 10;  ///< without rewriting
  std::function<void(std::string_view)> write;
  std::function<double()> now_seconds;
};
/// For this process's standard output.
[[nodiscard]] ConsoleOptions console_options(std::int64_t epochs);

/// Plan, progress, epochs and findings as lines for people.
[[nodiscard]] std::unique_ptr<Reporter> make_console_reporter(ConsoleOptions options);

/// One JSON object a line (train --json).
[[nodiscard]] std::unique_ptr<Reporter> make_json_reporter(std::function<void(std::string_view)> write);

/// Warnings and errors alone (--quiet).
[[nodiscard]] std::unique_ptr<Reporter> make_quiet_reporter(std::function<void(std::string_view)> write);

}  // namespace snug
