// Whole training runs on the emulated device and on the processor.
#pragma once

#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "backend/cuda/cuda_planner.h"
#include "snug/config.h"
#include "snug/trainer.h"
#include "train/setup.h"

namespace snug::test {

class EmulatedDevice;

/// One network of tests, as TOML: `layers` of [model], and what [train] says besides.
struct NetText {
  std::string_view name, input, layers, train;
};
inline void PrintTo(const NetText& net, std::ostream* out) { *out << net.name; }  // NOLINT: GoogleTest's name
/// Small kin of LeNet, ResNet (with plain blocks, and with bottlenecks), MobileNet with squeeze-excite, and DenseNet;
/// between them every step of op_list.h that a training run has.
[[nodiscard]] const std::vector<NetText>& nets();

struct RunResult {
  std::vector<double> losses;  ///< of every step
  std::vector<EpochEvent> epochs;
  DoneEvent done;
  PlanReport plan;
  std::vector<Diagnostic> findings;
  std::filesystem::path folder;  ///< of the run; the next one takes its place
  std::string weights, state;    ///< the bytes of last.safetensors, and of last.state
};

struct RunOptions {
  std::string precision = "fp32";
  std::vector<std::pair<std::string, std::string>> set{};
  bool isolate = false;                      ///< steps see their operands alone
  std::shared_ptr<EmulatedDevice> device{};  ///< null: a new one
  std::int64_t max_steps = 0;
  bool resume = false;
};

class Runs {
 public:
  Runs();
  Runs(const Runs&) = delete;
  Runs& operator=(const Runs&) = delete;
  ~Runs();

  [[nodiscard]] RunResult on_cpu(const NetText& net, const RunOptions& options = {}) const;
  [[nodiscard]] RunResult emulated(const NetText& net, const RunOptions& options = {}) const;
  /// On whatever computes; `device` and `isolate` say nothing then.
  [[nodiscard]] RunResult with(const NetText& net, const Computer& computer, const RunOptions& options = {}) const;

 private:
  [[nodiscard]] Config config(const NetText& net, const RunOptions& options) const;
  [[nodiscard]] RunResult run(const Config& config, const RunOptions& options,
                              const std::optional<Computer>& computer) const;

  std::filesystem::path folder_;
};

/// What computes on the device as on a GPU: its plans come from the planner for GPUs.
[[nodiscard]] Computer emulated_computer(const std::shared_ptr<EmulatedDevice>& device, bool isolate = false);

}  // namespace snug::test
