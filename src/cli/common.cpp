#include "cli/common.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <new>
#include <system_error>

#include "base/text.h"
#include "config/keys.h"
#include "data/findings.h"
#include "report/findings.h"
#include "report/terminal.h"
#include "runtime/device_findings.h"

namespace snug {

namespace {

/// What the operating system refused, by whose fault it is.
Diagnostic system_finding(const std::system_error& error) {
  const int number = error.code().value();
  const std::string what = error.what();
  if (number == ENOSPC || number == EDQUOT)
    return {
        .code = "M901", .where = {}, .what = what, .fix = "free disk space, or choose another folder with --out DIR"};
  if (number == ENOMEM)
    return {.code = "M902", .where = {}, .what = what, .fix = "memory.budget = \"50%\", or a smaller train.batch"};
  return {.code = "C909", .where = {}, .what = what, .fix = "check that the path exists and may be read and written"};
}

}  // namespace

ConfigOptions config_options(const Arguments& arguments) {
  ConfigOptions options{.set = arguments.settings(), .data_root = {}};
  if (const auto epochs = arguments.integer("epochs", 1))
    options.set.emplace_back("train.epochs", std::to_string(*epochs));
  if (const auto root = arguments.text("data-root")) options.data_root = *root;
  return options;
}

Config read_config(const std::string& path, const Arguments& arguments, bool model_only) {
  ConfigOptions options = config_options(arguments);
  options.model_only = model_only;
  return load_config(path, options);
}

Config read_sound_parts(const std::string& path, const Arguments& arguments) {
  ConfigOptions options = config_options(arguments);
  options.keep_faulty = true;
  return load_config(path, options);
}

int thread_count(const Arguments& arguments) {
  constexpr std::int64_t kMostThreads = 4096;  // more than any machine has; keeps the number in an int
  const std::int64_t threads = arguments.integer("threads", 1).value_or(0);
  if (threads > kMostThreads) {
    throw Error({.code = "C904",
                 .where = "--threads",
                 .what = fmt::format("--threads expects at most {}, got {}", kMostThreads, threads),
                 .fix = "leave --threads out to use all cores"});
  }
  return static_cast<int>(threads);
}

void print_result(const Arguments& arguments, const std::string& json, const std::string& text) {
  write(Stream::out, arguments.has("json") ? json + "\n" : text);
}

void apply_strict(const Arguments& arguments, std::vector<Diagnostic>& findings) {
  if (!arguments.has("strict")) return;
  for (Diagnostic& finding : findings) {
    if (finding.severity == Severity::warning) finding.severity = Severity::error;
  }
}

void show_asides(const Arguments& arguments, std::vector<Diagnostic> findings) {
  if (arguments.has("json")) return;
  if (arguments.has("quiet")) std::erase_if(findings, [](const Diagnostic& f) { return f.severity == Severity::note; });
  write(Stream::error, findings_text(findings, use_colour(Stream::error)));
}

namespace {

/// The key that "NAME = …" means beside an option for `key`: the option's own, a table above it, or one that is at home
/// elsewhere. Empty when that cannot be told.
std::string full_key(const std::string& key, std::string_view name) {
  for (std::size_t begin = key.size(); begin != std::string::npos && begin > 0;) {
    const std::size_t dot = key.rfind('.', begin - 1);
    const std::size_t part = dot == std::string::npos ? 0 : dot + 1;
    if (std::string_view(key).substr(part, begin - part) == name) return key.substr(0, begin);
    begin = dot == std::string::npos ? 0 : dot;
  }
  return config::dotted_key(name);
}

}  // namespace

void fix_options(std::vector<Diagnostic>& findings) {
  constexpr std::string_view kOption = "--set ", kEquals = " = ", kComment = "   # ";
  for (Diagnostic& finding : findings) {
    const std::size_t equals = finding.fix.find(kEquals);
    if (!finding.where.starts_with(kOption) || equals == std::string::npos) continue;
    const std::string name = finding.fix.substr(0, equals);
    if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") != std::string::npos) continue;
    const std::string key = full_key(finding.where.substr(kOption.size()), name);
    if (key.empty()) continue;
    const std::size_t comment = std::min(finding.fix.find(kComment), finding.fix.size());
    const std::size_t begin = equals + kEquals.size();
    const std::string value = finding.fix.substr(begin, comment - begin);
    const bool plain = value.find_first_of(" \"'[]{},") == std::string::npos;
    finding.fix = fmt::format("--set {}={}{}", key, plain ? value : "'" + value + "'", finding.fix.substr(comment));
  }
}

namespace {

std::vector<Diagnostic> findings_of_exception() {
  try {
    throw;
  } catch (const Error& error) {
    return error.findings();
  } catch (const DeviceFailure& failure) {
    return {device_stopped("--device", failure)};
  } catch (const std::system_error& error) {
    return {system_finding(error)};
  } catch (const std::bad_alloc&) {
    return {{.code = "M902",
             .where = {},
             .what = "the operating system gave no more memory",
             .fix = "memory.budget = \"50%\", or a smaller train.batch"}};
  } catch (const std::exception& error) {
    return {{.code = "I901",
             .where = {},
             .what = fmt::format("internal error: {}", error.what()),
             .fix = "this is a fault of snug: please report it with the command line and the config"}};
  }
}

}  // namespace

std::vector<Diagnostic> current_exception_findings() {
  constexpr std::size_t kMostCharacters = 160;  // of `what`: promised; words of the user's may be longer
  std::vector<Diagnostic> findings = findings_of_exception();
  for (Diagnostic& finding : findings) finding.what = shorten(finding.what, kMostCharacters);
  fix_options(findings);
  return findings;
}

}  // namespace snug
