#include "cli/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.h"
#include "report/table.h"
#include "snug/diagnostic.h"

namespace snug {

namespace {

const std::array<Option, 4> kCommonOptions{{{"json", "", "print JSON for programs"},
                                            {"quiet", "", "print results and faults alone"},
                                            {"strict", "", "warnings are errors"},
                                            {"help", "", "this text (also -h)"}}};

/// What a person wants, and the first words of the commands that do it.
struct Topic {
  std::string_view title;
  std::vector<std::string_view> words;
};
const std::array<Topic, 5> kTopics{{{"Before the first step", {"init", "check", "plan", "summary", "devices"}},
                                    {"Train, and use what was trained", {"train", "eval", "predict", "export", "runs"}},
                                    {"Data", {"data"}},
                                    {"Speed", {"tune", "bench"}},
                                    {"This program", {"completion", "version"}}}};

/// What stands for the words in a command's line.
struct Word {
  std::string_view word, meaning;
};
const std::array<Word, 10> kWords{
    {{"CONFIG", "a TOML file: snug init FOLDER writes one for your data, docs/config.md has every key"},
     {"CHECKPOINT", "a run folder (its best checkpoint), or one of its .safetensors files"},
     {"FOLDER", "where the data lie: class folders, arrays, IDX, CIFAR, CSV lists, archives, packs"},
     {"FILE…", "pictures (JPEG, PNG), folders of them, globs in quotes, .npy arrays of images"},
     {"RUN", "a run folder, or the name of one in --dir"},
     {"RUN…", "as many as you like"},
     {"IN", "a folder of class folders, an archive of them, a CSV list, a picture, .npy, .npz, IDX"},
     {"OUT", "a new file or folder"},
     {"LAYER", "as in a config, keys parted by commas: 'conv=64,kernel=3,padding=1'"},
     {"A.json", "what snug bench … --json printed, the older first; a file may hold several, one a line"}}};

std::string words_help(std::string_view arguments) {
  std::string text;
  std::size_t width = 0;
  std::vector<const Word*> found;
  for (const Word& word : kWords) {
    const std::string spaced = fmt::format(" {} ", arguments);
    if (spaced.find(fmt::format(" {} ", word.word)) == std::string::npos) continue;
    found.push_back(&word);
    width = std::max(width, display_width(word.word));
  }
  for (const Word* word : found) text += fmt::format("  {}  {}\n", pad_right(word->word, width), word->meaning);
  return text.empty() ? text : text + "\n";
}

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const Command& command : commands()) names.emplace_back(command.name);
  names.emplace_back("help");
  return names;
}

[[noreturn]] void throw_unknown(const std::string& written) {
  const auto near = nearest(written, command_names());
  throw Error({.code = "C906",
               .where = written,
               .what = fmt::format("there is no command '{}'", written),
               .fix = !group_help(written).empty() ? fmt::format("snug {} --help", written)
                      : near                       ? fmt::format("did you mean snug {}?", *near)
                                                   : "snug --help lists the commands"});
}

}  // namespace

const std::vector<Command>& commands() {
  static const std::vector<Command> kCommands{
      init_command(),         check_command(),        plan_command(),         train_command(),
      eval_command(),         predict_command(),      export_command(),       summary_command(),
      data_info_command(),    data_synth_command(),   data_pack_command(),    data_convert_command(),
      data_preview_command(), devices_command(),      tune_command(),         bench_model_command(),
      bench_op_command(),     bench_device_command(), bench_loader_command(), bench_compare_command(),
      runs_command(),         runs_show_command(),    runs_compare_command(), runs_report_command(),
      completion_command(),   version_command()};
  return kCommands;
}

namespace {

/// The first two words where the second is no option, else the first.
std::string two_words(std::span<const std::string> words) {
  return words.size() > 1 && !words[1].starts_with("-") ? words[0] + " " + words[1] : words[0];
}

}  // namespace

FoundCommand known_command(std::span<const std::string> words) {
  const std::string &one = words[0], two = two_words(words);
  for (const Command& command : commands())
    if (command.name == two) return {&command, two == one ? 1U : 2U};
  for (const Command& command : commands())
    if (command.name == one) return {&command, 1};
  return {};
}

FoundCommand find_command(std::span<const std::string> words) {
  const FoundCommand found = known_command(words);
  if (found.command != nullptr) return found;
  const bool group = words[0] == "data" || words[0] == "bench";
  throw_unknown(group ? two_words(words) : words[0]);
}

std::vector<Option> all_options(const Command& command) {
  std::vector<Option> options = command.options;
  options.insert(options.end(), kCommonOptions.begin(), kCommonOptions.end());
  return options;
}

std::string group_help(std::string_view word) {
  std::string own;
  std::vector<std::pair<std::string, std::string_view>> lines;
  std::size_t width = 0;
  for (const Command& command : commands()) {
    if (command.name == word) own = command_help(command) + "\n";
    const bool below = command.name.starts_with(word) && command.name.substr(word.size()).starts_with(' ');
    if (!below && command.name != word) continue;
    lines.emplace_back(
        fmt::format("snug {}{}{}", command.name, command.arguments.empty() ? "" : " ", command.arguments),
        command.summary);
    width = std::max(width, display_width(lines.back().first));
  }
  if (lines.size() < 2) return {};
  std::string text = own;
  for (const auto& [line, summary] : lines) text += fmt::format("  {}  {}\n", pad_right(line, width), summary);
  return text + fmt::format("\nsnug {} COMMAND --help lists the options of one\n", word);
}

std::string overview_help() {
  std::string text =
      "Snug trains convolutional networks and plans every byte before it runs.\n\n"
      "usage: snug COMMAND … [options]\n\n";
  std::size_t width = 0;
  for (const Command& command : commands()) width = std::max(width, command.name.size());
  for (const Topic& topic : kTopics) {
    text += fmt::format("{}\n", topic.title);
    for (const Command& command : commands()) {
      if (std::ranges::find(topic.words, command.name.substr(0, command.name.find(' '))) != topic.words.end())
        text += fmt::format("  {}  {}\n", pad_right(command.name, width), command.summary);
    }
    text += "\n";
  }
  text += fmt::format("  {}  {}\n", pad_right("help", width), "this text, or that of a command: snug help train");
  text +=
      "\nfirst steps: snug init FOLDER looks at your data and writes a config; each command says what comes next\n"
      "example: snug train configs/quickstart.toml\n"
      "exit codes: 0 done, 1 internal error, 2 usage or config, 3 data or labels, 4 does not fit in memory,\n"
      "            5 device, 6 training diverged, 7 slower (bench compare), 130 interrupted\n";
  return text;
}

std::string command_help(const Command& command) {
  std::string text =
      fmt::format("{}\n\nusage: snug {}{}{} [options]\n\n{}options:\n", command.summary, command.name,
                  command.arguments.empty() ? "" : " ", command.arguments, words_help(command.arguments));
  std::vector<std::pair<std::string, std::string_view>> lines;
  std::size_t width = 0;
  for (const Option& option : all_options(command)) {
    lines.emplace_back(fmt::format("--{}{}{}", option.name, option.value.empty() ? "" : " ", option.value),
                       option.help);
    width = std::max(width, lines.back().first.size());
  }
  for (const auto& [left, help] : lines) text += fmt::format("  {}  {}\n", pad_right(left, width), help);
  text += fmt::format("\nexample: {}\n", command.example);
  for (const std::string_view example : command.more) text += fmt::format("         {}\n", example);
  return text;
}

}  // namespace snug
