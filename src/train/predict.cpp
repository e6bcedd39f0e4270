#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "data/array.h"
#include "data/picture_source.h"
#include "data/sample_pictures.h"
#include "data/source.h"
#include "lowering/lowering.h"
#include "snug/trainer.h"
#include "train/inference.h"
#include "train/prediction.h"

namespace snug {

namespace {

constexpr std::size_t kTop = 5;
constexpr std::int64_t kPredictBatch = 64;  // small enough for every model; the last one is filled up

struct ArrayFile {
  SourcePointer images;
  bool single = false;  ///< the file is one image, not a batch
};

/// N×H×W×C, N×H×W, or one image; in every other case a finding and nothing.
ArrayFile open_array(const std::filesystem::path& path, const Config& config, std::vector<Diagnostic>& findings) {
  const std::string extension = path.extension().string();
  std::error_code ignored;
  if (extension != ".npy" && std::filesystem::exists(path, ignored)) {
    findings.push_back(
        {.code = "D614",
         .where = path.string(),
         .what = fmt::format("{} is neither a picture (.jpg, .jpeg, .png), a folder of them, nor an .npy array",
                             extension.empty() ? "a file without extension" : extension.substr(0, 20)),
         .fix = "numpy.save(\"images.npy\", images)"});
    return {};
  }
  auto file = open_file(path.string(), FileUse::images, findings);
  if (!file) return {};
  auto array = read_npy(std::move(*file), FileUse::images, findings);
  if (!array) return {};
  const InputSize& input = config.model.input;
  InputSize stored = input;
  if (config.data.layout == ArrayLayout::nchw) stored = {input[2], input[0], input[1]};
  const bool gray = input[2] == 1 && std::ranges::equal(array->extents, std::array{input[0], input[1]});
  const bool single = gray || std::ranges::equal(array->extents, stored);
  if (single) array->extents.insert(array->extents.begin(), 1);
  return {make_array_source(std::move(*array), std::nullopt, config.data.layout, input, findings), single};
}

/// The pictures as the checkpoint's config makes images of them; bad ones are findings and left out.
SourcePointer open_pictures(const std::vector<std::string>& paths, const Config& config,
                            std::vector<Diagnostic>& findings) {
  DataConfig data = config.data;
  data.skip_bad = true;
  data.gray_to_rgb = config.model.input[2] == 3;
  std::vector<Diagnostic> found;
  SourcePointer images = make_picture_source(list_files(paths), data, config.model.input, Decoding::all, found);
  // Of one picture alone the only fault is told by the finding above.
  if (images == nullptr && paths.size() == 1) {
    data.skip_bad = false;
    found.clear();
    images = make_picture_source(list_files(paths), data, config.model.input, Decoding::all, found);
  }
  findings.insert(findings.end(), found.begin(), found.end());
  if (images == nullptr) return nullptr;
  for (Diagnostic note : images->info().notes) {
    if (note.code != "D142") continue;
    note.code = "D140";
    note.severity = Severity::error;
    note.fix = "leave the file out, or copy it again";
    findings.push_back(std::move(note));
  }
  return images;
}

class Predictor {
 public:
  Predictor(const std::filesystem::path& path, const Computer& computer, std::size_t most_pictures)
      : checkpoint_(open_checkpoint(path)),
        config_(checkpoint_config(checkpoint_.info, checkpoint_.path)),
        graph_(checked_graph(config_)),
        outputs_(output_count(graph_, config_.train.loss)),
        names_(class_names(checkpoint_.info, binary_single() ? 2 : outputs_)),
        inference_(checkpoint_, config_, graph_, {kPredictBatch}, false, computer),
        most_pictures_(most_pictures) {}

