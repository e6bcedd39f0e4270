// Whole configs: values, defaults, places, and everything that can be wrong with a file.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "support.h"

namespace snug::config {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

/// A folder for one test.
class LoadTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() / ("snug-" + std::string(test->name()) + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, std::string_view text) {
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  static std::vector<Diagnostic> findings(const fs::path& path, const ConfigOptions& options = {}) {
    try {
      (void)load_config(path, options);
      return {};
    } catch (const Error& error) {
      return error.findings();
    }
  }

  fs::path folder_;
};

TEST(Config, ReadsEverySection) {
  const Outcome outcome = parse(R"(
[data]
train = { images = "x.gz", labels = "/abs/y.gz" }
normalize = { mean = [0.5], std = 2 }
augment = [{ random_crop = 28, pad = 2, pad_mode = "reflect" }, { vflip = 0.25 }, { randaugment = [2, 9] },
           { color_jitter = [0.1, 0.2, 0.3, 0.4] }, { cutmix = 1.0 }]
resize = [32, 48]
ignore_label = 255
on_bad = "skip"
cache = "ram"
balance = "sampler"
layout = "nchw"
val_split = 0.1
[model]
input = [28, 24, 3]
layers = [{ flatten = true }, { dense = 10 }]
[train]
loss = "mse"
epochs = 7
batch = 64
optimizer = { name = "adamw", lr = 1e-3, betas = [0.8, 0.99], epsilon = 1e-7, weight_decay = 1 }
schedule = { name = "onecycle", max_lr = 0.5, warmup_fraction = 0.25 }
precision = "bf16"
freeze = "backbone"
class_weights = [1, 2.5]
early_stopping = { monitor = "val_loss" }
initializer = { name = "normal", std = 0.5 }
[memory]
budget = "20GiB"
strategy = ["inplace", "recompute"]
workspace = "64MiB"
)");
  ASSERT_TRUE(outcome.config) << all(outcome.findings);
  const Config& run = *outcome.config;
  EXPECT_EQ(run.name, "run");
  EXPECT_EQ(run.data.train->format, DataFormat::idx);
  EXPECT_EQ(run.data.train->images, "x.gz");
  EXPECT_EQ(run.data.train->labels, "/abs/y.gz");
  EXPECT_EQ(to_string(run.data.train->where), "run.toml:3:9");
  EXPECT_EQ(run.data.normalize.kind, Normalization::mean_std);
  EXPECT_THAT(run.data.normalize.mean, ElementsAre(0.5));
  EXPECT_THAT(run.data.normalize.std, ElementsAre(2.0));
  ASSERT_EQ(run.data.augment.size(), 5U);
  EXPECT_TRUE(std::get<RandomCrop>(run.data.augment[0].what).reflect);
  EXPECT_EQ(std::get<RandomCrop>(run.data.augment[0].what).pad, 2);
  EXPECT_TRUE(std::get<Flip>(run.data.augment[1].what).vertical);
  EXPECT_EQ(std::get<RandAugment>(run.data.augment[2].what).count, 2);
  EXPECT_EQ(std::get<ColorJitter>(run.data.augment[3].what).hue, 0.4);
  EXPECT_TRUE(std::get<Mix>(run.data.augment[4].what).cut);
  EXPECT_THAT(run.data.resize, ElementsAre(32, 48));
  EXPECT_EQ(run.data.ignore_label, 255);
  EXPECT_TRUE(run.data.skip_bad);
  EXPECT_EQ(run.data.cache, CacheMode::ram);
  EXPECT_EQ(run.data.balance, Balance::sampler);
  EXPECT_EQ(run.data.layout, ArrayLayout::nchw);
  EXPECT_EQ(run.data.val_split, 0.1);
  EXPECT_THAT(run.model.input, ElementsAre(28, 24, 3));
  EXPECT_EQ(run.train.loss, Loss::mse);
  EXPECT_EQ(run.train.epochs, 7);
  EXPECT_EQ(run.train.batch.kind, BatchChoice::Kind::number);
  EXPECT_EQ(run.train.batch.number, 64);
  EXPECT_EQ(run.train.optimizer.kind, OptimizerKind::adamw);
  EXPECT_EQ(run.train.optimizer.beta1, 0.8);
  EXPECT_EQ(run.train.optimizer.beta2, 0.99);
  EXPECT_EQ(run.train.optimizer.weight_decay, 1.0);
  EXPECT_EQ(run.train.schedule.kind, ScheduleKind::onecycle);
  EXPECT_EQ(run.train.schedule.max_lr, 0.5);
  EXPECT_EQ(run.train.precision, Precision::bf16);
  EXPECT_THAT(run.train.freeze, ElementsAre("backbone"));
  EXPECT_THAT(run.train.class_weights, ElementsAre(1.0, 2.5));
  EXPECT_EQ(run.train.early_stopping->monitor, "val_loss");
  EXPECT_EQ(run.train.early_stopping->patience, 5);
  EXPECT_EQ(run.train.initializer.kind, InitializerKind::normal);
  EXPECT_EQ(run.memory.budget.bytes, std::int64_t{20} << 30);
  EXPECT_FALSE(run.memory.strategy_auto);
  EXPECT_THAT(run.memory.strategy, ElementsAre("inplace", "recompute"));
  EXPECT_EQ(run.memory.workspace_bytes, 64 << 20);
}

TEST(Config, SourcesTellTheirFormat) {
  struct Case {
    std::string source;
    DataFormat format;
  };
  for (const Case& c : std::vector<Case>{
           {R"({ images = "x", labels = "y" })", DataFormat::idx},
           {R"({ images = "x.npy", labels = "y.npy" })", DataFormat::numpy},
           {R"({ images = "d.npz:x", labels = "d.npz:y" })", DataFormat::numpy},
           {R"({ images = "x", labels = "y", format = "numpy" })", DataFormat::numpy},
           {R"({ files = ["a.bin"], format = "cifar100" })", DataFormat::cifar100},
           {R"({ folder = "cats" })", DataFormat::folder},
           {R"({ csv = "list.csv" })", DataFormat::csv},
           {R"({ pack = "p" })", DataFormat::pack},
           {R"({ synthetic = "shapes", count = 9 })", DataFormat::synthetic},
       }) {
    const Outcome outcome = parse("[data]\ntrain = " + c.source + "\n" + std::string(kModel));
    ASSERT_TRUE(outcome.config) << c.source << all(outcome.findings);
    EXPECT_EQ(outcome.config->data.train->format, c.format) << c.source;
  }
}

TEST(Config, UnclearSourcesAreOneFinding) {
  for (const std::string source : {
           R"({})",
           R"({ images = "x", labels = "y", folder = "z" })",
           R"({ images = "x" })",
           R"({ labels = "y", folder = "z" })",
           R"({ count = 5, folder = "z" })",
           R"({ files = ["a.bin"] })",
           R"({ folder = "z", format = "csv" })",
           R"({ images = "x.npy", labels = "y.gz" })",
           R"({ image = "x.npy", labels = "y.npy" })",
       }) {
    const Outcome outcome = parse("[data]\ntrain = " + source + "\n" + std::string(kModel));
    ASSERT_EQ(outcome.findings.size(), 1U) << source << all(outcome.findings);
    EXPECT_EQ(outcome.findings[0].code[0], 'C');
    EXPECT_THAT(outcome.findings[0].where, HasSubstr("run.toml:2:"));
  }
}

TEST(Config, AllProblemsAreReportedInOrderOfPlace) {
  const Outcome outcome = parse(R"([train]
epoch = 5
batch = 0
[model]
input = [28, 28]
layers = [{ covn = 3 }, { dropout = 50 }]
[data]
val = { folder = "v" }
val_split = 0.1
)",
                                {{"train.seed", "-3"}, {"trian.epochs", "4"}});
  std::vector<std::string> places;
  for (const Diagnostic& finding : outcome.findings) places.push_back(finding.code.substr(0, 1) + " " + finding.where);
  EXPECT_THAT(places,
              ElementsAre("C run.toml:2:1", "T run.toml:3:9", "C run.toml:5:9", "C run.toml:6:13", "A run.toml:6:37",
                          "C run.toml:7:1", "C run.toml:9:1", "T --set train.seed", "C --set trian.epochs"))
      << all(outcome.findings);
}

