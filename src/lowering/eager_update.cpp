// Parameters updated as soon as their gradient is complete, in runs of their flat group: a gradient then lives for a
// part of the backward pass instead of to its end. Updates are element by element, so the results are the same bit for
// bit.
#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "lowering/lowering.h"

namespace snug {

namespace {

constexpr std::size_t kWeights = 3;  // among the operands of an update without clipping; its moments follow

/// Elements [begin, end) of a flat storage.
struct Range {
  std::int64_t begin = 0, end = 0;
};

Range range_of(const TensorInfo& tensor) {
  const std::int64_t begin = tensor.view.offset_bytes / size_bytes(tensor.dtype);
  return {begin, begin + tensor.shape.elements()};
}

/// Segments that are updated together, and the last step that must come before.
struct Run {
  Range range;
  Segments segments;  ///< as in the group
  std::size_t behind = 0;
};

/// A flat group: the step that takes its norm and the one that updates it.
struct Group {
  std::size_t norm = 0, update = 0;
  std::vector<Run> runs;
};

class EagerUpdates {
 public:
  EagerUpdates(Program& program, std::int64_t least_bytes)
      : program_(program), least_bytes_(least_bytes), behind_(program.steps.size()) {}

  void run() {
    std::vector<Group> groups = find_groups();
    if (groups.empty()) return;
    std::vector<bool> gone(program_.steps.size(), false);
    for (const Group& group : groups) {
      gone[group.norm] = gone[group.update] = true;
      for (std::size_t i = 0; i < group.runs.size(); ++i) add_run(group, i);
    }
    std::vector<Step> steps;
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      if (!gone[i]) steps.push_back(std::move(program_.steps[i]));
      std::ranges::move(behind_[i], std::back_inserter(steps));
    }
    program_.steps = std::move(steps);
    mark_first_norm();
    drop_unused(program_);
  }

 private:
  static bool is_update(Op op) { return op == Op::sgd_update || op == Op::adam_update; }
  [[nodiscard]] StorageId storage_of(const Operand& operand) const { return program_[operand.tensor].view.storage; }

  /// The groups that come in more than one run. None when gradients are clipped or of a scaled
  /// loss: their norm, and whether they are finite, is known at the end.
  [[nodiscard]] std::vector<Group> find_groups() const {
    std::vector<Group> groups;
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      const Step& update = program_.steps[i];
      if (!is_update(update.op)) continue;
      const auto& attributes = std::get<UpdateAttributes>(update.attributes);
      if (attributes.clip_norm > 0 || attributes.scaled) return {};
      Group group{.norm = norm_of(update), .update = i, .runs = {}};
      group.runs = runs_of(group);
      if (group.runs.size() > 1) groups.push_back(std::move(group));
    }
    return groups;
  }

  [[nodiscard]] std::size_t norm_of(const Step& update) const {
    const auto norm = std::ranges::find_if(program_.steps, [&](const Step& step) {
      return step.op == Op::gradient_norm && step.operands[0].tensor == update.operands[0].tensor;
    });
    return static_cast<std::size_t>(norm - program_.steps.begin());
  }

  /// By segment: the last step in front of the update that writes its gradient or reads its weights.
  [[nodiscard]] std::vector<std::size_t> last_uses(const Group& group, const Segments& segments) const {
    const Step& update = program_.steps[group.update];
    const StorageId gradients = storage_of(update.operands[0]), weights = storage_of(update.operands[kWeights]);
    std::vector<std::size_t> last(segments.size(), 0);
    for (std::size_t i = 0; i < group.update; ++i) {
      if (i == group.norm) continue;
      for (const Operand& operand : program_.steps[i].operands) {
        if (storage_of(operand) != gradients && storage_of(operand) != weights) continue;
        const Range used = range_of(program_[operand.tensor]);
        auto at = std::ranges::partition_point(
            segments, [&](const Segment& segment) { return segment.begin + segment.count <= used.begin; });
        for (; at != segments.end() && at->begin < used.end; ++at)
          last[static_cast<std::size_t>(at - segments.begin())] = i;
      }
    }
    return last;
  }

