#include "tune/search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "tune/statistics.h"

namespace snug {

namespace {

// The first pass measures each point once; what follows repeats those that may be the answer.
constexpr double kFlat = 1.04;         // two doublings that bring less than this: the curve is flat
constexpr double kFalling = 0.8;       // of the best: larger batches are no use any more
constexpr double kRising = 0.9;        // of the best: below it, smaller batches are no candidates
constexpr double kCandidate = 0.93;    // of the best, by one measurement: may be within 3 % of it in truth
constexpr double kOut = 0.955;         // of the best: so far below the knee's mark that no repeat is needed
constexpr double kStillRising = 1.02;  // a doubling that brings less is followed by less in all
constexpr int kLeastRounds = 3, kMostRounds = 7;
constexpr std::size_t kCalmRounds = 5;  // at least, where repeats of a point differ by more than kCalm
constexpr double kCalm = 0.08;
constexpr std::size_t kSmallest = 4, kFastest = 2;  // candidates that are repeated: what lies between decides nothing
constexpr int kMostConfirmations = 4;
constexpr double kSureErrors = 2;       // standard errors between a point and the mark
constexpr double kFineError = 0.006;    // a point nearer to the mark than this may lie on either side
constexpr double kLargestShare = 0.05;  // of the time limit, for the largest batch alone

/// A measurement of an interleaved round.
struct Repeat {
  std::size_t round = 0;
  double rate = 0;
};

struct Work {
  int setting = 0;
  std::int64_t batch = 0;
  double first = 0;  ///< of the first pass: the best of its measurements, for what disturbs makes slower
  std::vector<Repeat> repeats{};
  double seconds = 0;           ///< of the last measurement
  double rate = 0;              ///< what counts: see Search::settle
  std::vector<double> rates{};  ///< of the repeats, the machine's drift taken out
  [[nodiscard]] int rounds() const { return static_cast<int>(repeats.size()); }
};

/// Of two values the larger: what disturbs makes slower.
double upper_median(std::vector<double>& values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::ranges::nth_element(values, middle);
  return *middle;
}

class Search {
 public:
  Search(const TuneOptions& options, TuneMeter& meter) : options_(options), limits_(options.limits), meter_(meter) {}

  TuneResult run() {
    for (int setting = 0; setting < std::ssize(limits_) && !over_; ++setting) first_pass(setting);
    for (int i = 0; i < kMostConfirmations && !over_ && (i == 0 || extend() || has_unrepeated()); ++i) confirm();
    // Where the largest is faster than all that was settled, the curve was not known.
    if (!over_ && measure_largest()) confirm();
    return result();
  }

 private:
  // ---- points ----
  Work* find(int setting, std::int64_t batch) {
    const auto at =
        std::ranges::find_if(work_, [&](const Work& work) { return work.setting == setting && work.batch == batch; });
    return at == work_.end() ? nullptr : &*at;
  }
  [[nodiscard]] std::int64_t& limit(int setting) { return limits_[static_cast<std::size_t>(setting)]; }
  [[nodiscard]] double best() const {
    double best = 0;
    for (const Work& work : work_) best = std::max(best, work.rate);
    return best;
  }
  [[nodiscard]] double best_of(int setting) const {
    double best = 0;
    for (const Work& work : work_)
      if (work.setting == setting) best = std::max(best, work.rate);
    return best;
  }

  /// What the points' rates are, however the machine's speed changes meanwhile: each round has a factor, the median of
  /// what its points did against their own medians, and is divided by it. Points without repeats are compared by the
  /// first pass, scaled by what the repeated ones have become since.
  void settle() {
    std::vector<double> factors(rounds_, 1.0);
    for (int pass = 0; pass < 3; ++pass) {
      std::vector<std::vector<double>> ratios(rounds_);
      for (Work& work : work_) {
        work.rates.clear();
        for (const Repeat& repeat : work.repeats) work.rates.push_back(repeat.rate / factors[repeat.round]);
        if (work.repeats.empty()) continue;
        work.rate = median(work.rates);
        for (const Repeat& repeat : work.repeats) ratios[repeat.round].push_back(repeat.rate / work.rate);
      }
      for (std::size_t round = 0; round < rounds_; ++round)
        if (!ratios[round].empty()) factors[round] = upper_median(ratios[round]);
    }
    std::vector<double> shifts;
    for (const Work& work : work_)
      if (!work.repeats.empty()) shifts.push_back(work.rate / work.first);
    drift_ = shifts.empty() ? 1 : median(shifts);
    for (Work& work : work_)
      if (work.repeats.empty()) work.rate = work.first * drift_;
  }

