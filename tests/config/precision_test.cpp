#include "config/precision.h"

#include <gtest/gtest.h>

namespace snug {
namespace {

TEST(Precision, bf16_needs_avx512_and_fp16_no_cpu_has) {
  struct Row {
    Precision precision;
    bool old_processor, new_processor;  // whether they compute in it
  };
  for (const Row& row : {Row{Precision::fp32, true, true}, Row{Precision::tf32, true, true},
                         Row{Precision::bf16, false, true}, Row{Precision::fp16, false, false}}) {
    SCOPED_TRACE(to_string(row.precision));
    EXPECT_EQ(!cannot_compute(row.precision, {.avx512 = false}).has_value(), row.old_processor);
    EXPECT_EQ(!cannot_compute(row.precision, {.avx512 = true}).has_value(), row.new_processor);
  }
  const std::string why = cannot_compute(Precision::bf16, {.avx512 = false}).value();
  EXPECT_NE(why.find("AVX-512"), std::string::npos);
  EXPECT_LE(why.size(), 160U);
}

}  // namespace
}  // namespace snug
