#include "train/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "train/full_disk.h"
#include "train/test_folder.h"

namespace snug {
namespace {

using testing::HasSubstr;

std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string little_endian(std::uint64_t value) {
  std::string text(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) text[i] = static_cast<char>(value >> (8 * i));
  return text;
}

std::string file_of(const std::string& header, const std::string& data) {
  return little_endian(header.size()) + header + data;
}

TEST(Safetensors, reads_bytes_that_were_put_together_by_hand) {
  // F32 1.5 and −2, scalar I64 7; the header is padded and its tensors stand in another order than the data.
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"I64","shape":[],"data_offsets":[8,16]},)"
      R"("a.weight":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"e":{"shape":[3,0],"dtype":"F16","data_offsets":[16,16]}}   )";
  const std::string file =
      file_of(header, std::string("\x00\x00\xc0\x3f\x00\x00\x00\xc0", 8) + std::string("\x07\0\0\0\0\0\0\0", 8));
  const SafetensorsView view = parse_safetensors(as_bytes(file), "t");
  ASSERT_EQ(view.tensors.size(), 3U);
  EXPECT_EQ(view.metadata.at("format"), "pt");
  const SafeTensor* a = view.find("a.weight");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->shape, (std::vector<std::int64_t>{2, 1}));
  std::vector<float> values(2);
  read_floats(*a, values);
  EXPECT_EQ(values, (std::vector<float>{1.5F, -2.0F}));
  EXPECT_EQ(view.find("b")->elements(), 1);
  EXPECT_EQ(view.find("b")->bytes[0], std::byte{7});
  EXPECT_EQ(view.find("e")->elements(), 0);
  EXPECT_EQ(view.find("c"), nullptr);
}

struct FloatCase {
  std::string dtype;
  std::string bytes;
  float value;
};
TEST(Safetensors, reads_every_floating_type) {
  const std::vector<FloatCase> cases{
      {"F16", std::string("\x00\x3c", 2), 1.0F},
      {"F16", std::string("\x55\xb5", 2), -0.333251953125F},
      {"F16", std::string("\x01\x00", 2), 0x1p-24F},  // the smallest subnormal
      {"F16", std::string("\x00\xfc", 2), -INFINITY},
      {"BF16", std::string("\xc0\x3f", 2), 1.5F},
      {"F64", std::string("\0\0\0\0\0\0\xe0\x3f", 8), 0.5F},
      {"F32", std::string("\x00\x00\x20\xc1", 4), -10.0F},
  };
  for (const FloatCase& c : cases) {
    const std::string file = file_of(
        R"({"x":{"dtype":")" + c.dtype + R"(","shape":[1],"data_offsets":[0,)" + std::to_string(c.bytes.size()) + "]}}",
        c.bytes);
    const SafetensorsView view = parse_safetensors(as_bytes(file), "t");
    float value = 0;
    read_floats(view.tensors[0], {&value, 1});
    EXPECT_EQ(value, c.value) << c.dtype;
  }
}

struct Malformed {
  std::string name, header, what;
  std::string data = std::string(8, '\1');
};
class MalformedSafetensors : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedSafetensors, is_a_finding_with_the_numbers) {
  const std::string file = file_of(GetParam().header, GetParam().data);
  try {
    (void)parse_safetensors(as_bytes(file), "x.safetensors");
    FAIL() << "was accepted";
  } catch (const Error& error) {
    const Diagnostic& finding = error.findings().front();
    EXPECT_EQ(finding.code.front(), 'D');
    EXPECT_EQ(finding.where, "x.safetensors");
    EXPECT_THAT(finding.what, HasSubstr(GetParam().what));
    EXPECT_LE(finding.what.size(), 160U);
    EXPECT_FALSE(finding.fix.empty());
  }
}

