#include "check/probe.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "data/loader.h"

namespace snug {

namespace {

constexpr std::int64_t kMostLearned = 4'000, kMostAsked = 2'000;
constexpr std::int64_t kGrid = 8;  // cells along a side that an image is averaged to

/// An image as averages of its cells, all channels, and a 1.
class Features {
 public:
  explicit Features(const Dataset& data) : data_(data), image_(data.info().image) {
    rows_ = std::min(kGrid, image_[0]);
    columns_ = std::min(kGrid, image_[1]);
    channels_ = std::min<std::int64_t>(image_[2], 4);
    pixels_.resize(static_cast<std::size_t>(image_.elements() * size_bytes(data.info().dtype)));
  }
  [[nodiscard]] std::size_t count() const { return static_cast<std::size_t>(rows_ * columns_ * channels_ + 1); }

  void read(std::int64_t sample, double* out) {
    data_.read_image(sample, pixels_.data());
    for (std::int64_t row = 0; row < rows_; ++row) {
      for (std::int64_t column = 0; column < columns_; ++column) {
        for (std::int64_t channel = 0; channel < channels_; ++channel) *out++ = cell(row, column, channel);
      }
    }
    *out = 1;
  }

 private:
  [[nodiscard]] double cell(std::int64_t row, std::int64_t column, std::int64_t channel) const {
    double sum = 0, count = 0;
    for (std::int64_t y = row * image_[0] / rows_; y < (row + 1) * image_[0] / rows_; ++y) {
      for (std::int64_t x = column * image_[1] / columns_; x < (column + 1) * image_[1] / columns_; ++x) {
        sum += value((y * image_[1] + x) * image_[2] + channel);
        ++count;
      }
    }
    const double mean = sum / count;
    return std::isfinite(mean) ? mean : 0;
  }
  [[nodiscard]] double value(std::int64_t element) const {
    if (data_.info().dtype == DType::u8) return std::to_integer<int>(pixels_[static_cast<std::size_t>(element)]);
    float number = 0;
    std::memcpy(&number, pixels_.data() + element * 4, sizeof number);
    return static_cast<double>(number);
  }

  const Dataset& data_;
  Shape image_;
  std::int64_t rows_ = 0, columns_ = 0, channels_ = 0;
  std::vector<std::byte> pixels_;
};

/// A symmetric positive matrix as L · Lᵀ, in place.
void factor(std::vector<double>& a, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = j; i < n; ++i) {
      double sum = a[i * n + j];
      for (std::size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i == j ? std::sqrt(std::max(sum, 1e-12)) : sum / a[j * n + j];
    }
  }
}

/// One right side, in place.
void solve(const std::vector<double>& l, std::size_t n, std::vector<double>& b) {
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= l[i * n + k] * b[k];
    b[i] /= l[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= l[k * n + i] * b[k];
    b[i] /= l[i * n + i];
  }
}

/// Brings every feature but the last to mean 0 and deviation 1, by what was learned from.
struct Standard {
  std::vector<double> mean, inverse;
  void apply(std::span<double> row) const {
    for (std::size_t k = 0; k + 1 < row.size(); ++k) row[k] = (row[k] - mean[k]) * inverse[k];
  }
};
Standard standard_of(const std::vector<double>& rows, std::size_t width) {
  Standard standard{std::vector<double>(width), std::vector<double>(width)};
  const std::size_t samples = rows.size() / width;
  const auto count = static_cast<double>(samples);
  for (std::size_t i = 0; i < rows.size(); ++i) standard.mean[i % width] += rows[i] / count;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double apart = rows[i] - standard.mean[i % width];
    standard.inverse[i % width] += apart * apart / count;
  }
  for (double& value : standard.inverse) value = value > 1e-12 ? 1 / std::sqrt(value) : 0;
  return standard;
}

}  // namespace

double Agreement::share() const { return samples > 0 ? static_cast<double>(right) / static_cast<double>(samples) : 0; }

double Agreement::above_chance() const {
  const double spread =
      std::sqrt(std::max(by_chance * (1 - by_chance), 1e-9) / static_cast<double>(std::max<std::int64_t>(1, samples)));
  return (share() - by_chance) / spread;
}

Agreement agreement_of(std::span<const std::int64_t> truth, std::span<const std::int64_t> told, std::int64_t classes) {
  Agreement result{.samples = std::ssize(truth)};
  std::vector<double> of_truth(static_cast<std::size_t>(classes)), of_told(static_cast<std::size_t>(classes));
  for (std::size_t i = 0; i < truth.size(); ++i) {
    result.right += truth[i] == told[i] ? 1 : 0;
    ++of_truth[static_cast<std::size_t>(truth[i])];
    ++of_told[static_cast<std::size_t>(told[i])];
  }
  const double count = static_cast<double>(std::max<std::size_t>(1, truth.size()));
  for (std::size_t c = 0; c < of_truth.size(); ++c) result.by_chance += of_truth[c] / count * (of_told[c] / count);
  return result;
}

ProbeSamples probe_samples(std::int64_t samples, std::uint64_t seed) {
  const std::vector<std::int64_t> order = epoch_order(samples, true, seed, 0);
  const std::int64_t asked = std::min(kMostAsked, samples / 3);
  ProbeSamples result;
  result.asked.assign(order.begin(), order.begin() + asked);
  result.learned.assign(order.begin() + asked, order.begin() + std::min(samples, asked + kMostLearned));
  return result;
}

Agreement linear_probe(const Dataset& data, const std::vector<std::int64_t>& labels, std::int64_t classes,
                       const ProbeSamples& samples) {
  Features features(data);
  const std::size_t width = features.count();
  std::vector<double> rows(width * samples.learned.size());
  for (std::size_t i = 0; i < samples.learned.size(); ++i) features.read(samples.learned[i], &rows[i * width]);
  const Standard standard = standard_of(rows, width);
  std::vector<double> gram(width * width);
  std::vector<std::vector<double>> weights(static_cast<std::size_t>(classes), std::vector<double>(width));
  for (std::size_t i = 0; i < samples.learned.size(); ++i) {
    const std::span<double> row(&rows[i * width], width);
    standard.apply(row);
    for (std::size_t a = 0; a < width; ++a) {
      for (std::size_t b = 0; b <= a; ++b) gram[a * width + b] += row[a] * row[b];
    }
    auto& target = weights[static_cast<std::size_t>(labels[static_cast<std::size_t>(samples.learned[i])])];
    for (std::size_t a = 0; a < width; ++a) target[a] += row[a];
  }
  const double ridge = 0.05 * static_cast<double>(samples.learned.size()) + 1;
  for (std::size_t a = 0; a < width; ++a) gram[a * width + a] += ridge;
  factor(gram, width);
  for (auto& weight : weights) solve(gram, width, weight);
  std::vector<std::int64_t> truth, told;
  std::vector<double> row(width);
  for (const std::int64_t sample : samples.asked) {
    features.read(sample, row.data());
    standard.apply(row);
    double best = 0;
    std::int64_t answer = -1;
    for (std::size_t c = 0; c < weights.size(); ++c) {
      double sum = 0;
      for (std::size_t a = 0; a < width; ++a) sum += weights[c][a] * row[a];
      if (answer >= 0 && sum <= best) continue;
      best = sum;
      answer = static_cast<std::int64_t>(c);
    }
    truth.push_back(labels[static_cast<std::size_t>(sample)]);
    told.push_back(answer);
  }
  return agreement_of(truth, told, classes);
}

}  // namespace snug
