#include "check/look.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <tuple>

namespace snug {

namespace {

constexpr std::int64_t kMostBytes = std::int64_t{256} << 20;  // of pixels: about a second
constexpr std::int64_t kMostDecoded = 1'000;                  // pictures whose pixels cost decoding: likewise
constexpr std::int64_t kMostFileBytes = std::int64_t{256} << 20;

/// Mixes eight bytes at a time; equal bytes give equal numbers, and others hardly ever.
std::uint64_t hash_of(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0x9E3779B97F4A7C15ULL ^ bytes.size();
  const auto mix = [&](std::uint64_t word) {
    hash = (hash ^ word) * 0xD6E8FEB86659FD93ULL;
    hash ^= hash >> 32U;
  };
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    mix(word);
  }
  std::uint64_t rest = 0;
  if (at < bytes.size()) std::memcpy(&rest, bytes.data() + at, bytes.size() - at);
  mix(rest);
  return hash;
}

/// Sums of values that are shifted by the first one, so that large means lose no digits.
struct Sums {
  double shift = 0, sum = 0, squares = 0, count = 0;
};

class Looker {
 public:
  explicit Looker(Look& look) : look_(look), bytes_(look.data->info().dtype == DType::u8) {
    const auto elements = static_cast<std::size_t>(look.data->info().image.elements());
    pixels_.resize(elements * static_cast<std::size_t>(size_bytes(look.data->info().dtype)));
    look_.min = std::numeric_limits<double>::infinity();
    look_.max = -look_.min;
  }

  /// The image's print where `with_print` says so.
  void look(std::int64_t sample, bool with_print) {
    look_.data->read_image(sample, pixels_.data());
    ++look_.looked;
    const bool told = bytes_ ? look_at_bytes(sample) : look_at_floats(sample);
    if (with_print && !told) look_.prints.push_back({hash_of(pixels_), sample});
  }
  void finish() {
    if (sums_.count > 0) {
      const double mean = sums_.sum / sums_.count;
      look_.mean = sums_.shift + mean;
      look_.std = std::sqrt(std::max(0.0, sums_.squares / sums_.count - mean * mean));
    } else {
      look_.min = look_.max = 0;
    }
  }

 private:
  /// True for an image that is blank.
  bool look_at_bytes(std::int64_t sample) {
    std::array<std::int64_t, 256> counts{};
    for (const std::byte value : pixels_) ++counts[std::to_integer<std::size_t>(value)];
    double sum = 0, squares = 0;
    int low = 256, high = -1;
    for (int value = 0; value < 256; ++value) {
      const auto count = static_cast<double>(counts[static_cast<std::size_t>(value)]);
      if (count == 0) continue;
      low = std::min(low, value);
      high = value;
      const double apart = value - 128.0;
      sum += count * apart;
      squares += count * apart * apart;
    }
    sums_.shift = 128;
    return add(sample, low, high, sum, squares);
  }

  /// True for an image that is blank, or has a value that is not finite.
  bool look_at_floats(std::int64_t sample) {
    const std::size_t count = pixels_.size() / sizeof(float);
    floats_.resize(count);
    std::memcpy(floats_.data(), pixels_.data(), pixels_.size());
    if (sums_.count == 0) sums_.shift = std::isfinite(floats_.front()) ? static_cast<double>(floats_.front()) : 0.0;
    double sum = 0, squares = 0;
    float low = floats_.front(), high = low;
    for (const float value : floats_) {
      const double apart = static_cast<double>(value) - sums_.shift;
      sum += apart;
      squares += apart * apart;
      low = std::min(low, value);
      high = std::max(high, value);
    }
    if (!std::isfinite(sum) && !std::ranges::all_of(floats_, [](float v) { return std::isfinite(v); })) {
      if (look_.not_finite < 0) look_.not_finite = sample;
      return true;
    }
    return add(sample, static_cast<double>(low), static_cast<double>(high), sum, squares);
  }

  bool add(std::int64_t sample, double low, double high, double sum, double squares) {
    sums_.sum += sum;
    sums_.squares += squares;
    sums_.count += static_cast<double>(look_.data->info().image.elements());
    look_.min = std::min(look_.min, low);
    look_.max = std::max(look_.max, high);
    if (low < high) return false;
    if (look_.blank_count++ == 0) look_.first_blank = sample;
    return true;
  }

  Look& look_;
  bool bytes_;
  std::vector<std::byte> pixels_;
  std::vector<float> floats_;
  Sums sums_;
};

/// Files are told apart by their bytes, which need no decoding.
void print_files(Look& look, bool full) {
  const std::int64_t samples = look.data->info().samples;
  std::vector<std::byte> buffer;
  std::int64_t bytes = 0;
  for (std::int64_t sample = 0; sample < samples && (full || bytes < kMostFileBytes); ++sample) {
    const std::span<const std::byte> file = look.data->encoded(sample, buffer);
    bytes += static_cast<std::int64_t>(file.size());
    if (!file.empty()) look.prints.push_back({hash_of(file), sample});
  }
}

}  // namespace

Look look_at(std::string_view name, const Dataset& data, bool full) {
  Look look{.name = name, .data = &data};
  const DatasetInfo& info = data.info();
  if (info.samples == 0) return look;
  const bool decoded = data.has_pictures();
  const std::int64_t image_bytes = std::max<std::int64_t>(1, info.image.elements() * size_bytes(info.dtype));
  std::int64_t most = std::max<std::int64_t>(1, kMostBytes / image_bytes);
  if (decoded) most = std::min(most, kMostDecoded);
  const std::int64_t count = full ? info.samples : std::min(info.samples, most);
  Looker looker(look);
  for (std::int64_t i = 0; i < count; ++i) {
    // Spread evenly, the first and the last among them.
    const std::int64_t sample =
        count == info.samples ? i : i * (info.samples - 1) / std::max<std::int64_t>(1, count - 1);
    looker.look(sample, !decoded);
  }
  looker.finish();
  if (decoded) print_files(look, full);
  std::ranges::sort(look.prints, {}, [](const Print& print) { return std::tuple(print.hash, print.sample); });
  return look;
}

}  // namespace snug
