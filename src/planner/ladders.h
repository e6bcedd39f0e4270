// Ways for a network to need less memory, from the fastest to the least.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "planner/planner.h"

namespace snug {

/// A batch done in some parts.
struct Candidate {
  std::int64_t batch = 1;
  std::int64_t parts = 1;
  friend auto operator<=>(const Candidate&, const Candidate&) = default;
};

/// Samples that are worked on at a time.
[[nodiscard]] std::int64_t micro_batch(const Candidate& candidate);

/// How a candidate's training programs differ from the plain ones.
struct Rewrites {
  Split split;
  Dropped recomputed;
  Offloaded offloaded;
  bool eager_update = false;
};

/// They depend on the network and on the device's rates alone: not on a batch or a budget, so that more memory never
/// finds a slower plan, and not on scratch, so that they cost no answer of a library.
struct Ladders {
  /// For each split, choices of drops, none first.
  struct Ladder {
    Split split;
    std::vector<Dropped> rungs;
  };
  std::vector<Ladder> ladders;
  std::vector<Rewrites> few_offloaded;  ///< more and more of what is kept waits on the host
  std::vector<Rewrites> all_offloaded;  ///< all that is kept does, and more and more is dropped
};

/// Ladders that were built, for runs that differ in settings on which they do not depend.
struct LadderShelf {
  struct Entry {
    const Graph* graph = nullptr;
    DType dtype = DType::f32;
    bool in_place = true;
    Strategies strategies;
    DeviceRates rates;
    std::shared_ptr<const Ladders> ladders;
  };
  std::vector<Entry> entries;
};

[[nodiscard]] std::shared_ptr<const Ladders> ladders_of(const Graph& graph, const PlanRequest& request,
                                                        const DeviceRates& rates);

/// Bytes and times grow alike with the batch, so what is worth dropping hardly depends on it; and choices that do not
/// depend on the candidate or on a budget keep the search monotone.
inline constexpr Candidate kLadderCandidate{.batch = 64, .parts = 1};

/// No split, and splits that end where the maps have become half as large, and half as large again.
[[nodiscard]] std::vector<Split> splits_of(const Graph& graph, const PlanRequest& request);

/// `rates`: for what is offloaded.
[[nodiscard]] LoweringOptions train_options(const PlanRequest& request, const Candidate& candidate,
                                            const Rewrites& rewrites, const DeviceRates& rates = {});
/// The training program before storages are merged.
[[nodiscard]] Program lower_open(const Graph& graph, const PlanRequest& request, const Candidate& candidate,
                                 const Split& split = {}, bool eager_update = false);

}  // namespace snug