  // ---- measuring ----
  /// What a measurement will take: a known point as long as last time, another as its neighbour in proportion.
  [[nodiscard]] double expected_seconds(int setting, std::int64_t batch) {
    if (const Work* known = find(setting, batch)) return known->seconds;
    double seconds = 0, nearest = std::numeric_limits<double>::infinity();
    for (const Work& work : work_) {
      const double distance = std::abs(std::log2(static_cast<double>(work.batch) / static_cast<double>(batch)));
      if (work.setting != setting || distance >= nearest) continue;
      nearest = distance;
      seconds = work.seconds * std::max(1.0, static_cast<double>(batch) / static_cast<double>(work.batch));
    }
    return seconds;
  }

  /// False when it was not measured: it does not fit, or the search is over.
  bool measure(int setting, std::int64_t batch, bool in_round) {
    if (meter_.stopped()) return finish(TuneEnd::stopped);
    if (spent_ + expected_seconds(setting, batch) > options_.time_limit_seconds) return finish(TuneEnd::time);
    const std::optional<TuneSample> sample = meter_.measure(setting, batch);
    if (!sample) {
      if (meter_.stopped()) return finish(TuneEnd::stopped);
      limit(setting) = std::min(limit(setting), batch - 1);
      return false;
    }
    spent_ += sample->seconds;
    Work* work = find(setting, batch);
    if (work == nullptr) work = &work_.emplace_back(Work{.setting = setting, .batch = batch});
    work->seconds = sample->seconds;
    if (in_round) work->repeats.push_back({.round = rounds_ - 1, .rate = sample->images_per_second});
    if (!in_round) work->first = std::max(work->first, sample->images_per_second / drift_);
    if (!in_round && work->repeats.empty()) work->rate = work->first * drift_;
    return true;
  }
  /// Once, and again where it does not clearly rise: a moment's disturbance must not look like the end of the curve.
  bool measure_first(int setting, std::int64_t batch) {
    const double before = best_of(setting);
    if (!measure(setting, batch, false)) return false;
    if (find(setting, batch)->rate < kFlat * before || before == 0) measure(setting, batch, false);
    if (!over_ && find(setting, batch)->rate < kNearFastest * before) measure(setting, batch, false);
    return !over_;
  }
  bool finish(TuneEnd end) {
    over_ = true;
    end_ = end;
    return false;
  }

  // ---- the first pass ----
  /// Up by doublings until the curve is flat or falls, then down until it is clearly below.
  void first_pass(int setting) {
    if (limit(setting) < 1) return;
    std::int64_t first = 1;
    while (2 * first <= std::min(options_.first_batch, limit(setting))) first *= 2;
    std::vector<double> rates;
    for (std::int64_t batch = first; batch <= limit(setting) && !is_flat(rates); batch *= 2) {
      if (!measure_first(setting, batch)) break;
      rates.push_back(find(setting, batch)->rate);
    }
    for (std::int64_t batch = first / 2; batch >= 1 && !over_; batch /= 2) {
      const Work* above = find(setting, 2 * batch);
      if (above == nullptr || above->rate < kRising * best_of(setting)) break;
      if (!measure_first(setting, batch)) break;
    }
  }
  static bool is_flat(const std::vector<double>& rates) {
    if (rates.size() < 3) return false;
    const auto last_two = rates.end() - 2;
    const double before = *std::max_element(rates.begin(), last_two);
    const double now = std::max(last_two[0], last_two[1]);
    return now < kFlat * before || last_two[1] < kFalling * std::max(before, now);
  }

