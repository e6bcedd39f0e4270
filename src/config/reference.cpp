#include "config/reference.h"

#include <fmt/format.h>

#include "config/keys.h"

namespace snug::config {

namespace {

constexpr std::string_view kIntroduction = R"(# Config reference

A run is described by one TOML file. This page is written from the table that the program checks configs with, so it
cannot say anything else than the program does.

```toml
{sample}```

- All problems of a file and of the options are reported together, each with its place (`file:line:column`), and with
  a line to paste.
- `--set KEY=VALUE` changes a value from the command line: `--set train.epochs=10`, `--set data.normalize=per-channel`,
  `--set model.layers.0.conv=64`. The value is TOML; what is not is taken as a string. Every key can be set once.
- Paths of data are relative to the config file, or to `--data-root`.
- An integer will do where a number is asked for, but not the other way round.
- A key that the chosen method does not use (`momentum` with adam) is a warning.
)";

constexpr std::string_view kLayersIntroduction = R"(
## Layers

`model.layers` is a list of tables. Each has exactly one key that tells its kind; the sections below are named after it.
A layer's *path* names its tensors in checkpoints (path, then `.weight`, `.bias`, …). It is the layer's place:
`layers[3]` is `3`; inside a residual `3.body.0` and `3.shortcut.0`; in branches `3.branch1.0`; in turn t of a repeat
`3.t.0`; in a group `3.0`. `name` replaces the layer's own part of it. One dense block of DenseNet-121, with the names
that torchvision uses:

```toml
{names}```
)";

constexpr std::string_view kSample = R"(name = "mnist"

[data]
train = { images = "train-images-idx3-ubyte.gz", labels = "train-labels-idx1-ubyte.gz" }
val = { images = "t10k-images-idx3-ubyte.gz", labels = "t10k-labels-idx1-ubyte.gz" }
normalize = "0-1"
augment = [ { random_crop = 28, pad = 2 } ]

[model]
input = [28, 28, 1]
layers = [
  { conv = 32, kernel = 3, padding = "same", norm = "batch", activation = "relu" },
  { maxpool = 2 },
  { residual = [ { conv = 32, kernel = 3, padding = "same" } ], activation = "relu" },
  { repeat = 2, block = [ { conv = 64, kernel = 3, activation = "relu" } ] },
  { global_avgpool = true },
  { dense = 10 },
]

[train]
loss = "sparse_categorical_crossentropy"
epochs = 5
batch = "auto"
optimizer = { name = "sgd", lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 5e-4 }
schedule = { name = "cosine", warmup_epochs = 1 }

[memory]
budget = "90%"
)";

constexpr std::string_view kNames =
    R"({ repeat = 6, first = 1, turn = "denselayer{}", name = "features.denseblock1", block = [
  { name = "", branch_names = ["", ""], branches = [ [], [
    { batchnorm = true, activation = "relu", name = "norm1" },
    { conv = 128, kernel = 1, norm = "batch", activation = "relu", name = "conv1", norm_name = "norm2" },
    { conv = 32, kernel = 3, padding = 1, bias = false, name = "conv2" } ] ] } ] }
)";

void replace(std::string& text, std::string_view mark, std::string_view with) {
  text.replace(text.find(mark), mark.size(), with);
}

/// A bar would end the cell.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

std::string fallback_cell(std::string_view fallback) {
  const bool word = fallback == "required" || fallback == "none" || fallback == "inferred" ||
                    fallback.find(' ') != std::string_view::npos;
  const bool toml = fallback.starts_with('{') || fallback.starts_with('[');
  return word && !toml ? cell(fallback) : fmt::format("`{}`", cell(fallback));
}

std::string table_of(const Scope& scope) {
  std::string out = "\n| key | value | default | meaning | example |\n|---|---|---|---|---|\n";
  for (const Key* key : keys_of(scope.name)) {
    out += fmt::format("| `{}` | {} | {} | {} | `{}` |\n", key->name, cell(describe_forms(*key)),
                       fallback_cell(key->fallback), cell(key->meaning), cell(key->example));
  }
  return out;
}

}  // namespace

std::string_view sample_config() { return kSample; }

std::string reference() {
  std::string out(kIntroduction);
  replace(out, "{sample}", kSample);
  bool layers = false;
  for (const Scope& scope : scopes()) {
    const bool kind = index_of(layer_kinds(), scope.name).has_value();
    if (kind && !layers) {
      std::string introduction(kLayersIntroduction);
      replace(introduction, "{names}", kNames);
      out += introduction;
      layers = true;
    }
    const std::string title = scope.name == "top" ? "The file" : fmt::format("`{}`", scope.title);
    out += fmt::format("\n{} {}\n\n{}\n", kind ? "###" : "##", title, scope.about);
    out += table_of(scope);
  }
  return out;
}

}  // namespace snug::config
