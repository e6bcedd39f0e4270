// Faults of data and labels in real files: each is found, is gone with its fix, and a near miss says nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "check/catalogue.h"
#include "check/whole.h"

namespace snug::test {
namespace {

using testing::HasSubstr;

using Change = std::function<void(const DataFolder&, Config4&)>;

struct DataCase {
  std::string name, code;
  Severity severity = Severity::error;
  std::string where;  ///< a part of it
  std::vector<std::string> what;
  std::string fix;
  Change fault;
  Change mend;  ///< where the fix is about files; else it is pasted into the config
  Change near_miss;
};
void PrintTo(const DataCase& c, std::ostream* out) { *out << c.name; }  // NOLINT(readability-identifier-naming)

std::string all(const Outcome& outcome) {
  std::string text;
  for (const Diagnostic& finding : outcome.findings) text += to_string(finding) + "\n";
  return text;
}

class WholeData : public testing::TestWithParam<DataCase> {
 protected:
  WholeData() {
    write_split(folder_, "train", 240);
    write_split(folder_, "val", 120, 1000);
  }
  Outcome check(const Config4& config) {
    folder_.text("c.toml", config.text());
    return check_file(folder_ / "c.toml");
  }
  DataFolder folder_;
  Config4 config_;
};

TEST_P(WholeData, IsFoundAndGoneWithItsFix) {
  const DataCase& c = GetParam();
  c.fault(folder_, config_);
  const Outcome outcome = check(config_);
  const Diagnostic* found = outcome.find(c.code);
  ASSERT_NE(found, nullptr) << all(outcome);
  if (c.severity != Severity::note) {
    EXPECT_EQ(outcome.faults().size(), 1U) << "one cause, one finding\n" << all(outcome);
  }
  EXPECT_EQ(found->severity, c.severity);
  EXPECT_THAT(found->where, HasSubstr(c.where));
  for (const std::string& part : c.what) EXPECT_THAT(found->what, HasSubstr(part));
  EXPECT_THAT(found->fix, HasSubstr(c.fix));
  EXPECT_LE(found->what.size(), 170U) << "160 characters";
  EXPECT_NE(find_code(found->code), nullptr) << "docs/findings.md lacks it";
  const bool data = c.code[0] == 'D' || c.code[0] == 'L';
  EXPECT_EQ(outcome.exit_code, c.severity != Severity::error ? 0 : data ? 3 : 2);

  if (c.mend) {
    c.mend(folder_, config_);
    const Outcome mended = check(config_);
    EXPECT_EQ(mended.find(c.code), nullptr) << all(mended);
    EXPECT_TRUE(mended.faults().empty()) << all(mended);
  } else {
    const std::string text = pasted(config_.text(), *found);
    folder_.text("c.toml", text);
    const Outcome mended = check_file(folder_ / "c.toml");
    EXPECT_EQ(mended.find(c.code), nullptr) << text << all(mended);
    EXPECT_TRUE(mended.faults().empty()) << text << all(mended);
  }
}

TEST_P(WholeData, IsNotSeenInTheNearMiss) {
  const DataCase& c = GetParam();
  if (c.near_miss) c.near_miss(folder_, config_);
  const Outcome outcome = check(config_);
  EXPECT_EQ(outcome.find(c.code), nullptr) << all(outcome);
  EXPECT_TRUE(outcome.faults().empty()) << all(outcome);
}

// ---- files ----------------------------------------------------------------------------------------------------

template <class T>
Change images(const std::string& name, const std::string& descr, std::vector<std::int64_t> shape,
              std::function<T(std::int64_t)> value, bool fortran = false) {
  return [=](const DataFolder& folder, Config4&) {
    write_array<T>(folder / (name + "-x.npy"), descr, shape, value, fortran);
  };
}
template <class T>
Change labels(const std::string& name, const std::string& descr, std::vector<std::int64_t> shape,
              std::function<T(std::int64_t)> value) {
  return [=](const DataFolder& folder, Config4&) { write_array<T>(folder / (name + "-y.npy"), descr, shape, value); };
}
Change config(std::function<void(Config4&)> change) {
  return [=](const DataFolder&, Config4& c) { change(c); };
}
Change both(Change a, Change b) {
  return [=](const DataFolder& folder, Config4& c) {
    a(folder, c);
    b(folder, c);
  };
}
Change bytes(const std::string& name, std::int64_t samples, std::int64_t first = 0) {
  return [=](const DataFolder& folder, Config4&) { write_split(folder, name, samples, first); };
}
Change sound() { return both(bytes("train", 240), bytes("val", 120, 1000)); }

const std::vector<std::int64_t> kTrain{240, kSide, kSide, 3}, kVal{120, kSide, kSide, 3};
std::uint8_t byte_at(std::int64_t i) { return static_cast<std::uint8_t>(pixel_of(i)); }
std::function<float(std::int64_t)> floats(double scale, double shift = 0, std::int64_t first = 0) {
  return [=](std::int64_t i) { return static_cast<float>(pixel_of(i, first) * scale + shift); };
}
Change float_splits(double scale, double shift, double val_scale, double val_shift) {
  return both(images<float>("train", "<f4", kTrain, floats(scale, shift)),
              images<float>("val", "<f4", kVal, floats(val_scale, val_shift, 1000)));
}
/// Labels of all samples from a function.
Change train_labels(std::function<std::int64_t(std::int64_t)> value) {
  return labels<std::int64_t>("train", "<i8", {240}, value);
}
Change rows(std::int64_t width, std::function<float(std::int64_t, std::int64_t)> value) {
  return both(labels<float>("train", "<f4", {240, width}, [=](std::int64_t i) { return value(i / width, i % width); }),
              labels<float>("val", "<f4", {120, width}, [=](std::int64_t i) { return value(i / width, i % width); }));
}
float one_hot_at(std::int64_t sample, std::int64_t column) { return sample % kClasses == column ? 1.0F : 0.0F; }
Change loss(const std::string& name) {
  return config([=](Config4& c) { c.train += "loss = \"" + name + "\"\n"; });
}
Change data_line(const std::string& line) {
  return config([=](Config4& c) { c.data += line + "\n"; });
}
const std::string kRowLoss = "categorical_crossentropy";

INSTANTIATE_TEST_SUITE_P(
    Files, WholeData,
    testing::Values(
        DataCase{.name = "flat images",
                 .code = "D109",
                 .where = "train-x.npy",
                 .what = {"2 axes (240×432)"},
                 .fix = "x.reshape(-1, 12, 12, 3)",
                 .fault = images<std::uint8_t>("train", "|u1", {240, kImage}, byte_at),
                 .mend = sound()},
        DataCase{.name = "no channel axis",
                 .code = "D111",
                 .where = "train-x.npy[0]",
                 .what = {"12×12×1 (gray)", "12×12×3"},
                 .fix = "gray_to_rgb = true",
                 .fault = both(images<std::uint8_t>("train", "|u1", {240, kSide, kSide}, byte_at),
                               images<std::uint8_t>("val", "|u1", {120, kSide, kSide},
                                                    [](std::int64_t i) { return byte_at(i + 500'000); }))},
        DataCase{.name = "channels first",
                 .code = "D110",
                 .where = "train-x.npy",
                 .what = {"240×3×12×12", "12×12×3"},
                 .fix = "layout = \"nchw\"",
                 .fault = both(images<std::uint8_t>("train", "|u1", {240, 3, kSide, kSide}, byte_at),
                               images<std::uint8_t>("val", "|u1", {120, 3, kSide, kSide},
                                                    [](std::int64_t i) { return byte_at(i + 500'000); })),
                 .near_miss = both(both(images<std::uint8_t>("train", "|u1", {240, 3, kSide, kSide}, byte_at),
                                        images<std::uint8_t>("val", "|u1", {120, 3, kSide, kSide},
                                                             [](std::int64_t i) { return byte_at(i + 500'000); })),
                                   data_line("layout = \"nchw\""))},
        DataCase{.name = "another size",
                 .code = "D111",
                 .where = "train-x.npy[0]",
                 .what = {"12×12×3", "16×16×3"},
                 .fix = "input = [12, 12, 3]",
                 .fault = config([](Config4& c) { c.input = "[16, 16, 3]"; }),
                 .mend = config([](Config4& c) { c.input = "[12, 12, 3]"; })},
        DataCase{.name = "the count in model.input",
                 .code = "C006",
                 .where = "c.toml:5:9",
                 .what = {"3 entries, got 4"},
                 .fix = "input = [",
                 .fault = config([](Config4& c) { c.input = "[240, 12, 12, 3]"; }),
                 .mend = config([](Config4& c) { c.input = "[12, 12, 3]"; })},
        DataCase{.name = "the count for the height",
                 .code = "D111",
                 .where = "train-x.npy[0]",
                 .what = {"12×12×3", "240×12×12: the number of images is no part of it"},
                 .fix = "input = [12, 12, 3]",
                 .fault = config([](Config4& c) { c.input = "[240, 12, 12]"; }),
                 .mend = config([](Config4& c) { c.input = "[12, 12, 3]"; })},
        DataCase{.name = "fewer labels",
                 .code = "L120",
                 .where = "train-y.npy",
                 .what = {"200 labels", "240 images"},
                 .fix = "labels = \"FILE\"",
                 .fault = labels<std::int64_t>("train", "<i8", {200}, [](std::int64_t i) { return i % 4; }),
                 .mend = sound()},
        DataCase{.name = "no images",
                 .code = "D108",
                 .where = "val-x.npy",
                 .what = {"0 images"},
                 .fix = "at least one",
                 .fault = both(images<std::uint8_t>("val", "|u1", {0, kSide, kSide, 3}, byte_at),
                               labels<std::int64_t>("val", "<i8", {0}, [](std::int64_t) { return 0; })),
                 .mend = sound()},
        DataCase{.name = "a truncated file",
                 .code = "D104",
                 .where = "train-x.npy",
                 .what = {"103,808"},
                 .fix = "",
                 .fault = [](const DataFolder& folder,
                             Config4&) { std::filesystem::resize_file(folder / "train-x.npy", 50'000); },
                 .mend = sound()},
        DataCase{.name = "objects",
                 .code = "D107",
                 .where = "train-x.npy",
                 .what = {"object"},
                 .fix = "np.",
                 .fault = images<std::uint64_t>("train", "|O", {240}, [](std::int64_t) { return 0; }),
                 .mend = sound()},
        DataCase{.name = "strings for labels",
                 .code = "L107",
                 .where = "train-y.npy",
                 .what = {"U"},
                 .fix = "np.",
                 .fault = labels<std::uint32_t>("train", "<U1", {240}, [](std::int64_t) { return 'a'; }),
                 .mend = sound()},
        DataCase{.name = "a missing file",
                 .code = "D101",
                 .where = "trian-x.npy",
                 .what = {"trian-x.npy"},
                 .fix = "train-x.npy",
                 .fault = config([](Config4& c) { c.data.replace(c.data.find("train-x"), 7, "trian-x"); }),
                 .mend = config([](Config4& c) { c.data.replace(c.data.find("trian-x"), 7, "train-x"); })}));

INSTANTIATE_TEST_SUITE_P(
    Values, WholeData,
    testing::Values(
        DataCase{.name = "bytes in int64", .code = "D216", .where = "train-x.npy[0]",
                 .what = {"int64", "20 to 229", "9.223e+18"}, .fix = "x.astype(np.uint8)",
                 .fault = both(images<std::int64_t>("train", "<i8", kTrain, [](std::int64_t i) { return pixel_of(i); }),
                               images<std::int64_t>("val", "<i8", kVal,
                                                    [](std::int64_t i) { return pixel_of(i, 1000); })),
                 .mend = sound(),
                 .near_miss = both(both(images<std::int64_t>("train", "<i8", kTrain,
                                                             [](std::int64_t i) { return pixel_of(i); }),
                                        images<std::int64_t>("val", "<i8", kVal,
                                                             [](std::int64_t i) { return pixel_of(i, 1000); })),
                                   data_line("normalize = \"per-channel\""))},
        DataCase{.name = "zeros and ones in bytes", .code = "D216", .severity = Severity::warning,
                 .where = "train-x.npy[0]", .what = {"0 to 1", "divided by 255"}, .fix = "normalize = \"per-channel\"",
                 .fault = both(images<std::uint8_t>("train", "|u1", kTrain,
                                                    [](std::int64_t i) { return byte_at(i) % 2; }),
                               images<std::uint8_t>("val", "|u1", kVal,
                                                    [](std::int64_t i) { return byte_at(i + 432'000) % 2; }))},
        DataCase{.name = "a NaN", .code = "D204", .where = "train-x.npy[17]", .what = {"image 17", "432 values"},
                 .fix = "np.isfinite",
                 .fault = both(float_splits(0.004, 0, 0.004, 0),
                               images<float>("train", "<f4", kTrain,
                                             [](std::int64_t i) {
                                               return i == 17 * kImage + 5 ? std::numeric_limits<float>::quiet_NaN()
                                                                           : floats(0.004)(i);
                                             })),
                 .mend = float_splits(0.004, 0, 0.004, 0), .near_miss = float_splits(0.004, 0, 0.004, 0)},
        DataCase{.name = "unscaled floats", .code = "D207", .severity = Severity::warning, .where = "train-x.npy[0]",
                 .what = {"float32", "20 to 229", "nothing scales"}, .fix = "normalize = \"0-1\"",
                 .fault = float_splits(1, 0, 1, 0),
                 .near_miss = both(float_splits(1, 0, 1, 0), data_line("normalize = \"0-1\""))},
        DataCase{.name = "scaled twice", .code = "D208", .severity = Severity::warning, .where = "c.toml:4:13",
                 .what = {"0.07843 to 0.898", "scaled twice"}, .fix = "normalize = \"none\"",
                 .fault = both(float_splits(1 / 255.0, 0, 1 / 255.0, 0), data_line("normalize = \"0-1\"")),
                 .near_miss = float_splits(1 / 255.0, 0, 1 / 255.0, 0)},
        DataCase{.name = "splits scaled differently", .code = "D209", .where = "val-x.npy[0]",
                 .what = {"data.val is 20 to 229", "data.train 0.07843 to 0.898"}, .fix = "x / 255",
                 .fault = float_splits(1 / 255.0, 0, 1, 0), .mend = float_splits(1 / 255.0, 0, 1 / 255.0, 0),
                 .near_miss = float_splits(1 / 255.0, 0, 1 / 300.0, 0.05)},
        DataCase{.name = "only one split centered", .code = "D209", .where = "val-x.npy[0]", .what = {"scaled differently"},
                 .fix = "SAME(x)", .fault = float_splits(1 / 64.0, -2, 1 / 64.0, 0),
                 .mend = float_splits(1 / 64.0, -2, 1 / 64.0, -2)},
        DataCase{.name = "mean and std of the other scale", .code = "D210", .where = "c.toml:4",
                 .what = {"mean 117", "values of 0.0784 to 0.898", "0 to 255"}, .fix = "mean = [0.4",
                 .fault = data_line("normalize = { mean = [123.7, 116.8, 110.0], std = [58.4, 57.1, 57.4] }"),
                 .near_miss = data_line("normalize = { mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }")},
        DataCase{.name = "mean and std of 0..1 on 0..255", .code = "D210", .where = "c.toml:4",
                 .what = {"mean 0.449", "values of 20 to 229", "0 to 1"}, .fix = "normalize = \"per-channel\"",
                 .fault = both(float_splits(1, 0, 1, 0),
                               data_line("normalize = { mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }"))},
        DataCase{.name = "constant", .code = "D205", .where = "train-x.npy[0]", .what = {"240 images", "is 7"},
                 .fix = "again", .fault = images<std::uint8_t>("train", "|u1", kTrain, [](std::int64_t) { return 7; }),
                 .mend = sound()},
        DataCase{.name = "blank images", .code = "D212", .severity = Severity::warning, .where = "train-x.npy[40]",
                 .what = {"5 of 240", "first image 40"}, .fix = "keep",
                 .fault = images<std::uint8_t>("train", "|u1", kTrain,
                                               [](std::int64_t i) {
                                                 return i / kImage % 40 == 0 && i > 0 ? std::uint8_t{9} : byte_at(i);
                                               }),
                 .mend = sound()},
        DataCase{.name = "copies", .code = "D213", .severity = Severity::warning, .where = "train-x.npy[200]",
                 .what = {"40 of 240", "image 200 of image 0"}, .fix = "np.unique",
                 .fault = images<std::uint8_t>("train", "|u1", kTrain,
                                               [](std::int64_t i) { return byte_at(i % (200 * kImage)); }),
                 .mend = sound()},
        DataCase{.name = "the same images in val", .code = "D214", .severity = Severity::warning,
                 .where = "val-x.npy[0]", .what = {"120 of 120", "data.train too"}, .fix = "val_split = 0.1",
                 .fault = bytes("val", 120, 60), .mend = sound()},
        DataCase{.name = "one image with two labels", .code = "D215", .severity = Severity::warning,
                 .where = "train-y.npy[200]", .what = {"40 images", "200 is"}, .fix = "np.unique",
                 .fault = both(images<std::uint8_t>("train", "|u1", kTrain,
                                                    [](std::int64_t i) { return byte_at(i % (200 * kImage)); }),
                               train_labels([](std::int64_t i) { return (i < 200 ? i : i + 1) % 4; })),
                 .mend = sound()},
        DataCase{.name = "float64", .code = "D218", .severity = Severity::note, .where = "train-x.npy[0]",
                 .what = {"float64", "float32"}, .fix = "x.astype(np.float32)",
                 .fault = both(images<double>("train", "<f8", kTrain, [](std::int64_t i) { return pixel_of(i) / 255.0; }),
                               images<double>("val", "<f8", kVal,
                                              [](std::int64_t i) { return pixel_of(i, 1000) / 255.0; })),
                 .mend = float_splits(1 / 255.0, 0, 1 / 255.0, 0)},
        DataCase{.name = "big-endian Fortran arrays are read", .code = "D218", .severity = Severity::note,
                 .where = "train-x.npy[0]", .what = {"float64"}, .fix = "np.float32",
                 .fault = both(images<double>("train", "<f8", kTrain, [](std::int64_t i) { return pixel_of(i) / 255.0; }),
                               images<double>("val", "<f8", kVal,
                                              [](std::int64_t i) { return pixel_of(i, 1000) / 255.0; }, false)),
                 .mend = sound(),
                 .near_miss = both(images<std::uint16_t>("train", ">u2", kTrain,
                                                         [](std::int64_t i) {
                                                           return static_cast<std::uint16_t>(pixel_of(i));  // the high byte
                                                         },
                                                         true),
                                   images<std::uint16_t>("val", ">u2", kVal,
                                                         [](std::int64_t i) {
                                                           return static_cast<std::uint16_t>(pixel_of(i, 1000));
                                                         },
                                                         true))}));

INSTANTIATE_TEST_SUITE_P(
    Labels, WholeData,
    testing::Values(
        DataCase{.name = "beyond the outputs",
                 .code = "L202",
                 .where = "train-y.npy[33]",
                 .what = {"label 9", "0 to 3", "4 outputs"},
                 .fix = "ignore_label = 9",
                 .fault = train_labels([](std::int64_t i) { return i == 33 ? 9 : i % 4; })},
        DataCase{.name = "a marker below 0",
                 .code = "L121",
                 .where = "train-y.npy[12]",
                 .what = {"label -1", "240"},
                 .fix = "ignore_label = -1",
                 .fault = train_labels([](std::int64_t i) { return i == 12 ? -1 : i % 4; })},
        DataCase{.name = "counted from 1",
                 .code = "L203",
                 .where = "train-y.npy[3]",
                 .what = {"labels are 1 to 4 for 4 outputs"},
                 .fix = "label_offset = -1",
                 .fault = both(train_labels([](std::int64_t i) { return i % 4 + 1; }),
                               labels<std::int64_t>("val", "<i8", {120}, [](std::int64_t i) { return i % 4 + 1; }))},
        DataCase{.name = "numbers for a loss of rows",
                 .code = "L201",
                 .where = "c.toml:15:8",
                 .what = {"rows of 4 values", "0 to 3"},
                 .fix = "loss = \"sparse_categorical_crossentropy\"",
                 .fault = loss(kRowLoss)},
        DataCase{.name = "rows for a loss of numbers",
                 .code = "L201",
                 .where = "c.toml",
                 .what = {"rows of 4"},
                 .fix = "loss = \"categorical_crossentropy\"",
                 .fault = rows(4, one_hot_at),
                 .near_miss = both(rows(4, one_hot_at), loss(kRowLoss))},
        DataCase{.name = "rows of another width",
                 .code = "L206",
                 .where = "train-y.npy[0]",
                 .what = {"rows of 5 values", "4 outputs"},
                 .fix = "{ dense = 5 }",
                 .fault = both(rows(5, [](auto s, auto c) { return s % 5 == c ? 1.0F : 0.0F; }), loss(kRowLoss)),
                 .mend = config([](Config4& c) { c.layers.replace(c.layers.find("dense = 4"), 9, "dense = 5"); })},
        DataCase{.name = "rows that sum to 2",
                 .code = "L205",
                 .where = "train-y.npy[0]",
                 .what = {"sums to 2"},
                 .fix = "loss = \"binary_crossentropy\"",
                 .fault = both(rows(4, [](auto s, auto c) { return s % 4 == c || (s + 1) % 4 == c ? 1.0F : 0.0F; }),
                               loss(kRowLoss)),
                 .mend = config([](Config4& c) {
                   c.train.replace(c.train.find(kRowLoss), kRowLoss.size(), "binary_crossentropy");
                 }),
                 .near_miss = both(rows(4, [](auto s, auto c) { return s % 4 == c ? 0.7F : 0.1F; }), loss(kRowLoss))},
        DataCase{.name = "fractions for class numbers",
                 .code = "L201",
                 .where = "c.toml",
                 .what = {"floats"},
                 .fix = "y.astype(np.int64)",
                 .fault = both(labels<float>("train", "<f4", {240}, [](std::int64_t i) { return 0.5F * (i % 4); }),
                               labels<float>("val", "<f4", {120}, [](std::int64_t i) { return 0.5F * (i % 4); })),
                 .mend = sound()},
        DataCase{.name = "one class only",
                 .code = "L204",
                 .where = "train-y.npy[0]",
                 .what = {"all 240 labels", "are 2"},
                 .fix = "labels = \"FILE\"",
                 .fault = train_labels([](std::int64_t) { return 2; }),
                 .mend = sound()},
        DataCase{.name = "one class in rows",
                 .code = "L204",
                 .where = "train-y.npy[0]",
                 .what = {"all 240 labels"},
                 .fix = "labels = \"FILE\"",
                 .fault = both(rows(4, [](auto, auto c) { return c == 1 ? 1.0F : 0.0F; }), loss(kRowLoss)),
                 .mend = rows(4, one_hot_at)},
        DataCase{.name = "imbalance",
                 .code = "L207",
                 .severity = Severity::warning,
                 .where = "train-y.npy[0]",
                 .what = {"class 0 has 210 of 240", "class 1 has 10", "87.5 %"},
                 .fix = "class_weights = [0.286, 6, 6, 6]",
                 .fault = train_labels([](std::int64_t i) { return i < 210 ? 0 : 1 + i % 3; }),
                 .near_miss = train_labels([](std::int64_t i) { return i < 120 ? 0 : 1 + i % 3; })},
        DataCase{.name = "sorted and not shuffled",
                 .code = "L208",
                 .severity = Severity::warning,
                 .where = "c.toml:4:11",
                 .what = {"3 changes in 240"},
                 .fix = "shuffle = true",
                 .fault = both(train_labels([](std::int64_t i) { return i / 60; }), data_line("shuffle = false")),
                 .near_miss = data_line("shuffle = false")},
        DataCase{.name = "val of one class",
                 .code = "L209",
                 .severity = Severity::warning,
                 .where = "val-y.npy[0]",
                 .what = {"all 120 samples of data.val are class 3", "4 classes"},
                 .fix = "val_split = 0.1",
                 .fault = labels<std::int64_t>("val", "<i8", {120}, [](std::int64_t) { return 3; }),
                 .mend = sound()},
        DataCase{.name = "a class without samples",
                 .code = "L210",
                 .severity = Severity::warning,
                 .where = "train-y.npy[0]",
                 .what = {"1 of 4 classes", "class 2"},
                 .fix = "np.unique",
                 .fault = both(train_labels([](std::int64_t i) { return i % 3 == 2 ? 3 : i % 3; }),
                               labels<std::int64_t>("val", "<i8", {120},
                                                    [](std::int64_t i) { return i % 3 == 2 ? 3 : i % 3; })),
                 .mend = sound()},
        DataCase{.name = "a class that val alone has",
                 .code = "L211",
                 .severity = Severity::warning,
                 .where = "val-y.npy[3]",
                 .what = {"class 3 of data.val has 30 samples"},
                 .fix = "val_split = 0.1",
                 .fault = train_labels([](std::int64_t i) { return i % 3; }),
                 .mend = sound()},
        DataCase{.name = "a class that val lacks",
                 .code = "L211",
                 .severity = Severity::warning,
                 .where = "val-y.npy[0]",
                 .what = {"1 of 4 classes", "class 3"},
                 .fix = "val_split = 0.1",
                 .fault = labels<std::int64_t>("val", "<i8", {120}, [](std::int64_t i) { return i % 3; }),
                 .mend = sound()},
        DataCase{.name = "mse on one-hot rows",
                 .code = "F109",
                 .severity = Severity::warning,
                 .where = "c.toml:15:8",
                 .what = {"4 classes"},
                 .fix = "loss = \"categorical_crossentropy\"",
                 .fault = both(rows(4, one_hot_at), loss("mse")),
                 .near_miss = both(rows(4, [](auto s, auto c) { return 0.1F * static_cast<float>(s % 7 + c); }),
                                   loss("mse"))},
        DataCase{.name = "a batch that leaves one over",
                 .code = "A201",
                 .where = "c.toml:9:3",
                 .what = {"240 samples in batches of 239"},
                 .fix = "drop_last = true",
                 .fault = config([](Config4& c) {
                   c.layers =
                       "  { global_avgpool = true },\n  { dense = 8 },\n  { batchnorm = true },\n  { dense = 4 },\n";
                   c.layers =
                       "  { global_avgpool = true },\n  { dense = 8, activation = \"relu\" },\n"
                       "  { batchnorm = true },\n  { dense = 4 },\n";
                   c.train = "epochs = 4\nbatch = 239\n";
                 })},
        DataCase{.name = "an average that begins too late",
                 .code = "T118",
                 .severity = Severity::warning,
                 .where = "c.toml:14:7",
                 .what = {"ema = 0.9999 over 400 steps", "96 %"},
                 .fix = "ema = 0.975",
                 .fault = config([](Config4& c) { c.train = "epochs = 100\nbatch = 60\nema = 0.9999\n"; }),
                 .mend = config([](Config4& c) { c.train = "epochs = 100\nbatch = 60\nema = 0.975\n"; })}));

}  // namespace
}  // namespace snug::test
