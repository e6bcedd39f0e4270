// Which batch to measure next, when the curve is known, and where its knee is. Pure: measurements and their time come
// through an interface, so that tests drive it with curves that never were.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace snug {

struct TuneSample {
  double images_per_second = 0;
  double seconds = 0;  ///< that the measurement took, with everything around it
};

/// What measures. A setting is a way to run (a precision, a number of parts), counted from 0.
class TuneMeter {
 public:
  virtual ~TuneMeter() = default;
  /// Nothing when the batch cannot be run after all, or when the measurement was broken off.
  [[nodiscard]] virtual std::optional<TuneSample> measure(int setting, std::int64_t batch) = 0;
  /// True once the user wants no more.
  [[nodiscard]] virtual bool stopped() = 0;
};

struct TuneOptions {
  std::vector<std::int64_t> limits{};  ///< of each setting, the largest batch that fits; 0: it has none
  std::int64_t first_batch = 8;        ///< where the curve is begun, or the limit where that is less
  double time_limit_seconds = 300;     ///< of all measurements together
};

struct TunePoint {
  int setting = 0;
  std::int64_t batch = 0;
  double images_per_second = 0;  ///< the median of its repeats
  double low = 0, high = 0;      ///< their quartiles
  std::vector<double> rates{};   ///< images a second of the interleaved repeats, in order; one value without repeats
};

enum class TuneEnd : std::uint8_t {
  known,    ///< the curve rose, became flat, and repeats agree
  time,     ///< the time was up
  stopped,  ///< the user
};

struct TuneResult {
  std::vector<TunePoint> curve{};  ///< by setting and batch
  std::size_t knee = 0;            ///< in `curve`: the smallest batch surely within 3 % of the fastest
  std::size_t fastest = 0, largest = 0;
  TuneEnd end = TuneEnd::known;
  double seconds = 0;
  double drift = 1;  ///< by how much the machine became faster since the first pass; rates are free of it
};

inline constexpr double kNearFastest = 0.97;  // what counts as no slower than the fastest

/// Batches of 2^k and, where it matters, 3 · 2^k. Empty curve: nothing could be measured in the time.
[[nodiscard]] TuneResult tune(const TuneOptions& options, TuneMeter& meter);

}  // namespace snug