std::string tensor(const std::string& shape, const std::string& offsets, const std::string& dtype = "F32") {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

INSTANTIATE_TEST_SUITE_P(
    Table, MalformedSafetensors,
    testing::Values(
        Malformed{"empty_header", "", "does not begin with {"},
        Malformed{"space_first", " {}", "does not begin with {", ""},
        Malformed{"no_json", "{nonsense}", "no JSON at its byte"},
        Malformed{"not_closed", R"({"a":)" + tensor("[2]", "[0,8]"), "no JSON"},
        Malformed{"not_utf8", "{\"\xff\xfe\":" + tensor("[2]", "[0,8]") + "}", "no JSON"},
        Malformed{"junk_behind", R"({"a":)" + tensor("[2]", "[0,8]") + "} x", "no JSON"},
        Malformed{"overlap", R"({"a":)" + tensor("[1]", "[0,4]") + R"(,"b":)" + tensor("[1]", "[2,6]") + "}",
                  "begins at 2, inside one that ends at 4"},
        Malformed{"gap", R"({"a":)" + tensor("[1]", "[4,8]") + "}", "begins at 4, behind a gap from 0"},
        Malformed{"rest", R"({"a":)" + tensor("[1]", "[0,4]") + "}", "end at 4, the data has 8"},
        Malformed{"too_short", R"({"a":)" + tensor("[4]", "[0,16]") + "}", "end at 16, the data has 8"},
        Malformed{"backwards", R"({"a":)" + tensor("[1]", "[8,4]") + "}", "ends at 4 before it begins at 8"},
        Malformed{"wrong_size", R"({"a":)" + tensor("[3]", "[0,8]") + "}",
                  "holds 8 bytes, its shape and type ask for 12"},
        Malformed{"overflow", R"({"a":)" + tensor("[4294967296,4294967296,4]", "[0,8]") + "}", "overflows 63 bits"},
        Malformed{"overflow_beside_zero", R"({"a":)" + tensor("[0,4294967296,4294967296]", "[0,0]") + "}",
                  "overflows 63 bits"},
        Malformed{"more_than_64_bits", R"({"a":)" + tensor("[99999999999999999999]", "[0,8]") + "}", "has no place"},
        Malformed{"negative", R"({"a":)" + tensor("[-2]", "[0,8]") + "}", "the number -2"},
        Malformed{"fraction", R"({"a":)" + tensor("[2.0]", "[0,8]") + "}", "the number 2.0"},
        Malformed{"text_extent", R"({"a":)" + tensor("[\"2\"]", "[0,8]") + "}", "a string"},
        Malformed{"null_extent", R"({"a":)" + tensor("[null]", "[0,8]") + "}", "null"},
        Malformed{"nested_shape", R"({"a":)" + tensor("[[2]]", "[0,8]") + "}", "an array"},
        Malformed{"many_extents", R"({"a":)" + tensor("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2]", "[0,8]") + "}",
                  "more than 16 extents"},
        Malformed{"three_offsets", R"({"a":)" + tensor("[2]", "[0,8,8]") + "}", "more than 2 data_offsets"},
        Malformed{"one_offset", R"({"a":)" + tensor("[2]", "[8]") + "}", "has 1 data_offsets"},
        Malformed{"unknown_type", R"({"a":)" + tensor("[2]", "[0,8]", "F31") + "}", "\"F31\""},
        Malformed{"twice", R"({"a":)" + tensor("[1]", "[0,4]") + R"(,"a":)" + tensor("[1]", "[4,8]") + "}",
                  "the header has \"a\" twice"},
        Malformed{"key_twice", R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
                  "has \"dtype\" twice"},
        Malformed{"key_missing", R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", "has 2 of the keys"},
        Malformed{"key_unknown", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})",
                  "unknown key \"x\""},
        Malformed{"tensor_no_object", R"({"a":[1]})", "an array"},
        Malformed{"metadata_number", R"({"__metadata__":{"epoch":3}})", "the number 3", ""},
        Malformed{"metadata_text", R"({"__metadata__":"pt"})", "a string", ""},
        Malformed{"metadata_twice", R"({"__metadata__":{"a":"b","a":"c"}})", "has \"a\" twice", ""},
        Malformed{"long_name", R"({")" + std::string(5000, 'n') + R"(":)" + tensor("[3]", "[0,8]") + "}",
                  "ask for 12"}),
    [](const auto& test) { return test.param.name; });

