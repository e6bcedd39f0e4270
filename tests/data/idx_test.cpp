#include "data/files.h"

namespace snug {
namespace {

const std::string kLabels = idx({2}, std::string("\x01\x00", 2));

std::shared_ptr<const Dataset> open_pair(const TempFolder& folder, std::string_view images, std::string_view labels) {
  const DataSource source = array_source(folder.write("x", images), folder.write("y", labels), DataFormat::idx);
  return open_source(source, {}, {0, 0, 0}, 1);
}

TEST(Idx, ReadsPlainAndPackedFiles) {
  const std::string plain = idx({2, 3, 4}, counting(24));
  const std::string half = gzip(std::string_view(plain).substr(0, 10)) + gzip(std::string_view(plain).substr(10));
  for (const std::string& bytes : {plain, gzip(plain), half}) {
    const TempFolder folder;
    const auto data = open_pair(folder, bytes, gzip(kLabels));
    EXPECT_EQ(data->info().samples, 2);
    EXPECT_EQ(data->info().image, (Shape{3, 4, 1}));
    EXPECT_EQ(data->info().dtype, DType::u8);
    EXPECT_EQ(data->info().source_dtype, "uint8");
    EXPECT_EQ(data->info().classes, (std::vector<std::string>{"0", "1"}));
    EXPECT_EQ(data->label(0), 1);
    EXPECT_EQ(data->label(1), 0);
    EXPECT_EQ(pixels_of(*data, 0).front(), 0);
    EXPECT_EQ(pixels_of(*data, 1), (std::vector<float>{12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}));
    EXPECT_EQ(data->where(1), folder / "x" + "[1]");
    EXPECT_EQ(data->label_where(1), folder / "y" + "[1]");
  }
}

TEST(Idx, ReadsEveryElementTypeBigEndian) {
  struct Case {
    int type;
    std::string bytes;
    std::string name;
    double max;
    std::vector<float> values;
  };
  const std::vector<Case> cases{
      {0x08, stored_all<std::uint8_t>({0, 200}, true), "uint8", 255, {0, 200}},
      {0x09, stored_all<std::int8_t>({-128, 5}, true), "int8", 127, {-128, 5}},
      {0x0B, stored_all<std::int16_t>({-300, 259}, true), "int16", 32767, {-300, 259}},
      {0x0C, stored_all<std::int32_t>({-70000, 65538}, true), "int32", 2147483647, {-70000, 65538}},
      {0x0D, stored_all<float>({-0.5F, 1e-3F}, true), "float32", 0, {-0.5F, 1e-3F}},
      {0x0E, stored_all<double>({0.25, -1e3}, true), "float64", 0, {0.25F, -1e3F}},
  };
  for (const Case& c : cases) {
    const TempFolder folder;
    const auto data = open_pair(folder, idx({2, 1, 1}, c.bytes, c.type), kLabels);
    EXPECT_EQ(data->info().source_dtype, c.name);
    EXPECT_EQ(data->info().integer_max, c.max);
    EXPECT_EQ(pixels_of(*data, 0), std::vector<float>{c.values[0]}) << c.name;
    EXPECT_EQ(pixels_of(*data, 1), std::vector<float>{c.values[1]}) << c.name;
  }
}

TEST(Idx, ReadsColourImages) {
  const TempFolder folder;
  const auto data = open_pair(folder, idx({2, 2, 1, 3}, counting(12)), kLabels);
  EXPECT_EQ(data->info().image, (Shape{2, 1, 3}));
  EXPECT_EQ(pixels_of(*data, 1), (std::vector<float>{6, 7, 8, 9, 10, 11}));
}

TEST(Idx, NamesWhatIsWrongWithAFile) {
  const std::string good = idx({2, 3, 4}, counting(24));
  const std::string packed = gzip(good);
  std::string wrong_sum = packed;
  wrong_sum[wrong_sum.size() - 8] = static_cast<char>(wrong_sum[wrong_sum.size() - 8] ^ 1);
  struct Case {
    std::string images;
    std::string labels;
    Expected expected;
  };
  const std::vector<Case> cases{
      {"", kLabels, {"D103", "/x", {"x", "begins with nothing"}, ""}},
      {"ab", kLabels, {"D103", "/x", {"2 bytes"}, ""}},
      {npy("|u1", "(2,3,4)", counting(24)), kLabels, {"D103", "/x", {"a NumPy array"}, "format = \"numpy\""}},
      {"<!DOCTYPE html><html></html>", kLabels, {"D103", "/x", {"3c 21 44 4f", "a web page"}, "download"}},
      {idx({2, 3, 4}, counting(24), 0x0A), kLabels, {"D103", "/x", {"00 00 0a 03"}, "file"}},
      {good.substr(0, 9), kLabels, {"D104", "/x", {"3 axes", "axis 1"}, "again"}},
      {good.substr(0, 39), kLabels, {"D104", "/x", {"40 bytes", "has 39"}, "again"}},
      {good + "!", kLabels, {"D104", "/x", {"40 bytes", "has 41"}, "again"}},
      {gzip(good.substr(0, 39)), kLabels, {"D104", "/x", {"40 bytes", "has 39"}, "again"}},
      {gzip(good + "!"), kLabels, {"D104", "/x", {"40 bytes", "has more"}, "again"}},
      {gzip(idx({4000000000, 4000, 4000}, "")), kLabels, {"D104", "/x", {"packed, too few"}, ""}},
      {idx({4000000000, 4000000000, 4000000000}, ""), kLabels, {"D105", "/x", {"4,000,000,000×"}, ""}},
      {packed.substr(0, packed.size() - 9), kLabels, {"D106", "/x", {"ends early"}, "gzip -t"}},
      {packed.substr(0, 15), kLabels, {"D106", "/x", {"ends early"}, "gzip -t"}},
      {packed + "tail", kLabels, {"D106", "/x", {"damaged after 40 of 40 bytes"}, "gzip -t"}},
      {wrong_sum, kLabels, {"D106", "/x", {"incorrect data check"}, "gzip -t"}},
      {idx({0, 3, 4}, ""), idx({0}, ""), {"D108", "/x", {"0 images"}, ""}},
      {idx({2, 0, 4}, ""), kLabels, {"D105", "/x", {"without pixels", "2×0×4"}, ""}},
      {idx({2, 12}, counting(24)), kLabels, {"D109", "/x", {"2 axes"}, "reshape"}},
      {idx({}, "a"), kLabels, {"D109", "/x", {"0 axes"}, "reshape"}},
      {good, idx({3}, "abc"), {"L120", "/y", {"3 labels", "2 images"}, "labels = "}},
      {good, idx({2}, "abc"), {"L104", "/y", {"10 bytes", "has 11"}, ""}},
      {good, "nonsense", {"L103", "/y", {"6e 6f 6e 73"}, ""}},
      {good, idx({2, 1, 1}, "ab"), {"L109", "/y", {"3 axes"}, "reshape"}},
      {good, idx({2, 0}, ""), {"L105", "/y", {"without columns"}, ""}},
  };
  for (const Case& c : cases) {
    const TempFolder folder;
    const auto findings = findings_of([&] { return open_pair(folder, c.images, c.labels); });
    SCOPED_TRACE(c.expected.code);
    expect_finding(findings, c.expected);
  }
}

TEST(Idx, TellsFaultsOfImagesAndLabelsTogether) {
  const TempFolder folder;
  const auto findings = findings_of([&] { return open_pair(folder, "bad", "worse"); });
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_EQ(findings[0].code, "D103");
  EXPECT_EQ(findings[1].code, "L103");
  EXPECT_EQ(exit_code(findings), 3);
}

}  // namespace
}  // namespace snug
