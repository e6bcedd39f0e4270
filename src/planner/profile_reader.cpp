#include "planner/device_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "base/text.h"
#include "config/findings.h"
#include "config/toml.h"
#include "snug/diagnostic.h"

namespace snug {

namespace {

using config::Findings;
using config::Member;
using config::Value;

constexpr std::array kSources{Source::measured, Source::data_sheet, Source::estimated};
constexpr std::string_view kExample = "{ value = 1_000, source = \"estimated\" }";

/// One table of the file; what is written and not asked for is a finding.
class Section {
 public:
  Section(const Value* table, std::string name, const Position& where, Findings& findings)
      : table_(table), name_(std::move(name)), where_(where), findings_(findings) {}

  [[nodiscard]] std::string text(std::string_view key) {
    const Value* value = find(key, true);
    if (value == nullptr) return {};
    if (value->kind == Value::Kind::text && !value->text.empty()) return value->text;
    findings_.error("C923", value->where, fmt::format("{} is a text", path(key)), fmt::format("{} = \"…\"", key));
    return {};
  }

  template <class Number>
  [[nodiscard]] Sourced<Number> number(std::string_view key) {
    const Value* value = find(key, true);
    return value == nullptr ? Sourced<Number>{} : sourced<Number>(key, *value);
  }

  [[nodiscard]] std::optional<Sourced<double>> optional_number(std::string_view key) {
    const Value* value = find(key, false);
    return value == nullptr ? std::nullopt : std::optional(sourced<double>(key, *value));
  }

  [[nodiscard]] Section table(std::string_view key) {
    const Value* value = find(key, true);
    if (value != nullptr && value->kind == Value::Kind::table) {
      return {value, std::string(key), value->where, findings_};
    }
    if (value != nullptr) {
      findings_.error("C923", value->where, fmt::format("{} is a table", key), fmt::format("[{}]", key));
    }
    return {nullptr, std::string(key), where_, findings_};
  }

  void refuse_others() const {
    if (table_ == nullptr) return;
    std::vector<std::string> missing = missing_;
    for (const Member& member : table_->members) {
      if (std::ranges::find(asked_, member.key) != asked_.end()) continue;
      const auto near = nearest(member.key, asked_);
      findings_.error("C922", member.where, fmt::format("a device profile has no {}", path(member.key)),
                      near ? fmt::format("did you mean {}?", *near) : "remove this line");
      if (near) std::erase(missing, *near);  // it is there, misspelt
    }
    for (const std::string& key : missing) {
      findings_.error("C924", where_, fmt::format("the device profile lacks {}", path(key)),
                      name_.empty() ? fmt::format("{} = …", key) : fmt::format("{} = {}", key, kExample));
    }
  }

 private:
  [[nodiscard]] std::string path(std::string_view key) const {
    return name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key);
  }

  const Value* find(std::string_view key, bool required) {
    asked_.emplace_back(key);
    const Member* member = table_ == nullptr ? nullptr : table_->find(key);
    if (member != nullptr) return &member->value;
    if (required && table_ != nullptr) missing_.emplace_back(key);
    return nullptr;
  }

  template <class Number>
  Sourced<Number> sourced(std::string_view key, const Value& value) {
    const Member* number = value.kind == Value::Kind::table ? value.find("value") : nullptr;
    const Member* source = value.kind == Value::Kind::table ? value.find("source") : nullptr;
    const bool whole = value.kind == Value::Kind::table && value.members.size() == 2;
    const bool positive = number != nullptr && number->value.is_numeric() && number->value.as_number() > 0 &&
                          std::isfinite(number->value.as_number());
    const bool fits = positive && (!std::is_integral_v<Number> || number->value.kind == Value::Kind::integer);
    const auto known = std::ranges::find_if(kSources, [&](Source s) {
      return source != nullptr && source->value.kind == Value::Kind::text && source->value.text == to_string(s);
    });
    if (!whole || !fits || known == kSources.end()) {
      findings_.error(
          "C923", value.where,
          fmt::format("{} is a number above 0 and its source: measured, data sheet or estimated", path(key)),
          fmt::format("{} = {}", key, kExample));
      return {};
    }
    if constexpr (std::is_integral_v<Number>) {
      return {number->value.integer, *known};
    } else {
      return {number->value.as_number(), *known};
    }
  }