TEST(Safetensors, refuses_a_file_shorter_than_its_length_says) {
  EXPECT_THROW((void)parse_safetensors(as_bytes("1234567"), "t"), Error);
  EXPECT_THROW((void)parse_safetensors(as_bytes(little_endian(9) + "{}"), "t"), Error);
  EXPECT_THROW((void)parse_safetensors(as_bytes(little_endian(~std::uint64_t{0}) + "{}"), "t"), Error);
  EXPECT_THROW((void)parse_safetensors(as_bytes(little_endian(100'000'001) + "{}"), "t"), Error);
  EXPECT_TRUE(parse_safetensors(as_bytes(little_endian(2) + "{}"), "t").tensors.empty());
}

TEST(Safetensors, names_a_file_that_is_not_there) {
  try {
    const SafetensorsFile file("/nonexistent/x.safetensors");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.findings()), 2);
    EXPECT_THAT(error.what(), HasSubstr("/nonexistent/x.safetensors"));
  }
}

const std::vector<float> kThree{1.0F, 2.0F, 3.0F};
const std::vector<double> kOne{0.25};
const std::vector<std::uint16_t> kHalf{0x3F80};

std::vector<TensorSource> three_tensors() {
  return {{.name = "b", .dtype = DType::f32, .shape = {3}, .bytes = [] { return std::as_bytes(std::span(kThree)); }},
          {.name = "a", .dtype = DType::bf16, .shape = {}, .bytes = [] { return std::as_bytes(std::span(kHalf)); }},
          {.name = "z", .dtype = DType::f64, .shape = {1, 1}, .bytes = [] { return std::as_bytes(std::span(kOne)); }}};
}

TEST(Safetensors, writes_larger_types_first_behind_a_header_of_whole_words) {
  const TestFolder folder;
  const auto path = folder.path() / "w.safetensors";
  write_safetensors(path, three_tensors(), {{"k", "v"}});
  const std::string text = read_text(path);
  std::uint64_t length = 0;
  std::memcpy(&length, text.data(), 8);
  EXPECT_EQ(length % 8, 0U);
  const std::string header = text.substr(8, length);
  EXPECT_LT(header.find("\"z\""), header.find("\"b\""));
  EXPECT_LT(header.find("\"b\""), header.find("\"a\""));

  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata().at("k"), "v");
  EXPECT_EQ(file.view().tensors[0].name, "z");
  std::vector<float> values(3);
  read_floats(*file.find("b"), values);
  EXPECT_EQ(values, kThree);
  float one = 0;
  read_floats(*file.find("a"), {&one, 1});
  EXPECT_EQ(one, 1.0F);
}

TEST(Safetensors, a_folder_that_cannot_be_written_is_a_finding) {
  try {
    write_safetensors("/proc/self/none/x.safetensors", three_tensors(), {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.findings().front().code.front(), 'C');
  }
}

TEST(Safetensors, a_full_disk_is_a_finding_and_leaves_the_earlier_file) {
  const TestFolder folder;
  const auto path = folder.path() / "w.safetensors";
  write_safetensors(path, three_tensors(), {});
  const std::string before = read_text(path);
  const std::vector<float> large(100'000, 1.0F);
  std::string code;
  {
    const FullDisk full(64 * 1024);
    try {
      write_safetensors(
          path, {{.name = "large", .shape = {100'000}, .bytes = [&] { return std::as_bytes(std::span(large)); }}}, {});
    } catch (const Error& error) {
      code = error.findings().front().code;
    }
  }
  EXPECT_EQ(code.substr(0, 1), "M");
  EXPECT_EQ(read_text(path), before);
  EXPECT_EQ(folder.count(), 1) << "no temporary file stays";
}

}  // namespace
}  // namespace snug
