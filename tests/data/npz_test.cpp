#include <optional>

#include "data/files.h"
#include "data/zip.h"

namespace snug {
namespace {

std::vector<ZipEntry> arrays(bool packed, bool large = false) {
  return {{"x.npy", npy("|u1", "(3, 2, 2)", counting(12)), packed, large},
          {"y.npy", npy("<i8", "(3, 1)", stored_all<std::int64_t>({0, 1, 1})), packed, large}};
}

std::vector<Diagnostic> open(const std::string& x, const std::string& y,
                             std::shared_ptr<const Dataset>* out = nullptr) {
  return findings_of([&] {
    auto data = open_source(array_source(x, y, DataFormat::numpy), {}, {2, 2, 1}, 1);
    if (out != nullptr) *out = data;
    return data;
  });
}

TEST(Npz, ReadsStoredDeflatedAndLargeOnes) {
  const TempFolder folder;
  for (const bool packed : {false, true}) {
    for (const bool large : {false, true}) {
      const std::string file = folder.write("a.npz", zip(arrays(packed, large), large));
      std::shared_ptr<const Dataset> data;
      const auto findings = open(file + ":x", file + ":y", &data);
      ASSERT_TRUE(findings.empty()) << to_string(findings.front());
      EXPECT_EQ(data->info().samples, 3);
      EXPECT_EQ(pixels_of(*data, 2), (std::vector<float>{8, 9, 10, 11}));
      EXPECT_EQ(data->label(2), 1);
    }
  }
}

TEST(Npz, TellsWhichArraysThereAre) {
  const TempFolder folder;
  const std::string file = folder.write("a.npz", zip(arrays(false)));
  expect_finding(open(file + ":z", file + ":y"), {"D101", "a.npz", {"no array z", "x, y"}, "images = \"a.npz:"});
  expect_finding(open(file, file + ":y"), {"D101", "a.npz", {"2 arrays", "x, y"}, "images = \"a.npz:x\""});
}

TEST(Npz, EveryCutIsRefused) {
  const TempFolder folder;
  for (const bool packed : {false, true}) {
    const std::string whole = zip(arrays(packed, packed), packed);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const std::string file = folder.write("a.npz", whole.substr(0, size));
      const auto findings = open(file + ":x", file + ":y");
      ASSERT_FALSE(findings.empty()) << size;
      for (const Diagnostic& finding : findings) expect_well_formed(finding);
    }
  }
}

TEST(Npz, NoFlippedByteGoesThroughAsOtherData) {
  const TempFolder folder;
  const std::string whole = zip(arrays(true));
  std::shared_ptr<const Dataset> good;
  const std::string file = folder.write("a.npz", whole);
  ASSERT_TRUE(open(file + ":x", file + ":y", &good).empty());
  for (std::size_t place = 0; place < whole.size(); ++place) {
    std::string other = whole;
    other[place] = static_cast<char>(other[place] ^ 0x55);
    folder.write("b.npz", other);
    std::shared_ptr<const Dataset> data;
    if (!open(folder / "b.npz:x", folder / "b.npz:y", &data).empty()) continue;
    for (std::int64_t sample = 0; sample < 3; ++sample)
      EXPECT_EQ(pixels_of(*data, sample), pixels_of(*good, sample)) << place;
  }
}

TEST(Npz, RefusesWhatLies) {
  const TempFolder folder;
  const auto refused = [&](const std::string& bytes, const std::string& word) {
    const std::string file = folder.write("a.npz", bytes);
    const auto findings = open(file + ":x", file + ":x");
    ASSERT_FALSE(findings.empty()) << word;
    EXPECT_NE(findings.front().what.find(word), std::string::npos) << to_string(findings.front());
  };
  // The size after inflation is a terabyte.
  std::string bomb = zip({{"x.npy", npy("|u1", "(3, 2, 2)", counting(12)), true, true}});
  const std::size_t directory = bomb.find("PK\x01\x02");
  bomb.replace(directory + 46 + 5 + 4, 8, u64(std::uint64_t{1} << 40));
  refused(bomb, "promises more");
  // Two members at one place.
  std::string twins = zip(arrays(false));
  const std::size_t second = twins.find("PK\x01\x02", twins.find("PK\x01\x02") + 1);
  twins.replace(second + 42, 4, u32(0));
  refused(twins, "overlap");
  std::string encrypted = zip(arrays(false));
  encrypted[encrypted.find("PK\x01\x02") + 8] = 1;
  refused(encrypted, "encrypted");
}

}  // namespace
}  // namespace snug