  // ---- interleaved repeats ----
  /// Points that may be the knee or the fastest, the smallest and the fastest of all that are near.
  [[nodiscard]] std::vector<std::size_t> candidates() const {
    const double mark = kCandidate * best();
    std::vector<std::size_t> near;
    for (std::size_t i = 0; i < work_.size(); ++i)
      if (work_[i].rate >= mark) near.push_back(i);
    const auto batch = [&](std::size_t i) { return std::pair(work_[i].batch, work_[i].setting); };
    if (near.size() > kSmallest + kFastest) {
      std::ranges::sort(near, {}, batch);
      std::ranges::sort(near.begin() + kSmallest, near.end(), std::ranges::greater{},
                        [&](std::size_t i) { return work_[i].rate; });
      near.resize(kSmallest + kFastest);
    }
    std::ranges::sort(near, {}, batch);
    return near;
  }
  /// 3 · 2^k beside the smallest candidates and the fastest.
  void look_between() {
    std::vector<std::pair<int, std::int64_t>> between;
    const double fastest = best();
    int smallest = 0;
    for (const std::size_t i : candidates()) {
      const auto& [setting, batch] = std::pair(work_[i].setting, work_[i].batch);
      const bool power = (batch & (batch - 1)) == 0;
      if (!power || (++smallest > 2 && work_[i].rate < fastest)) continue;
      if (batch >= 4) between.emplace_back(setting, batch / 4 * 3);
      if (smallest <= 2 && batch >= 2 && batch / 2 * 3 <= limit(setting)) between.emplace_back(setting, batch / 2 * 3);
    }
    for (const auto& [setting, batch] : between)
      if (find(setting, batch) == nullptr && !over_ && is_inside(setting, batch)) measure_first(setting, batch);
  }
  /// A batch above everything that was measured is left to `extend`.
  [[nodiscard]] bool is_inside(int setting, std::int64_t batch) const {
    return std::ranges::any_of(work_, [&](const Work& work) { return work.setting == setting && work.batch > batch; });
  }
  /// Whether repeats moved the mark so that a point which has none is a candidate now.
  [[nodiscard]] bool has_unrepeated() const {
    return std::ranges::any_of(candidates(), [&](std::size_t i) { return work_[i].repeats.empty(); });
  }

  void confirm() {
    look_between();
    std::vector<std::size_t> open = candidates();
    const double before = best();
    // What is settled already is not repeated, but for the fastest, which the others are held against.
    std::erase_if(open, [&](std::size_t i) {
      return work_[i].rounds() >= kLeastRounds && is_sure(work_[i], before) && work_[i].rate < before;
    });
    for (int round = 0; round < kMostRounds && !over_ && !open.empty(); ++round) {
      one_round(open, round % 2 == 1);
      settle();
      if (round + 1 < kLeastRounds) continue;
      const double fastest = best();
      std::erase_if(open, [&](std::size_t i) { return is_out(work_[i], fastest); });
      if (std::ranges::all_of(open, [&](std::size_t i) { return is_sure(work_[i], fastest); })) return;
    }
  }
  /// To and fro: what drifts meanwhile weighs on both ends alike.
  void one_round(std::vector<std::size_t> open, bool backwards) {
    if (backwards) std::ranges::reverse(open);
    ++rounds_;
    for (const std::size_t i : open) {
      if (over_) return;
      measure(work_[i].setting, work_[i].batch, true);
    }
  }
  /// Whether there are repeats enough to believe their median.
  static bool is_calm(const Work& work) {
    if (std::ssize(work.rates) < kLeastRounds) return false;
    const auto [low, high] = std::ranges::minmax_element(work.repeats, {}, &Repeat::rate);
    return work.rates.size() >= kCalmRounds || high->rate - low->rate <= kCalm * high->rate;
  }
  static bool is_out(const Work& work, double fastest) {
    return is_calm(work) && work.rate * (1 + kSureErrors * median_error(work.rates)) < kOut * fastest;
  }
  static bool is_sure(const Work& work, double fastest) {
    if (!is_calm(work)) return false;
    const double error = median_error(work.rates);
    const double distance = std::abs(work.rate / fastest - kNearFastest);
    return error < kFineError || distance > kSureErrors * error;
  }