TEST(Config, UnknownKeysNameTheNearest) {
  struct Case {
    std::string text, what, fix;
  };
  for (const Case& c : std::vector<Case>{
           {"[train]\nepoch = 5\n", "did you mean \"epochs\"", "epochs = 5"},
           {"[trian]\nepochs = 5\n", "did you mean \"train\"", "train"},
           {"[train]\nlr = 0.3\n", "belongs in train.optimizer", "lr = 0.3"},
           {"[train]\nbogus_thing = 1\n", "\"bogus_thing\" in train", "known here: loss"},
           {"[train]\nEpochs = 3\n", "did you mean \"epochs\"", "epochs = 3"},
           {"[memory]\nbuget = \"50%\"\n", "did you mean \"budget\"", "budget = \"50%\""},
           {"[data]\nagument = []\ntrain = { folder = \"x\" }\n", "did you mean \"augment\"", "augment = []"},
       }) {
    const bool data = c.text.starts_with("[data]");
    const Outcome outcome = parse(c.text + std::string(data ? "" : kData) + std::string(kModel));
    ASSERT_EQ(outcome.findings.size(), 1U) << all(outcome.findings);
    EXPECT_THAT(outcome.findings[0].what, HasSubstr(c.what));
    EXPECT_THAT(outcome.findings[0].fix, HasSubstr(c.fix));
  }
}

