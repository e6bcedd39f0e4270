#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "data/problem_csv.h"

namespace snug {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

FileBytes file_of(const std::string& text) {
  auto copy = std::make_shared<std::vector<std::byte>>(text.size());
  if (!text.empty()) std::memcpy(copy->data(), text.data(), text.size());
  const std::span<const std::byte> bytes(*copy);
  return {.path = "p.csv", .owner = std::move(copy), .bytes = bytes};
}

ProblemTable read_well(const std::string& text) {
  Findings findings;
  auto table = read_problem(file_of(text), findings);
  EXPECT_THAT(findings, IsEmpty()) << text;
  return table ? *std::move(table) : ProblemTable{};
}

TEST(ProblemCsv, RowsAreBuffers) {
  const ProblemTable table = read_well("id,lower,upper,size\nb1,0,3,4\nb2,-3,9,0\n");
  ASSERT_EQ(table.buffers.size(), 2U);
  EXPECT_EQ(table.buffers[0].size_bytes, 4);
  EXPECT_EQ(table.buffers[0].life, (Lifetime{0, 3}));
  EXPECT_EQ(table.buffers[1].life, (Lifetime{-3, 9}));
  EXPECT_EQ(solution_csv(table, std::vector<std::int64_t>{7, 0}),
            "id,lower,upper,size,offset\nb1,0,3,4,7\nb2,-3,9,0,0\n");
}

TEST(ProblemCsv, WhatFilesMayLookLike) {
  struct Row {
    const char* text;
    const char* solution;  // with the offsets 5, 6, …
  };
  const Row rows[] = {
      {"id,lower,upper,size\n", "id,lower,upper,size,offset\n"},
      {"id,lower,upper,size", "id,lower,upper,size,offset\n"},
      {"id,lower,upper,size\na,0,1,2", "id,lower,upper,size,offset\na,0,1,2,5\n"},
      {"id,lower,upper,size\r\na,0,1,2\r\n\r\n", "id,lower,upper,size,offset\na,0,1,2,5\n"},
      {"id,lower,upper,size\na,0,1,2\n\n", "id,lower,upper,size,offset\na,0,1,2,5\n"},
      {" id , lower,upper ,size\n a , 0,\t1 , 2 \n  \n", " id , lower,upper ,size,offset\n a , 0,\t1 , 2 ,5\n"},
      {"size,note,upper,lower,id\n2,hello,1,0,a\n3,,2,1,b\n",
       "size,note,upper,lower,id,offset\n2,hello,1,0,a,5\n3,,2,1,b,6\n"},
      {"id,lower,offset,upper,size\na,0,99,1,2\nb,0,,1,2\n", "id,lower,offset,upper,size\na,0,5,1,2\nb,0,6,1,2\n"},
      {"id,\"lower\",upper,size\n\"a,b\",0,1,\"2\"\n", "id,\"lower\",upper,size,offset\n\"a,b\",0,1,\"2\",5\n"},
      {"\xEF\xBB\xBFid,lower,upper,size\na,0,1,2\n", "id,lower,upper,size,offset\na,0,1,2,5\n"},
      {"id,lower,upper,size\na,-9223372036854775808,9223372036854775807,9223372036854775807\n",
       "id,lower,upper,size,offset\na,-9223372036854775808,9223372036854775807,9223372036854775807,5\n"}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    const ProblemTable table = read_well(row.text);
    std::vector<std::int64_t> offsets;
    for (std::size_t i = 0; i < table.buffers.size(); ++i) offsets.push_back(5 + static_cast<std::int64_t>(i));
    EXPECT_EQ(solution_csv(table, offsets), row.solution);
  }
}

TEST(ProblemCsv, FaultsNameLineWhatAndFix) {
  const std::string head = "id,lower,upper,size\n";
  struct Row {
    std::string text;
    const char* where;
    const char* what;
    const char* fix;
  };
  const Row rows[] = {
      {"", "p.csv:1:1", "p.csv is empty", "id,lower,upper,size"},
      {"\n \n", "p.csv:1:1", "is empty", "id,lower,upper,size"},
      {"id,lower,upper\na,0,1\n", "p.csv:1:1", "no column size", "id,lower,upper,size"},
      {"id,lower,upper,sizes\n", "p.csv:1:1", "no column size", "write size for sizes"},
      {"a,0,1,2\n", "p.csv:1:1", "no column id", "id,lower,upper,size"},
      {"id,lower,upper,size,size\n", "p.csv:1:21", "the column size twice, as number 4 and 5", "size_2"},
      {"id,lower,upper,size,offset,offset\n", "p.csv:1:28", "the column offset twice", "offset_2"},
      {"id,\"lower,upper,size\n", "p.csv:1:1", "a double quote is not closed", "id,lower,upper,size"},
      {head + "a,0,1\n", "p.csv:2:1", "line 2: the row has 3 fields, the header 4", "id,lower,upper,size"},
      {head + "a,0,1,2,3\n", "p.csv:2:1", "the row has 5 fields", "id,lower,upper,size"},
      {head + "a\n", "p.csv:2:1", "the row has 1 field,", "id,lower,upper,size"},
      {head + "\"a,0,1,2\n", "p.csv:2:1", "a double quote is not closed", "\"b1\""},
      {head + "a,0,1,2\n ,0,1,2\n", "p.csv:3:1", "line 3: the id is empty", "b3"},
      {head + "a,0,1,2\n\nb,0,1,2\n\"a\",0,1,2\n", "p.csv:5:1", "line 5: the id a is that of line 2 already", "a_5"},
      {head + "a,x,1,2\n", "p.csv:2:3", "lower is 'x', and a whole number is expected", "a,0,1,2"},
      {head + "a,,1,2\n", "p.csv:2:3", "lower is ''", "a,0,1,2"},
      {head + "a,0,1.5,2\n", "p.csv:2:5", "upper is '1.5'", "a,0,1,2"},
      {head + "a,0,1,2k\n", "p.csv:2:7", "size is '2k'", "a,0,1,256"},
      {head + "a,0,1,0x10\n", "p.csv:2:7", "size is '0x10'", "a,0,1,256"},
      {head + "a,0,1,1e3\n", "p.csv:2:7", "size is '1e3'", "a,0,1,256"},
      {head + "a,0,1,-2\n", "p.csv:2:7", "size is -2", "a,0,1,2"},
      {head + "a,3,3,2\n", "p.csv:2:5", "lower is 3 and upper 3", "a,3,4,2"},
      {head + "a,4,3,2\n", "p.csv:2:5", "lower is 4 and upper 3", "a,4,5,2"},
      {head + "a,0,1,9223372036854775808\n", "p.csv:2:7", "exceeds 64 bits", "a,0,1,9223372036854775807"},
      {head + "a,-9223372036854775809,1,2\n", "p.csv:2:3", "exceeds 64 bits", "a,"},
      {head + "a,0,1,9223372036854775807\nb,5,6,1\n", "p.csv:3:7", "all sizes together exceed 64 bits", "b,5,6,0"}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.text);
    Findings findings;
    EXPECT_FALSE(read_problem(file_of(row.text), findings));
    ASSERT_FALSE(findings.empty());
    EXPECT_EQ(findings[0].code.front(), 'D');
    EXPECT_EQ(findings[0].where, row.where);
    EXPECT_THAT(findings[0].what, HasSubstr(row.what));
    EXPECT_LE(findings[0].what.size(), 160U);
    EXPECT_THAT(findings[0].fix, HasSubstr(row.fix));
    EXPECT_EQ(exit_code(findings), 3);
  }
}

TEST(ProblemCsv, AllFaultsAreToldButNotThousands) {
  Findings findings;
  EXPECT_FALSE(read_problem(file_of("id,lower,upper,size\na,0,1,x\nb,1,0,3\nc,0,1,-1\nd,0,1,1\n"), findings));
  std::vector<std::string> places;
  for (const Diagnostic& finding : findings) places.push_back(finding.where);
  EXPECT_THAT(places, ElementsAre("p.csv:2:7", "p.csv:3:5", "p.csv:4:7"));
  std::string text = "id,lower,upper,size\n";
  for (int i = 0; i < 1000; ++i) text += "no row\n";
  findings.clear();
  EXPECT_FALSE(read_problem(file_of(text), findings));
  ASSERT_EQ(findings.size(), 21U);
  EXPECT_THAT(findings.back().what, HasSubstr("980 more faults"));
}

}  // namespace
}  // namespace snug
