#include "data/files.h"
#include "data/source.h"

namespace snug {
namespace {

/// Records with planes counting on, so that no two pixels are alike.
std::string records(const std::vector<std::string>& labels) {
  std::string bytes;
  for (const std::string& label : labels) {
    bytes += label;
    for (int i = 0; i < 3072; ++i) bytes += static_cast<char>((i * 7 + static_cast<int>(bytes.size() / 3073)) % 256);
  }
  return bytes;
}

DataSource cifar(std::vector<std::string> files, DataFormat format) {
  DataSource source;
  source.where = {.file = "config.toml", .line = 4, .column = 1};
  source.format = format;
  source.files = std::move(files);
  return source;
}

TEST(Cifar, WeavesPlanesOfAnySize) {
  for (const std::int64_t pixels : {1, 2, 3, 4, 5, 255, 256, 257, 259, 1024}) {
    std::vector<std::byte> planes(static_cast<std::size_t>(3 * pixels));
    for (std::size_t i = 0; i < planes.size(); ++i) planes[i] = static_cast<std::byte>(i * 31 % 256);
    std::vector<std::byte> woven(planes.size() + 8, std::byte{0xAB});
    planes_to_rgb(planes.data(), pixels, woven.data());
    for (std::int64_t i = 0; i < 3 * pixels; ++i) {
      ASSERT_EQ(woven[static_cast<std::size_t>(i)], planes[static_cast<std::size_t>(i % 3 * pixels + i / 3)]) << pixels;
    }
    for (std::size_t i = planes.size(); i < woven.size(); ++i) EXPECT_EQ(woven[i], std::byte{0xAB}) << pixels;
  }
}

TEST(Cifar, ReadsRecordsOfSeveralFiles) {
  const TempFolder folder;
  const std::string first = records({"\x03", "\x09"});
  const std::string second = records({std::string(1, '\0')});
  const auto data = open_source(
      cifar({folder.write("a.bin", first), folder.write("b.bin", second)}, DataFormat::cifar10), {}, {32, 32, 3}, 1);
  EXPECT_EQ(data->info().samples, 3);
  EXPECT_EQ(data->info().image, (Shape{32, 32, 3}));
  EXPECT_EQ(data->info().classes.size(), 10U);
  EXPECT_EQ(data->label(0), 3);
  EXPECT_EQ(data->label(1), 9);
  EXPECT_EQ(data->label(2), 0);
  EXPECT_EQ(data->where(2), folder / "b.bin" + "[0]");
  const auto pixels = pixels_of(*data, 1);
  for (const std::size_t pixel : {0U, 1U, 500U, 1023U}) {
    for (std::size_t c = 0; c < 3; ++c) {
      EXPECT_EQ(pixels[pixel * 3 + c],
                static_cast<float>(static_cast<unsigned char>(first[3073 + 1 + c * 1024 + pixel])));
    }
  }
}

TEST(Cifar, TakesTheFineLabelOf100) {
  const TempFolder folder;
  const auto data = open_source(cifar({folder.write("a.bin", records({"\x01\x63", "\x02\x07"}))}, DataFormat::cifar100),
                                {}, {32, 32, 3}, 1);
  EXPECT_EQ(data->info().samples, 2);
  EXPECT_EQ(data->info().classes.size(), 100U);
  EXPECT_EQ(data->label(0), 99);
  EXPECT_EQ(data->label(1), 7);
}

TEST(Cifar, NamesWhatIsWrong) {
  struct Case {
    std::string bytes;
    DataFormat format;
    Expected expected;
  };
  const std::vector<Case> cases{
      {"", DataFormat::cifar10, {"D108", "a.bin", {"0 bytes", "3,073"}, ""}},
      {records({"\x03"}) + "x", DataFormat::cifar10, {"D104", "a.bin", {"3,074 bytes", "1 bytes over"}, "cifar100"}},
      {records({"\x03", "\x04"}).substr(1),
       DataFormat::cifar10,
       {"D104", "a.bin", {"6,145", "3,072 bytes over"}, "again"}},
      {records({"\x03"}), DataFormat::cifar100, {"D104", "a.bin", {"3,073 bytes", "3,074"}, "cifar10"}},
      {gzip(records({"\x03"})), DataFormat::cifar10, {"D104", "a.bin", {"gzip"}, "tar xzf"}},
      {records({"\x03", "\x0A"}), DataFormat::cifar10, {"L122", "a.bin[1]", {"label 10", "0 to 9"}, "format"}},
  };
  for (const Case& c : cases) {
    const TempFolder folder;
    const auto findings = findings_of([&] {
      return open_source(cifar({folder.write("a.bin", c.bytes)}, c.format), {}, {32, 32, 3}, 1);
    });
    SCOPED_TRACE(c.expected.code + c.expected.fix);
    expect_finding(findings, c.expected);
  }
}

TEST(Cifar, NamesEveryBadFile) {
  const TempFolder folder;
  const auto findings = findings_of([&] {
    return open_source(
        cifar({folder.write("a.bin", "x"), folder / "b.bin", folder.write("c.bin", "y")}, DataFormat::cifar10), {},
        {32, 32, 3}, 1);
  });
  ASSERT_EQ(findings.size(), 3U);
  EXPECT_EQ(findings[0].code, "D101");
  EXPECT_EQ(findings[1].code, "D104");
  EXPECT_EQ(findings[2].code, "D104");
}

}  // namespace
}  // namespace snug
