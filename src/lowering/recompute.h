// Doing parts of the forward pass again: activations that backward needs are dropped and computed a second time just
// before they are read. Steps are the same, on the same operands, so the results are the same bit for bit.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "program/program.h"

namespace snug {

/// Names of storages that do not stay until backward reads them.
using Dropped = std::unordered_set<std::string>;

/// One step of a schedule: a step of the program, or that step once more.
struct ScheduledStep {
  std::int32_t step = 0;  ///< index into Program::steps
  bool again = false;
};

/// Who makes and who reads what, as plain indices: a search asks for thousands of schedules.
class RecomputeModel {
 public:
  /// `program`: alternatives chosen, storages not yet merged.
  explicit RecomputeModel(const Program& program);

  /// Storages that can be dropped: written by forward steps that can be done again, read by backward steps.
  [[nodiscard]] const std::vector<std::int32_t>& candidates() const { return candidates_; }

  /// The choice, by storage, that drops no candidate. What backward never reads is gone after the forward pass: what is
  /// made of it again needs it made again too, so that it counts as dropped.
  [[nodiscard]] const std::vector<char>& nothing() const { return nothing_; }

  /// The whole step with `dropped` (`nothing` and some candidates) done again where they are first needed.
  struct Schedule {
    std::vector<ScheduledStep> steps;
    std::vector<char> made;                              ///< working memory
    std::vector<std::pair<std::int32_t, bool>> pending;  ///< likewise
  };
  void schedule(const std::vector<char>& dropped, Schedule& out) const;

  /// Whether this step reads the second version of a dropped storage.
  [[nodiscard]] bool reads_again(const ScheduledStep& item) const {
    return item.again || is_backward_[static_cast<std::size_t>(item.step)] != 0;
  }
  /// Storages that a step reads and writes, each once; inout is both.
  [[nodiscard]] std::span<const std::int32_t> reads(std::int32_t step) const { return reads_[step]; }
  [[nodiscard]] std::span<const std::int32_t> writes(std::int32_t step) const { return writes_[step]; }
  /// The same of its second run: a norm then takes its statistics as they are, and writes its output alone. Empty where
  /// there is none.
  [[nodiscard]] std::span<const std::int32_t> reads_once_more(std::int32_t step) const { return reads_again_[step]; }
  [[nodiscard]] std::span<const std::int32_t> writes_once_more(std::int32_t step) const { return writes_again_[step]; }

 private:
  /// Lists of numbers behind one another.
  class Lists {
   public:
    void add(std::span<const std::int32_t> list) {
      values_.insert(values_.end(), list.begin(), list.end());
      ends_.push_back(static_cast<std::int32_t>(values_.size()));
    }
    [[nodiscard]] std::span<const std::int32_t> operator[](std::int32_t i) const {
      const auto at = static_cast<std::size_t>(i);
      const auto begin = static_cast<std::size_t>(at == 0 ? 0 : ends_[at - 1]);
      return std::span(values_).subspan(begin, static_cast<std::size_t>(ends_[at]) - begin);
    }

   private:
    std::vector<std::int32_t> values_, ends_;
  };

  Lists reads_, writes_, reads_again_, writes_again_;  // by step
  Lists makers_;                                       // by storage: the forward steps that write it
  std::vector<char> is_backward_;                      // by step
  std::vector<char> nothing_;                          // by storage
  std::vector<std::int32_t> candidates_;
};

/// The step as it is done a second time, on the operands of the first.
[[nodiscard]] Step step_again(const Step& step);

/// Drops what is named (names that the program does not have, or that cannot be dropped, are passed over) and adds the
/// steps that make it again. Runs after alternatives are chosen and before storages are merged.
void recompute(Program& program, const Dropped& dropped);

}  // namespace snug
