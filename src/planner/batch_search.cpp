#include "planner/batch_search.h"

#include <algorithm>
#include <vector>

namespace snug {
namespace {

constexpr std::int64_t kAutomaticBatch = 128;  // where no rates are known; beyond it a CPU gains nothing more
constexpr std::int64_t kMostParts = 64;        // of a batch: more would be slow beyond use

/// The batch of the fastest plan that fits; of those within 3 % of it the smallest. Batches of 2^k and 3 · 2^k are
/// compared.
template <class WithParts>
std::int64_t fastest(Candidates& candidates, std::int64_t limit, const WithParts& with_parts) {
  struct Option {
    std::int64_t batch = 0;
    double images_per_second = 0;
  };
  std::vector<Option> options;
  double best = 0;
  const double bound = candidates.plain_throughput(with_parts(limit));
  const auto consider = [&](std::int64_t batch, double images_per_second) {
    options.push_back({batch, images_per_second});
    best = std::max(best, images_per_second);
  };
  for (std::int64_t batch = 1; batch <= limit; batch *= 2) {
    const bool fits = candidates.fits(with_parts(batch));
    const double here = fits ? candidates.throughput(with_parts(batch)) : 0;
    if (const std::int64_t between = batch / 4 * 3; between > 1) {
      // What is smaller than a batch that fits as it stands does so too; its time needs no prepared step.
      const bool stands = here > 0 && here >= candidates.plain_throughput(with_parts(batch));
      if (stands) {
        consider(between, candidates.plain_throughput(with_parts(between)));
      } else if (candidates.fits(with_parts(between))) {
        consider(between, candidates.throughput(with_parts(between)));
      }
    }
    if (!fits) break;
    consider(batch, here);
    constexpr double kNearBound = 0.995;  // larger ones gain nothing that counts
    if (best >= kNearBound * bound) break;
  }
  for (const Option& option : options) {
    if (option.images_per_second >= 0.97 * best) return option.batch;
  }
  return 1;
}

}  // namespace

std::int64_t largest(std::int64_t limit, const std::function<bool(std::int64_t)>& fits) {
  std::int64_t good = 0;
  std::int64_t bad = limit + 1;
  for (std::int64_t next = std::min<std::int64_t>(32, limit); good < limit; next = std::min(next * 4, limit)) {
    if (!fits(next)) {
      bad = next;
      break;
    }
    good = next;
  }
  while (bad - good > 1) {
    const std::int64_t middle = good + (bad - good) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return good;
}

std::int64_t batch_limit(const PlanRequest& request) {
  if (request.batch_limit > 0) return request.batch_limit;
  return request.train_samples > 0 ? request.train_samples : kBatchLimit;
}

std::int64_t fewest_parts(Candidates& candidates, const Candidate& candidate) {
  const std::int64_t most = std::min(candidate.batch, kMostParts);
  const auto fits = [&](std::int64_t parts) { return candidates.fits({candidate.batch, parts}); };
  std::int64_t bad = candidate.parts;
  std::int64_t good = std::min(2 * bad, most);
  while (good > bad && !fits(good)) {
    bad = good;
    good = std::min(2 * good, most);
  }
  if (good <= bad) return 0;
  while (good - bad > 1) {
    const std::int64_t middle = bad + (good - bad) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return good;
}

Candidate choose(Candidates& candidates, const PlanRequest& request) {
  const std::int64_t limit = batch_limit(request);
  const auto with_parts = [&](std::int64_t batch) {
    return Candidate{batch, std::clamp<std::int64_t>(request.lowering.train.accumulate, 1, batch)};
  };
  const auto fits = [&](std::int64_t batch) { return candidates.fits(with_parts(batch)); };
  switch (request.batch.kind) {
    case BatchChoice::Kind::number: {
      Candidate chosen = with_parts(request.batch.number);
      if (!request.strategies.microbatch || candidates.fits(chosen)) return chosen;
      if (const std::int64_t parts = fewest_parts(candidates, chosen); parts > 0) chosen.parts = parts;
      return chosen;
    }
    case BatchChoice::Kind::maximum: return with_parts(std::max<std::int64_t>(1, largest(limit, fits)));
    case BatchChoice::Kind::automatic:
      if (candidates.plain_throughput({1, 1}) > 0) return with_parts(fastest(candidates, limit, with_parts));
      return with_parts(std::max<std::int64_t>(1, largest(std::min(limit, kAutomaticBatch), fits)));
  }
  return {};
}

}  // namespace snug
