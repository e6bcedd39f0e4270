#include "cli/cli.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <span>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/common.h"
#include "cli/completion.h"
#include "report/findings.h"
#include "report/terminal.h"

namespace snug {

namespace {

bool contains(std::span<const std::string> words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

/// The line with the arguments that were given; what is missing is the example's.
std::string completed(const Command& command, std::span<const std::string> given) {
  std::string line = fmt::format("snug {}", command.name);
  for (const std::string& word : given) line += " " + word;
  std::string_view rest = command.example.substr(std::min(command.example.size(), command.name.size() + 6));
  for (std::size_t i = 0; i < given.size(); ++i) rest.remove_prefix(std::min(rest.find(' '), rest.size() - 1) + 1);
  return given.size() < command.least_arguments ? fmt::format("{} {}", line, rest) : line;
}

void check_argument_count(const Command& command, const Arguments& arguments) {
  const auto& given = arguments.positional();
  if (!command.instead.empty() && arguments.has(command.instead)) {
    if (given.empty()) return;
    throw Error({.code = "C908",
                 .where = given[0],
                 .what = fmt::format("`snug {} --{}` takes no {}, got '{}'", command.name, command.instead,
                                     command.arguments, given[0]),
                 .fix = fmt::format("snug {} --{} {}", command.name, command.instead,
                                    arguments.text(command.instead).value_or(""))});
  }
  if (given.size() < command.least_arguments) {
    throw Error({.code = "C908",
                 .where = fmt::format("snug {}", command.name),
                 .what = fmt::format("`snug {}` expects {}, got {} argument{}", command.name, command.arguments,
                                     given.size(), given.size() == 1 ? "" : "s"),
                 .fix = completed(command, given)});
  }
  if (given.size() > command.most_arguments) {
    throw Error({.code = "C908",
                 .where = given[command.most_arguments],
                 .what = fmt::format("`snug {}` takes {} argument{}, '{}' is one too many", command.name,
                                     command.most_arguments, command.most_arguments == 1 ? "" : "s",
                                     given[command.most_arguments]),
                 .fix = completed(command, std::span(given).first(command.most_arguments))});
  }
}

/// How many words stand before the first option.
std::ptrdiff_t words_alone(std::span<const std::string> words) {
  return std::ranges::find_if(words, [](const std::string& word) { return word.starts_with("-"); }) - words.begin();
}

int show_help(std::span<const std::string> words) {
  if (words.empty()) {
    write(Stream::out, overview_help());
  } else if (const std::string group = group_help(words[0]); !group.empty() && words_alone(words) < 2) {
    write(Stream::out, group);
  } else {
    write(Stream::out, command_help(*find_command(words).command));
  }
  return 0;
}

/// `snug --json check c.toml` means `snug check c.toml --json`.
std::vector<std::string> options_last(std::span<const std::string> words) {
  std::vector<std::string> turned(words.begin(), words.end());
  const auto common = [](const std::string& word) {
    return word == "--json" || word == "--quiet" || word == "--strict";
  };
  const auto first = std::ranges::find_if_not(turned, common);
  if (first != turned.end() && !first->starts_with("-")) std::ranges::rotate(turned, first);
  return turned;
}

int dispatch(const std::string& program, std::span<const std::string> words) {
  if (words.empty()) {
    write(Stream::error, overview_help());
    return 2;
  }
  if (words[0] == kCompleteWord) return print_completions(words.subspan(1));
  const bool asks_help = contains(words, "--help") || contains(words, "-h");
  if (words[0] == "help") return show_help(words.subspan(1));
  if (words[0].starts_with("-") && asks_help) return show_help({});
  if (words[0] == "--version") return version_command().run(Arguments({}, {}));
  if (asks_help) return show_help(words);
  const FoundCommand found = find_command(words);
  const std::vector<Option> options = all_options(*found.command);
  Arguments arguments = parse_arguments(found.command->name, options, words.subspan(found.words));
  if (program.find('/') != std::string::npos) arguments.called_as(program);  // else it was found on the path
  check_argument_count(*found.command, arguments);
  return found.command->run(arguments);
}

}  // namespace

int run_cli(int argc, char** argv) {
  // A reader that went away (`| head`) must not kill a training run; `write` bears it.
  std::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> given(argv + std::min(argc, 1), argv + argc);
  const std::vector<std::string> words = options_last(given);
  int code = 0;
  try {
    code = dispatch(argc > 0 ? argv[0] : "snug", words);
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
