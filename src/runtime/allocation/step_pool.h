#pragma once

namespace snug {

/// While it lives, what this thread takes from operator new comes from a fixed pool, as long as that has room. For the
/// calls of one run: libraries make short-lived objects inside them.
class StepPool {
 public:
  StepPool();
  ~StepPool();
  StepPool(const StepPool&) = delete;
  StepPool& operator=(const StepPool&) = delete;
  /// Between two calls: what they took and did not give back counts as allocated.
  void end_step();
};

}  // namespace snug
