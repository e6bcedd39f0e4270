// D: images against the model's input and against each other.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/text.h"
#include "check/families.h"

namespace snug {

namespace {

Position split_place(const Config& config, const Look& split) {
  return config.where(fmt::format("data.{}", split.name));
}

/// The finding for images that are not what the model reads; true when they are.
bool check_size(const Config& config, const Look& split, Findings& findings) {
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

/// True when both are of one type.
bool check_type(const Look& train, const Look& other, Findings& findings) {
  const DatasetInfo& a = train.data->info();
  const DatasetInfo& b = other.data->info();
  if (a.dtype == b.dtype && a.integer_max == b.integer_max) return true;
  findings.push_back(
      finding_at("D203", other.data->where(0),
                 fmt::format("data.{} holds {}, data.train {}: the splits are on different scales", other.name,
                             b.source_dtype, a.source_dtype),
                 fmt::format("np.save(\"x.npy\", x.astype(np.{}))   # on the scale of data.train", a.source_dtype)));
  return false;
}

/// Values: NaN, Inf, images that say nothing.
void check_values(const Look& look, Findings& findings) {
  const DatasetInfo& info = look.data->info();
  if (look.not_finite >= 0) {
    findings.push_back(
        finding_at("D204", look.data->where(look.not_finite),
                   fmt::format("image {} of data.{} has NaN or Inf among its {} values", format_count(look.not_finite),
                               look.name, format_count(info.image.elements())),
                   "keep = np.isfinite(x.reshape(len(x), -1)).all(1)   # then x[keep], y[keep]"));
  } else if (look.constant()) {
    findings.push_back(finding_at("D205", look.data->where(0),
                                  fmt::format("every pixel of {} images of data.{} is {}: there is nothing to learn",
                                              format_count(look.looked), look.name, look.min),
                                  "np.save(\"x.npy\", IMAGES)   # write the images again"));
  } else if (look.blank_count > 0) {
    const bool many = look.blank_count * 100 >= look.looked;
    findings.push_back(
        finding_at("D212", look.data->where(look.first_blank),
                   fmt::format("{} of {} images of data.{} are blank (one value everywhere), first image {}",
                               format_count(look.blank_count), format_count(look.looked), look.name,
                               format_count(look.first_blank)),
                   "keep = x.reshape(len(x), -1).std(1) > 0   # then x[keep], y[keep]",
                   many ? Severity::warning : Severity::note));
  }
}

void tell_sampling(const Look& look, Findings& findings) {
  if (look.all()) return;
  findings.push_back(
      finding_at("D206", look.data->where(0),
                 fmt::format("looked at the values of {} of {} images of data.{}{}", format_count(look.looked),
                             format_count(look.data->info().samples), look.name,
                             look.data->info().headers_only ? ", and at the headers and ends of all files" : ""),
                 "snug check CONFIG --full   # looks at every image", Severity::note));
}

/// N×3×32×32 that model.input calls 3×32×32: channels first, as other programs write both.
void tell_channels_first(const Config& config, const Look& look, Findings& findings) {
  constexpr std::int64_t kManyChannels = 8;
  const Shape& image = look.data->info().image;
  const bool array = config.data.train && config.data.train->format == DataFormat::numpy;
  if (!array || config.positions.contains("data.layout") || config.data.layout != ArrayLayout::nhwc) return;
  if ((image[0] != 1 && image[0] != 3) || image[1] != image[2] || image[2] < kManyChannels) return;
  findings.push_back(finding(
      "D110", config.where("model.input"),
      fmt::format("model.input is height, width, channels: {} is {} high, {} wide, of {} channels", to_string(image),
                  image[0], image[1], image[2]),
      fmt::format("input = [{}, {}, {}]   # in [model], with data.layout = \"nchw\"", image[1], image[2], image[0]),
      Severity::warning));
}

/// Types of eight bytes a value, and axes that could be meant in two ways.
void tell_storage(const Config& config, const Look& look, Findings& findings) {
  const DatasetInfo& info = look.data->info();
  if (info.source_dtype == "float64") {
    findings.push_back(finding_at("D218", look.data->where(0),
                                  fmt::format("{} images are read as float32: half of {} would do", info.source_dtype,
                                              format_bytes(info.samples * info.image.elements() * 8)),
                                  "np.save(\"x.npy\", x.astype(np.float32))", Severity::note));
  }
  const bool array = config.data.train && config.data.train->format == DataFormat::numpy;
  const bool ambiguous = info.image[0] == info.image[1] && info.image[1] == info.image[2] && info.image[0] > 1;
  if (array && ambiguous && !config.positions.contains("data.layout")) {
    findings.push_back(
        finding_at("D217", look.data->where(0),
                   fmt::format("images of {} fit nhwc and nchw alike: they are taken as nhwc", to_string(info.image)),
                   "layout = \"nhwc\"   # in [data]", Severity::note));
  }
}

// ---- scale ----------------------------------------------------------------------------------------------------

/// Mean and deviation of the values as the network reads them.
struct Seen {
  double mean = 0, std = 0, low = 0, high = 0;
};

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

Seen seen_with(const Look& look, double divisor, double mean, double std) {
  const auto through = [&](double value) { return (value / divisor - mean) / std; };
  return {through(look.mean), look.std / divisor / std, through(look.min), through(look.max)};
}

/// What networks are used to: a mean of a few deviations at most, and a deviation near 1.
bool is_usual(const Seen& seen) { return std::abs(seen.mean) < 6 && seen.std > 0.05 && seen.std < 8; }

/// mean and std that were measured on 0..255 data where 0..1 data come, or the other way round: with the other scale
/// they give what networks are used to.
void check_given_scale(const Config& config, const Look& look, Findings& findings) {
  const double mean = mean_of(config.data.normalize.mean);
  const double std = mean_of(config.data.normalize.std);
  if (!(std > 0)) return;
  const DatasetInfo& info = look.data->info();
  const double divisor = scaling_divisor(config.data.normalize, info);
  const Seen seen = seen_with(look, divisor, mean, std);
  if (is_usual(seen)) return;
  const std::string numbers = fmt::format("mean {:.3g}, std {:.3g} on values of {:.3g} to {:.3g}", mean, std,
                                          look.min / divisor, look.max / divisor);
  const Position where = config.where("data.normalize");
  for (const double factor : {255.0, 1 / 255.0}) {
    if (!is_usual(seen_with(look, divisor, mean * factor, std * factor))) continue;
    const bool floats = info.integer_max == 0;
    std::string fix = "normalize = \"per-channel\"   # measured";
    if (!floats && config.data.normalize.mean.size() <= 4) {
      const auto list = [&](const std::vector<double>& values) {
        std::string text;
        for (const double value : values) text += fmt::format("{}{:.4g}", text.empty() ? "" : ", ", value * factor);
        return text;
      };
      fix = fmt::format("normalize = {{ mean = [{}], std = [{}] }}   # integers are divided first",
                        list(config.data.normalize.mean), list(config.data.normalize.std));
    }
    findings.push_back(finding("D210", where,
                               fmt::format("{} make inputs of mean {:.3g}, deviation {:.3g}: they are for data of {}",
                                           numbers, seen.mean, seen.std, factor > 1 ? "0 to 1" : "0 to 255"),
                               std::move(fix)));
    return;
  }
  findings.push_back(finding(
      "D211", where,
      fmt::format("{} make inputs of mean {:.3g} and deviation {:.3g}, far from 0 and 1", numbers, seen.mean, seen.std),
      "normalize = \"per-channel\"", Severity::warning));
}

/// Integers that use a small part of their type's range: 0 to 255 in an int64, 0 and 1 in a byte.
void check_integer_scale(const Config& config, const Look& look, Findings& findings) {
  const DatasetInfo& info = look.data->info();
  const double divisor = scaling_divisor(config.data.normalize, info);
  const double largest = std::max(std::abs(look.min), std::abs(look.max));
  if (divisor == 1) {
    if (info.integer_max <= 1 || largest < 16) return;  // booleans, class maps: small as they are
    findings.push_back(finding("D207", config.where("data.normalize"),
                               fmt::format("normalize = \"none\" hands {} of {:.4g} to {:.4g} on as they are: networks "
                                           "expect about -1 to 1",
                                           info.source_dtype, look.min, look.max),
                               "normalize = \"0-1\"", Severity::warning));
    return;
  }
  if (info.integer_max <= 1 || largest / divisor >= 0.075) return;
  const bool wide = info.source_dtype != "uint8";
  findings.push_back(
      finding_at("D216", look.data->where(0),
                 fmt::format("{} images hold {:.4g} to {:.4g} and are divided by {:.4g}: inputs of at most {:.2g}",
                             info.source_dtype, look.min, look.max, divisor, largest / divisor),
                 wide && look.min >= 0 && look.max <= 255 && look.max >= 20
                     ? "np.save(\"x.npy\", x.astype(np.uint8))   # in every split"
                     : "normalize = \"per-channel\"   # measured",
                 // Divided by 2^31 nothing is left to learn from.
                 largest / divisor < 1e-4 ? Severity::error : Severity::warning));
}

/// Floats: 0 to 255 that nobody divides, 0 to 1 that are divided once more.
void check_float_scale(const Config& config, const Look& look, Findings& findings) {
  const double largest = std::max(std::abs(look.min), std::abs(look.max));
  if (config.data.normalize.kind == Normalization::unit) {
    if (largest > 2 || look.std / 255 > 0.02) return;
    findings.push_back(finding("D208", config.where("data.normalize"),
                               fmt::format("data.{} is {:.4g} to {:.4g} already, and normalize = \"0-1\" divides it by "
                                           "255: scaled twice",
                                           look.name, look.min, look.max),
                               "normalize = \"none\"", Severity::warning));
    return;
  }
  if (largest > 0 && largest < 1.5 / 255 && look.std < 0.002) {
    findings.push_back(finding_at("D208", look.data->where(0),
                                  fmt::format("{} images of data.{} are {:.4g} to {:.4g}: divided by 255 twice, before "
                                              "they were saved",
                                              look.data->info().source_dtype, look.name, look.min, look.max),
                                  largest > 0.5 / 255
                                      ? "np.save(\"x.npy\", (x * 255).astype(np.float32))   # in every split"
                                      : "normalize = \"per-channel\"   # in [data]",
                                  Severity::warning));
    return;
  }
  if (largest <= 16 || look.std < 4) return;
  findings.push_back(finding_at(
      "D207", look.data->where(0),
      fmt::format("{} images of data.{} are {:.4g} to {:.4g} and nothing scales them: networks expect about -1 to 1",
                  look.data->info().source_dtype, look.name, look.min, look.max),
      look.min >= 0 && look.max <= 256 ? "normalize = \"0-1\"" : "normalize = \"per-channel\"", Severity::warning));
}

void check_input_scale(const Config& config, const Look& look, Findings& findings) {
  switch (config.data.normalize.kind) {
    case Normalization::per_channel: return;  // measured: right by itself
    case Normalization::mean_std: return check_given_scale(config, look, findings);
    case Normalization::none:
    case Normalization::by_type:
    case Normalization::unit: break;
  }
  if (look.data->info().integer_max > 0) return check_integer_scale(config, look, findings);
  check_float_scale(config, look, findings);
}

/// Two splits of one type that were not scaled alike.
void check_same_scale(const Look& train, const Look& other, Findings& findings) {
  constexpr double kApart = 8;  // times the deviation: what no choice of pictures makes
  constexpr std::int64_t kFew = 2;
  if (train.looked < kFew || other.looked < kFew || train.std == 0 || other.std == 0) return;
  const double ratio = train.std / other.std;
  const auto negative = [](const Look& look) { return look.min < -0.2 * std::abs(look.max); };
  const auto positive = [](const Look& look) { return look.min >= 0; };
  const bool centered = (negative(train) && positive(other)) || (negative(other) && positive(train));
  if (ratio < kApart && ratio > 1 / kApart && !centered) return;
  const bool floats = other.data->info().integer_max == 0;
  const bool by_255 = !centered && std::abs(std::log(ratio > 1 ? ratio : 1 / ratio) - std::log(255.0)) < 1;
  findings.push_back(finding_at(
      "D209", other.data->where(0),
      fmt::format("data.{} is {:.4g} to {:.4g} (deviation {:.3g}), data.train {:.4g} to {:.4g} ({:.3g}): scaled "
                  "differently",
                  other.name, other.min, other.max, other.std, train.min, train.max, train.std),
      by_255 && floats ? fmt::format("np.save(\"x.npy\", (x {} 255).astype(np.float32))", ratio > 1 ? "*" : "/")
                       : "np.save(\"x.npy\", SAME(x))   # the scaling that data.train has had"));
}

}  // namespace

std::vector<Look> look_at_splits(const Splits& splits, bool full) {
  std::vector<Look> looks;
  for (const auto& [name, data] :
       {std::pair{"train", splits.train.get()}, {"val", splits.val.get()}, {"test", splits.test.get()}}) {
    if (data != nullptr) looks.push_back(look_at(name, *data, full));
  }
  return looks;
}

void check_pixels(const Config& config, const std::vector<Look>& looks, Findings& findings) {
  if (looks.empty()) return;
  const Look& train = looks.front();
  for (const Look& look : looks) {
    if (look.data->info().samples == 0) {
      findings.push_back(
          finding("D201", split_place(config, look), fmt::format("data.{} has 0 samples", look.name),
                  fmt::format("{} = {{ images = \"x.npy\", labels = \"y.npy\" }}   # with samples", look.name)));
      continue;
    }
    const bool sound = check_size(config, look, findings);
    const bool same_type = &look == &train || check_type(train, look, findings);
    if (!sound) continue;
    check_values(look, findings);
    tell_sampling(look, findings);
    if (look.constant() || look.looked == 0 || !same_type) continue;
    if (&look == &train) {
      tell_storage(config, look, findings);
      tell_channels_first(config, look, findings);
      check_input_scale(config, look, findings);
    } else if (!train.constant()) {
      check_same_scale(train, look, findings);
    }
  }
  // Where splits differ, one of them is on another scale than networks expect: that is the same fault.
  if (std::ranges::none_of(findings, [](const Diagnostic& one) { return one.code == "D209"; })) return;
  std::erase_if(findings, [](const Diagnostic& one) {
    return (one.code == "D207" || one.code == "D208") && one.where.ends_with(']');
  });
}

}  // namespace snug