  const Value* table_;
  std::string name_;
  Position where_;
  Findings& findings_;
  std::vector<std::string> asked_;
  std::vector<std::string> missing_;
};

int parse_capability(const std::string& text, const Position& where, Findings& findings) {
  std::string known;
  for (const Architecture& architecture : architectures()) {
    const std::string name = capability_text(architecture.capability);
    if (name == text) return architecture.capability;
    known += (known.empty() ? "" : ", ") + name;
  }
  if (!text.empty()) {
    findings.error("C923", where,
                   fmt::format("compute_capability = \"{}\": known are {}", config::shortened(text, 20), known),
                   "compute_capability = \"9.0\"");
  }
  return 0;
}

/// Numbers that contradict each other.
void check_consistent(const DeviceProfile& profile, const Position& where, Findings& findings) {
  const std::int64_t taken = profile.context_bytes.value + profile.library_bytes.value;
  if (profile.usable_bytes.value > profile.total_bytes.value || taken >= profile.usable_bytes.value) {
    findings.error(
        "C925", where,
        fmt::format("of {} in all {} are usable, context and library take {}", format_bytes(profile.total_bytes.value),
                    format_bytes(profile.usable_bytes.value), format_bytes(taken)),
        "context + library < usable <= total");
  }
  if ((profile.bf16 || profile.tf32) && !has_bf16(profile.capability)) {
    findings.error(
        "C925", where,
        fmt::format("compute capability {} computes neither bf16 nor tf32", capability_text(profile.capability)),
        "leave rates.bf16 and rates.tf32 out");
  }
}

void read_sections(Section& root, const Position& where, Findings& findings, DeviceProfile& profile) {
  Section memory = root.table("memory");
  profile.total_bytes = memory.number<std::int64_t>("total");
  profile.usable_bytes = memory.number<std::int64_t>("usable");
  profile.context_bytes = memory.number<std::int64_t>("context");
  profile.library_bytes = memory.number<std::int64_t>("library");
  memory.refuse_others();
  Section chip = root.table("chip");
  profile.multiprocessors = chip.number<std::int64_t>("multiprocessors");
  profile.clock_khz = chip.number<std::int64_t>("clock_khz");
  profile.memory_clock_khz = chip.number<std::int64_t>("memory_clock_khz");
  profile.l2_bytes = chip.number<std::int64_t>("l2_bytes");
  chip.refuse_others();
  Section rates = root.table("rates");
  profile.bandwidth = rates.number<double>("bandwidth");
  profile.copy = rates.number<double>("copy");
  profile.host = rates.optional_number("host");
  profile.fp32 = rates.number<double>("fp32");
  profile.tf32 = rates.optional_number("tf32");
  profile.fp16 = rates.optional_number("fp16");
  profile.bf16 = rates.optional_number("bf16");
  rates.refuse_others();
  root.refuse_others();
  if (!findings.has_errors()) check_consistent(profile, where, findings);
}

}  // namespace

DeviceProfile parse_profile(std::string_view text, const std::string& file) {
  Findings findings;
  findings.source(file);
  const std::optional<Value> root = config::parse_toml(text, file, findings);
  DeviceProfile profile;
  if (root) {
    const Position where{.file = file, .line = 1, .column = 1};
    Section top(&*root, {}, where, findings);
    profile.name = std::filesystem::path(file).stem().string();
    profile.file = file;
    profile.device = top.text("device");
    profile.capability = parse_capability(top.text("compute_capability"), where, findings);
    read_sections(top, where, findings, profile);
  }
  if (findings.has_errors()) throw Error(findings.take());
  return profile;
}

}  // namespace snug
