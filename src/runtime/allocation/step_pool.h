#pragma once

namespace snug {

/// Where what a thread takes from operator new during the calls of one run comes from: libraries make short-lived
/// objects inside them.
enum class StepMemory {
  pool,  ///< a fixed pool, as long as that has room; not counted unless it stays
  heap,  ///< the heap, not counted: in the first run of a program libraries generate kernels, which stay
};

class StepPool {
 public:
  explicit StepPool(StepMemory memory = StepMemory::pool);
  ~StepPool();  // NOLINT(performance-trivially-destructible): trivial only where nothing is counted
  StepPool(const StepPool&) = delete;
  StepPool& operator=(const StepPool&) = delete;
  /// Between two calls: what they took from the pool and did not give back counts as allocated.
  void end_step();

 private:
  [[maybe_unused]] StepMemory memory_;
};

}  // namespace snug