TEST(Config, SettingsThatDoNotGoTogether) {
  struct Case {
    std::string train;
    char family;
    std::string what;
  };
  for (const Case& c : std::vector<Case>{
           {"optimizer = { nesterov = true }", 'T', "momentum is 0"},
           {"batch = 4\naccumulate = 5", 'T', "5 parts of a batch of 4"},
       }) {
    const Outcome outcome = parse("[train]\n" + c.train + "\n" + std::string(kData) + std::string(kModel));
    ASSERT_EQ(outcome.findings.size(), 1U) << all(outcome.findings);
    EXPECT_EQ(outcome.findings[0].code[0], c.family);
    EXPECT_THAT(outcome.findings[0].what, HasSubstr(c.what));
  }
}

TEST(Config, UnusedKeysAreWarnings) {
  for (const std::string train : {
           R"(optimizer = { name = "adam", momentum = 0.9 })",
           R"(optimizer = { name = "sgd", betas = [0.9, 0.9] })",
           R"(schedule = { name = "cosine", factor = 0.1 })",
           R"(schedule = { max_lr = 0.1 })",
           R"(initializer = { name = "he_normal", std = 0.1 })",
       }) {
    const Outcome outcome = parse("[train]\n" + train + "\n" + std::string(kData) + std::string(kModel));
    ASSERT_TRUE(outcome.config) << all(outcome.findings);
    ASSERT_EQ(outcome.config->warnings.size(), 1U) << train;
    EXPECT_EQ(outcome.config->warnings[0].severity, Severity::warning);
    EXPECT_EQ(outcome.config->warnings[0].code[0], 'T');
  }
}