  void predict_pictures(const std::vector<std::string>& paths, std::vector<Diagnostic>& findings) {
    const std::size_t known = findings.size();
    const SourcePointer images = open_pictures(paths, config_, findings);
    if (images == nullptr) return;
    check_images(*images, config_, "given", findings);
    for (std::size_t i = known; i < findings.size(); ++i) {
      if (!findings[i].fix.starts_with("input = ")) continue;
      findings[i].fix = fmt::format("--config with resize = {} was wanted in training   # or resize the pictures",
                                    std::min(config_.model.input[0], config_.model.input[1]));
      return;
    }
    check_scale(checkpoint_.info, images->info(), paths.front());
    predict_all(*images, [&](std::int64_t sample) { return images->where(sample); });
  }

  void predict_file(const std::filesystem::path& path, std::vector<Diagnostic>& findings) {
    const std::size_t known = findings.size();
    const ArrayFile file = open_array(path, config_, findings);
    if (file.images != nullptr) check_images(*file.images, config_, "given", findings);
    // The network is what it is: the files must be as it wants them.
    const auto& [height, width, channels] = config_.model.input;
    for (std::size_t i = known; i < findings.size(); ++i) {
      const bool of_config = findings[i].fix.starts_with("input = ") || findings[i].fix.starts_with("layout = ");
      if (of_config || findings[i].fix.find("reshape") != std::string::npos)
        findings[i].fix =
            fmt::format("np.save(\"{}\", x)   # x of shape (N, {}, {}, {})", path.string(), height, width, channels);
      if (findings[i].fix.find("--data-root") != std::string::npos)
        findings[i].fix =
            fmt::format("ls {}   # and correct the path", path.parent_path().parent_path().string() + "/");
    }
    if (findings.size() > known) return;
    const DatasetInfo& info = file.images->info();
    check_scale(checkpoint_.info, info, path.string());
    predict_all(*file.images, [&](std::int64_t sample) {
      return file.single ? path.string() : fmt::format("{}[{}]", path.string(), sample);
    });
  }

  [[nodiscard]] PredictedImages take() { return std::move(made_); }

 private:
  [[nodiscard]] bool binary_single() const { return config_.train.loss == Loss::binary_crossentropy && outputs_ == 1; }

  template <class Name>
  void predict_all(const Dataset& images, Name name) {
    const std::int64_t samples = images.info().samples;
    for (std::int64_t first = 0; first < samples; first += kPredictBatch) {
      const std::int64_t count = std::min(kPredictBatch, samples - first);
      run(images, first, count);
      keep_pictures(images.info());
      for (std::int64_t i = 0; i < count; ++i) {
        made_.predictions.push_back(prediction(i));
        made_.predictions.back().file = name(first + i);
      }
    }
  }

  /// Of the batch that ran last.
  void keep_pictures(const DatasetInfo& info) {
    if (made_.pictures.size() == most_pictures_) return;
    std::vector<Picture> pictures = pictures_of(pixels_, info);
    pictures.resize(std::min(pictures.size(), most_pictures_ - made_.pictures.size()));
    std::ranges::move(pictures, std::back_inserter(made_.pictures));
  }

  void run(const Dataset& images, std::int64_t first, std::int64_t count) {
    const auto bytes = static_cast<std::size_t>(images.info().image.elements() * size_bytes(images.info().dtype));
    pixels_.resize(bytes * static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i)
      images.read_image(first + i, pixels_.data() + bytes * static_cast<std::size_t>(i));
    inference_.network().load({.images = pixels_, .labels = {}, .rows = {}, .count = count, .samples = {}});
    inference_.network().run(inference_.network().eval_program(kPredictBatch));
  }

