// What `plan` writes beside what it prints: --report and --timeline.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "cli/arguments.h"
#include "planner/planner.h"
#include "report/plan_page.h"
#include "snug/config.h"

namespace snug {

/// The files that were asked for, open before anything is planned; they appear whole, when `write` is called.
class PlanFiles {
 public:
  /// Throws Error C… for a path that cannot be written.
  explicit PlanFiles(const Arguments& arguments);
  [[nodiscard]] bool wants_page() const { return page_.has_value(); }
  /// Of `page` name, config, command, plan, buffers are filled in here.
  void write(const Config& config, const Arguments& arguments, const Plan& plan, PlanPage page);

 private:
  std::optional<AtomicFile> page_, timeline_;
};

/// Batch sizes to show around the one that is planned: up to a quarter beyond the larger of it and the largest that
/// fits, with that one and its successor, in order.
[[nodiscard]] std::vector<std::int64_t> shown_batches(std::int64_t batch, std::int64_t max_batch);

/// The command line as a shell takes it.
[[nodiscard]] std::string command_line(std::string_view command, const Arguments& arguments);

}  // namespace snug
