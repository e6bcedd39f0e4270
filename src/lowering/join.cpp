// Joining without copies. What is joined by channels is written where it belongs, and its readers take it from there:
// a chain of joins (a dense block) keeps every channel once. Gradients likewise: the backward step of a norm adds to
// the gradient that the join has already, instead of to a copy of it.
#include <algorithm>
#include <utility>
#include <vector>

#include "lowering/lowering.h"

namespace snug {

namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// An operand of a step.
struct Use {
  std::size_t step = 0, operand = 0;
};

/// Where the gradient of a norm's input stands among its operands; kNone for other steps.
std::size_t dx_of(const Step& step) {
  if (step.op == Op::batchnorm_inference_backward) return 4;
  if (step.op == Op::batchnorm_backward_apply) return 6;
  if (step.op != Op::batchnorm_backward) return kNone;
  return std::get<BatchNormAttributes>(step.attributes).residual ? 6 : 5;
}

class Joins {
 public:
  explicit Joins(Program& program)
      : program_(program), gone_(program.steps.size(), false), behind_(program.steps.size()) {
    uses_.resize(program.storages.size());
    tensors_.resize(program.storages.size());
    for (std::size_t i = 0; i < program.steps.size(); ++i) {
      const Step& step = program.steps[i];
      for (std::size_t k = 0; k < step.operands.size(); ++k) uses_[storage(step.operands[k].tensor)].push_back({i, k});
    }
    for (std::size_t t = 0; t < program.tensors.size(); ++t) {
      const TensorId id{static_cast<std::int64_t>(t)};
      tensors_[storage(id)].push_back(id);
    }
  }

