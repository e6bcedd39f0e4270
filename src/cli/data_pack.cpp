#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/command.h"
#include "cli/common.h"
#include "data/augment.h"
#include "data/pack.h"
#include "report/findings.h"
#include "report/reports.h"
#include "report/terminal.h"

namespace snug {

namespace {

std::filesystem::path out_folder(const Arguments& arguments) {
  const auto out = arguments.text("out");
  if (out) return *out;
  throw Error(
      {.code = "C915", .where = "--out", .what = "`snug data pack` needs a folder to write to", .fix = "--out packed"});
}

/// What is kept when it is not said: random crops of whole pictures need the pictures.
PackKind kind_of(const Arguments& arguments, const DataConfig& config, const Dataset& data) {
  const auto keep = arguments.text("keep");
  if (keep && *keep != "pixels" && *keep != "files") {
    throw Error({.code = "C917",
                 .where = "--keep " + *keep,
                 .what = "a pack keeps pixels (decoded, of one size) or files (the pictures as they are)",
                 .fix = "--keep pixels"});
  }
  if (keep && *keep == "files" && !data.has_pictures()) {
    throw Error({.code = "C917",
                 .where = "--keep files",
                 .what = "the data are arrays, not picture files",
                 .fix = "--keep pixels"});
  }
  if (keep) return *keep == "files" ? PackKind::files : PackKind::pixels;
  return data.has_pictures() && crops_pictures(config.augment) ? PackKind::files : PackKind::pixels;
}

PackedSplit pack_split(const std::string& name, const DataSource& source, const Config& config,
                       const std::vector<std::string>& classes, const Arguments& arguments,
                       const std::filesystem::path& out, std::vector<std::string>& names) {
  DataConfig data = config.data;
  data.cache = CacheMode::stream;  // every sample is read once
  const auto opened = open_source(source, data, config.model.input, config.train.seed, classes);
  const PackKind kind = kind_of(arguments, config.data, *opened);
  const PackResult packed = write_pack(*opened, {.out = out / name, .kind = kind});
  names = opened->info().classes;
  show_asides(arguments, opened->info().notes);
  return {.name = name,
          .kind = kind == PackKind::files ? "files" : "pixels",
          .samples = packed.samples,
          .shards = packed.shards,
          .kept_shards = packed.kept_shards,
          .bytes = packed.bytes};
}

int run(const Arguments& arguments) {
  const std::filesystem::path out = out_folder(arguments);
  const Config config = read_config(arguments.positional()[0], arguments);
  PackedData packed{.folder = out.string(), .splits = {}};
  std::vector<std::string> classes;
  for (const auto& [name, source] :
       {std::pair{"train", &config.data.train}, {"val", &config.data.val}, {"test", &config.data.test}}) {
    if (!*source) continue;
    std::vector<std::string> names;
    const bool named = (*source)->format == DataFormat::folder || (*source)->format == DataFormat::csv;
    packed.splits.push_back(pack_split(name, **source, config, classes, arguments, out, names));
    if (classes.empty() && named) classes = names;
  }
  print_result(arguments, to_json(packed), to_text(packed));
  return 0;
}

}  // namespace

Command data_pack_command() {
  return {.name = "data pack",
          .arguments = "CONFIG",
          .summary = "write the data of a config as packed shards, which are read without decoding",
          .example = "snug data pack configs/pneumonia.toml --out packed",
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {{"out", "DIR", "the folder to make; a run that was interrupted goes on"},
                      {"keep", "WHAT", "pixels (decoded) or files (pictures as they are; for random crops of them)",
                       "pixels files"},
                      kSetOption,
                      kDataRootOption},
          .run = run};
}

}  // namespace snug
