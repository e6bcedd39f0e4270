#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/sections.h"
#include "config/table_reader.h"

namespace snug::config {

namespace {

constexpr std::int64_t kSyntheticCount = 4000;

/// The keys that say where a split's data is; each speaks for one family of formats.
constexpr WordList<6> kSourceKeys{"images", "files", "folder", "csv", "pack", "synthetic"};

std::string joined(const std::filesystem::path& folder, const std::string& path) { return (folder / path).string(); }

/// ".npy", ".npz" and "x.npz:array" are NumPy's; everything else is taken for IDX.
bool is_numpy(const std::string& path) {
  return path.ends_with(".npy") || path.ends_with(".npz") || path.find(".npz:") != std::string::npos;
}

std::vector<std::string_view> given(const TableReader& reader, Words keys) {
  std::vector<std::string_view> out;
  std::ranges::copy_if(keys, std::back_inserter(out), [&](std::string_view key) { return reader.has(key); });
  return out;
}

bool format_fits(DataFormat format, std::string_view key) {
  switch (format) {
    case DataFormat::idx:
    case DataFormat::numpy: return key == "images";
    case DataFormat::cifar10:
    case DataFormat::cifar100: return key == "files";
    case DataFormat::folder: return key == "folder";
    case DataFormat::csv: return key == "csv";
    case DataFormat::pack: return key == "pack";
    case DataFormat::synthetic: return key == "synthetic";
  }
  return false;
}

/// Tells the format from the key that names the data, and that the others agree.
void settle_format(const TableReader& reader, std::string_view key, DataSource& out) {
  const Value* written = reader.find("format");
  reader.read("format", kFormatWords, out.format);
  if (written != nullptr && !format_fits(out.format, key)) {
    reader.findings().error("C009", written->where,
                            fmt::format("{} says format \"{}\", but \"{}\" names data of another format",
                                        reader.path_of("format"), written->text, key),
                            line_for(written->where, reader.path_of("format"),
                                     key == "files"    ? "\"cifar10\""
                                     : key == "images" ? "\"idx\""
                                                       : string_text(key)));
    return;
  }
  if (written != nullptr || reader.has("format")) return;
  if (key == "images") {
    out.format = is_numpy(out.images) ? DataFormat::numpy : DataFormat::idx;
    const bool both = reader.find("images") != nullptr && reader.find("labels") != nullptr;
    if (both && is_numpy(out.images) != is_numpy(out.labels)) {
      reader.findings().error(
          "C009", reader.find("labels")->where,
          fmt::format("images {} and labels {} are of different formats", in_quotes(out.images), in_quotes(out.labels)),
          is_numpy(out.images) ? "labels = \"y.npy\"   # a NumPy array, as the images"
                               : fmt::format("images = \"x.npy\"   # or, of class folders, folder = {} without labels",
                                             string_text(out.images)));
    }
  } else if (key == "files") {
    reader.require("format");
  } else if (const auto format = index_of(kFormatWords, key)) {
    out.format = static_cast<DataFormat>(*format);
  }
}

void read_source(const Value& table, const std::string& path, const std::filesystem::path& folder,
                 std::optional<DataSource>& split, Findings& findings) {
  const TableReader reader(table, "source", path, findings);
  DataSource& out = split.emplace();
  out.where = table.where;
  const std::vector<std::string_view> keys = given(reader, kSourceKeys);
  if (keys.size() != 1) {
    const bool typo = keys.empty() && std::ranges::any_of(table.members, [](const Member& member) {
                        return find_key("source", member.key) == nullptr;
                      });
    if (typo) return;  // the unknown key has been reported
    const auto option = std::ranges::find(table.members, 0, [](const Member& member) { return member.where.line; });
    findings.error("C009", option == table.members.end() ? table.where : option->where,
                   keys.empty() ? fmt::format("{} names no data; give one of {}", path, fmt::join(kSourceKeys, ", "))
                                : fmt::format("{} names data in {} ways: {}", path, keys.size(), fmt::join(keys, ", ")),
                   line_for(table.where, path, R"({ images = "train-images.gz", labels = "train-labels.gz" })"));
    return;
  }
  reader.read("images", out.images);
  reader.read("labels", out.labels);
  reader.read("files", out.files);
  reader.read("synthetic", out.synthetic);
  for (const std::string_view key : {"folder", "csv", "pack"}) reader.read(key, out.path);
  settle_format(reader, keys[0], out);
  if (keys[0] == "images") reader.require("labels");
  if (keys[0] == "synthetic") out.count = kSyntheticCount;
  reader.read("count", out.count);
  for (const auto& [key, owner] : {std::pair{"labels", "images"}, std::pair{"count", "synthetic"}}) {
    if (!reader.has(key) || reader.has(owner)) continue;
    findings.error("C009", table.find(key)->where, fmt::format("{} goes with \"{}\" alone", reader.path_of(key), owner),
                   fmt::format("leave out {}, or name {} instead of {}", key, owner, keys[0]));
  }
  for (std::string* name : {&out.images, &out.labels, &out.path}) {
    if (!name->empty()) *name = joined(folder, *name);
  }
  for (std::string& name : out.files) name = joined(folder, name);
}

void read_normalize(const Value& value, const std::string& path, Normalize& out, Findings& findings) {
  if (value.kind == Value::Kind::text) {
    const auto index = index_of(kNormalizeWords, value.text);
    if (index) out.kind = static_cast<Normalization>(*index + static_cast<std::size_t>(Normalization::none));
    return;
  }
  const TableReader reader(value, "normalize", path, findings);
  out.kind = Normalization::mean_std;
  reader.read("mean", out.mean);
  reader.read("std", out.std);
  reader.require("mean");
  reader.require("std");
  if (reader.find("mean") == nullptr || reader.find("std") == nullptr) return;
  if (out.mean.size() != out.std.size()) {
    findings.error("C006", value.where,
                   fmt::format("{} has {} values of mean and {} of std", path, out.mean.size(), out.std.size()),
                   line_for(value.where, path, "{ mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }"));
  }
}

constexpr WordList<10> kAugmentKinds{"random_crop",  "random_resized_crop", "hflip", "vflip", "rotate",
                                     "color_jitter", "randaugment",         "erase", "mixup", "cutmix"};

/// Bounds of single entries, which one range for the whole list cannot say.
void check_augment_lists(const TableReader& reader) {
  const Value* jitter = reader.find("color_jitter");
  if (jitter != nullptr && jitter->items[3].as_number() > 0.5) {
    reader.findings().error("D004", jitter->items[3].where,
                            fmt::format("{} has hue {}; expected a number from 0 to 0.5",
                                        reader.path_of("color_jitter"), number_text(jitter->items[3].as_number())),
                            line_for(jitter->where, reader.path_of("color_jitter"), "[0.4, 0.4, 0.4, 0.1]"));
  }
  const Value* random = reader.find("randaugment");
  if (random == nullptr) return;
  const double count = random->items[0].as_number();
  if (count >= 1 && count == std::floor(count)) return;
  reader.findings().error("D004", random->items[0].where,
                          fmt::format("{} asks for {} operations; expected a whole number of at least 1",
                                      reader.path_of("randaugment"), number_text(count)),
                          line_for(random->where, reader.path_of("randaugment"), "[2, 9]"));
}

double number_of(const TableReader& reader, std::string_view key) {
  double number = 0;
  reader.read(key, number);
  return number;
}

std::int64_t integer_of(const TableReader& reader, std::string_view key) {
  std::int64_t integer = 0;
  reader.read(key, integer);
  return integer;
}

void read_augment_kind(const TableReader& reader, std::string_view kind, Augmentation& out) {
  if (kind == "random_crop") {
    RandomCrop crop{.size = integer_of(reader, kind), .pad = integer_of(reader, "pad")};
    reader.read("pad_mode", kPadModeWords, crop.reflect);
    out.what = crop;
  } else if (kind == "random_resized_crop") {
    out.what = RandomResizedCrop{integer_of(reader, kind)};
  } else if (kind == "hflip" || kind == "vflip") {
    out.what = Flip{number_of(reader, kind), kind == "vflip"};
  } else if (kind == "rotate") {
    out.what = Rotate{number_of(reader, kind)};
  } else if (kind == "erase") {
    out.what = Erase{number_of(reader, kind)};
  } else if (kind == "mixup" || kind == "cutmix") {
    out.what = Mix{number_of(reader, kind), kind == "cutmix"};
  } else if (const Value* list = reader.find(kind); list != nullptr && kind == "color_jitter") {
    const auto& items = list->items;
    out.what = ColorJitter{items[0].as_number(), items[1].as_number(), items[2].as_number(), items[3].as_number()};
  } else if (list != nullptr && kind == "randaugment") {
    out.what = RandAugment{static_cast<std::int64_t>(list->items[0].as_number()), list->items[1].as_number()};
  }
}

void read_augment(const Value& table, const std::string& path, std::vector<Augmentation>& list, Findings& findings) {
  const TableReader reader(table, "augment", path, findings);
  const std::vector<std::string_view> kinds = given(reader, kAugmentKinds);
  if (kinds.size() != 1) {
    const bool typo = kinds.empty() && std::ranges::any_of(table.members, [](const Member& member) {
                        return find_key("augment", member.key) == nullptr;
                      });
    if (typo) return;
    findings.error("C010", table.where,
                   kinds.empty() ? fmt::format("{} names no augmentation", path)
                                 : fmt::format("{} names {} augmentations: {}; each is an entry of its own", path,
                                               kinds.size(), fmt::join(kinds, ", ")),
                   "augment = [ { random_crop = 28, pad = 2 }, { hflip = 0.5 } ]");
    return;
  }
  for (const std::string_view key : {"pad", "pad_mode"}) {
    if (!reader.has(key) || kinds[0] == "random_crop") continue;
    findings.error("C010", table.find(key)->where, fmt::format("{} goes with random_crop alone", reader.path_of(key)),
                   "augment = [ { random_crop = 28, pad = 2 } ]");
  }
  check_augment_lists(reader);
  Augmentation entry{.where = table.where};
  read_augment_kind(reader, kinds[0], entry);
  list.push_back(entry);
}

void read_choices(const TableReader& reader, DataConfig& out) {
  reader.read("layout", kLayoutWords, out.layout);
  reader.read("cache", kCacheWords, out.cache);
  reader.read("balance", kBalanceWords, out.balance);
  reader.read("on_bad", kOnBadWords, out.skip_bad);
  reader.read("resize_filter", kResizeWords, out.resize_bicubic);
  reader.read("gray_to_rgb", out.gray_to_rgb);
  reader.read("shuffle", out.shuffle);
  reader.read("drop_last", out.drop_last);
  reader.read("label_offset", out.label_offset);
  reader.read("ignore_label", out.ignore_label);
  reader.read("workers", out.workers);
  reader.read("val_split", out.val_split);
  if (const Value* resize = reader.find("resize")) {
    if (resize->kind == Value::Kind::integer) out.resize = {resize->integer};
    for (const Value& item : resize->items) out.resize.push_back(item.integer);
  }
}

}  // namespace

void read_data(const Value& table, const DataFolders& folders, bool required, DataConfig& out, Findings& findings) {
  const TableReader reader(table, "data", "data", findings);
  if (required) reader.require("train");
  read_choices(reader, out);
  std::string root;
  reader.read("root", root);
  const std::filesystem::path folder = folders.data_root.value_or(folders.config / root);
  if (const Value* source = reader.find("train")) read_source(*source, "data.train", folder, out.train, findings);
  if (const Value* source = reader.find("val")) read_source(*source, "data.val", folder, out.val, findings);
  if (const Value* source = reader.find("test")) read_source(*source, "data.test", folder, out.test, findings);
  for (const auto* source : {&out.train, &out.val, &out.test}) {
    if (*source && (*source)->format != DataFormat::synthetic) out.root = folder.empty() ? "." : folder.string();
  }
  if (const Value* value = reader.find("normalize")) read_normalize(*value, "data.normalize", out.normalize, findings);
  if (const Value* list = reader.find("augment")) {
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      read_augment(list->items[i], fmt::format("data.augment.{}", i), out.augment, findings);
    }
  }
  if (reader.has("val") && reader.find("val_split") != nullptr && out.val_split > 0) {
    findings.error("C011", table.find("val_split")->where,
                   fmt::format("data.val and data.val_split = {} exclude each other", number_text(out.val_split)),
                   "leave out val_split, or val");
  }
}

}  // namespace snug::config
