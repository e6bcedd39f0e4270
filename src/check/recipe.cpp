#include "check/recipe.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "config/value.h"

namespace snug {

namespace {

constexpr std::int64_t kFew = 2000;      // samples: every picture is varied a lot, batches are small
constexpr std::int64_t kMany = 20'000;   // samples: worth a large network where pictures are large
constexpr std::int64_t kSmallSide = 64;  // pixels: pictures up to here are taken as they are
constexpr std::int64_t kWidest = 256;    // channels

bool few(const DataFacts& facts) { return facts.train < kFew; }
bool colour(const DataFacts& facts) { return facts.image[2] == 3; }
bool as_they_are(const DataFacts& facts) {
  return !facts.pictures || (facts.one_size && std::max(facts.image[0], facts.image[1]) <= kSmallSide);
}
bool large_model(const DataFacts& facts) { return facts.pictures && facts.train >= kMany && facts.short_side >= 200; }

std::array<std::int64_t, 3> choose_input(const DataFacts& facts) {
  if (as_they_are(facts)) return facts.image;
  std::int64_t side = 32;
  for (const std::int64_t larger : {48, 64, 96}) {
    if (facts.short_side >= larger * 9 / 8) side = larger;
  }
  if (facts.train >= kMany / 2 && facts.short_side >= 144) side = 128;
  if (large_model(facts)) side = 224;
  return {side, side, facts.image[2]};
}

/// Fewer passes over more samples; a network sees tens of thousands of pictures either way.
std::int64_t choose_epochs(const DataFacts& facts) {
  const double passes = 20 * std::sqrt(2500.0 / static_cast<double>(std::max<std::int64_t>(facts.train, 1)));
  const std::int64_t least = !colour(facts) && facts.short_side <= kSmallSide ? 5 : 10;
  return std::clamp<std::int64_t>(std::llround(passes), least, 40);
}

// ---- the network ----------------------------------------------------------------------------------------------

struct LayerLine {
  std::string toml, comment;
};

std::string conv(std::int64_t filters, std::string_view activation = ", activation = \"relu\"") {
  return fmt::format("{{ conv = {}, kernel = 3, padding = 1, norm = \"batch\"{} }}", filters, activation);
}

/// Convolutions and pools by turns; behind them, once maps are small, residuals: two convolutions added to their input.
std::vector<LayerLine> small_network(const DataFacts& facts, const std::array<std::int64_t, 3>& input) {
  constexpr std::int64_t kResidualMap = 256;  // pixels: on larger maps two more convolutions take most of the time
  std::int64_t height = input[0], width = input[1], filters = 32;
  const auto map = [&] { return fmt::format("{}×{}×{}", height, width, filters); };
  std::vector<LayerLine> lines{{conv(filters), map()}};
  while (std::min(height, width) >= 8) {
    height /= 2;
    width /= 2;
    filters = std::min(2 * filters, kWidest);
    lines.push_back({"{ maxpool = 2 }", ""});
    lines.push_back({conv(filters), map()});
    if (height * width > kResidualMap) continue;
    lines.push_back(
        {fmt::format("{{ residual = [\n    {},\n    {} ], activation = \"relu\" }}", conv(filters), conv(filters, "")),
         ""});
  }
  lines.push_back({"{ global_avgpool = true }", fmt::format("{} values", filters)});
  if (facts.train < 5000) lines.push_back({"{ dropout = 0.2 }", ""});
  lines.push_back({fmt::format("{{ dense = {} }}", facts.outputs),
                   facts.loss == Loss::mse ? "one output for each number" : "one output for each class"});
  return lines;
}

std::string model_toml(const DataFacts& facts, const Recipe& recipe) {
  const auto& [height, width, channels] = recipe.input;
  std::string text =
      fmt::format("\n[model]\ninput = [{}, {}, {}]   # height, width, channels\n", height, width, channels);
  if (large_model(facts)) {
    return text + fmt::format("file = \"models/resnet18.toml\"   # ResNet-18, with torchvision's names\nclasses = {}\n",
                              facts.outputs);
  }
  text += "# A small residual network; sizes of inputs are inferred. configs/models has larger ones.\nlayers = [\n";
  for (const LayerLine& line : small_network(facts, recipe.input)) {
    text += fmt::format("  {},{}\n", line.toml, line.comment.empty() ? "" : "   # " + line.comment);
  }
  return text + "]\n";
}

// ---- data -----------------------------------------------------------------------------------------------------

std::string source_toml(const DataSource& source) {
  switch (source.format) {
    case DataFormat::idx:
    case DataFormat::numpy:
      return fmt::format("{{ images = {}, labels = {} }}", config::string_text(source.images),
                         config::string_text(source.labels));
    case DataFormat::cifar10:
    case DataFormat::cifar100: {
      std::vector<std::string> files;
      files.reserve(source.files.size());
      for (const std::string& file : source.files) files.push_back(config::string_text(file));
      return fmt::format("{{ format = \"{}\", files = [{}] }}", to_string(source.format), fmt::join(files, ", "));
    }
    case DataFormat::folder:
    case DataFormat::csv:
    case DataFormat::pack:
      return fmt::format("{{ {} = {} }}", to_string(source.format), config::string_text(source.path));
    case DataFormat::synthetic: return fmt::format("{{ synthetic = {} }}", config::string_text(source.synthetic));
  }
  return {};
}

/// Changes that leave a picture's class what it is; of numbers to meet nobody knows which do.
std::vector<LayerLine> augmentations(const DataFacts& facts, const Recipe& recipe) {
  const auto& [height, width, channels] = recipe.input;
  std::vector<LayerLine> lines;
  if (facts.loss == Loss::mse) return lines;
  const bool square = height == width;
  if (recipe.resize > 0) {
    lines.push_back({fmt::format("{{ random_resized_crop = {} }}", height), "a random part of the picture"});
  } else if (square && height >= 8) {
    lines.push_back({fmt::format("{{ random_crop = {}, pad = {} }}", height,
                                 std::clamp<std::int64_t>(height / 8, 1, 4) - (channels == 1 && height >= 16 ? 1 : 0)),
                     "moved by a few pixels"});
  }
  if (channels == 3) lines.push_back({"{ hflip = 0.5 }", "leave it out where left and right matter"});
  if (recipe.resize > 0 && !facts.floats)
    lines.push_back({channels == 3 ? "{ color_jitter = [0.3, 0.3, 0.3, 0.05] }" : "{ color_jitter = [0.2, 0.2, 0, 0] }",
                     "another light"});
  if (recipe.resize > 0 && few(facts)) lines.push_back({"{ erase = 0.25 }", "a part is covered"});
  return lines;
}

std::string splits_toml(const RecognizedData& data, const DataFacts& facts, const Recipe& recipe) {
  std::string text = fmt::format("train = {}   # {} images\n", source_toml(data.train.value_or(DataSource{})),
                                 format_count(facts.train));
  if (data.val) text += fmt::format("val = {}   # {} images\n", source_toml(*data.val), format_count(facts.val));
  if (recipe.val_split > 0)
    text +=
        fmt::format("val_split = {}   # of train is kept for validation, of every class its share\n", recipe.val_split);
  if (data.test)
    text += fmt::format("test = {}   # {} images, for the end: snug eval RUN --split test\n", source_toml(*data.test),
                        format_count(facts.test));
  return text;
}

std::string data_toml(const RecognizedData& data, const DataFacts& facts, const Recipe& recipe,
                      const std::string& root) {
  std::string text = fmt::format("\n[data]\nroot = {}   # from this file's folder\n", config::string_text(root));
  text += splits_toml(data, facts, recipe);
  if (data.axes == ArrayLayout::nchw) text += "layout = \"nchw\"   # the arrays are N×channels×height×width\n";
  if (recipe.resize > 0)
    text += fmt::format("resize = {}   # the short side; evaluation sees the center, {}×{}\n", recipe.resize,
                        recipe.input[0], recipe.input[1]);
  if (facts.pictures && facts.image[2] == 3) text += "gray_to_rgb = true   # gray pictures among them are meant\n";
  if (facts.bad_files) text += "on_bad = \"skip\"   # some files cannot be decoded: check names them\n";
  if (facts.label_offset != 0)
    text += fmt::format("label_offset = {}   # the labels are counted from 1\n", facts.label_offset);
  if (facts.constant_channel) {
    text += facts.floats
                ? "normalize = \"none\"   # a channel is the same everywhere: it cannot be scaled by its deviation\n"
                : "normalize = \"0-1\"   # a channel is the same everywhere: it cannot be scaled by its deviation\n";
  } else {
    text += "normalize = \"per-channel\"   # mean 0 and deviation 1, measured on the training images\n";
  }
  if (facts.uneven) text += "balance = \"weights\"   # some classes have far fewer images than others\n";
  const std::vector<LayerLine> changes = augmentations(facts, recipe);
  if (!changes.empty()) text += "augment = [   # random changes of training images, new ones in every epoch\n";
  for (const LayerLine& line : changes) text += fmt::format("  {},   # {}\n", line.toml, line.comment);
  return changes.empty() ? text : text + "]\n";
}

// ---- training -------------------------------------------------------------------------------------------------

std::string_view why_loss(Loss loss) {
  switch (loss) {
    case Loss::sparse_categorical_crossentropy: return "labels are class numbers";
    case Loss::categorical_crossentropy: return "labels are rows that sum to 1";
    case Loss::binary_crossentropy: return "labels are rows of zeros and ones";
    case Loss::mse: return "labels are numbers to meet";
  }
  return {};
}

std::string train_toml(const DataFacts& facts, const Recipe& recipe) {
  std::string text = fmt::format("\n[train]\nloss = \"{}\"   # {}\n", to_string(facts.loss), why_loss(facts.loss));
  text += fmt::format("epochs = {}\nbatch = {}   # {}\n", recipe.epochs, recipe.batch,
                      few(facts) ? "few images: small batches give more steps; \"auto\" is the fastest"
                                 : "the fastest that fits; snug tune CONFIG measures it");
  const bool classes =
      facts.loss == Loss::sparse_categorical_crossentropy || facts.loss == Loss::categorical_crossentropy;
  if (classes) {
    text +=
        "optimizer = { name = \"sgd\", lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 5e-4 }\n"
        "lr_reference_batch = 64   # the rate grows and falls with the batch\n";
  } else {
    text += "optimizer = { name = \"adamw\", lr = 0.001, weight_decay = 1e-4 }\n";
  }
  text += fmt::format("schedule = {{ name = \"cosine\", warmup_epochs = {:g} }}   # climbs, then falls to 0\n",
                      0.1 * static_cast<double>(recipe.epochs));
  return text + "seed = 1   # the same seed, the same bits\n";
}

}  // namespace

Recipe choose_recipe(const DataFacts& facts) {
  Recipe recipe{.input = choose_input(facts)};
  if (!as_they_are(facts)) recipe.resize = (recipe.input[0] * 8 + 6) / 7;
  recipe.epochs = choose_epochs(facts);
  recipe.batch = few(facts) ? "32" : "\"auto\"";
  if (facts.train < 64) recipe.batch = fmt::format("{}", std::max<std::int64_t>(facts.train / 4, 2));
  if (facts.val == 0) recipe.val_split = facts.train < 5000 ? 0.2 : 0.1;
  const std::vector<LayerLine> layers = small_network(facts, recipe.input);
  recipe.model = large_model(facts) ? "ResNet-18"
                                    : fmt::format("a small residual network, {} stages",
                                                  std::ranges::count(layers, "{ maxpool = 2 }", &LayerLine::toml) + 1);
  return recipe;
}

std::string recipe_toml(const RecognizedData& data, const DataFacts& facts, const Recipe& recipe, std::string_view name,
                        const std::string& root) {
  std::string text = fmt::format(
      "# Written by snug init for {}: a beginning, chosen by rules of thumb. docs/config.md lists every key.\n",
      data.layout);
  if (!facts.classes.empty()) {
    constexpr std::size_t kShown = 10;
    std::vector<std::string> shown(facts.classes.begin(),
                                   facts.classes.begin() + std::min<std::ptrdiff_t>(std::ssize(facts.classes), kShown));
    text += fmt::format("# {} classes: {}{}\n", facts.outputs, fmt::join(shown, ", "),
                        facts.classes.size() > kShown ? ", …" : "");
  }
  text += fmt::format("name = {}   # the run's folder will be runs/{}-1\n", config::string_text(name), name);
  text += data_toml(data, facts, recipe, root) + model_toml(facts, recipe) + train_toml(facts, recipe);
  return text + "\n[memory]\nbudget = \"90%\"   # of what is free; a run that does not fit says so before it begins\n";
}

}  // namespace snug
