// Ctrl-C and SIGTERM ask a run to end after its step.
#pragma once

#include <atomic>

namespace snug {

inline constexpr int kInterrupted = 130;  ///< as a shell reports a program that SIGINT ended

/// While it lives, the first SIGINT or SIGTERM sets the flag; the second one ends the process as ever.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  [[nodiscard]] static const std::atomic<bool>& flag();
};

}  // namespace snug
