// Any text is read as a config, or refused with findings; what was read can be written and read again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/ensure.h"
#include "snug/config.h"

namespace {

void check_findings(const snug::Error& error) {
  snug::ensure(snug::has_errors(error.findings()), "an Error holds a finding of severity error");
  for (const snug::Diagnostic& finding : error.findings()) {
    snug::ensure(finding.what.size() <= 160, "a message is short");
    snug::ensure(!finding.fix.empty(), "a finding has a fix");
    snug::ensure(!finding.where.empty(), "a finding has a place");
  }
}

void check_config(const snug::Config& config, bool model_only) {
  const std::string written = to_toml(config);
  const snug::Config again = snug::parse_config(written, "/written.toml", {.model_only = model_only});
  snug::ensure(to_toml(again) == written, "a config that was written reads back the same");
}

}  // namespace

/// The first byte chooses: a whole config, a bare model, or (behind a line end) an option --set.
// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const bool model_only = (text[0] & 1) != 0;
  snug::ConfigOptions options{.model_only = model_only};
  text.remove_prefix(1);
  if ((data[0] & 2) != 0) {
    const std::size_t end = text.find('\n');
    const std::string_view option = text.substr(0, end);
    const std::size_t equals = option.find('=');
    if (equals != std::string_view::npos) {
      options.set.emplace_back(option.substr(0, equals), option.substr(equals + 1));
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  try {
    check_config(snug::parse_config(text, "/fuzz/input.toml", options), model_only);
  } catch (const snug::Error& error) {
    check_findings(error);
  }
  return 0;
}
