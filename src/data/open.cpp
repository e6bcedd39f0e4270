// From the sources of a config to open data sets, with every fault of every split told at once.
#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "base/rng.h"
#include "base/text.h"
#include "data/augment.h"
#include "data/pack.h"
#include "data/picture_source.h"
#include "data/source.h"

namespace snug {

namespace {

bool any_size(const InputSize& input) { return input == InputSize{0, 0, 0}; }

SourcePointer open_arrays(const DataSource& source, const DataConfig& config, const InputSize& input,
                          Findings& findings) {
  const auto read = [&](const std::string& path, FileUse use) -> std::optional<Array> {
    // "x.npz:array" names an array of an archive.
    const std::size_t colon = path.rfind(".npz:");
    const bool named = colon != std::string::npos;
    auto file = open_file(named ? path.substr(0, colon + 4) : path, use, findings);
    if (!file) return std::nullopt;
    if (source.format == DataFormat::idx) return read_idx(std::move(*file), use, findings);
    if (!named && !path.ends_with(".npz")) return read_npy(std::move(*file), use, findings);
    return read_npz(*file, named ? std::string_view(path).substr(colon + 5) : std::string_view(), use, findings);
  };
  auto images = read(source.images, FileUse::images);
  std::optional<Array> labels;
  const bool labelled = !source.labels.empty();
  if (labelled) labels = read(source.labels, FileUse::labels);
  if (!images || (labelled && !labels)) return nullptr;
  // The array is held against model.input where nothing changes its size on the way.
  const bool changed = !config.resize.empty() || config.gray_to_rgb;
  return make_array_source(std::move(*images), std::move(labels), config.layout, changed ? InputSize{} : input,
                           findings);
}

/// Pictures by class folder, archive or list.
SourcePointer open_pictures(const DataSource& source, const DataConfig& config, const InputSize& input,
                            const std::vector<std::string>& classes, Decoding decoding, Findings& findings) {
  std::optional<LabelledPictures> pictures;
  if (source.format == DataFormat::csv) {
    auto file = open_file(source.path, FileUse::images, findings);
    if (file) pictures = list_csv(std::move(*file), classes, findings);
  } else {
    pictures = is_archive(source.path) ? list_archive(source.path, classes, findings)
                                       : list_folder(source.path, classes, findings);
  }
  if (!pictures) return nullptr;
  return make_picture_source(std::move(*pictures), config, input, decoding, findings);
}

/// Decoded images of this size are kept unasked: reading them again costs more than the memory.
constexpr std::int64_t kKeptUnasked = std::int64_t{256} << 20;

/// Keeps decoded images where the config wants it, or where it costs little; not those that are read once, to stay on
/// the device. `cropped`: crops are taken of whole pictures, for which images of one size cannot stand.
SourcePointer keep(SourcePointer data, const DataConfig& config, bool of_train, bool cropped) {
  const DatasetInfo& info = data->info();
  if (cropped && data->has_pictures()) return data;
  if (of_train && config.cache == CacheMode::device) return data;
  const std::int64_t bytes = info.samples * info.image.elements() * size_bytes(info.dtype);
  const bool costly = info.reader_bytes > 0;
  const bool wanted = config.cache == CacheMode::ram
                          ? costly || info.mapped_bytes > 0
                          : config.cache != CacheMode::stream && costly && bytes <= kKeptUnasked;
  return wanted ? make_kept(std::move(data)) : data;
}

SourcePointer open_cifar(const DataSource& source, Findings& findings) {
  std::vector<FileBytes> files;
  for (const std::string& path : source.files) {
    if (auto file = open_file(path, FileUse::images, findings)) files.push_back(std::move(*file));
  }
  if (source.files.empty()) {
    findings.push_back(data_finding(FileUse::images, DataFault::missing, to_string(source.where),
                                    "the source names 0 files; CIFAR data has at least one",
                                    "files = [\"data_batch_1.bin\"]"));
  }
  const bool all = !files.empty() && files.size() == source.files.size();
  // The sizes of those that are there are told even when another is missing.
  auto data = make_cifar_source(std::move(files), source.format == DataFormat::cifar100 ? 100 : 10, findings);
  return all ? data : nullptr;
}

/// `split` numbers the sequences of synthetic pictures: a validation split never shows the training's.
SourcePointer open_shapes(const DataSource& source, const InputSize& input, std::uint64_t seed, std::uint64_t split,
                          Findings& findings) {
  constexpr std::int64_t kSmallest = 16;  // a figure of fewer pixels cannot be told apart
  const std::size_t before = findings.size();
  const std::string where = to_string(source.where);
  const auto refuse = [&](DataFault fault, std::string_view what, std::string fix) {
    findings.push_back(data_finding(FileUse::images, fault, where, what, std::move(fix)));
  };
  if (source.synthetic != "shapes") {
    refuse(DataFault::wrong_format,
           fmt::format("synthetic = \"{}\" is not known; \"shapes\" is", shorten(source.synthetic, 40)),
           "synthetic = \"shapes\"");
  }
  if (source.count < 1) {
    refuse(DataFault::no_samples, fmt::format("count = {} makes no pictures; at least 1 is needed", source.count),
           "count = 4000");
  }
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 40;
  const auto [h, w, c] = input;
  if (h < kSmallest || w < kSmallest || (c != 1 && c != 3)) {
    refuse(
        DataFault::image_size,
        fmt::format("shapes are drawn from 16×16 up, with 1 or 3 channels; model.input is {}", format_extents(input)),
        fmt::format("input = [{}, {}, {}]", std::max(h, kSmallest), std::max(w, kSmallest), c == 1 ? 1 : 3));
  } else if (source.count > 0 && (h > 65'536 || w > 65'536 || source.count > kMostBytes / (h * w * c))) {
    refuse(DataFault::image_size,
           fmt::format("{} pictures of {} are more than 1 TiB", format_count(source.count), format_extents(input)),
           "count = 4000");
  }
  if (findings.size() > before) return nullptr;
  return make_shapes_source(source.count, input, split == 0 ? seed : random_key(seed, RandomStream::synthetic, ~split));
}

/// What a source is opened as.
struct Opening {
  std::uint64_t split = 0;  ///< 0: data.train
  bool train_fits = false;  ///< data.train is open, and is what model.input says
  Decoding decoding = Decoding::all;
};

/// The line by which images become what the model reads.
std::string fitting_line(const Shape& image, const InputSize& input, const Opening& opening) {
  if (image[2] == 1 && input[2] == 3 && image[0] == input[0] && image[1] == input[1])
    return "gray_to_rgb = true   # in [data]";
  if (!opening.train_fits) return fmt::format("input = [{}, {}, {}]   # in [model]", image[0], image[1], image[2]);
  if (image[2] > input[2])
    return fmt::format("np.save(\"x.npy\", x[..., :{}])   # the channels of data.train", input[2]);
  return fmt::format("resize = [{}, {}]   # in [data]: every split is then of this size", input[0], input[1]);
}

/// Whether the images are what the model reads.
bool check_size(const Dataset& data, const DataSource& source, const InputSize& input, const Opening& opening,
                Findings& findings) {
  const Shape& image = data.info().image;
  if (any_size(input) || (image[0] == input[0] && image[1] == input[1] && image[2] == input[2])) return true;
  const bool gray = image[2] == 1 && input[2] == 3 && source.format != DataFormat::idx;
  const bool counted = input[0] == data.info().samples && input[1] == image[0] && input[2] == image[1];
  findings.push_back(
      data_finding(FileUse::images, DataFault::image_size, data.where(0),
                   fmt::format("images are {}{}, model.input{} {}{}", to_string(image), gray ? " (gray)" : "",
                               opening.train_fits ? " and data.train are" : " is", format_extents(input),
                               counted ? ": the number of images is no part of it" : ""),
                   fitting_line(image, input, opening)));
  return false;
}

/// The line of Python that makes an array of a file of another program; nothing for files that are read.
std::optional<std::string> converting_line(const std::string& path) {
  const std::string end = std::filesystem::path(path).extension().string();
  const std::string file = std::filesystem::path(path).filename().string();
  if (end == ".h5" || end == ".hdf5") return fmt::format("h5py.File(\"{}\")[\"NAME\"][:]", file);
  if (end == ".mat") return fmt::format("scipy.io.loadmat(\"{}\")[\"NAME\"]", file);
  if (end == ".pkl" || end == ".pickle") return fmt::format("np.load(\"{}\", allow_pickle=True)", file);
  if (end == ".pt" || end == ".pth") return fmt::format("torch.load(\"{}\").numpy()", file);
  return std::nullopt;
}

/// Whether the files are of a kind that is read.
bool check_kinds(const DataSource& source, Findings& findings) {
  const std::size_t before = findings.size();
  for (const std::string& path : {source.images, source.labels}) {
    std::error_code error;
    const auto line = converting_line(path);
    if (!line || !std::filesystem::exists(path, error)) continue;  // what is missing is told as such
    findings.push_back(unsupported_finding(
        to_string(source.where),
        fmt::format("{} is of a kind that is not read; arrays are .npy, .npz or IDX", brief_name(path)),
        fmt::format("np.save(\"{}\", {})", std::filesystem::path(path).stem().string() + ".npy", *line)));
  }
  return findings.size() == before;
}

SourcePointer open_one(const DataSource& source, const DataConfig& config, const InputSize& input, std::uint64_t seed,
                       const Opening& opening, const std::vector<std::string>& classes, Findings& findings) {
  SourcePointer data;
  bool labelled = true;
  switch (source.format) {
    case DataFormat::idx:
    case DataFormat::numpy:
      if (!check_kinds(source, findings)) return nullptr;
      data = open_arrays(source, config, input, findings);
      labelled = !source.labels.empty();
      break;
    case DataFormat::cifar10:
    case DataFormat::cifar100: data = open_cifar(source, findings); break;
    case DataFormat::synthetic: data = open_shapes(source, input, seed, opening.split, findings); break;
    case DataFormat::folder:
    case DataFormat::csv: data = open_pictures(source, config, input, classes, opening.decoding, findings); break;
    case DataFormat::pack:
      data = open_pack(source.path, config, input, findings);
      labelled = false;  // its labels are final
      break;
  }
  if (!data) return nullptr;

  const Shape& image = data->info().image;
  const bool packed = source.format == DataFormat::pack && image[0] == input[0] && image[1] == input[1];
  if (!data->has_pictures() && source.format != DataFormat::synthetic && !packed) {
    data = make_converted(std::move(data), config, input);
  }
  const bool fits = check_size(*data, source, input, opening, findings);
  if (labelled) data = finish_labels(std::move(data), config, findings);
  if (!fits || !data) return nullptr;
  const bool of_train = opening.split == 0;
  return keep(std::move(data), config, of_train, of_train && crops_pictures(config.augment));
}

/// All splits go through one program: the same type of pixels, the same kind of labels.
void check_agree(const Dataset& train, const Dataset& other, std::string_view name, Findings& findings) {
  const DatasetInfo& a = train.info();
  const DatasetInfo& b = other.info();
  if (a.dtype != b.dtype || a.integer_max != b.integer_max) {
    findings.push_back(data_finding(
        FileUse::images, DataFault::splits_differ, other.where(0),
        fmt::format("data.{} holds {}, data.train {}: the splits are on different scales", name, b.source_dtype,
                    a.source_dtype),
        fmt::format("np.save(\"x.npy\", x.astype(np.{}))   # with values on the scale of data.train", a.source_dtype)));
  }
  if (!(a.image == b.image)) {
    findings.push_back(data_finding(
        FileUse::images, DataFault::splits_differ, other.where(0),
        fmt::format("images of data.{} are {}, of data.train {}", name, to_string(b.image), to_string(a.image)),
        fmt::format("np.save(\"x.npy\", x.reshape(-1, {}, {}, {}))", a.image[0], a.image[1], a.image[2])));
  }
  if (a.labels != b.labels || a.label_width != b.label_width) {
    const auto name_of = [](const DatasetInfo& info) {
      return info.labels == LabelKind::numbers ? "class numbers" : fmt::format("rows of {}", info.label_width);
    };
    findings.push_back(
        data_finding(FileUse::labels, DataFault::splits_differ, other.label_where(0),
                     fmt::format("labels of data.{} are {}, of data.train {}", name, name_of(b), name_of(a)),
                     a.labels == LabelKind::rows && a.label_width == 1 && b.labels == LabelKind::numbers
                         ? "np.save(\"y.npy\", y.astype(np.float32))"
                     : a.labels == LabelKind::numbers && b.label_width == 1 ? "np.save(\"y.npy\", y.astype(np.int64))"
                     : a.labels == LabelKind::rows && b.labels == LabelKind::rows
                         ? fmt::format("np.save(\"y.npy\", y[:, :{}])   # as many columns as data.train", a.label_width)
                     : a.labels == LabelKind::rows ? fmt::format("np.save(\"y.npy\", np.eye({})[y])", a.label_width)
                                                   : "np.save(\"y.npy\", y.argmax(1))"));
  }
}

void split_train(Splits& splits, const DataConfig& config, std::uint64_t seed, Findings& findings) {
  const DatasetInfo& info = splits.train->info();
  SplitIndices indices = stratified_split(*splits.train, config.val_split, seed);
  if (indices.val.empty() || indices.train.empty()) {
    findings.push_back(data_finding(
        FileUse::images, DataFault::split, splits.train->where(0),
        fmt::format("val_split = {} of {} samples leaves {} for training and {} for validation", config.val_split,
                    format_count(info.samples), indices.train.size(), indices.val.size()),
        "val_split = 0.5   # or more data"));
    return;
  }
  const SourcePointer whole = splits.train;
  splits.train = make_view(whole, std::move(indices.train), 0, info.classes, true);
  splits.val = make_view(whole, std::move(indices.val), 0, whole->info().classes, false);
}

/// One fault is one finding: what is wrong with every split in the same words (of extents, and of labels below 0: with
/// any numbers), and mended by the same line, is told once.
void drop_repeated(Findings& findings) {
  Findings kept;
  for (Diagnostic& finding : findings) {
    const bool told = std::ranges::any_of(kept, [&](const Diagnostic& other) {
      const bool counted = finding.code == "D110" || finding.code == "D111" || finding.code == "L121";
      return other.code == finding.code && (counted || other.what == finding.what) && other.fix == finding.fix;
    });
    if (!told) kept.push_back(std::move(finding));
  }
  findings = std::move(kept);
}

/// Files that are all missing from one folder, without a near name among its entries: the folder is the wrong one.
void join_missing(Findings& findings) {
  const auto lost = [](const Diagnostic& finding) {
    return is_missing_file(finding) && finding.fix.starts_with("ls ");
  };
  const auto first = std::ranges::find_if(findings, lost);
  const auto count = std::ranges::count_if(findings, lost);
  if (count < 2) return;
  const bool one_folder = std::ranges::all_of(
      findings, [&](const Diagnostic& finding) { return !lost(finding) || finding.fix == first->fix; });
  if (!one_folder) return;
  const std::filesystem::path file = first->where;
  const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
  *first = data_finding(
      FileUse::images, DataFault::missing, folder,
      fmt::format("{} files of the config are not in {}: {} and others", count, shorten(folder, 60), brief_name(file)),
      "--data-root FOLDER   # the folder that paths of the config start from");
  std::erase_if(findings, lost);
}

void check_labelled(const DataSource& source, std::string_view name, Findings& findings) {
  const bool arrays = source.format == DataFormat::idx || source.format == DataFormat::numpy;
  if (!arrays || !source.labels.empty()) return;
  findings.push_back(data_finding(FileUse::labels, DataFault::unlabelled, to_string(source.where),
                                  fmt::format("data.{} has images and no labels", name), "labels = \"FILE\""));
}

/// Which sequence of synthetic pictures a source shows. Two splits are often written alike, so that only the place in
/// the config tells them apart.
std::uint64_t split_of(const DataSource& source, const DataConfig& config) {
  if (config.val && &source == &*config.val) return 1;
  return config.test && &source == &*config.test ? 2 : 0;
}

}  // namespace

std::shared_ptr<const Dataset> open_source(const DataSource& source, const DataConfig& config,
                                           const std::array<std::int64_t, 3>& input, std::uint64_t seed,
                                           const std::vector<std::string>& classes) {
  Findings findings;
  auto data = open_one(source, config, input, seed, {.split = split_of(source, config)}, classes, findings);
  drop_repeated(findings);
  join_missing(findings);
  if (!findings.empty()) throw Error(std::move(findings));
  return data;
}

std::int64_t mapped_bytes(const Splits& splits) {
  std::int64_t bytes = 0;
  for (const auto& split : {splits.train, splits.val, splits.test}) {
    if (split != nullptr) bytes += split->info().mapped_bytes;
  }
  return bytes;
}

std::vector<Diagnostic> notes_of(const Splits& splits) {
  std::vector<Diagnostic> notes;
  for (const auto& split : {splits.train, splits.val, splits.test}) {
    if (split == nullptr) continue;
    const auto& more = split->info().notes;
    notes.insert(notes.end(), more.begin(), more.end());
  }
  return notes;
}

Splits open_data(const DataConfig& config, const std::array<std::int64_t, 3>& input, std::uint64_t seed,
                 Decoding decoding) {
  Findings findings;
  Splits splits;
  std::vector<std::string> classes;  // of data.train: the other splits' names stand for the same numbers
  const auto open = [&](const std::optional<DataSource>& source, std::string_view name) {
    SourcePointer data;
    if (!source) return data;
    check_labelled(*source, name, findings);
    const Opening opening{split_of(*source, config), splits.train != nullptr, decoding};
    const std::size_t before = findings.size();
    data = open_one(*source, config, input, seed, opening, classes, findings);
    for (std::size_t i = before; i < findings.size() && splits.train; ++i) {
      if (findings[i].code != "D110") continue;  // data.layout holds for all splits, and is right for data.train
      findings[i].fix = fmt::format("np.save(\"x.npy\", x.transpose({}))   # as data.train is",
                                    config.layout == ArrayLayout::nhwc ? "0, 2, 3, 1" : "0, 3, 1, 2");
    }
    return data;
  };
  splits.train = open(config.train, "train");
  const bool named =
      config.train && (config.train->format == DataFormat::folder || config.train->format == DataFormat::csv);
  if (splits.train && named) classes = splits.train->info().classes;
  splits.val = open(config.val, "val");
  splits.test = open(config.test, "test");
  if (splits.train) {
    const DatasetInfo& info = splits.train->info();
    check_augmentations(config.augment, info.image, info.dtype, findings);
    if (splits.val) check_agree(*splits.train, *splits.val, "val", findings);
    if (splits.test) check_agree(*splits.train, *splits.test, "test", findings);
    if (config.val_split > 0 && !config.val) split_train(splits, config, seed, findings);
  }
  drop_repeated(findings);
  join_missing(findings);
  if (!findings.empty()) throw Error(std::move(findings));
  return splits;
}

}  // namespace snug