  /// Of image `place` of the batch that ran last.
  Prediction prediction(std::int64_t place) {
    const auto width = static_cast<std::size_t>(outputs_);
    const auto row = inference_.network().outputs().subspan(static_cast<std::size_t>(place) * width, width);
    Prediction result;
    result.logits.assign(row.begin(), row.end());
    if (config_.train.loss == Loss::mse) return result;
    const std::vector<double> p = probabilities(row);
    for (std::size_t c = 0; c < p.size(); ++c) result.top.emplace_back(names_[c], p[c]);
    const std::size_t shown = std::min(kTop, result.top.size());
    std::ranges::stable_sort(result.top, std::ranges::greater(), [](const auto& entry) { return entry.second; });
    result.top.resize(shown);
    result.label = result.top.front().first;
    result.probability = result.top.front().second;
    return result;
  }

  [[nodiscard]] std::vector<double> probabilities(std::span<const float> logits) const {
    std::vector<double> p(logits.begin(), logits.end());
    if (config_.train.loss == Loss::binary_crossentropy) {
      for (double& value : p) value = 1.0 / (1.0 + std::exp(-value));
      if (p.size() == 1) p.insert(p.begin(), 1.0 - p[0]);
      return p;
    }
    const double largest = *std::ranges::max_element(p);
    double sum = 0;
    for (double& value : p) sum += value = std::exp(value - largest);
    for (double& value : p) value /= sum;
    return p;
  }

  Checkpoint checkpoint_;
  Config config_;
  Graph graph_;
  std::int64_t outputs_;
  std::vector<std::string> names_;
  Inference inference_;
  std::size_t most_pictures_;
  PredictedImages made_;
  std::vector<std::byte> pixels_;
};

/// Neighbouring pictures are decoded together; folders stand for the pictures in them.
struct Given {
  bool pictures = false;
  std::vector<std::string> paths;
};
std::vector<Given> group(std::span<const std::filesystem::path> files) {
  std::vector<Given> groups;
  const auto add = [&groups](bool pictures, std::vector<std::string> paths) {
    if (pictures && !groups.empty() && groups.back().pictures) {
      std::ranges::move(paths, std::back_inserter(groups.back().paths));
    } else if (!paths.empty()) {
      groups.push_back({pictures, std::move(paths)});
    }
  };
  for (const std::filesystem::path& file : files) {
    std::error_code ignored;
    if (std::filesystem::is_directory(file, ignored)) {
      std::vector<std::string> paths = pictures_below(file.string());
      if (paths.empty()) paths.push_back(file.string());  // whose finding says what it is
      const bool pictures = has_picture_name(paths.front());
      add(pictures, std::move(paths));
    } else {
      // What is not there is told as a file, not as a picture that cannot be decoded.
      add(has_picture_name(file.string()) && std::filesystem::exists(file, ignored), {file.string()});
    }
  }
  return groups;
}

}  // namespace

PredictedImages predict_images(const Computer& computer, const std::filesystem::path& checkpoint,
                               std::span<const std::filesystem::path> files, std::size_t most_pictures,
                               std::vector<Diagnostic>& findings) {
  std::optional<Predictor> made;
  try {
    made.emplace(checkpoint, computer, most_pictures);
  } catch (const Error& error) {
    // What is wrong with the files is told beside it.
    findings.insert(findings.end(), error.findings().begin(), error.findings().end());
    for (const std::filesystem::path& file : files) {
      if (!std::filesystem::exists(file)) (void)open_file(file.string(), FileUse::images, findings);
    }
    throw Error(std::move(findings));
  }
  Predictor& predictor = *made;
  for (const Given& given : group(files)) {
    try {
      if (given.pictures) {
        predictor.predict_pictures(given.paths, findings);
      } else {
        predictor.predict_file(given.paths.front(), findings);
      }
    } catch (const Error& error) {
      findings.insert(findings.end(), error.findings().begin(), error.findings().end());
    }
  }
  return predictor.take();
}

std::vector<Prediction> predict(const std::filesystem::path& checkpoint,
                                const std::vector<std::filesystem::path>& files, int threads,
                                std::vector<Diagnostic>& findings) {
  return predict_images(this_computer(threads), checkpoint, files, 0, findings).predictions;
}

}  // namespace snug