TEST(Config, WhereFindsTheNearestPlace) {
  const Outcome outcome =
      parse(std::string(kData) + std::string(kModel) + "[train]\noptimizer = { lr = 0.1 }\n", {{"train.epochs", "3"}});
  ASSERT_TRUE(outcome.config) << all(outcome.findings);
  EXPECT_EQ(to_string(outcome.config->where("train.optimizer.lr")), "run.toml:7:20");
  EXPECT_EQ(to_string(outcome.config->where("train.optimizer.momentum")), "run.toml:7:13");
  EXPECT_EQ(to_string(outcome.config->where("train.loss")), "run.toml:6:1");
  EXPECT_EQ(to_string(outcome.config->where("memory.budget")), "run.toml:1:1");
  EXPECT_EQ(to_string(outcome.config->where("train.epochs")), "--set train.epochs");
}

TEST_F(LoadTest, FilesThatAreNoConfigs) {
  std::string deep = "x = ";
  for (int i = 0; i < 300; ++i) deep += "[";
  std::string dotted = "a";
  for (int i = 0; i < 100'000; ++i) dotted += ".a";
  std::string mixed = "x = ";
  for (int i = 0; i < 250; ++i) mixed += "{ a.a.a.a.a.a.a.a = ";
  mixed += "1";
  for (int i = 0; i < 250; ++i) mixed += " }";
  struct Case {
    std::string name, text, what;
  };
  for (const Case& c : std::vector<Case>{
           {"mixed.toml", mixed, "unknown key"},
           {"empty.toml", "", "no [data]"},
           {"blank.toml", " \n\n# nothing\n", "no [data]"},
           {"binary.toml",
            std::string("\x7f"
                        "ELF\0\x01\xff\xfe",
                        9),
            "not TOML"},
           {"utf8.toml", "name = \"\xc3\x28\"", "not TOML"},
           {"syntax.toml", "[data\ntrain = 1", "not TOML"},
           {"twice.toml", "name = 'a'\nname = 'b'\n", "not TOML"},
           {"table-twice.toml", "[train]\n[train]\n", "not TOML"},
           {"deep.toml", deep, "not TOML"},
           {"dotted.toml", dotted + " = 1", "dotted key"},
           {"dotted-table.toml", "[" + dotted + "]", "dotted key"},
           {"large.toml", "# " + std::string(5 << 20, 'x'), "bytes"},
       }) {
    const auto found = findings(write(c.name, c.text));
    ASSERT_FALSE(found.empty()) << c.name;
    EXPECT_EQ(found[0].code[0], 'C');
    EXPECT_THAT(found[0].what, HasSubstr(c.what)) << c.name;
    EXPECT_THAT(found[0].where, HasSubstr(c.name + ":")) << c.name;
  }
  EXPECT_EQ(findings(folder_).size(), 1U);
  EXPECT_THAT(findings(folder_)[0].what, HasSubstr("folder"));
  write("quickstart.toml", "");
  const auto missing = findings(folder_ / "quikstart.toml");
  ASSERT_EQ(missing.size(), 1U);
  EXPECT_EQ(missing[0].code[0], 'C');
  EXPECT_THAT(missing[0].fix, HasSubstr("quickstart.toml"));
}

TEST_F(LoadTest, DuplicateKeysNameTheSecondPlace) {
  const auto found = findings(write("a.toml", "[train]\nepochs = 1\nepochs = 2\n"));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0].where, HasSubstr("a.toml:3:"));
  EXPECT_THAT(found[0].fix, HasSubstr("once"));
}

TEST_F(LoadTest, PathsStartFromTheConfigOrTheDataRoot) {
  const fs::path path = write("a.toml", "[data]\ntrain = { folder = \"cats\" }\n" + std::string(kModel));
  EXPECT_EQ(load_config(path).data.train->path, (folder_ / "cats").string());
  EXPECT_EQ(load_config(path, {.data_root = "/data"}).data.train->path, "/data/cats");
  EXPECT_EQ(load_config(path, {.set = {{"data.train.folder", "/dogs"}}, .data_root = "/data"}).data.train->path,
            "/dogs");
}

