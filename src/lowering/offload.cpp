#include "lowering/offload.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "ops/op.h"

namespace snug {

namespace {

/// So many copies are under way, each way: while one is waited for, the next one runs already. More would keep more
/// on the device.
constexpr std::size_t kInFlight = 2;

/// Copies are given so many times what they should take.
constexpr double kSpare = 1.25;

/// How the steps of a program use one storage.
struct Use {
  std::size_t last_forward = 0, first_backward = 0;
  bool forward = false, backward = false;
  bool possible = true;
};

void note(const Step& step, std::size_t index, Access access, Use& use) {
  if (step.queue != kMainQueue) use.possible = false;
  if (step.phase == Phase::forward) {
    if (!use.forward && access != Access::out) use.possible = false;
    if (use.backward) use.possible = false;
    use.forward = true;
    use.last_forward = index;
  } else if (step.phase == Phase::backward && access == Access::in) {
    if (!use.backward) use.first_backward = index;
    use.backward = true;
  } else {
    use.possible = false;
  }
}

std::vector<Use> uses_of(const Program& program) {
  std::vector<Use> uses(program.storages.size());
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    for (const Operand& operand : program.steps[i].operands) {
      note(program.steps[i], i, operand.access, uses[program[operand.tensor].view.storage.index()]);
    }
  }
  for (const TensorInfo& tensor : program.tensors) {
    if (tensor.role != Role::activation) uses[tensor.view.storage.index()].possible = false;
  }
  return uses;
}

/// All of a storage's bytes in rows that threads can share.
Shape rows_of(std::int64_t elements) {
  constexpr std::int64_t kWidest = 4096;
  std::int64_t width = 1;
  while (2 * width <= kWidest && elements % (2 * width) == 0) width *= 2;
  return {elements / width, width};
}

class Offload {
 public:
  Offload(Program& program, const StepSeconds& seconds)
      : program_(program),
        builder_(program),
        seconds_(seconds),
        before_(program.steps.size()),
        twins_(program.tensors.size()) {}

  void run(const std::vector<OffloadCandidate>& moved) {
    find_turns();
    begin_.push_back(0);
    for (const Step& step : program_.steps) begin_.push_back(begin_.back() + seconds_of(step));
    std::vector<Transfer> transfers;
    transfers.reserve(moved.size());
    for (const OffloadCandidate& one : moved) transfers.push_back(transfer_of(one));
    copy_out(transfers);
    std::ranges::stable_sort(transfers, {}, [](const Transfer& t) { return t.use.first_backward; });
    copy_back(transfers);
    rebuild();
  }

 private:
  struct Transfer {
    OffloadCandidate use;
    TensorId device, host, back;  ///< all of the storage, in its three places
    LayerId layer;
    std::size_t turn = 0;  ///< the first backward step behind the last forward use
    double seconds = 0;    ///< of a copy, with something to spare
  };

  /// By step: the first backward step at or behind it.
  void find_turns() {
    turns_.assign(program_.steps.size() + 1, program_.steps.size());
    for (std::size_t i = program_.steps.size(); i-- > 0;) {
      turns_[i] = program_.steps[i].phase == Phase::backward ? i : turns_[i + 1];
    }
  }

  Transfer transfer_of(const OffloadCandidate& use) {
    const Storage whole = program_[use.storage];
    const auto first = std::ranges::find_if(
        program_.tensors, [&](const TensorInfo& tensor) { return tensor.view.storage == use.storage; });
    const LayerId layer = first->layer;
    ProgramBuilder::NewTensor all{.name = whole.name + ":all",
                                  .shape = rows_of(whole.size_bytes / size_bytes(first->dtype)),
                                  .dtype = first->dtype,
                                  .layer = layer};
    Transfer transfer{.use = use, .layer = layer, .turn = turns_[use.last_forward + 1]};
    transfer.device = builder_.add_view(all, use.storage, 0);
    all.name = whole.name + ":host";
    transfer.host = builder_.add_view(all, builder_.add_storage({all.name, whole.size_bytes, Arena::host}), 0);
    all.name = whole.name + ":back";
    const StorageId back = builder_.add_storage({all.name, whole.size_bytes, Arena::transient});
    transfer.back = builder_.add_view(all, back, 0);
    transfer.seconds = kSpare * seconds_of(copy_of(transfer.device, transfer.host));
    return transfer;
  }

  [[nodiscard]] static Step copy_of(TensorId from, TensorId to) {
    return {.op = Op::copy, .attributes = NoAttributes{}, .operands = {{from}, {to, Access::out}}, .queue = kCopyQueue};
  }

  [[nodiscard]] double seconds_of(const Step& step) const {
    if (seconds_) return seconds_(program_, step);
    constexpr double kHostByte = 32;  // a graphics card's memory against its bus
    return static_cast<double>(step_cost(program_, step).bytes) * (step.queue == kCopyQueue ? kHostByte : 1);
  }

