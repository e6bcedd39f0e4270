// What the pixels are like, and how they become the network's input.
#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/ensure.h"
#include "data/dataset.h"
#include "data/findings.h"

namespace snug {

std::vector<std::int64_t> class_numbers(const Dataset& data) {
  const DatasetInfo& info = data.info();
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(info.samples));
  std::vector<float> row(static_cast<std::size_t>(info.label_width));
  for (std::int64_t sample = 0; sample < info.samples; ++sample) {
    std::int64_t& number = numbers[static_cast<std::size_t>(sample)];
    if (info.labels == LabelKind::numbers) {
      number = data.label(sample);
    } else {
      data.read_row(sample, row.data());
      number = std::ranges::max_element(row) - row.begin();
    }
  }
  return numbers;
}

namespace {

/// Mean and sum of squared distances from it, merged by Chan's formula, which loses no digits to large means.
struct Moments {
  double count = 0, mean = 0, squares = 0;

  void merge(const Moments& other) {
    if (other.count == 0) return;
    const double total = count + other.count;
    const double apart = other.mean - mean;
    squares += other.squares + apart * apart * count * other.count / total;
    mean += apart * other.count / total;
    count = total;
  }
};

struct Measure {
  std::vector<Moments> channels;
  double min = std::numeric_limits<double>::infinity();
  double max = -std::numeric_limits<double>::infinity();
  std::int64_t not_finite_sample = -1;
};

PixelStatistics to_statistics(const Measure& measure) {
  PixelStatistics result{.not_finite_sample = measure.not_finite_sample};
  for (const Moments& channel : measure.channels) {
    result.mean.push_back(channel.mean);
    result.std.push_back(channel.count > 0 ? std::sqrt(channel.squares / channel.count) : 0);
  }
  if (measure.min <= measure.max) {
    result.min = measure.min;
    result.max = measure.max;
  }
  return result;
}

using Histograms = std::vector<std::array<std::int64_t, 256>>;

/// Of `count` samples that are spread evenly, number k.
std::int64_t spread_sample(const Dataset& data, std::int64_t k, std::int64_t count) {
  return k * data.info().samples / count;
}

/// Every `step`-th of them from `first` on.
void count_bytes(const Dataset& data, std::int64_t first, std::int64_t step, std::int64_t samples, Histograms& counts) {
  const std::size_t channels = counts.size();
  std::vector<std::byte> pixels(static_cast<std::size_t>(data.info().image.elements()));
  for (std::int64_t k = first; k < samples; k += step) {
    data.read_image(spread_sample(data, k, samples), pixels.data());
    for (std::size_t i = 0; i < pixels.size(); i += channels) {
      for (std::size_t c = 0; c < channels; ++c) ++counts[c][std::to_integer<std::size_t>(pixels[i + c])];
    }
  }
}

/// Bytes are counted value by value: exact, and one addition a pixel. Decoding is shared by the cores.
Histograms count_all(const Dataset& data, std::int64_t samples) {
  const auto channels = static_cast<std::size_t>(data.info().image[2]);
  const bool costly = data.info().reader_bytes > 0;
  const std::int64_t threads =
      costly ? std::clamp<std::int64_t>(std::thread::hardware_concurrency(), 1, samples / 8 + 1) : 1;
  std::vector<Histograms> parts(static_cast<std::size_t>(threads), Histograms(channels));
  std::exception_ptr error;
  std::mutex mutex;
  const auto work = [&](std::int64_t part) {
    try {
      count_bytes(data, part, threads, samples, parts[static_cast<std::size_t>(part)]);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::int64_t part = 1; part < threads; ++part) others.emplace_back(work, part);
    work(0);
  }
  if (error) std::rethrow_exception(error);
  for (std::size_t part = 1; part < parts.size(); ++part) {
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t value = 0; value < 256; ++value) parts[0][c][value] += parts[part][c][value];
    }
  }
  return std::move(parts[0]);
}

Measure measure_bytes(const Dataset& data, std::int64_t samples) {
  const Histograms counts = count_all(data, samples);
  Measure measure;
  for (const auto& histogram : counts) {
    Moments channel;
    for (std::size_t value = 0; value < histogram.size(); ++value) {
      if (histogram[value] == 0) continue;
      const auto number = static_cast<double>(value);
      channel.merge({.count = static_cast<double>(histogram[value]), .mean = number});
      measure.min = std::min(measure.min, number);
      measure.max = std::max(measure.max, number);
    }
    measure.channels.push_back(channel);
  }
  return measure;
}

