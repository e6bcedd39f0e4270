// Folders, step by step: packs, class folders in splits, arrays, CIFAR, lists, archives, bare class folders.
#include "data/recognize.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "data/pack_format.h"
#include "data/picture_source.h"
#include "data/recognize_arrays.h"

namespace snug {

namespace {

namespace fs = std::filesystem;

constexpr int kDeepest = 3;  // folders below the one that is given

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

/// A hint says what a folder lacks to be a data set; the first one is told when nothing else is found.
struct Hint {
  std::string what, fix;
};

struct Search {
  std::optional<Hint> hint;
  void remember(std::string what, std::string fix) {
    if (!hint) hint = Hint{std::move(what), std::move(fix)};
  }
};

DataSource source_of(DataFormat format, std::string path) {
  DataSource source;
  source.format = format;
  source.path = std::move(path);
  return source;
}

std::optional<DataSource>& split_of(RecognizedData& data, SplitName split) {
  return split == SplitName::val ? data.val : split == SplitName::test ? data.test : data.train;
}

/// The folders of a listing by the split that their names mean; the first of each counts.
std::vector<std::pair<SplitName, std::string>> split_folders(const Listing& listing) {
  std::vector<std::pair<SplitName, std::string>> found;
  for (const std::string& folder : listing.folders) {
    const NameParts parts = parts_of_name(folder);
    const bool known = std::ranges::find(found, parts.split, &decltype(found)::value_type::first) != found.end();
    if (parts.split != SplitName::none && !known) found.emplace_back(parts.split, folder);
  }
  std::ranges::sort(found);
  return found;
}

// ---- packs ----------------------------------------------------------------------------------------------------

std::optional<RecognizedData> find_packs(const fs::path& root, const Listing& listing, Search&) {
  RecognizedData data{.root = root.string(), .layout = "packed shards"};
  if (is_file(root / pack::kIndexName)) {
    data.root = root.parent_path().string();
    data.train = source_of(DataFormat::pack, root.filename().string());
    return data;
  }
  for (const auto& [split, folder] : split_folders(listing)) {
    if (is_file(root / folder / pack::kIndexName)) split_of(data, split) = source_of(DataFormat::pack, folder);
  }
  if (!data.train) return std::nullopt;
  return data;
}

// ---- class folders --------------------------------------------------------------------------------------------

/// The folders that have pictures in them, not only in folders below.
std::vector<std::string> class_names(const fs::path& folder) {
  std::vector<std::string> names;
  for (const std::string& name : list_folder_entries(folder).folders) {
    const Listing inside = list_folder_entries(folder / name);
    if (std::ranges::any_of(inside.files, has_picture_name)) names.push_back(name);
  }
  return names;
}

void remember_pictures(const fs::path& folder, const Listing& listing, Search& search) {
  const auto loose = std::ranges::count_if(listing.files, has_picture_name);
  if (loose == 0) return;
  search.remember(fmt::format("{} has {} pictures beside each other: nothing tells their classes", brief_name(folder),
                              format_count(loose)),
                  fmt::format("mkdir {}/CLASS   # a folder for each class, its pictures inside", folder.string()));
}

std::optional<RecognizedData> find_class_splits(const fs::path& root, const Listing& listing, Search& search) {
  RecognizedData data{.root = root.string(), .layout = "class folders"};
  std::vector<std::string> classes;
  for (const auto& [split, folder] : split_folders(listing)) {  // train comes first
    const std::vector<std::string> names = class_names(root / folder);
    if (split == SplitName::train) {
      if (names.size() < 2) {
        remember_pictures(root / folder, list_folder_entries(root / folder), search);
        return std::nullopt;
      }
      classes = names;
    } else if (!data.train || names.empty()) {
      continue;
    } else if (const auto strange = std::ranges::find_if(
                   names, [&](const std::string& name) { return std::ranges::find(classes, name) == classes.end(); });
               strange != names.end()) {
      data.remarks.push_back(fmt::format("{} has the class {}, which {} does not have: it is left aside", folder,
                                         *strange, data.train->path));
      continue;
    }
    split_of(data, split) = source_of(DataFormat::folder, folder);
  }
  if (!data.train) return std::nullopt;
  return data;
}

std::optional<RecognizedData> find_classes(const fs::path& root, const Listing& listing, Search& search) {
  remember_pictures(root, listing, search);
  const std::vector<std::string> names = class_names(root);
  if (names.size() < 2) {
    if (names.size() == 1 && listing.folders.size() == 1 && parts_of_name(names[0]).split == SplitName::none)
      search.remember(fmt::format("{} has pictures in 1 class folder, {}: at least 2 classes are needed",
                                  brief_name(root), brief_name(names[0])),
                      fmt::format("mkdir {}/CLASS   # of the other class", root.string()));
    return std::nullopt;
  }
  RecognizedData data{.root = root.string(), .layout = "class folders"};
  data.train = source_of(DataFormat::folder, ".");
  return data;
}

// ---- CIFAR ----------------------------------------------------------------------------------------------------

std::optional<RecognizedData> find_cifar(const fs::path& root, const Listing& listing, Search& search) {
  constexpr std::uintmax_t kRecord10 = 3073, kRecord100 = 3074;
  RecognizedData data{.root = root.string()};
  for (const std::string& file : listing.files) {
    if (file == "data_batch_1" || file == "batches.meta")
      search.remember("the folder holds CIFAR's Python version (pickles), which is not read; the binary version is",
                      "curl -O https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz");
    if (!file.ends_with(".bin")) continue;
    std::error_code error;
    const std::uintmax_t bytes = fs::file_size(root / file, error);
    const NameParts parts = parts_of_name(file);
    const bool train = file.starts_with("data_batch_") || file == "train.bin";
    if (error || bytes == 0 || (!train && parts.split != SplitName::test)) continue;
    const bool ten = file != "train.bin" && file != "test.bin" && bytes % kRecord10 == 0;
    if (!ten && bytes % kRecord100 != 0) continue;
    auto& source = split_of(data, train ? SplitName::train : SplitName::test);
    if (!source) source = source_of(ten ? DataFormat::cifar10 : DataFormat::cifar100, "");
    source->files.push_back(file);
  }
  if (!data.train) return std::nullopt;
  data.layout = data.train->format == DataFormat::cifar10 ? "CIFAR-10's binary files" : "CIFAR-100's binary files";
  return data;
}

// ---- lists ----------------------------------------------------------------------------------------------------

/// The header's words in lower case, without quotes.
std::vector<std::string> header_of(const fs::path& path) {
  Findings ignored;
  const auto file = open_file(path.string(), FileUse::images, ignored);
  if (!file) return {};
  constexpr std::size_t kMost = 4096;
  std::string_view text(reinterpret_cast<const char*>(file->bytes.data()), std::min(file->bytes.size(), kMost));
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  text = text.substr(0, text.find_first_of("\r\n"));
  std::vector<std::string> words{""};
  for (const char c : text) {
    if (c == ',') {
      words.emplace_back();
    } else if (c != '"' && c != ' ' && c != '\t') {
      words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  return words;
}

std::optional<RecognizedData> find_lists(const fs::path& root, const Listing& listing, Search& search) {
  RecognizedData data{.root = root.string(), .layout = "CSV lists of pictures"};
  for (const std::string& file : listing.files) {
    if (!file.ends_with(".csv")) continue;
    const std::vector<std::string> header = header_of(root / file);
    const bool fits = std::ranges::count(header, "path") == 1 && std::ranges::count(header, "label") == 1;
    if (!fits) {
      search.remember(fmt::format("{} begins with {}; lists of pictures name the columns path and label",
                                  brief_name(file), shorten(fmt::format("{}", fmt::join(header, ",")), 50)),
                      "path,label");
      continue;
    }
    auto& source = split_of(data, parts_of_name(file).split);
    if (source) {
      data.remarks.push_back(fmt::format("{} is left aside beside {}", file, source->path));
    } else {
      source = source_of(DataFormat::csv, file);
    }
  }
  if (!data.train) return std::nullopt;
  return data;
}

// ---- archives -------------------------------------------------------------------------------------------------

/// "a/b/c.jpg" → {"a", "b"}.
std::vector<std::string> folders_of(std::string_view name) {
  std::vector<std::string> folders;
  for (std::size_t slash = name.find('/'); slash != std::string_view::npos; slash = name.find('/')) {
    if (slash > 0 && name.substr(0, slash) != ".") folders.emplace_back(name.substr(0, slash));
    name.remove_prefix(slash + 1);
  }
  return folders;
}

/// The classes of an archive by the folder that holds them: "" or "train" or "photos".
std::vector<std::pair<std::string, std::set<std::string>>> class_parents(const std::vector<std::string>& pictures) {
  std::vector<std::pair<std::string, std::set<std::string>>> parents;
  for (const std::string& picture : pictures) {
    std::vector<std::string> folders = folders_of(picture);
    if (folders.empty()) continue;
    std::string name = std::move(folders.back());
    folders.pop_back();
    const std::string parent = fmt::format("{}", fmt::join(folders, "/"));
    auto found = std::ranges::find(parents, parent, &decltype(parents)::value_type::first);
    if (found == parents.end()) found = parents.insert(parents.end(), {parent, {}});
    found->second.insert(std::move(name));
  }
  return parents;
}

std::optional<RecognizedData> find_archive(const fs::path& root, const Listing& listing, Search& search) {
  for (const std::string& file : listing.files) {
    if (!is_archive(file)) continue;
    Findings damage;
    const std::vector<std::string> pictures = archive_pictures((root / file).string(), damage);
    if (!damage.empty()) search.remember(damage[0].what, damage[0].fix);
    RecognizedData data{.root = root.string(), .layout = "class folders in an archive"};
    std::size_t most = 0;
    std::string bare;
    for (const auto& [parent, classes] : class_parents(pictures)) {
      const SplitName split = parts_of_name(parent.substr(parent.rfind('/') + 1)).split;
      const std::string name = parent.empty() ? file : fmt::format("{}:{}", file, parent);
      if (split != SplitName::none && classes.size() >= 2 && !split_of(data, split)) {
        split_of(data, split) = source_of(DataFormat::folder, name);
      } else if (classes.size() > most) {
        most = classes.size();
        bare = name;
      }
    }
    if (!data.train && most >= 2) data.train = source_of(DataFormat::folder, bare);
    if (data.train) return data;
  }
  return std::nullopt;
}

// ---- the whole ------------------------------------------------------------------------------------------------

std::optional<RecognizedData> find_arrays(const fs::path& root, const Listing& listing, Search& search) {
  ArrayFinds finds = recognize_arrays(root, listing);
  if (!finds.hint.empty()) search.remember(finds.hint, finds.fix);
  return std::move(finds.data);
}

constexpr std::array kFinders{find_packs, find_class_splits, find_arrays, find_cifar,
                              find_lists, find_archive,      find_classes};

std::vector<RecognizedData> look(const fs::path& root, const Listing& listing, int depth, Search& search) {
  for (const auto& find : kFinders) {
    if (auto data = find(root, listing, search)) return {*std::move(data)};
  }
  std::vector<RecognizedData> found;
  constexpr std::size_t kMostFolders = 50;  // more are classes of something else, or a home folder
  if (depth == kDeepest || listing.folders.size() > kMostFolders) return found;
  for (const std::string& folder : listing.folders) {
    std::vector<RecognizedData> below = look(root / folder, list_folder_entries(root / folder), depth + 1, search);
    std::ranges::move(below, std::back_inserter(found));
  }
  return found;
}

Diagnostic nothing_found(const fs::path& path, const Search& search) {
  std::string what, fix;
  if (search.hint) {
    what = search.hint->what;
    fix = search.hint->fix;
  } else {
    what = fmt::format(
        "{} holds no class folders of .jpg or .png, no .npy/.npz or IDX pairs, no CIFAR .bin, no CSV (path,label), no "
        "pack",
        shorten(brief_name(path), 24));
    fix = fmt::format("mkdir {}/CLASS   # a folder for each class, its pictures inside", path.string());
  }
  return data_finding(FileUse::images, DataFault::unrecognized, path.string(), what, std::move(fix));
}

}  // namespace

Listing list_folder_entries(const fs::path& folder) {
  Listing listing;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::string name = entry->path().filename().string();
    if (name.starts_with(".") || name == "__MACOSX") continue;
    std::error_code ignored;
    auto& list = entry->is_directory(ignored) ? listing.folders : listing.files;
    list.push_back(std::move(name));
  }
  std::ranges::sort(listing.folders);
  std::ranges::sort(listing.files);
  return listing;
}

RecognizedData recognize_data(const std::string& path) {
  fs::path root = path;
  while (!root.has_filename() && root.has_relative_path()) root = root.parent_path();  // "photos/"
  std::error_code error;
  Findings findings;
  if (!fs::exists(root, error)) {
    (void)open_file(root.string(), FileUse::images, findings);  // it finds the nearest name
    for (Diagnostic& finding : findings)
      finding.fix = fmt::format("ls {}", root.has_parent_path() ? root.parent_path().string() : ".");
    throw Error(std::move(findings));
  }
  Search search;
  const bool folder = fs::is_directory(root, error);
  Listing listing = folder ? list_folder_entries(root) : Listing{.folders = {}, .files = {root.filename().string()}};
  std::vector<RecognizedData> found = look(folder ? root : root.parent_path(), listing, folder ? 0 : kDeepest, search);
  if (found.empty()) throw Error(nothing_found(root, search));
  if (found.size() > 1) {
    throw Error(data_finding(
        FileUse::images, DataFault::unrecognized, root.string(),
        fmt::format("{} holds {} data sets: {} ({}), {} ({})…", brief_name(root), found.size(),
                    brief_name(found[0].root), found[0].layout, brief_name(found[1].root), found[1].layout),
        fmt::format("snug init {}", found[0].root)));
  }
  if (found[0].root.empty()) found[0].root = ".";
  return std::move(found[0]);
}

DataSource below_root(DataSource source, const std::string& root) {
  const auto join = [&root](std::string& path) {
    if (!path.empty()) path = (fs::path(root) / path).lexically_normal().string();
  };
  for (std::string* path : {&source.images, &source.labels, &source.path}) join(*path);
  for (std::string& file : source.files) join(file);
  return source;
}

}  // namespace snug