TEST_F(LoadTest, ModelFilesAreFoundBesideTheConfigAndAmongTheInstalled) {
  const std::string net =
      "[model]\ninput = [32, 32, 3]\nbn_momentum = 0.2\nlayers = [{ flatten = true }, "
      "{ dense = \"classes\" }]\n";
  write("beside/net.toml", net);
  write("installed/models/other.toml", net);
  const std::string head(kData);
  const fs::path beside = write("beside/a.toml", head + "[model]\nfile = \"net.toml\"\n");
  const Config plain = load_config(beside);
  EXPECT_EQ(std::get<DenseLayer>(plain.model.layers[1].what).units, 1000);
  EXPECT_THAT(plain.model.input, ElementsAre(32, 32, 3));
  EXPECT_EQ(plain.model.bn_momentum, 0.2);
  EXPECT_THAT(plain.model.layers[0].where.file, HasSubstr("net.toml"));

  const fs::path changed =
      write("beside/b.toml", head + "[model]\nfile = \"net.toml\"\nclasses = 7\ninput = [16, 16, 1]\n");
  EXPECT_EQ(std::get<DenseLayer>(load_config(changed).model.layers[1].what).units, 7);
  EXPECT_THAT(load_config(changed).model.input, ElementsAre(16, 16, 1));
  EXPECT_EQ(load_config(changed, {.set = {{"model.classes", "5"}}}).model.classes, 5);

  const fs::path installed = write("a.toml", head + "[model]\nfile = \"models/other.toml\"\n");
  EXPECT_EQ(findings(installed).size(), 1U);
  ::setenv("SNUG_CONFIGS", (folder_ / "installed").c_str(), 1);
  EXPECT_EQ(load_config(installed).model.layers.size(), 2U);
  const auto near = findings(write("c.toml", head + "[model]\nfile = \"models/otter.toml\"\n"));
  ::unsetenv("SNUG_CONFIGS");
  ASSERT_EQ(near.size(), 1U);
  EXPECT_EQ(near[0].fix, "file = \"models/other.toml\"");
}

TEST_F(LoadTest, FindingsOfModelFilesStandThere) {
  struct Case {
    std::string text, where;
  };
  for (const Case& c : std::vector<Case>{
           {"[model]\ninput = [32, 32, 3]\nlayers = [{ conv = 0, kernel = 3 }]\n", "net.toml:3:20"},
           {"[model]\nlayers = [{ flatten = true }]\n", "net.toml:1:1"},
           {"[model]\ninput = [32, 32, 3]\nlayers = [{ flatten = true }]\n[train]\nepochs = 3\n", "net.toml:4:2"},
           {"[model]\nfile = \"other.toml\"\n", "net.toml:2:1"},
           {"[model\n", "net.toml:1:7"},
           {"", "net.toml:1:1"},
       }) {
    write("net.toml", c.text);
    const auto found = findings(write("a.toml", std::string(kData) + "[model]\nfile = \"net.toml\"\n"));
    ASSERT_EQ(found.size(), 1U) << c.text << all(found);
    EXPECT_THAT(found[0].where, HasSubstr(c.where)) << all(found);
  }
  write("net.toml", kModel);
  const auto both = findings(write("b.toml", std::string(kData) +
                                                 "[model]\ninput = [1, 1, 1]\nfile = \"net.toml\"\nlayers = [{ flatten "
                                                 "= true }]\n"));
  ASSERT_EQ(both.size(), 1U) << all(both);
  EXPECT_THAT(both[0].what, HasSubstr("exclude"));
}

TEST_F(LoadTest, BareModels) {
  const fs::path path = write("net.toml", kModel);
  const Config model = load_config(path, {.model_only = true});
  EXPECT_EQ(model.name, "net");
  EXPECT_FALSE(model.data.train);
  EXPECT_EQ(findings(path).size(), 1U);
  EXPECT_EQ(findings(write("whole.toml", std::string(kModel) + "[train]\nepochs = 0\n"), {.model_only = true}).size(),
            1U);
}

}  // namespace
}  // namespace snug::config
