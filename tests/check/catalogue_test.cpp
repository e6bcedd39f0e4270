// The table of codes: whole, ordered, and what docs/findings.md says.
#include "check/catalogue.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <set>

#include <gtest/gtest.h>

#include "base/file.h"

namespace snug {
namespace {

const std::filesystem::path kSource = SNUG_SOURCE_DIR;

/// Every "X123" that a source file writes, and every number that data findings are made from.
std::set<std::string> codes_in_sources() {
  std::set<std::string> codes;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kSource / "src")) {
    const std::filesystem::path& path = entry.path();
    if (path.extension() != ".cpp" || path.filename() == "catalogue_entries.cpp") continue;
    const std::string text = read_text(path);
    for (std::size_t at = text.find('"'); at != std::string::npos; at = text.find('"', at + 1)) {
      const std::string word = text.substr(at + 1, 5);
      if (word.size() < 5 || word[4] != '"' || std::string_view("CDLAFTMGNI").find(word[0]) == std::string::npos)
        continue;
      if (std::all_of(word.begin() + 1, word.begin() + 4, [](unsigned char c) { return std::isdigit(c) != 0; })) {
        codes.insert(word.substr(0, 4));
      }
    }
  }
  return codes;
}

TEST(Catalogue, HoldsEveryCodeThatTheProgramUses) {
  const std::set<std::string> used = codes_in_sources();
  EXPECT_GT(used.size(), 100U);
  for (const std::string& code : used) EXPECT_NE(find_code(code), nullptr) << code;
  const std::string faults = read_text(kSource / "src/data/findings.h");
  int numbers = 0;
  for (std::size_t at = faults.find(" = 1"); at != std::string::npos; at = faults.find(" = 1", at + 1)) {
    const std::string number = faults.substr(at + 3, 3);
    if (!std::all_of(number.begin(), number.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) continue;
    ++numbers;
    const bool known =
        find_code("D" + number) != nullptr || find_code("L" + number) != nullptr || find_code("C" + number) != nullptr;
    EXPECT_TRUE(known) << number;
  }
  EXPECT_GT(numbers, 20);
}

TEST(Catalogue, SaysEveryCodeOnceInOrder) {
  constexpr std::string_view kFamilies = "CDLAFTMGNI";
  const auto entries = catalogue();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const CatalogueEntry& entry = entries[i];
    EXPECT_EQ(entry.code.size(), 4U);
    EXPECT_FALSE(entry.meaning.empty()) << entry.code;
    EXPECT_FALSE(entry.example.empty()) << entry.code;
    EXPECT_FALSE(entry.fix.empty()) << entry.code;
    EXPECT_EQ(find_code(entry.code), &entry) << entry.code << " stands twice";
    if (i == 0) continue;
    const auto place = [&](const CatalogueEntry& e) {
      return std::pair(kFamilies.find(e.code[0]), std::string(e.code));
    };
    EXPECT_LT(place(entries[i - 1]), place(entry));
  }
}

TEST(Catalogue, DocsAreUpToDate) {
  const std::filesystem::path file = kSource / "docs/findings.md";
  if (std::getenv("SNUG_UPDATE_DOCS") != nullptr) write_text(file, findings_reference());
  ASSERT_TRUE(std::filesystem::exists(file)) << "SNUG_UPDATE_DOCS=1 snug_check_test writes it";
  EXPECT_TRUE(read_text(file) == findings_reference())
      << "docs/findings.md differs from the table of codes; SNUG_UPDATE_DOCS=1 snug_check_test writes it anew";
}

}  // namespace
}  // namespace snug
