// D: images against the model's input and against each other.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/text.h"
#include "check/families.h"

namespace snug {

namespace {

constexpr std::int64_t kMostBytes = std::int64_t{1} << 30;  // looked at: about a second

struct Split {
  std::string_view name;
  const Dataset* data;
};
std::vector<Split> present(const Splits& splits) {
  std::vector<Split> list;
  for (const auto& [name, data] :
       {std::pair{"train", splits.train.get()}, {"val", splits.val.get()}, {"test", splits.test.get()}}) {
    if (data != nullptr) list.push_back({name, data});
  }
  return list;
}

Position split_place(const Config& config, const Split& split) {
  return config.where(fmt::format("data.{}", split.name));
}

/// The finding for images that are not what the model reads; true when they are.
bool check_size(const Config& config, const Split& split, Findings& findings) {
  const Shape& image = split.data->info().image;
  const auto& [height, width, channels] = config.model.input;
  const Shape input{height, width, channels};
  if (image == input) return true;
  std::string what =
      fmt::format("images of data.{} are {}, model.input is {}", split.name, to_string(image), to_string(input));
  std::string fix = fmt::format("input = [{}, {}, {}]", image[0], image[1], image[2]);
  const bool channels_first = image == Shape{channels, height, width};
  const bool channels_last = image == Shape{width, channels, height};
  if (channels_first || channels_last) {
    what += fmt::format(": data.layout is not {}", channels_first ? "nhwc" : "nchw");
    fix = fmt::format("layout = \"{}\"   # in [data]", channels_first ? "nchw" : "nhwc");
  } else if (image[2] != channels && image[0] == height && image[1] == width) {
    what += fmt::format(": {} channels for {}", image[2], channels);
  }
  findings.push_back(finding_at("D202", split.data->where(0), what, std::move(fix)));
  return false;
}

void check_scale(const Split& train, const Split& other, Findings& findings) {
  const DatasetInfo& a = train.data->info();
  const DatasetInfo& b = other.data->info();
  if (a.dtype == b.dtype && a.integer_max == b.integer_max) return;
  findings.push_back(
      finding_at("D203", other.data->where(0),
                 fmt::format("data.{} holds {}, data.train {}: the splits are on different scales", other.name,
                             b.source_dtype, a.source_dtype),
                 fmt::format("np.save(\"x.npy\", x.astype(np.{}))   # on the scale of data.train", a.source_dtype)));
}

/// Minimum and maximum of bytes, as far as it takes to see that they differ: pictures are costly to decode.
PixelStatistics look_at_bytes(const Dataset& data, std::int64_t limit) {
  std::vector<std::byte> pixels(static_cast<std::size_t>(data.info().image.elements()));
  PixelStatistics seen{.min = 255, .max = 0};
  for (std::int64_t sample = 0; sample < limit && !(seen.min < seen.max); ++sample) {
    data.read_image(sample, pixels.data());
    const auto [low, high] = std::ranges::minmax(pixels);
    seen.min = std::min(seen.min, std::to_integer<int>(low) * 1.0);
    seen.max = std::max(seen.max, std::to_integer<int>(high) * 1.0);
  }
  return seen;
}

/// Values: NaN, Inf, and data that says nothing. Bytes cannot be NaN.
void check_values(const Split& split, Findings& findings) {
  const DatasetInfo& info = split.data->info();
  const std::int64_t image_bytes = std::max<std::int64_t>(1, info.image.elements() * size_bytes(info.dtype));
  const std::int64_t limit = std::clamp<std::int64_t>(kMostBytes / image_bytes, 1, info.samples);
  if (limit < info.samples && is_floating(info.dtype)) {
    findings.push_back(finding_at("D206", split.data->where(0),
                                  fmt::format("looked for NaN in the first {} of {} images of data.{}",
                                              format_count(limit), format_count(info.samples), split.name),
                                  "a NaN among the others ends the run with its place", Severity::note));
  }
  const PixelStatistics pixels =
      info.dtype == DType::u8 ? look_at_bytes(*split.data, limit) : measure_pixels(*split.data, limit);
  if (pixels.not_finite_sample >= 0) {
    findings.push_back(
        finding_at("D204", split.data->where(pixels.not_finite_sample),
                   fmt::format("image {} of data.{} has NaN or Inf among its {} values",
                               format_count(pixels.not_finite_sample), split.name, format_count(info.image.elements())),
                   "np.save(\"x.npy\", np.nan_to_num(x))"));
  } else if (pixels.min == pixels.max) {
    findings.push_back(
        finding_at("D205", split.data->where(0),
                   fmt::format("every pixel of the first {} images of data.{} is {}: there is nothing to learn",
                               format_count(limit), split.name, pixels.min),
                   "np.save(\"x.npy\", IMAGES)   # write the images again"));
  }
}

}  // namespace

void check_pixels(const Config& config, const Splits& splits, Findings& findings) {
  const std::vector<Split> list = present(splits);
  for (const Split& split : list) {
    if (split.data->info().samples == 0) {
      findings.push_back(
          finding("D201", split_place(config, split), fmt::format("data.{} has 0 samples", split.name),
                  fmt::format("{} = {{ images = \"x.npy\", labels = \"y.npy\" }}   # with samples", split.name)));
      continue;
    }
    const bool sound = check_size(config, split, findings);
    if (list.front().data != split.data) check_scale(list.front(), split, findings);
    if (sound) check_values(split, findings);
  }
}

}  // namespace snug
