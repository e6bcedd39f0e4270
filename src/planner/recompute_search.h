// Which activations to drop and do again, for less and less memory at the least extra time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lowering/recompute.h"
#include "planner/planner.h"

namespace snug {

/// What one choice of drops costs and saves, without building its program.
struct DropCost {
  std::int64_t peak_bytes = 0;  ///< the largest sum of live transient storages
  std::int64_t turn_bytes = 0;  ///< that sum where backward begins: what is kept adds up there
  double extra_seconds = 0;     ///< below 0 where what is made again is quicker than what comes back from memory
};

/// Evaluates choices on one program: a step's live bytes and the time of what is done again.
class DropEvaluator {
 public:
  /// `program`: alternatives chosen, storages not merged. `workspace_bytes`: by step. `in_place`: whether storages will
  /// be merged.
  DropEvaluator(const Program& program, const std::vector<std::int64_t>& workspace_bytes, const DeviceRates& rates,
                bool in_place);

  void set_workspaces(const std::vector<std::int64_t>& bytes);

  [[nodiscard]] const RecomputeModel& model() const { return model_; }
  [[nodiscard]] DropCost cost(const std::vector<char>& dropped);
  /// Also the sum, over steps, of live bytes beyond `limit`: how far a choice is from fitting.
  [[nodiscard]] DropCost cost(const std::vector<char>& dropped, std::int64_t limit, double& excess);
  [[nodiscard]] std::int64_t bytes(std::int32_t storage) const { return bytes_[static_cast<std::size_t>(storage)]; }
  /// What is quicker made again than kept, each by itself.
  [[nodiscard]] std::vector<char> quicker_again();
  /// The choice as names, and back; names that are not candidates here are passed over.
  [[nodiscard]] Dropped names(const std::vector<char>& dropped) const;
  [[nodiscard]] std::vector<char> choice(const Dropped& names) const;

 private:
  struct Span {
    std::int32_t begin = 0, end = 0;
  };
  struct InPlacePair {
    std::int32_t output = 0, input = 0;  ///< storages
  };
  [[nodiscard]] static std::vector<InPlacePair> pairs_of(const Program& program, const Step& step);
  void add_touched(std::span<const std::int32_t> reads, std::span<const std::int32_t> writes, Span& span);
  /// Calls visit(version) for what the step touches; a version is a storage, plus storages_ for its second life.
  template <class Visit>
  void touch(const ScheduledStep& item, const std::vector<char>& dropped, const Visit& visit) const;

  RecomputeModel model_;
  std::int64_t storages_ = 0;
  std::vector<std::string> names_;                                   // by storage
  std::vector<std::int64_t> bytes_;                                  // by storage; 0 outside the transient arena
  std::vector<std::int64_t> workspace_;                              // by step
  std::vector<double> again_seconds_;                                // by step
  std::vector<double> storage_seconds_;                              // by storage
  std::vector<std::int32_t> touched_;                                // storages, by spans
  std::vector<Span> once_, again_;                                   // by step
  std::vector<std::vector<InPlacePair>> in_place_, in_place_again_;  // by step
  // Working memory of cost().
  RecomputeModel::Schedule order_;
  std::vector<std::int32_t> last_use_;  // by version
  std::vector<char> alive_;             // by version
};

/// Choices for less and less memory: each next one needs fewer bytes and, as a rule, more time. The first drops
/// nothing. They depend on the program alone and not on any budget, so that a larger budget always finds at least what
/// a smaller one found.
[[nodiscard]] std::vector<std::vector<char>> recompute_ladder(DropEvaluator& evaluator);

}  // namespace snug
