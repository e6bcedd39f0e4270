#include "data/recognize_arrays.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "data/gzip.h"

namespace snug {

namespace {

namespace fs = std::filesystem;

struct Candidate {
  std::string path;  ///< from the root; "x.npz:array"
  bool idx = false;
  NameParts parts;
  std::vector<std::int64_t> extents;
  [[nodiscard]] std::int64_t samples() const { return extents.empty() ? 0 : extents[0]; }
  /// Images have three axes or four, labels one or two; a name is not believed against that.
  [[nodiscard]] bool images() const { return extents.size() == 3 || extents.size() == 4; }
  [[nodiscard]] bool labels() const { return (extents.size() == 1 || extents.size() == 2) && !flat(); }
  /// Images that were flattened to rows: a name says so.
  [[nodiscard]] bool flat() const { return extents.size() == 2 && extents[1] > 1 && parts.role == ArrayRole::images; }
};

/// The extents in the header of an IDX file, plain or gzip; nothing for other files.
std::vector<std::int64_t> idx_extents(const FileBytes& file) {
  std::array<std::byte, 4 + 4 * 4> header{};
  std::size_t got = std::min(header.size(), file.bytes.size());
  if (is_gzip(file.bytes)) {
    got = GzipReader(file.bytes).read(header);
  } else if (got > 0) {
    std::memcpy(header.data(), file.bytes.data(), got);
  }
  const bool magic = got >= 4 && header[0] == std::byte{0} && header[1] == std::byte{0} &&
                     header[2] >= std::byte{0x08} && header[2] <= std::byte{0x0E};
  const auto axes = std::to_integer<std::size_t>(header[3]);
  if (!magic || axes < 1 || axes > 4 || got < 4 + 4 * axes) return {};
  std::vector<std::int64_t> extents;
  for (std::size_t axis = 0; axis < axes; ++axis)
    extents.push_back(load<std::uint32_t>(header.data() + 4 + 4 * axis, true));
  return extents;
}

void add(std::vector<Candidate>& list, std::string path, bool idx, std::vector<std::int64_t> extents) {
  if (extents.empty()) return;
  NameParts parts = parts_of_name(path);
  list.push_back({std::move(path), idx, std::move(parts), std::move(extents)});
}

void add_file(const fs::path& root, const std::string& path, std::vector<Candidate>& list) {
  const bool npy = path.ends_with(".npy"), npz = path.ends_with(".npz");
  const bool idx = path.find("ubyte") != std::string::npos || path.find("idx") != std::string::npos;
  if (!npy && !npz && !idx) return;
  Findings ignored;  // a broken file is told when the data are opened
  auto file = open_file((root / path).string(), FileUse::images, ignored);
  if (!file) return;
  if (npz) {
    const auto names = npz_names(*file, ignored);
    for (const std::string& name : names.value_or(std::vector<std::string>{})) {
      if (const auto array = read_npz(*file, name, FileUse::images, ignored))
        add(list, fmt::format("{}:{}", path, name), false, array->extents);
    }
  } else if (npy) {
    if (const auto array = read_npy(*std::move(file), FileUse::images, ignored)) add(list, path, false, array->extents);
  } else {
    add(list, path, true, idx_extents(*file));
  }
}

/// The labels that belong to `images`: as many, with the nearest name.
const Candidate* labels_for(const Candidate& images, const std::vector<Candidate>& list, SplitName split) {
  const Candidate* best = nullptr;
  int best_score = -1;
  for (const Candidate& other : list) {
    if (!other.labels() || other.parts.split != split || other.samples() != images.samples() || other.idx != images.idx)
      continue;
    const int score = (other.parts.rest == images.parts.rest ? 2 : 0) + (other.parts.role == ArrayRole::labels ? 1 : 0);
    if (score > best_score) {
      best = &other;
      best_score = score;
    }
  }
  return best;
}

struct Pair {
  const Candidate *images = nullptr, *labels = nullptr;
};
Pair pair_of(const std::vector<Candidate>& list, SplitName split) {
  for (const Candidate& images : list) {
    if (!images.images() || images.parts.split != split) continue;
    if (const Candidate* labels = labels_for(images, list, split)) return {&images, labels};
  }
  return {};
}

DataSource source_of(const Pair& pair) {
  DataSource source;
  source.format = pair.images->idx ? DataFormat::idx : DataFormat::numpy;
  source.images = pair.images->path;
  source.labels = pair.labels->path;
  return source;
}

/// Channels stand where PyTorch has them: a few, in front of two larger extents.
bool channels_first(const std::vector<std::int64_t>& extents) {
  const auto few = [](std::int64_t extent) { return extent >= 1 && extent <= 4; };
  return extents.size() == 4 && few(extents[1]) && !few(extents[3]);
}

void explain(const std::vector<Candidate>& list, ArrayFinds& finds) {
  const auto flat = std::ranges::find_if(list, &Candidate::flat);
  const auto images = std::ranges::find_if(list, &Candidate::images);
  if (images != list.end()) {
    finds.hint = fmt::format("{} holds {} images; no array beside it has as many labels", brief_name(images->path),
                             format_count(images->samples()));
    finds.fix = fmt::format("np.save(\"labels.npy\", y)   # {} class numbers", images->samples());
  } else if (flat != list.end()) {
    finds.hint = fmt::format("{} is {}: rows, not images of height, width and channels", brief_name(flat->path),
                             format_extents(flat->extents));
    finds.fix = "np.save(\"x.npy\", x.reshape(len(x), HEIGHT, WIDTH, CHANNELS))";
  }
}

}  // namespace

ArrayFinds recognize_arrays(const fs::path& root, const Listing& listing) {
  std::vector<Candidate> list;
  for (const std::string& file : listing.files) add_file(root, file, list);
  for (const std::string& folder : listing.folders) {
    if (parts_of_name(folder).split == SplitName::none) continue;
    for (const std::string& file : list_folder_entries(root / folder).files)
      add_file(root, fmt::format("{}/{}", folder, file), list);
  }
  ArrayFinds finds;
  Pair train = pair_of(list, SplitName::train);
  if (train.images == nullptr) train = pair_of(list, SplitName::none);
  if (train.images == nullptr) {
    explain(list, finds);
    return finds;
  }
  RecognizedData data{.root = root.string(), .layout = train.images->idx ? "IDX files" : "NumPy arrays"};
  data.train = source_of(train);
  if (channels_first(train.images->extents)) data.axes = ArrayLayout::nchw;
  for (const auto& [split, source] : {std::pair{SplitName::val, &data.val}, {SplitName::test, &data.test}}) {
    const Pair pair = pair_of(list, split);
    if (pair.images != nullptr) *source = source_of(pair);
  }
  finds.data = std::move(data);
  return finds;
}

}  // namespace snug
