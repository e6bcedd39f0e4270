// What predict shows: a table that fits its terminal, CSV, a sheet.
#include "report/prediction_report.h"

#include <algorithm>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/table.h"

namespace snug {
namespace {

const std::vector<Prediction> kPredictions{{.file = "photos/holiday/cat.17.jpg",
                                            .label = "cat",
                                            .probability = 0.9,
                                            .top = {{"cat", 0.9}, {"dog", 0.07}, {"Ährenmaus", 0.02}, {"x", 0.01}},
                                            .logits = {1, 2, 3, 4}},
                                           {.file = "b\n.jpg",
                                            .label = "Ährenmaus",
                                            .probability = 0.5,
                                            .top = {{"Ährenmaus", 0.5}, {"cat", 0.4}, {"dog", 0.1}},
                                            .logits = {1, 2, 3, 4}}};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(PredictionReport, HasAColumnForEverythingWhereNothingIsCut) {
  EXPECT_THAT(
      lines_of(predictions_text(kPredictions, 0)),
      testing::ElementsAre("  file                       class      probability  then          then",
                           "  photos/holiday/cat.17.jpg  cat             90.0 %  dog    7.0 %  Ährenmaus   2.0 %",
                           "  b?.jpg                     Ährenmaus       50.0 %  cat   40.0 %  dog        10.0 %"));
  EXPECT_EQ(predictions_text({}, 80), "");
}

TEST(PredictionReport, FitsTheTerminal) {
  for (std::size_t width = 43; width <= 100; ++width) {
    const std::vector<std::string> lines = lines_of(predictions_text(kPredictions, width));
    ASSERT_EQ(lines.size(), 3U);
    for (const std::string& line : lines) EXPECT_LE(display_width(line), width) << line;
    EXPECT_THAT(lines[1], testing::HasSubstr("cat.17.jpg")) << "of a name the end tells files apart";
    EXPECT_THAT(lines[1], testing::HasSubstr("90.0 %"));
  }
  EXPECT_THAT(predictions_text(kPredictions, 83), testing::HasSubstr("Ährenmaus   2.0 %")) << "all three";
  EXPECT_THAT(predictions_text(kPredictions, 83), testing::HasSubstr("…"));
  EXPECT_THAT(predictions_text(kPredictions, 60), testing::Not(testing::HasSubstr("  2.0 %")));
  EXPECT_THAT(predictions_text(kPredictions, 60), testing::HasSubstr("  7.0 %"));
}

TEST(PredictionReport, ShowsNumbersWhereThereAreNoClasses) {
  const std::vector<Prediction> numbers{{.file = "x.npy[0]", .logits = {0.5F, -2, 3, 4, 5, 6}}};
  EXPECT_THAT(lines_of(predictions_text(numbers, 80)),
              testing::ElementsAre("  file      outputs", "  x.npy[0]  0.5  -2  3  4  5  …"));
}

TEST(PredictionReport, WritesCsv) {
  EXPECT_EQ(predictions_csv(kPredictions),
            "file,class,probability\nphotos/holiday/cat.17.jpg,cat,0.900000\n\"b\n.jpg\",Ährenmaus,0.500000\n");
}

TEST(PredictionReport, DrawsEveryPictureWithWhatItIsTakenFor) {
  PredictedImages images{.predictions = kPredictions, .pictures = {}};
  Picture black;
  black.reshape(200, 100, 3);
  images.pictures = {black, black};
  const Picture sheet = predictions_sheet(images);
  EXPECT_EQ(sheet.channels, 3);
  const auto dark_rows = [&](std::int64_t left, std::int64_t right) {
    std::int64_t rows = 0;
    for (std::int64_t y = 0; y < sheet.height; ++y) {
      bool dark = false;
      for (std::int64_t x = left; x < right; ++x)
        dark = dark || sheet.pixels[static_cast<std::size_t>((y * sheet.width + x) * 3)] == 0;
      rows += dark ? 1 : 0;
    }
    return rows;
  };
  EXPECT_EQ(dark_rows(4, 104), 200 + 2 * 7) << "the picture and two lines of letters";
  EXPECT_EQ(dark_rows(108, 208), 200 + 2 * 7);
}

TEST(Table, CutsWholeCharacters) {
  EXPECT_EQ(cut_front("Ährenmaus", 9), "Ährenmaus");
  EXPECT_EQ(cut_front("Ährenmaus", 5), "…maus");
  EXPECT_EQ(cut_back("Ährenmaus", 3), "Äh…");
  EXPECT_EQ(cut_back("Ährenmaus", 1), "…");
  EXPECT_EQ(cut_front("abc", 0), "");
}

}  // namespace
}  // namespace snug
