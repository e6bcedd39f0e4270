#include <limits>

#include "data/files.h"

namespace snug {
namespace {

const std::string kLabels = npy("<i8", "(2,)", stored_all<std::int64_t>({1, 0}));

std::shared_ptr<const Dataset> open_pair(const TempFolder& folder, std::string_view images, std::string_view labels,
                                         const DataConfig& config = {}, std::array<std::int64_t, 3> input = {0, 0, 0}) {
  const DataSource source =
      array_source(folder.write("x.npy", images), folder.write("y.npy", labels), DataFormat::numpy);
  return open_source(source, config, input, 1);
}

TEST(Npy, ReadsEveryTypeInBothByteOrders) {
  struct Case {
    std::string name;
    std::string type;
    double max;
    std::string little, big;
    float value;
  };
  const auto both = [](std::string name, std::string type, double max, auto value) {
    return Case{std::move(name), std::move(type), max, stored(value), stored(value, true), static_cast<float>(value)};
  };
  const std::vector<Case> cases{
      both("uint8", "u1", 255, std::uint8_t{200}),
      both("uint16", "u2", 65535, std::uint16_t{0x1234}),
      both("uint32", "u4", 4294967295.0, std::uint32_t{0x12345678}),
      both("uint64", "u8", 18446744073709551615.0, std::uint64_t{0xFFFF000000000000}),
      both("int8", "i1", 127, std::int8_t{-100}),
      both("int16", "i2", 32767, std::int16_t{-1234}),
      both("int32", "i4", 2147483647, std::int32_t{-123456}),
      both("int64", "i8", 9223372036854775807.0, std::int64_t{-123456789}),
      both("float32", "f4", 0, 0.375F),
      both("float64", "f8", 0, -2.5),
      {"float16", "f2", 0, stored<std::uint16_t>(0xC100), stored<std::uint16_t>(0xC100, true), -2.5F},
      {"bool", "b1", 1, "\x01", "\x01", 1},
  };
  for (const Case& c : cases) {
    for (const std::string order : {"<", ">", "|", "="}) {
      const TempFolder folder;
      const std::string one = order == ">" ? c.big : c.little;
      const auto data = open_pair(folder, npy(order + c.type, "(2, 1, 1)", one + one), kLabels);
      EXPECT_EQ(data->info().source_dtype, c.name);
      EXPECT_EQ(data->info().integer_max, c.max);
      EXPECT_EQ(data->info().dtype, c.type == "u1" || c.type == "b1" ? DType::u8 : DType::f32);
      EXPECT_EQ(pixels_of(*data, 1).front(), c.value) << order << c.type;
    }
  }
}

TEST(Npy, ReadsHalfPrecisionExactly) {
  struct Case {
    std::uint16_t bits;
    float value;
  };
  for (const Case c :
       {Case{0x0000, 0.0F}, Case{0x3C00, 1.0F}, Case{0x0001, 0x1p-24F}, Case{0x03FF, 0x3FFp-24F},
        Case{0x0400, 0x1p-14F}, Case{0x7BFF, 65504.0F}, Case{0x7C00, std::numeric_limits<float>::infinity()},
        Case{0xFC00, -std::numeric_limits<float>::infinity()}}) {
    const TempFolder folder;
    const auto data = open_pair(folder, npy("<f2", "(2,1,1)", stored(c.bits) + stored(c.bits)), kLabels);
    EXPECT_EQ(pixels_of(*data, 0).front(), c.value) << c.bits;
  }
}

/// Element (n, y, x, c) of a 2×2×3×3 array is n·100 + y·30 + x·10 + c, in any order of the file.
std::string tensor(const std::string& axes, bool fortran) {
  std::string bytes;
  const std::array<std::int64_t, 4> sizes{2, 2, 3, 3};
  const std::string names = "nyxc";
  std::array<std::int64_t, 4> at{};
  const std::string order = fortran ? std::string(axes.rbegin(), axes.rend()) : axes;
  const auto size = [&](std::size_t axis) { return sizes.at(names.find(order[axis])); };
  for (at[0] = 0; at[0] < size(0); ++at[0]) {
    for (at[1] = 0; at[1] < size(1); ++at[1]) {
      for (at[2] = 0; at[2] < size(2); ++at[2]) {
        for (at[3] = 0; at[3] < size(3); ++at[3]) {
          const auto index = [&](char name) { return at.at(order.find(name)); };
          bytes += static_cast<char>(index('n') * 100 + index('y') * 30 + index('x') * 10 + index('c'));
        }
      }
    }
  }
  return bytes;
}

TEST(Npy, ReadsBothLayoutsInBothOrders) {
  for (const bool fortran : {false, true}) {
    for (const ArrayLayout layout : {ArrayLayout::nhwc, ArrayLayout::nchw}) {
      for (const std::string type : {"|u1", "|i1"}) {
        const TempFolder folder;
        DataConfig config;
        config.layout = layout;
        const bool nhwc = layout == ArrayLayout::nhwc;
        const auto data = open_pair(
            folder, npy(type, nhwc ? "(2, 2, 3, 3)" : "(2, 3, 2, 3)", tensor(nhwc ? "nyxc" : "ncyx", fortran), fortran),
            kLabels, config, {2, 3, 3});
        const auto pixels = pixels_of(*data, 1);
        for (std::size_t i = 0; i < pixels.size(); ++i) {
          const auto expected = 100 + (i / 9) * 30 + (i / 3 % 3) * 10 + i % 3;
          EXPECT_EQ(static_cast<int>(pixels[i]),
                    type == "|u1" ? static_cast<int>(expected) : static_cast<int>(static_cast<std::int8_t>(expected)))
              << i << fortran << nhwc;
        }
      }
    }
  }
}

TEST(Npy, ReadsHeadersHoweverTheyAreWritten) {
  const std::string payload = counting(8);
  const std::vector<std::string> headers{
      "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 2), }          \n",
      "{\"shape\": (2,2,2,), \"fortran_order\": False, \"descr\": \"|u1\"}",
      "{ 'shape' : ( 2L , 2L, 2L ) , 'descr' : '|u1','fortran_order':False,}\n",
  };
  for (const std::string& header : headers) {
    for (const int version : {1, 2, 3}) {
      const TempFolder folder;
      const auto data = open_pair(folder, npy_raw(header, payload, version), kLabels);
      EXPECT_EQ(pixels_of(*data, 1), (std::vector<float>{4, 5, 6, 7})) << header;
    }
  }
}

TEST(Npy, NamesWhatIsWrongWithAFile) {
  const std::string good = npy("|u1", "(2, 2, 2)", counting(8));
  const auto header = [](std::string_view text) { return npy_raw(text, counting(8)); };
  struct Case {
    std::string images;
    Expected expected;
  };
  const std::vector<Case> cases{
      {"", {"D103", "x.npy", {"empty"}, ""}},
      {idx({2, 2, 2}, counting(8)), {"D103", "x.npy", {"an IDX file"}, "format = \"idx\""}},
      {gzip(good), {"D103", "x.npy", {"a gzip file"}, "gunzip"}},
      {"PK\x03\x04zip", {"D103", "x.npy", {"a zip archive"}, "unzip"}},
      {good.substr(0, 8), {"D104", "x.npy", {"8 bytes", "10"}, ""}},
      {good.substr(0, 40), {"D104", "x.npy", {"40 bytes"}, ""}},
      {npy_raw("{}", "", 9), {"D103", "x.npy", {"version 9"}, "np.save"}},
      {good.substr(0, good.size() - 1), {"D104", "x.npy", {"need 81 bytes", "has 80"}, ""}},
      {good + "ab", {"D104", "x.npy", {"need 81 bytes", "has 83"}, ""}},
      {npy("|O", "(2,2,2)", counting(8)), {"D107", "x.npy", {"Python objects", "|O"}, "np.array(x.tolist())"}},
      {npy("<c8", "(2,2,2)", counting(64)), {"D107", "x.npy", {"complex"}, "np.save"}},
      {npy("<U5", "(2,2,2)", counting(160)), {"D107", "x.npy", {"strings"}, "np.save"}},
      {npy("<f3", "(2,2,2)", counting(24)), {"D107", "x.npy", {"<f3"}, "np.save"}},
      {npy("u1", "(2,2,2)", counting(8)), {"D107", "x.npy", {"'u1'"}, "np.save"}},
      {header("{'descr': [('a', '<i4'), ('b', '<f8')], 'fortran_order': False, 'shape': (2,)}"),
       {"D107", "x.npy", {"record array"}, "np.save"}},
      {npy("|u1", "(2, -2, 2)", counting(8)), {"D105", "x.npy", {"2×-2×2", "negative"}, "np.save"}},
      {npy("<f8", "(4000000000, 4000000000, 4000000000)", ""), {"D105", "x.npy", {"counted"}, "np.save"}},
      {npy("|u1", "(99999999999999999999, 2, 2)", ""), {"D103", "x.npy", {"beyond 64 bits"}, "np.save"}},
      {npy("|u1", "(0, 2, 2)", ""), {"D108", "x.npy", {"0 images"}, ""}},
      {npy("|u1", "(2, 2, 0)", ""), {"D105", "x.npy", {"without pixels"}, ""}},
      {npy("|u1", "()", "a"), {"D109", "x.npy", {"0 axes", "a single value"}, "reshape"}},
      {npy("|u1", "(2, 4)", counting(8)), {"D109", "x.npy", {"2 axes", "2×4"}, "reshape"}},
      {npy("|u1", "(2, 1, 1, 1, 4)", counting(8)), {"D109", "x.npy", {"5 axes"}, "reshape"}},
      {header("{'descr': '|u1', 'shape': (2,2,2)}"), {"D103", "x.npy", {"lacks 'fortran_order'"}, "np.save"}},
      {header("{'descr': '|u1', 'descr': '|u1'}"), {"D103", "x.npy", {"'descr' twice"}, "np.save"}},
      {header("{'descr': '|u1', 'fortran_order': Perhaps, 'shape': (2,2,2)}"),
       {"D103", "x.npy", {"neither True nor False"}, "np.save"}},
      {header("{'descr': '|u1', 'more': 1}"), {"D103", "x.npy", {"'more'"}, "np.save"}},
      {header("['descr']"), {"D103", "x.npy", {"'{'"}, "np.save"}},
      {header("{'descr': '|u1', 'fortran_order': False, 'shape': (2,2,2)} x"),
       {"D103", "x.npy", {"closing brace"}, "np.save"}},
      {header("{'descr': '|u1"), {"D103", "x.npy", {"without an end"}, "np.save"}},
      {header("{'descr': [("), {"D103", "x.npy", {"without an end"}, "np.save"}},
  };
  for (const Case& c : cases) {
    const TempFolder folder;
    const auto findings = findings_of([&] { return open_pair(folder, c.images, kLabels); });
    SCOPED_TRACE(c.images.substr(0, 120));
    expect_finding(findings, c.expected);
  }
}

TEST(Npy, TakesLabelsOfEveryKind) {
  struct Case {
    std::string file;
    LabelKind kind;
    std::int64_t width;
    std::vector<float> second;  ///< the label or row of sample 1
    std::size_t classes;
  };
  const std::vector<Case> cases{
      {npy("<i8", "(2,)", stored_all<std::int64_t>({0, 3})), LabelKind::numbers, 1, {3}, 4},
      {npy(">u2", "(2, 1)", stored_all<std::uint16_t>({7, 3}, true)), LabelKind::numbers, 1, {3}, 8},
      {npy("|b1", "(2,)", std::string("\x00\x01", 2)), LabelKind::numbers, 1, {1}, 2},
      {npy("<f8", "(2,)", stored_all<double>({0.5, -1.5})), LabelKind::rows, 1, {-1.5F}, 0},
      {npy("<f4", "(2, 1)", stored_all<float>({0.5F, 2.0F})), LabelKind::rows, 1, {2}, 0},
      {npy("<f4", "(2, 3)", stored_all<float>({1, 0, 0, 0.25F, 0.5F, 0.25F})),
       LabelKind::rows,
       3,
       {0.25F, 0.5F, 0.25F},
       3},
      {npy("<f4", "(2, 3)", stored_all<float>({1, 0.25F, 0, 0.5F, 0, 0.25F}), true),
       LabelKind::rows,
       3,
       {0.25F, 0.5F, 0.25F},
       3},
      {npy("|u1", "(2, 2)", std::string("\x00\x01\x01\x01", 4)), LabelKind::rows, 2, {1, 1}, 2},
  };
  for (const Case& c : cases) {
    const TempFolder folder;
    const auto data = open_pair(folder, npy("|u1", "(2, 2, 2)", counting(8)), c.file);
    EXPECT_EQ(data->info().labels, c.kind);
    EXPECT_EQ(data->info().label_width, c.width);
    EXPECT_EQ(data->info().classes.size(), c.classes);
    std::vector<float> row(static_cast<std::size_t>(c.width));
    if (c.kind == LabelKind::rows) {
      data->read_row(1, row.data());
    } else {
      row[0] = static_cast<float>(data->label(1));
    }
    EXPECT_EQ(row, c.second);
  }
}

TEST(Npy, NamesWhatIsWrongWithLabels) {
  struct Case {
    std::string labels;
    Expected expected;
  };
  const std::vector<Case> cases{
      {npy("<i4", "(2,)", stored_all<std::int32_t>({0, -1})),
       {"L121", "y.npy[1]", {"-1", "1 of 2"}, "ignore_label = -1"}},
      {npy("<i4", "(2,)", stored_all<std::int32_t>({1, -1})), {"L121", "y.npy[1]", {"-1"}, "(y > 0)"}},
      {npy("<i4", "(2,)", stored_all<std::int32_t>({-2, -1})), {"L121", "y.npy[0]", {"2 of 2"}, "label_offset = 2"}},
      {npy("<i8", "(2,)", stored_all<std::int64_t>({0, 5'000'000})),
       {"L122", "y.npy[1]", {"5000000", "999,999"}, "np.unique"}},
      {npy("<u8", "(2,)", stored_all<std::uint64_t>({0, ~std::uint64_t{0}})),
       {"L122", "y.npy[1]", {"999,999"}, "np.unique"}},
      {npy("<f4", "(2,)", stored_all<float>({0, std::numeric_limits<float>::quiet_NaN()})),
       {"L115", "y.npy[1]", {"nan"}, "np.isfinite"}},
      {npy("<f4", "(2,2)", stored_all<float>({0, 1, std::numeric_limits<float>::infinity(), 0})),
       {"L115", "y.npy[1]", {"column 0", "inf"}, "np.isfinite"}},
      {npy("|O", "(2,)", counting(16)), {"L107", "y.npy", {"Python objects"}, "np.array(y.tolist())"}},
      {npy("<i4", "(3,)", counting(12)), {"L120", "y.npy", {"3 labels", "2 images"}, "labels"}},
  };
  for (const Case& c : cases) {
    const TempFolder folder;
    const auto findings =
        findings_of([&] { return open_pair(folder, npy("|u1", "(2, 2, 2)", counting(8)), c.labels); });
    SCOPED_TRACE(c.expected.code + c.expected.fix);
    expect_finding(findings, c.expected);
  }
}

}  // namespace
}  // namespace snug
