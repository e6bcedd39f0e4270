// Copies among pictures in files: each is named, the printed line is run in a shell, and the finding is gone.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "check/whole.h"
#include "data/pictures.h"

namespace snug::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

namespace fs = std::filesystem;

class WholeCopies : public testing::Test {
 protected:
  static constexpr int kOfClass = 20;  // pictures of each class and split

  WholeCopies() {
    config_.layers =
        "  { conv = 8, kernel = 3, padding = \"same\", norm = \"batch\", activation = \"relu\" },\n"
        "  { global_avgpool = true },\n"
        "  { dense = 2 },\n";
    config_.train = "epochs = 4\nbatch = 10\noptimizer = { name = \"sgd\", lr = 0.05, momentum = 0.9 }\n";
    config_.data = "train = { folder = \"train\" }\nval = { folder = \"val\" }\n";
    int seed = 0;
    for (const std::string split : {"train", "val"}) {
      for (const std::string name : {"cats", "dogs"}) {
        fs::create_directories(folder_ / fmt::format("{}/{}", split, name));
        for (int i = 0; i < kOfClass; ++i) write(fmt::format("{}/{}/{}.png", split, name, 10 + i), seed++);
      }
    }
  }

  void write(const std::string& name, int seed) const {
    Picture picture = generated(12, 12);
    for (std::size_t i = 0; i < picture.pixels.size(); ++i)
      picture.pixels[i] = static_cast<std::uint8_t>(pixel_of(static_cast<std::int64_t>(i), seed));
    folder_.text(name, png(picture));
  }
  void copy(const std::string& from, const std::string& to) const { fs::copy_file(folder_ / from, folder_ / to); }

  /// train as a list of the files in train/, "path,label".
  void list_train(const std::string& more) {
    std::string rows = "path,label\n";
    for (const std::string name : {"cats", "dogs"}) {
      for (int i = 0; i < kOfClass; ++i) rows += fmt::format("train/{}/{}.png,{}\n", name, 10 + i, name);
    }
    folder_.text("train.csv", rows + more);
    config_.data = "train = { csv = \"train.csv\" }\nval = { folder = \"val\" }\n";
  }

  Outcome check() const {
    folder_.text("c.toml", config_.text());
    return check_file(folder_ / "c.toml");
  }
  static std::string all(const Outcome& outcome) {
    std::string text;
    for (const Diagnostic& finding : outcome.findings) text += to_string(finding) + "\n";
    return text;
  }
  void run(const std::string& line) const {
    const std::string command = "cd '" + folder_ / "" + "' && " + line;
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
  }
  /// The one finding of `code`, gone once its line has been run.
  Diagnostic found_and_mended(std::string_view code) const {
    const Outcome outcome = check();
    const Diagnostic* found = outcome.find(code);
    EXPECT_NE(found, nullptr) << all(outcome);
    if (found == nullptr) return {};
    EXPECT_LE(outcome.faults().size(), 1U) << "one cause, one finding\n" << all(outcome);
    EXPECT_LE(found->what.size(), 160U);
    run(found->fix);
    const Outcome mended = check();
    EXPECT_EQ(mended.find(code), nullptr) << found->fix << "\n" << all(mended);
    EXPECT_THAT(mended.faults(), IsEmpty()) << all(mended);
    return *found;
  }

  DataFolder folder_;
  Config4 config_;
};

TEST_F(WholeCopies, DifferentPicturesAreNone) {
  const Outcome outcome = check();
  for (const std::string_view code : {"D213", "D214", "D215"}) EXPECT_EQ(outcome.find(code), nullptr) << all(outcome);
  EXPECT_THAT(outcome.faults(), IsEmpty()) << all(outcome);
}

TEST_F(WholeCopies, AreRemovedByName) {
  copy("train/cats/12.png", "train/cats/Copy of 12.png");
  copy("train/dogs/13.png", "train/dogs/99.png");
  const Diagnostic found = found_and_mended("D213");
  EXPECT_THAT(found.where, HasSubstr("Copy of 12.png"));
  EXPECT_THAT(found.what,
              HasSubstr("2 of 42 images of data.train are copies of another, first Copy of 12.png of 12.png"));
  EXPECT_TRUE(fs::exists(folder_ / "train/cats/12.png"));
  EXPECT_FALSE(fs::exists(folder_ / "train/cats/Copy of 12.png"));
  EXPECT_FALSE(fs::exists(folder_ / "train/dogs/99.png"));
}

TEST_F(WholeCopies, ManyAreRemovedSomeAtATime) {
  for (int i = 0; i < 11; ++i) copy(fmt::format("train/cats/{}.png", 10 + i), fmt::format("train/cats/a{}.png", i));
  const Outcome outcome = check();
  const Diagnostic* found = outcome.find("D213");
  ASSERT_NE(found, nullptr) << all(outcome);
  EXPECT_THAT(found->what, HasSubstr("11 of 51"));
  EXPECT_THAT(found->fix, HasSubstr("8 of 11; check names the next"));
  run(found->fix);
  EXPECT_THAT(found_and_mended("D213").what, HasSubstr("3 of 43"));
}

TEST_F(WholeCopies, WithAnotherLabelBothAreNamed) {
  copy("train/cats/12.png", "train/dogs/77.png");
  const Diagnostic found = found_and_mended("D215");
  EXPECT_THAT(found.what, HasSubstr("77.png is dogs, 12.png is cats"));
  EXPECT_THAT(found.fix, HasSubstr("train/cats/12.png: look which label is right"));
}

TEST_F(WholeCopies, ACopyIsNotNamedForALabelOfAnother) {
  copy("train/cats/12.png", "train/cats/zz.png");
  copy("train/cats/12.png", "train/dogs/00.png");
  copy("train/dogs/14.png", "train/dogs/zz.png");
  const Outcome outcome = check();
  const Diagnostic *copies = outcome.find("D213"), *labels = outcome.find("D215");
  ASSERT_NE(copies, nullptr) << all(outcome);
  ASSERT_NE(labels, nullptr) << all(outcome);
  EXPECT_THAT(copies->what, HasSubstr("2 of 43"));
  EXPECT_THAT(labels->what, HasSubstr("1 images"));
  EXPECT_THAT(copies->fix, testing::Not(HasSubstr("00.png")));
  EXPECT_THAT(labels->fix, HasSubstr("00.png"));
}

TEST_F(WholeCopies, OfTrainingPicturesAreTakenOutOfVal) {
  copy("train/cats/12.png", "val/cats/it's.png");
  const Diagnostic found = found_and_mended("D214");
  EXPECT_THAT(found.what, HasSubstr("first it's.png (12.png of data.train)"));
  EXPECT_TRUE(fs::exists(folder_ / "train/cats/12.png"));
}

TEST_F(WholeCopies, InAListLoseTheirRows) {
  copy("train/cats/12.png", "again.png");
  list_train("again.png,cats\ntrain/dogs/15.png,dogs\n");
  const Diagnostic found = found_and_mended("D213");
  EXPECT_THAT(found.fix, HasSubstr("sed -i '42d;43d'"));
  EXPECT_TRUE(fs::exists(folder_ / "again.png"));
}

}  // namespace
}  // namespace snug::test