/// Image by image; an image with NaN or Inf is left out and the first is remembered.
Measure measure_floats(const Dataset& data, std::int64_t samples) {
  const auto channels = static_cast<std::size_t>(data.info().image[2]);
  std::vector<float> pixels(static_cast<std::size_t>(data.info().image.elements()));
  Measure measure{.channels = std::vector<Moments>(channels)};
  std::vector<double> sums(channels);
  std::vector<double> squares(channels);
  const auto count = static_cast<double>(data.info().image[0] * data.info().image[1]);
  for (std::int64_t k = 0; k < samples; ++k) {
    const std::int64_t sample = spread_sample(data, k, samples);
    data.read_image(sample, reinterpret_cast<std::byte*>(pixels.data()));
    if (!std::ranges::all_of(pixels, [](float value) { return std::isfinite(value); })) {
      if (measure.not_finite_sample < 0) measure.not_finite_sample = sample;
      continue;
    }
    std::ranges::fill(sums, 0.0);
    std::ranges::fill(squares, 0.0);
    for (std::size_t i = 0; i < pixels.size(); i += channels) {
      for (std::size_t c = 0; c < channels; ++c) sums[c] += static_cast<double>(pixels[i + c]);
    }
    for (std::size_t i = 0; i < pixels.size(); i += channels) {
      for (std::size_t c = 0; c < channels; ++c) {
        const double apart = static_cast<double>(pixels[i + c]) - sums[c] / count;
        squares[c] += apart * apart;
      }
    }
    for (std::size_t c = 0; c < channels; ++c) {
      measure.channels[c].merge({.count = count, .mean = sums[c] / count, .squares = squares[c]});
    }
    const auto [low, high] = std::ranges::minmax(pixels);
    measure.min = std::min(measure.min, static_cast<double>(low));
    measure.max = std::max(measure.max, static_cast<double>(high));
  }
  return measure;
}

/// One value for all channels, or one for each.
std::vector<double> per_channel(const std::vector<double>& values, std::size_t channels, std::string_view name,
                                const Dataset& data) {
  if (values.size() == 1) return std::vector<double>(channels, values.front());
  if (values.size() == channels) return values;
  throw Error(data_finding(
      FileUse::images, DataFault::normalize, data.where(0),
      fmt::format("data.normalize.{} has {} values, the images have {} channels", name, values.size(), channels),
      fmt::format("normalize = \"per-channel\"   # or {} values", channels)));
}

InputScaling given_scaling(const Normalize& normalize, const Dataset& train, double divisor) {
  const auto channels = static_cast<std::size_t>(train.info().image[2]);
  InputScaling scaling{.divisor = divisor, .mean = per_channel(normalize.mean, channels, "mean", train)};
  for (const double deviation : per_channel(normalize.std, channels, "std", train)) {
    if (!(deviation > 0)) {
      throw Error(data_finding(FileUse::images, DataFault::normalize, train.where(0),
                               fmt::format("data.normalize.std has {}; standard deviations are above 0", deviation),
                               "normalize = \"per-channel\""));
    }
    scaling.inverse_std.push_back(1 / deviation);
  }
  return scaling;
}

/// All images; of pictures that cost decoding so many that more would move mean and deviation by less than a hundredth.
std::int64_t images_to_measure(const DatasetInfo& info) {
  constexpr std::int64_t kBytes = std::int64_t{256} << 20, kPictures = 4'000;
  return info.reader_bytes == 0 ? info.samples : std::max(kPictures, kBytes / info.image.elements());
}

InputScaling measured_scaling(const Dataset& train, double divisor) {
  const PixelStatistics pixels = measure_pixels(train, images_to_measure(train.info()));
  if (pixels.not_finite_sample >= 0) {
    throw Error(data_finding(FileUse::images, DataFault::not_finite, train.where(pixels.not_finite_sample),
                             "the image has NaN or Inf among its pixels; normalize = \"per-channel\" needs finite ones",
                             "keep = np.isfinite(x.reshape(len(x), -1)).all(1)   # then x[keep], y[keep]"));
  }
  InputScaling scaling{.divisor = divisor};
  for (std::size_t channel = 0; channel < pixels.mean.size(); ++channel) {
    if (!(pixels.std[channel] > 0)) {
      throw Error(data_finding(FileUse::images, DataFault::constant, train.where(0),
                               fmt::format("channel {} is {} in every pixel of all {} images: its deviation is 0",
                                           channel, pixels.mean[channel], train.info().samples),
                               "normalize = \"0-1\"   # or leave the channel out of the data"));
    }
    scaling.mean.push_back(pixels.mean[channel] / divisor);
    scaling.inverse_std.push_back(divisor / pixels.std[channel]);
  }
  return scaling;
}

}  // namespace

PixelStatistics measure_pixels(const Dataset& data, std::int64_t limit) {
  const std::int64_t samples = limit < 0 ? data.info().samples : std::min(limit, data.info().samples);
  return to_statistics(data.info().dtype == DType::u8 ? measure_bytes(data, samples) : measure_floats(data, samples));
}

double scaling_divisor(const Normalize& normalize, const DatasetInfo& train) {
  switch (normalize.kind) {
    case Normalization::none: return 1;
    case Normalization::unit: return train.integer_max > 0 ? train.integer_max : 255;
    case Normalization::by_type:
    case Normalization::per_channel:
    case Normalization::mean_std: return train.integer_max > 0 ? train.integer_max : 1;
  }
  fail("a normalization that does not exist", __FILE__, __LINE__);
}

InputScaling input_scaling(const Normalize& normalize, const Dataset& train) {
  const auto channels = static_cast<std::size_t>(train.info().image[2]);
  const double divisor = scaling_divisor(normalize, train.info());
  switch (normalize.kind) {
    case Normalization::none:
    case Normalization::by_type:
    case Normalization::unit: return {divisor, std::vector<double>(channels, 0.0), std::vector<double>(channels, 1.0)};
    case Normalization::per_channel: return measured_scaling(train, divisor);
    case Normalization::mean_std: return given_scaling(normalize, train, divisor);
  }
  fail("a normalization that does not exist", __FILE__, __LINE__);
}

}  // namespace snug