  /// Copies go out one after another. Each is waited for where it should be done, at the latest where the second next
  /// one is begun or the backward pass.
  void copy_out(const std::vector<Transfer>& transfers) {
    std::vector<std::size_t> waits(transfers.size());
    double free = 0;
    for (std::size_t i = 0; i < transfers.size(); ++i) {
      const std::size_t launch = transfers[i].use.last_forward + 1;
      free = std::max(free, begin_[launch]) + transfers[i].seconds;
      const auto done = std::ranges::lower_bound(begin_, free);
      waits[i] = std::clamp(static_cast<std::size_t>(done - begin_.begin()), launch, transfers[i].turn);
      if (i >= kInFlight) waits[i - kInFlight] = std::min(waits[i - kInFlight], launch);
    }
    std::vector<char> waited(transfers.size(), 0);
    const auto wait = [&](std::size_t i) {
      waited[i] = 1;
      add(waits[i], Op::wait, Phase::forward, transfers[i], {{transfers[i].device}, {transfers[i].host}});
    };
    for (std::size_t i = 0; i < transfers.size(); ++i) {
      const std::size_t launch = transfers[i].use.last_forward + 1;
      for (std::size_t j = 0; j < i; ++j) {
        if (waited[j] == 0 && waits[j] <= launch) wait(j);
      }
      add(launch, Op::copy, Phase::forward, transfers[i], {{transfers[i].device}, {transfers[i].host, Access::out}});
    }
    for (std::size_t i = 0; i < transfers.size(); ++i) {
      if (waited[i] == 0) wait(i);
    }
  }

  /// Copies come back one after another, each begun as late as it may be; not before the second last one is used.
  void copy_back(const std::vector<Transfer>& transfers) {
    std::vector<std::size_t> launches(transfers.size());
    double free = begin_.back();
    for (std::size_t i = transfers.size(); i-- > 0;) {
      const Transfer& transfer = transfers[i];
      free = std::min(free, begin_[transfer.use.first_backward]) - transfer.seconds;
      const auto late = std::ranges::upper_bound(begin_, free);
      const auto index = static_cast<std::size_t>(late - begin_.begin());
      launches[i] = std::clamp(index > 0 ? index - 1 : 0, transfer.turn, transfer.use.first_backward);
    }
    for (std::size_t i = 0; i < transfers.size(); ++i) {
      const Transfer& transfer = transfers[i];
      const std::size_t needed = transfer.use.first_backward;
      if (i >= kInFlight) launches[i] = std::max(launches[i], transfers[i - kInFlight].use.first_backward);
      if (i > 0) launches[i] = std::max(launches[i], launches[i - 1]);  // in the order of their use
      add(launches[i], Op::copy, Phase::backward, transfer, {{transfer.host}, {transfer.back, Access::out}});
      add(needed, Op::wait, Phase::backward, transfer, {{transfer.host}, {transfer.back}});
      read_back(transfer, needed);
    }
  }

  void add(std::size_t at, Op op, Phase phase, const Transfer& transfer, std::vector<Operand> operands) {
    before_[at].push_back({.op = op,
                           .phase = phase,
                           .attributes = NoAttributes{},
                           .operands = std::move(operands),
                           .layer = transfer.layer,
                           .queue = op == Op::copy ? kCopyQueue : kMainQueue});
  }

  /// Backward steps read what came back.
  void read_back(const Transfer& transfer, std::size_t from) {
    for (std::size_t i = from; i < program_.steps.size(); ++i) {
      for (Operand& operand : program_.steps[i].operands) {
        if (program_[operand.tensor].view.storage == transfer.use.storage)
          operand.tensor = twin(operand.tensor, transfer);
      }
    }
  }

  TensorId twin(TensorId tensor, const Transfer& transfer) {
    TensorId& made = twins_[tensor.index()];
    if (!made.valid()) {
      TensorInfo info = program_[tensor];
      info.name += ":back";
      info.view.storage = program_[transfer.back].view.storage;
      made = builder_.add_info(std::move(info));
    }
    return made;
  }

  void rebuild() {
    std::vector<Step> steps;
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      std::ranges::move(before_[i], std::back_inserter(steps));
      steps.push_back(std::move(program_.steps[i]));
    }
    program_.steps = std::move(steps);
    drop_unused(program_);
  }

  Program& program_;
  ProgramBuilder builder_;
  const StepSeconds& seconds_;
  std::vector<double> begin_;              ///< by step: when it begins, if nothing waits; and the end
  std::vector<std::vector<Step>> before_;  ///< by step
  std::vector<std::size_t> turns_;         ///< by step
  std::vector<TensorId> twins_;            ///< by tensor of the program as it was
};

}  // namespace

std::vector<OffloadCandidate> offload_candidates(const Program& program) {
  const std::vector<Use> uses = uses_of(program);
  std::vector<OffloadCandidate> candidates;
  for (std::size_t s = 0; s < uses.size(); ++s) {
    const Storage& storage = program.storages[s];
    const Use& use = uses[s];
    if (storage.arena != Arena::transient || storage.size_bytes == 0) continue;
    if (!use.possible || !use.forward || !use.backward) continue;
    candidates.push_back(
        {StorageId{static_cast<std::int64_t>(s)}, storage.size_bytes, use.last_forward, use.first_backward});
  }
  std::ranges::stable_sort(candidates, {}, &OffloadCandidate::last_forward);
  return candidates;
}

void offload(Program& program, const Offloaded& names, const StepSeconds& seconds) {
  if (names.empty()) return;
  std::vector<OffloadCandidate> moved = offload_candidates(program);
  std::erase_if(moved, [&](const OffloadCandidate& one) { return !names.contains(program[one.storage].name); });
  if (!moved.empty()) Offload(program, seconds).run(moved);
}

}  // namespace snug