  void run() {
    // From the end: a join that is part of another one is placed in it before its own parts are.
    for (std::size_t i = program_.steps.size(); i-- > 0;) {
      if (program_.steps[i].phase != Phase::backward) place_part(i);
    }
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      if (program_.steps[i].phase == Phase::backward && program_.steps[i].op == Op::add) add_in_norm(i);
    }
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      if (program_.steps[i].phase == Phase::backward && program_.steps[i].op == Op::copy) read_in_place(i);
    }
    rebuild();
  }

 private:
  [[nodiscard]] std::size_t storage(TensorId tensor) const { return program_[tensor].view.storage.index(); }
  [[nodiscard]] const Operand& operand(const Use& use) const { return program_.steps[use.step].operands[use.operand]; }
  [[nodiscard]] bool takes_slices(const Use& use) const {
    return may_be_pitched(program_.steps[use.step], use.operand);
  }

  /// Whether the tensor is all of a storage that steps share.
  [[nodiscard]] bool is_whole(TensorId id) const {
    const TensorInfo& tensor = program_[id];
    const Storage& whole = program_[tensor.view.storage];
    return whole.arena == Arena::transient && is_packed(tensor) && extent_bytes(tensor) == whole.size_bytes;
  }

  /// Whether all in the storage is `whole` or a slice of its channels: then it can move into a wider one.
  [[nodiscard]] bool only_slices_of(TensorId whole) const {
    return std::ranges::all_of(tensors_[storage(whole)], [&](TensorId id) {
      const TensorInfo& tensor = program_[id];
      return tensor.shape.rank() == program_[whole].shape.rank() &&
             channel_pitch(tensor) == channel_pitch(program_[whole]);
    });
  }

  /// The uses of the storage but those by the steps named.
  [[nodiscard]] std::vector<Use> other_uses(std::size_t in, std::size_t one, std::size_t another = kNone) const {
    std::vector<Use> uses;
    for (const Use& use : uses_[in]) {
      if (use.step != one && use.step != another && !gone_[use.step]) uses.push_back(use);
    }
    return uses;
  }

  /// Moves everything in the storage of `whole` to where `place` lies.
  void relocate(TensorId whole, TensorId place) {
    const std::size_t from = storage(whole);
    const TensorInfo to = program_[place];
    const std::size_t into = to.view.storage.index();
    const std::int64_t pitch = channel_pitch(to);
    for (const TensorId id : tensors_[from]) {
      TensorInfo& tensor = program_[id];
      tensor.view.storage = to.view.storage;
      tensor.view.offset_bytes += to.view.offset_bytes;
      std::int64_t stride = pitch;
      for (int axis = tensor.shape.rank() - 2; axis >= 0; --axis) {
        tensor.view.strides[static_cast<std::size_t>(axis)] = stride;
        stride *= tensor.shape[axis];
      }
      tensors_[into].push_back(id);
    }
    std::ranges::copy(uses_[from], std::back_inserter(uses_[into]));
    tensors_[from].clear();
    uses_[from].clear();
  }

  /// Step `copy` copies x into a slice of a join. Where all readers of x can, they take it from there.
  void place_part(std::size_t copy) {
    const Step& step = program_.steps[copy];
    if (step.op != Op::copy || is_packed(program_[step.operands[1].tensor])) return;
    const TensorId x = step.operands[0].tensor, slice = step.operands[1].tensor;
    if (!is_whole(x) || storage(x) == storage(slice) || !only_slices_of(x)) return;
    if (is_kept(x) && !is_kept(slice)) return;  // a part would keep all of the join
    const std::vector<Use> others = other_uses(storage(x), copy);
    std::vector<Use> makers;
    bool joined = true;  // by copies, which can write into the slice as well
    for (const Use& use : others) {
      if (operand(use).access == Access::out) {
        makers.push_back(use);
        joined = joined && takes_slices(use);
      } else if (operand(use).access == Access::inout || !takes_slices(use)) {
        return;
      }
    }
    if (makers.empty() || makers.size() == others.size()) return;  // nobody reads it but the copy
    if (!joined && makers.size() > 1) return;
    if (!joined) keep_packed(makers.front(), copy);
    gone_[copy] = true;  // at least where it stood
    relocate(x, slice);
  }

  [[nodiscard]] bool is_kept(TensorId tensor) const {
    return std::ranges::any_of(uses_[storage(tensor)],
                               [&](const Use& use) { return program_.steps[use.step].phase == Phase::backward; });
  }

  /// Step `copy` copies a slice of a join's gradient. Where all readers can, they take it from there.
  void read_in_place(std::size_t copy) {
    if (gone_[copy]) return;
    const TensorId slice = program_.steps[copy].operands[0].tensor, g = program_.steps[copy].operands[1].tensor;
    if (is_packed(program_[slice]) || !is_whole(g) || storage(g) == storage(slice) || !only_slices_of(g)) return;
    const std::vector<Use> readers = other_uses(storage(g), copy);
    const bool all = std::ranges::all_of(readers, [&](const Use& use) {
      const Step& step = program_.steps[use.step];
      return operand(use).access == Access::in && takes_slices(use) &&
             std::ranges::none_of(step.operands, [&](const Operand& other) {
               return other.access != Access::in && storage(other.tensor) == storage(slice);
             });
    });
    if (!all || readers.empty()) return;
    const bool changes = std::ranges::any_of(other_uses(storage(slice), copy), [&](const Use& use) {
      return use.step > copy && operand(use).access != Access::in &&
             overlap(program_[operand(use).tensor], program_[slice]);
    });
    if (changes) return;
    gone_[copy] = true;
    relocate(g, slice);
  }

  /// The maker writes a packed tensor of its own, which is copied into its place at once.
  void keep_packed(const Use& maker, std::size_t copy) {
    TensorInfo info = program_[operand(maker).tensor];
    Storage own = program_[info.view.storage];
    info.name += ":packed";
    own.name += ":packed";
    ProgramBuilder builder(program_);
    info.view.storage = builder.add_storage(std::move(own));
    const TensorId packed = builder.add_info(std::move(info));
    const auto is_theirs = [&](const Use& use) { return use.step == copy || use.step == maker.step; };
    std::erase_if(uses_[storage(operand(maker).tensor)], is_theirs);
    uses_.push_back({maker, {copy, 0}});
    tensors_.push_back({packed});
    program_.steps[maker.step].operands[maker.operand].tensor = packed;
    program_.steps[copy].operands[0].tensor = packed;
    behind_[maker.step].push_back(copy);
  }

  /// The only step that writes the storage, or kNone.
  [[nodiscard]] std::size_t maker_of(TensorId tensor) const {
    std::size_t maker = kNone;
    for (const Use& use : uses_[storage(tensor)]) {
      if (gone_[use.step] || operand(use).access == Access::in) continue;
      if (maker != kNone) return kNone;
      maker = use.step;
    }
    return maker;
  }

  /// s = g + d, where d is the gradient of a norm's input: the norm adds to g.
  void add_in_norm(std::size_t sum) {
    const std::vector<Operand> operands = program_.steps[sum].operands;
    for (const std::size_t own : {0U, 1U}) {
      const TensorId d = operands[own].tensor;
      const std::size_t norm = maker_of(d);
      if (norm == kNone || dx_of(program_.steps[norm]) == kNone || !is_whole(d)) continue;
      if (program_.steps[norm].operands[dx_of(program_.steps[norm])].tensor != d) continue;
      if (!other_uses(storage(d), norm, sum).empty()) continue;
      if (add_to(operands[1 - own].tensor, sum, norm)) return;
    }
  }

  bool add_to(TensorId g, std::size_t sum, std::size_t norm) {
    if (!is_whole(g) || maker_of(g) == kNone) return false;
    TensorId place = g;
    const std::size_t copy = maker_of(g);
    const Step& made = program_.steps[copy];
    const bool from_slice = made.op == Op::copy && made.phase == Phase::backward &&
                            other_uses(storage(g), copy, sum).empty() &&
                            program_[made.operands[0].tensor].view.storage != program_[g].view.storage;
    if (from_slice) place = made.operands[0].tensor;
    const std::size_t skipped = from_slice ? copy : kNone;
    if (!is_free_behind(place, norm, sum, skipped)) return false;
    Step& backward = program_.steps[norm];
    const std::size_t dx = dx_of(backward);
    for (const Operand& other : backward.operands) {
      if (storage(other.tensor) == storage(place)) return false;
    }
    std::get<BatchNormAttributes>(backward.attributes).accumulate_dx = true;
    std::erase_if(uses_[storage(backward.operands[dx].tensor)], [&](const Use& use) { return use.step == norm; });
    backward.operands[dx] = {place, Access::inout};
    uses_[storage(place)].push_back({norm, dx});
    if (from_slice) gone_[copy] = true;
    hand_on(place, sum);
    return true;
  }

  /// Whether nothing but the sum and `skipped` uses the tensor's bytes behind the norm.
  [[nodiscard]] bool is_free_behind(TensorId place, std::size_t norm, std::size_t sum, std::size_t skipped) const {
    if (program_.storage_of(place).arena != Arena::transient) return false;
    return std::ranges::none_of(other_uses(storage(place), sum, skipped), [&](const Use& use) {
      return use.step >= norm && overlap(program_[operand(use).tensor], program_[place]);
    });
  }

  /// Whether two tensors in one storage share an element; of slices that are no slices of one whole, to be safe, yes.
  static bool overlap(const TensorInfo& a, const TensorInfo& b) {
    if (channel_pitch(a) == 0 || channel_pitch(a) != channel_pitch(b)) return true;
    const std::int64_t pitch = channel_pitch(a) * size_bytes(a.dtype);
    const std::int64_t first = a.view.offset_bytes % pitch, second = b.view.offset_bytes % pitch;
    return first < second + b.shape.back() * size_bytes(b.dtype) &&
           second < first + a.shape.back() * size_bytes(a.dtype);
  }

  /// The sum is in its place: its readers take it from there, or from a copy where they cannot.
  void hand_on(TensorId place, std::size_t sum) {
    const TensorId s = program_.steps[sum].operands[2].tensor;
    const bool packed = is_packed(program_[place]);
    const std::vector<Use> readers = other_uses(storage(s), sum);
    const bool all = is_whole(s) && only_slices_of(s) &&
                     std::ranges::all_of(readers, [&](const Use& use) { return packed || takes_slices(use); });
    if (all) {
      gone_[sum] = true;
      relocate(s, place);
      return;
    }
    Step& step = program_.steps[sum];
    for (const Operand& used : step.operands)
      std::erase_if(uses_[storage(used.tensor)], [&](const Use& use) { return use.step == sum; });
    step.op = Op::copy;
    step.attributes = NoAttributes{};
    step.operands = {{place, Access::in}, {s, Access::out}};
    uses_[storage(place)].push_back({sum, 0});
    uses_[storage(s)].push_back({sum, 1});
  }

  void rebuild() {
    std::vector<Step> steps;
    steps.reserve(program_.steps.size());
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      if (!gone_[i]) steps.push_back(program_.steps[i]);
      for (const std::size_t copy : behind_[i]) steps.push_back(program_.steps[copy]);
    }
    program_.steps = std::move(steps);
    drop_unused(program_);
  }

  Program& program_;
  std::vector<bool> gone_;                        ///< by step
  std::vector<std::vector<std::size_t>> behind_;  ///< by step: copies that come at once after it
  std::vector<std::vector<Use>> uses_;            ///< by storage
  std::vector<std::vector<TensorId>> tensors_;    ///< by storage
};

}  // namespace

void join_in_place(Program& program) { Joins(program).run(); }

}  // namespace snug
