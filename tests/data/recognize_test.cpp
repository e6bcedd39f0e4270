// Names of files and what they say; folders as they are downloaded, and what is recognised in them.
#include "data/recognize.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace snug {
namespace {

namespace fs = std::filesystem;

struct NameCase {
  std::string name;
  SplitName split;
  ArrayRole role;
};

TEST(PartsOfName, KnowsTheUsualNames) {
  constexpr auto kTrain = SplitName::train, kVal = SplitName::val, kTest = SplitName::test, kNone = SplitName::none;
  constexpr auto kImages = ArrayRole::images, kLabels = ArrayRole::labels;
  for (const NameCase& c :
       {NameCase{"train-images-idx3-ubyte.gz", kTrain, kImages}, NameCase{"t10k-labels.idx1-ubyte", kTest, kLabels},
        NameCase{"x_train.npy", kTrain, kImages}, NameCase{"mnist.npz:y_test", kTest, kLabels},
        NameCase{"XTrain.npy", kTrain, kImages}, NameCase{"ytest.npy", kTest, kLabels},
        NameCase{"valid/images.npy", kVal, kImages}, NameCase{"val_y.npy", kVal, kLabels},
        NameCase{"targets.npy", kNone, kLabels}, NameCase{"restrain.npy", kNone, ArrayRole::none}}) {
    const NameParts parts = parts_of_name(c.name);
    EXPECT_EQ(parts.split, c.split) << c.name;
    EXPECT_EQ(parts.role, c.role) << c.name;
  }
}

/// What a split is, empty where there is none.
DataSource of(const std::optional<DataSource>& split) { return split.value_or(DataSource{}); }

class Recognize : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(root_); }
  void TearDown() override { fs::remove_all(root_); }
  void put(const std::string& name, const std::string& bytes = "x") {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name, std::ios::binary) << bytes;
  }
  void put_npy(const std::string& name, const std::string& shape, std::size_t bytes) {
    std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (" + shape + "), }";
    header.resize(117, ' ');
    header += '\n';
    put(name, std::string("\x93NUMPY\x01\x00", 8) + std::string("\x76\x00", 2) + header + std::string(bytes, '\0'));
  }
  [[nodiscard]] RecognizedData look(const std::string& below = "") const {
    return recognize_data((root_ / below).string());
  }
  /// What is said of a folder in which nothing is found.
  [[nodiscard]] std::string refused() const {
    try {
      (void)look();
    } catch (const Error& error) {
      EXPECT_EQ(error.findings()[0].code, "D145");
      EXPECT_LE(error.findings()[0].what.size(), 160U);
      return error.findings()[0].what;
    }
    return "";
  }
  const fs::path root_ =
      fs::path(::testing::TempDir()) / ::testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(Recognize, ClassFoldersInSplits) {
  for (const std::string split : {"Training", "valid", "test"}) {
    put(split + "/cat/1.jpg");
    put(split + "/dog/1.PNG");
  }
  const RecognizedData data = look();
  EXPECT_EQ(of(data.train).path, "Training");
  EXPECT_EQ(of(data.val).path, "valid");
  EXPECT_EQ(of(data.test).path, "test");
}

TEST_F(Recognize, BareClassFoldersAlsoBelowAnArchivesOwnFolder) {
  put("PetImages/Cat/1.jpg");
  put("PetImages/Dog/1.jpg");
  put("readme.txt");
  const RecognizedData data = look();
  EXPECT_EQ(fs::path(data.root).filename(), "PetImages");
  EXPECT_EQ(below_root(of(data.train), data.root).path, (root_ / "PetImages/").string());
  EXPECT_FALSE(data.val);
}

TEST_F(Recognize, AValidationSplitOfOtherClassesIsLeftAside) {
  put("train/cat/1.jpg");
  put("train/dog/1.jpg");
  put("val/images/1.jpg");
  const RecognizedData data = look();
  EXPECT_FALSE(data.val);
  ASSERT_EQ(data.remarks.size(), 1U);
}

TEST_F(Recognize, ArraysPairByNumberAndName) {
  put_npy("x_train.npy", "10, 3, 8, 8", 1920);
  put_npy("y_train.npy", "10,", 10);
  put_npy("coarse_train.npy", "10,", 10);
  put_npy("x_test.npy", "4, 3, 8, 8", 768);
  put_npy("y_test.npy", "4, 1", 4);
  const RecognizedData data = look();
  EXPECT_EQ(data.axes, ArrayLayout::nchw);
  EXPECT_EQ(of(data.train).labels, "y_train.npy");
  EXPECT_EQ(of(data.test).images, "x_test.npy");
}

TEST_F(Recognize, IdxAndCifarAndLists) {
  const auto idx = [](char axes, const std::string& extents) { return std::string("\0\0\x08", 3) + axes + extents; };
  put("raw/train-images-idx3-ubyte", idx(3, std::string("\0\0\0\2\0\0\0\1\0\0\0\1", 12)) + "ab");
  put("raw/train-labels-idx1-ubyte", idx(1, std::string("\0\0\0\2", 4)) + "ab");
  EXPECT_EQ(of(look().train).format, DataFormat::idx);
  fs::remove_all(root_ / "raw");
  put("cifar-10-batches-bin/data_batch_1.bin", std::string(3073, '\0'));
  put("cifar-10-batches-bin/test_batch.bin", std::string(3073, '\0'));
  EXPECT_EQ(of(look().train).format, DataFormat::cifar10);
  EXPECT_EQ(of(look().test).files, std::vector<std::string>{"test_batch.bin"});
  fs::remove_all(root_ / "cifar-10-batches-bin");
  put("train.csv", "\xEF\xBB\xBFlabel,Path\r\ncat,1.jpg\r\n");
  EXPECT_EQ(of(look().train).format, DataFormat::csv);
  EXPECT_EQ(of(look("train.csv").train).path, "train.csv");
}

TEST_F(Recognize, WhatLacksSomethingIsTold) {
  EXPECT_NE(refused().find("no class folders"), std::string::npos);
  put("train/cat.0.jpg");
  EXPECT_NE(refused().find("1 pictures beside each other"), std::string::npos) << refused();
  fs::remove_all(root_ / "train");
  put_npy("x.npy", "10, 8, 8", 640);
  EXPECT_NE(refused().find("as many labels"), std::string::npos) << refused();
  put_npy("x.npy", "10, 64", 640);
  EXPECT_NE(refused().find("rows, not images"), std::string::npos) << refused();
  fs::remove(root_ / "x.npy");
  put("labels.csv", "id,class\n");
  EXPECT_NE(refused().find("id,class"), std::string::npos) << refused();
  fs::remove(root_ / "labels.csv");
  for (const std::string set : {"a", "b"}) {
    put(set + "/cat/1.jpg");
    put(set + "/dog/1.jpg");
  }
  EXPECT_NE(refused().find("2 data sets"), std::string::npos) << refused();
}

}  // namespace
}  // namespace snug
