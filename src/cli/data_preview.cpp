#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/common.h"
#include "data/augment.h"
#include "data/contact_sheet.h"
#include "data/loader.h"
#include "data/sample_pictures.h"
#include "report/reports.h"

namespace snug {

namespace {

std::string name_of(const DatasetInfo& info, std::size_t label) {
  return label < info.classes.size() ? info.classes[label] : std::to_string(label);
}

/// "cat", or of mixed samples "cat 70% dog 30%".
std::string text_of(const Batch& batch, const DatasetInfo& info, std::size_t sample) {
  if (batch.rows.empty()) return name_of(info, static_cast<std::size_t>(batch.labels[sample]));
  const std::size_t width = batch.rows.size() / static_cast<std::size_t>(batch.count);
  const auto row = batch.rows.subspan(sample * width, width);
  if (width == 1) return fmt::format("{:g}", row[0]);
  std::vector<std::size_t> order;
  for (std::size_t k = 0; k < width; ++k) {
    if (row[k] > 0.005F) order.push_back(k);
  }
  std::ranges::sort(order, std::ranges::greater(), [&](std::size_t k) { return row[k]; });
  std::string text;
  for (const std::size_t k : order) {
    if (!text.empty()) text += " ";
    text += row[k] > 0.995F ? name_of(info, k) : fmt::format("{} {:.0f}%", name_of(info, k), 100 * row[k]);
  }
  return text;
}

LoaderOptions loader_options(const Config& config, const DatasetInfo& info, std::int64_t count) {
  LoaderOptions options{.batch = std::min(count, info.samples),
                        .shuffle = config.data.shuffle,
                        .seed = config.train.seed,
                        .workers = static_cast<int>(config.data.workers),
                        .augment = config.data.augment};
  options.even_classes = config.data.balance == Balance::sampler;
  if (info.labels == LabelKind::rows) {
    options.row_width = info.label_width;
  } else if (has_mix(config.data.augment)) {
    options.row_width = static_cast<std::int64_t>(std::max<std::size_t>(info.classes.size(), 2));
  }
  return options;
}

int run(const Arguments& arguments) {
  const auto out = arguments.text("out");
  if (!out) {
    throw Error({.code = "C915",
                 .where = "--out",
                 .what = "`snug data preview` needs a file to write to",
                 .fix = "--out sheet.png"});
  }
  const std::int64_t count = arguments.integer("count", 1).value_or(36);
  const std::int64_t epoch = arguments.integer("epoch", 1).value_or(1);
  const Config config = read_config(arguments.positional()[0], arguments);
  const Splits splits = open_data(config.data, config.model.input, config.train.seed);
  const DatasetInfo& info = splits.train->info();
  Loader loader(splits.train, loader_options(config, info, std::min<std::int64_t>(count, 400)));
  loader.start_epoch(epoch - 1);
  const Batch& batch = *loader.next();
  std::vector<Picture> pictures = pictures_of(batch.images, info);
  std::vector<SheetEntry> entries;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    entries.push_back({std::move(pictures[i]), text_of(batch, info, i)});
  }
  AtomicFile file(*out);
  file.write(encode_png(contact_sheet(entries)));
  file.commit();
  const ConvertedData written{.samples = batch.count, .files = {*out}};
  print_result(arguments, to_json(written), to_text(written));
  show_asides(arguments, notes_of(splits));
  return 0;
}

}  // namespace

Command data_preview_command() {
  return {.name = "data preview",
          .arguments = "CONFIG",
          .summary = "a sheet of training images as the network will see them, augmented, with their labels",
          .example = "snug data preview configs/quickstart.toml --out sheet.png",
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {{"out", "FILE", "the PNG to write"},
                      {"count", "N", "images (36, at most 400)"},
                      {"epoch", "N", "as they come in this epoch (1)"},
                      kSetOption,
                      kDataRootOption},
          .run = run};
}

}  // namespace snug
