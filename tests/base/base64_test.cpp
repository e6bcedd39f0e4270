#include "base/base64.h"

#include <gtest/gtest.h>

#include <string_view>

namespace snug {
namespace {

struct Case {
  std::string_view bytes, text;
};

TEST(Base64, IsThatOfItsDefinition) {
  for (const Case& c :
       {Case{"", ""}, Case{"f", "Zg=="}, Case{"fo", "Zm8="}, Case{"foo", "Zm9v"}, Case{"foob", "Zm9vYg=="},
        Case{"fooba", "Zm9vYmE="}, Case{"foobar", "Zm9vYmFy"}, Case{"\xff\xfe\xfd", "//79"}})
    EXPECT_EQ(base64(std::as_bytes(std::span(c.bytes))), c.text);
}

}  // namespace
}  // namespace snug
