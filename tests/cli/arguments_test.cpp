#include "cli/arguments.h"

#include <gtest/gtest.h>

#include "snug/diagnostic.h"

namespace snug {
namespace {

const std::vector<Option> kOptions{
    {"set", "KEY=VALUE", ""}, {"batch", "N", ""}, {"out", "DIR", ""}, {"json", "", ""}, {"help", "", ""}};

Arguments parse(const std::vector<std::string>& words) { return parse_arguments("train", kOptions, words); }

std::vector<Diagnostic> faults(const std::vector<std::string>& words) {
  try {
    const Arguments arguments = parse(words);
    (void)arguments.settings();
    (void)arguments.integer("batch", 1);
    return {};
  } catch (const Error& error) {
    return error.findings();
  }
}

TEST(Arguments, OptionsAndWordsInAnyOrder) {
  const Arguments arguments = parse({"--json", "a.toml", "--batch", "8", "b,c.toml", "--out=runs/x"});
  EXPECT_EQ(arguments.positional(), (std::vector<std::string>{"a.toml", "b,c.toml"}));
  EXPECT_TRUE(arguments.has("json"));
  EXPECT_FALSE(arguments.has("set"));
  EXPECT_EQ(arguments.integer("batch", 1), 8);
  EXPECT_EQ(arguments.text("out"), "runs/x");
}

TEST(Arguments, SettingsKeepCommasEqualsAndOrder) {
  const Arguments arguments =
      parse({"--set", "model.input=[8, 8, 3]", "--set", "a=1,2,3", "--set=name=x=y", "--set", "b="});
  const std::vector<std::pair<std::string, std::string>> expected{
      {"model.input", "[8, 8, 3]"}, {"a", "1,2,3"}, {"name", "x=y"}, {"b", ""}};
  EXPECT_EQ(arguments.settings(), expected);
}

TEST(Arguments, AfterTwoDashesNothingIsAnOption) {
  EXPECT_EQ(parse({"--", "a.toml"}).positional(), std::vector<std::string>{"a.toml"});
}

struct Fault {
  std::vector<std::string> words;
  std::string where, what_part, fix_part;
};

TEST(Arguments, EveryFaultNamesTheOption) {
  const std::vector<Fault> cases{
      {{"--bacth", "8"}, "--bacth", "not an option", "did you mean --batch?"},
      {{"--bacth=8"}, "--bacth", "not an option", "did you mean --batch?"},
      {{"-batch", "8"}, "-batch", "not an option", "did you mean --batch?"},
      {{"--zzz"}, "--zzz", "not an option", "snug train --help"},
      {{"--lr", "0.1"}, "--lr", "a key of the config", "--set train.optimizer.lr=0.1"},
      {{"--weight-decay=0"}, "--weight-decay", "a key of the config", "--set train.optimizer.weight_decay=0"},
      {{"-x"}, "-x", "not an option", "snug train --help"},
      {{"--batch"}, "--batch", "needs a value", "--help"},
      {{"--batch", "8x"}, "--batch", "'8x'", "--batch"},
      {{"--batch", "1e3"}, "--batch", "'1e3'", "--batch"},
      {{"--batch", "0"}, "--batch", "at least 1", "--batch"},
      {{"--batch", "-4"}, "--batch", "'-4'", "--batch"},
      {{"--batch", ""}, "--batch", "''", "--batch"},
      {{"--batch", "99999999999999999999"}, "--batch", "whole number", "--batch"},
      {{"--batch", "8", "--batch", "8"}, "--batch", "given twice", "keep one"},
      {{"--json", "--json"}, "--json", "given twice", "keep one"},
      {{"--json=yes"}, "--json", "takes no value", "write --json alone"},
      {{"--set", "train.epochs=1", "--set", "train.epochs=2"}, "--set train.epochs", "set twice", "keep one"},
      {{"--set", "train.epochs"}, "--set train.epochs", "KEY=VALUE", "--set train.epochs=5"},
      {{"--set", "=5"}, "--set =5", "KEY=VALUE", "--set"},
  };
  for (const Fault& fault : cases) {
    const auto findings = faults(fault.words);
    ASSERT_EQ(findings.size(), 1U) << fault.words.front() << " " << fault.words.back();
    EXPECT_EQ(findings[0].code.front(), 'C');
    EXPECT_EQ(findings[0].where, fault.where);
    EXPECT_NE(findings[0].what.find(fault.what_part), std::string::npos) << findings[0].what;
    EXPECT_NE(findings[0].fix.find(fault.fix_part), std::string::npos) << findings[0].fix;
    EXPECT_LE(findings[0].what.size(), 160U);
  }
}

TEST(Arguments, AllFaultsAreToldAtOnce) { EXPECT_EQ(faults({"--bacth", "8", "--json", "--json", "--zzz"}).size(), 3U); }

}  // namespace
}  // namespace snug