  /// Goes on upwards where repeats say that the curve has not become flat. True when there is more to repeat.
  bool extend() {
    bool more = false;
    for (int setting = 0; setting < std::ssize(limits_) && !over_; ++setting) {
      const Work* top = nullptr;
      for (const Work& work : work_)
        if (work.setting == setting && (top == nullptr || work.batch > top->batch)) top = &work;
      if (top == nullptr || top->rate < kNearFastest * best()) continue;
      const std::int64_t batch = top->batch;
      double below = 0;  // the best at half of it or less
      for (const Work& work : work_)
        if (work.setting == setting && 2 * work.batch <= batch) below = std::max(below, work.rate);
      std::int64_t next = 1;
      while (next <= batch) next *= 2;
      if (next > limit(setting)) next = next / 4 * 3 > batch ? next / 4 * 3 : next;  // half a step to the end
      if (top->rate < kStillRising * below || next > limit(setting)) continue;
      more = measure_first(setting, next) || more;
    }
    return more;
  }

  /// The largest batch, where that takes little: to know what it costs to take it. True when it is clearly the fastest.
  bool measure_largest() {
    if (work_.empty()) return false;
    const auto fastest = std::ranges::max_element(work_, {}, &Work::rate);
    const int setting = fastest->setting;
    const double before = fastest->rate;
    const std::int64_t largest = limit(setting);
    const double expected = expected_seconds(setting, largest);
    if (find(setting, largest) != nullptr || expected > kLargestShare * options_.time_limit_seconds) return false;
    if (spent_ + expected > options_.time_limit_seconds || !measure(setting, largest, false)) return false;
    return find(setting, largest)->rate > before / kNearFastest;
  }

  // ---- the result ----
  TuneResult result() {
    settle();
    TuneResult result{.end = end_, .seconds = spent_, .drift = drift_};
    for (Work& work : work_) {
      if (work.rates.empty()) work.rates.push_back(work.rate);
      result.curve.push_back({.setting = work.setting,
                              .batch = work.batch,
                              .images_per_second = work.rate,
                              .low = quantile(work.rates, 0.25),
                              .high = quantile(work.rates, 0.75),
                              .rates = std::move(work.rates)});
    }
    std::ranges::sort(result.curve, {}, [](const TunePoint& p) { return std::pair(p.setting, p.batch); });
    if (result.curve.empty()) return result;
    const auto place = [&](auto at) { return static_cast<std::size_t>(at - result.curve.begin()); };
    result.largest = place(std::ranges::max_element(result.curve, {}, &TunePoint::batch));
    const auto rate = [](const TunePoint& p) { return p.images_per_second; };
    result.fastest = place(std::ranges::max_element(result.curve, {}, rate));
    result.knee = result.fastest;
    // Within 3 % also where the median is an error lower: the smaller batch must not be had by luck.
    const double mark = kNearFastest * rate(result.curve[result.fastest]);
    for (std::size_t i = 0; i < result.curve.size(); ++i) {
      const TunePoint &point = result.curve[i], &knee = result.curve[result.knee];
      const double error = point.rates.size() < 3 ? 0 : median_error(point.rates);
      if (rate(point) * (1 - error) < mark) continue;
      const bool better = point.batch == knee.batch && rate(point) > rate(knee);
      if (point.batch < knee.batch || better) result.knee = i;
    }
    return result;
  }

  const TuneOptions& options_;
  std::vector<std::int64_t> limits_;
  TuneMeter& meter_;
  std::vector<Work> work_;
  std::size_t rounds_ = 0;
  double drift_ = 1;
  double spent_ = 0;
  bool over_ = false;
  TuneEnd end_ = TuneEnd::known;
};

}  // namespace

TuneResult tune(const TuneOptions& options, TuneMeter& meter) { return Search(options, meter).run(); }

}  // namespace snug