  /// From the last segment on, for gradients become complete from there.
  [[nodiscard]] std::vector<Run> runs_of(const Group& group) const {
    const Step& update = program_.steps[group.update];
    const Segments& segments = std::get<UpdateAttributes>(update.attributes).segments;
    const std::vector<std::size_t> last = last_uses(group, segments);
    const std::int64_t element = size_bytes(program_[update.operands[0].tensor].dtype);
    std::vector<Run> runs;
    for (std::size_t s = segments.size(); s-- > 0;) {
      const Segment& segment = segments[s];
      if (runs.empty() || (runs.back().range.end - runs.back().range.begin) * element >= least_bytes_) {
        runs.push_back({.range = {segment.begin, segment.begin + segment.count}, .segments = {}, .behind = 0});
      }
      Run& run = runs.back();
      run.range.begin = segment.begin;
      run.segments.insert(run.segments.begin(), segment);
      run.behind = std::max(run.behind, last[s]);
    }
    return runs;
  }

  /// The elements of a run in a flat tensor.
  TensorId part_of(TensorId flat, const Range& range, const std::string& suffix) {
    return ProgramBuilder(program_).add_batch_slice(flat, range.begin, range.end - range.begin,
                                                    program_[flat].name + suffix);
  }

  /// The gradients of the run move to a storage of their own; its norm and its update come behind their last use.
  void add_run(const Group& group, std::size_t index) {
    const Run& run = group.runs[index];
    const std::string suffix = "[" + std::to_string(index) + "]";
    Step norm = program_.steps[group.norm], update = program_.steps[group.update];
    const TensorId gradient = part_of(update.operands[0].tensor, run.range, suffix);
    move_out(storage_of(update.operands[0]), run.range, suffix);
    Segments segments = run.segments;
    for (Segment& segment : segments) segment.begin -= run.range.begin;
    norm.operands[0].tensor = update.operands[0].tensor = gradient;
    for (std::size_t i = kWeights; i < update.operands.size(); ++i)
      update.operands[i].tensor = part_of(update.operands[i].tensor, run.range, suffix);
    std::get<GradientNormAttributes>(norm.attributes).segments = segments;
    std::get<UpdateAttributes>(update.attributes).segments = std::move(segments);
    behind_[run.behind].push_back(std::move(norm));
    behind_[run.behind].push_back(std::move(update));
  }

  void move_out(StorageId whole, const Range& range, const std::string& suffix) {
    const StorageId storage = ProgramBuilder(program_).add_storage(program_[whole]);
    std::int64_t element = 1;
    for (TensorInfo& tensor : program_.tensors) {
      if (tensor.view.storage != whole) continue;
      element = size_bytes(tensor.dtype);
      const Range used = range_of(tensor);
      if (used.begin < range.begin || used.end > range.end) continue;
      tensor.view.storage = storage;
      tensor.view.offset_bytes -= range.begin * element;
    }
    program_[storage].name += suffix;
    program_[storage].size_bytes = (range.end - range.begin) * element;
  }

  /// The first norm of a step writes the sum, the others add to it.
  void mark_first_norm() {
    bool first = true;
    for (Step& step : program_.steps) {
      if (step.op != Op::gradient_norm) continue;
      std::get<GradientNormAttributes>(step.attributes).accumulate = !first;
      step.operands[2].access = first ? Access::out : Access::inout;
      first = false;
    }
  }

  Program& program_;
  std::int64_t least_bytes_;
  std::vector<std::vector<Step>> behind_;  ///< by step: what comes at once after it
};

}  // namespace

void update_eagerly(Program& program, std::int64_t least_bytes) { EagerUpdates(program, least_bytes).run(); }

}  // namespace snug
