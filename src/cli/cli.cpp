#include "cli/cli.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <span>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/common.h"
#include "report/findings.h"
#include "report/terminal.h"

namespace snug {

namespace {

bool contains(std::span<const std::string> words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

void check_argument_count(const Command& command, const Arguments& arguments) {
  const auto& given = arguments.positional();
  if (given.size() < command.least_arguments) {
    throw Error({.code = "C908",
                 .where = fmt::format("snug {}", command.name),
                 .what = fmt::format("`snug {}` expects {}, got {} argument{}", command.name, command.arguments,
                                     given.size(), given.size() == 1 ? "" : "s"),
                 .fix = std::string(command.example)});
  }
  if (given.size() > command.most_arguments) {
    throw Error({.code = "C908",
                 .where = given[command.most_arguments],
                 .what = fmt::format("`snug {}` takes {} argument{}, '{}' is one too many", command.name,
                                     command.most_arguments, command.most_arguments == 1 ? "" : "s",
                                     given[command.most_arguments]),
                 .fix = std::string(command.example)});
  }
}

int show_help(std::span<const std::string> words) {
  if (words.empty()) {
    write(Stream::out, overview_help());
  } else {
    write(Stream::out, command_help(*find_command(words).command));
  }
  return 0;
}

int dispatch(std::span<const std::string> words) {
  if (words.empty()) {
    write(Stream::error, overview_help());
    return 2;
  }
  const bool asks_help = contains(words, "--help") || contains(words, "-h");
  if (words[0] == "help") return show_help(words.subspan(1));
  if (words[0].starts_with("-") && asks_help) return show_help({});
  if (words[0] == "--version") return version_command().run(Arguments({}, {}));
  const FoundCommand found = find_command(words);
  if (asks_help) return show_help(words);
  const std::vector<Option> options = all_options(*found.command);
  const Arguments arguments = parse_arguments(found.command->name, options, words.subspan(found.words));
  check_argument_count(*found.command, arguments);
  return found.command->run(arguments);
}

}  // namespace

int run_cli(int argc, char** argv) {
  // A reader that went away (`| head`) must not kill a training run; `write` bears it.
  std::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  int code = 0;
  try {
    code = dispatch(words);
  } catch (...) {
    const std::vector<Diagnostic> findings = current_exception_findings();
    code = exit_code(findings);
    if (contains(words, "--json")) {
      write(Stream::out, findings_json(findings) + "\n");
    } else {
      write(Stream::error, findings_text(findings, use_colour(Stream::error)));
    }
  }
  if (!flush_output()) {
    write(Stream::error, "error I902: standard output could not be written\n");
    if (code == 0) code = 1;
  }
  return code;
}

}  // namespace snug
