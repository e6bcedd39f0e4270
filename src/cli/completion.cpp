#include "cli/completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/command.h"
#include "cli/common.h"
#include "config/keys.h"
#include "planner/device_profile.h"
#include "report/terminal.h"
#include "train/run_reader.h"

namespace snug {

namespace {

// Each script hands over the words up to the cursor and shows what comes back.

constexpr std::string_view kBash = R"(# bash completion of snug:  source <(snug completion bash)
_snug() {
  local line word current=${COMP_WORDS[COMP_CWORD]} after_equals=
  # Bash parts words at "=": the program puts them together, and the part before it goes off again here.
  [[ $current == "=" ]] && after_equals=yes current=
  ((COMP_CWORD > 0)) && [[ ${COMP_WORDS[COMP_CWORD - 1]} == "=" ]] && after_equals=yes
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o filenames
      while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$current")
      continue
    fi
    word=${line%%$'\t'*}
    [[ $word == *= ]] && compopt -o nospace
    [[ -n $after_equals ]] && word=${word#*=}
    COMPREPLY+=("$word")
  done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _snug snug
)";

constexpr std::string_view kZsh = R"(#compdef snug
# zsh completion of snug:  source <(snug completion zsh), after compinit; or as _snug in a folder of $fpath
_snug() {
  local line word
  local -a whole open
  local -i files=0
  while IFS= read -r line; do
    if [[ $line == :files ]]; then files=1; continue; fi
    word=${line%%$'\t'*}
    if [[ $word == *= ]]; then
      open+=("${word//:/\\:}:${line#*$'\t'}")
    else
      whole+=("${word//:/\\:}:${line#*$'\t'}")
    fi
  done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
  ((${#whole})) && _describe -V snug whole
  ((${#open})) && _describe -V snug open -S ''
  ((files)) && _files
}
if [[ ${funcstack[1]} == _snug ]]; then _snug "$@"; else compdef _snug snug; fi
)";

constexpr std::string_view kFish = R"(# fish completion of snug:  snug completion fish | source
function __snug_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    $words[1] __complete $words[2..-1] "$current" 2>/dev/null | while read -l line
        if test "$line" = :files
            __fish_complete_path "$current"
        else
            echo $line
        end
    end
end
complete -c snug -f -a '(__snug_complete)'
)";

/// Words that begin with what was typed.
class Collector {
 public:
  explicit Collector(std::string typed) : typed_(std::move(typed)) {}
  void add(std::string word, std::string_view about) {
    if (!word.starts_with(typed_) || !seen_.insert(word).second) return;
    result_.candidates.push_back({std::move(word), std::string(about)});
  }
  void add_words(std::string_view words, char between, const std::string& before = "") {
    while (!words.empty()) {
      const std::size_t end = std::min(words.find(between), words.size());
      add(before + std::string(words.substr(0, end)), "");
      words.remove_prefix(std::min(end + 1, words.size()));
    }
  }
  void add_files() { result_.files = true; }
  [[nodiscard]] const std::string& typed() const { return typed_; }
  [[nodiscard]] Completions take() { return std::move(result_); }

 private:
  std::string typed_;
  std::set<std::string> seen_;
  Completions result_;
};

void add_settings(Collector& to, const std::string& before) {
  for (const std::span<const config::Key> part : {config::train_keys(), config::data_keys()}) {
    for (const config::Key& key : part) {
      const std::string name = config::dotted_name(key);
      if (to.typed().find('=', before.size()) == std::string::npos) {
        to.add(before + name + "=", key.meaning);
      } else {
        for (const std::string_view choice : key.choices) to.add(fmt::format("{}{}={}", before, name, choice), "");
      }
    }
  }
}

void add_devices(Collector& to, const Command& command, const std::string& before) {
  to.add(before + "cpu", "this machine's processor");
  if (command.name != "plan" && command.name != "check" && command.name != "train") return;
  for (const DeviceProfile& profile : installed_profiles()) to.add(before + profile.name, profile.device);
}

/// The value of an option; `before` is "--name=" where it is written in one word.
void add_values(Collector& to, const Command& command, const Option& option, const std::string& before) {
  if (!option.choices.empty()) {
    to.add_words(option.choices, ' ', before);
  } else if (option.name == kSetOption.name) {
    add_settings(to, before);
  } else if (option.name == kDeviceOption.name) {
    add_devices(to, command, before);
  } else if (option.value.starts_with("FILE") || option.value == "DIR" || option.value == "FOLDER") {
    to.add_files();
  }
}

void add_arguments(Collector& to, const Command& command) {
  if (command.arguments.starts_with("RUN")) {
    for (const RunOverview& run : list_runs("runs")) to.add(run.folder.filename().string(), run.model);
  } else if (command.arguments.find('|') != std::string_view::npos) {
    to.add_words(command.arguments, '|');
  } else if (!command.arguments.empty()) {
    to.add_files();
  }
}

/// The first word of commands, or the second after `group`.
void add_commands(Collector& to, std::string_view group) {
  for (const Command& command : commands()) {
    const std::size_t space = command.name.find(' ');
    const std::string_view first = command.name.substr(0, space);
    if (group.empty())
      to.add(std::string(first),
             space == std::string_view::npos ? command.summary : "several: " + std::string(command.name));
    else if (first == group && space != std::string_view::npos)
      to.add(std::string(command.name.substr(space + 1)), command.summary);
  }
  if (group.empty()) to.add("help", "what a command does and its options");
}

/// "--set", "a", "=", "b" as one word "a=b": bash parts words at "=".
std::vector<std::string> put_together(std::span<const std::string> words) {
  std::vector<std::string> whole;
  bool open = false;
  for (const std::string& word : words) {
    if (!whole.empty() && (word == "=" || open)) {
      whole.back() += word;
    } else {
      whole.push_back(word);
    }
    open = word == "=";
  }
  return whole;
}

}  // namespace

Completions completions(std::span<const std::string> words) {
  const std::vector<std::string> whole = put_together(words);
  Collector to(whole.empty() ? "" : whole.back());
  const std::span before(whole.data(), whole.empty() ? 0 : whole.size() - 1);
  if (before.empty()) {
    add_commands(to, "");
    return to.take();
  }
  if (before[0] == "help") {
    before.size() == 1 ? add_commands(to, "") : add_commands(to, before[1]);
    return to.take();
  }
  if (before.size() == 1 && !to.typed().starts_with("-")) add_commands(to, before[0]);
  const Command* const command = known_command(before).command;
  if (command == nullptr) return to.take();

  const std::vector<Option> options = all_options(*command);
  const auto option_of = [&](std::string_view word) {
    return std::ranges::find_if(options,
                                [&](const Option& option) { return word == fmt::format("--{}", option.name); });
  };
  const auto valued = option_of(before.back());
  if (valued != options.end() && !valued->value.empty()) {
    add_values(to, *command, *valued, "");
  } else if (const std::size_t equals = to.typed().find('=');
             to.typed().starts_with("--") && equals != std::string::npos) {
    const auto option = option_of(std::string_view(to.typed()).substr(0, equals));
    if (option != options.end()) add_values(to, *command, *option, to.typed().substr(0, equals + 1));
  } else if (to.typed().starts_with("-")) {
    for (const Option& option : options) {
      const std::string word = fmt::format("--{}", option.name);
      if (option.name == kSetOption.name || std::ranges::find(before, word) == before.end()) to.add(word, option.help);
    }
  } else {
    add_arguments(to, *command);
  }
  return to.take();
}

int print_completions(std::span<const std::string> words) {
  std::string text;
  const Completions found = completions(words);
  for (const auto& [word, about] : found.candidates) text += fmt::format("{}\t{}\n", word, about);
  write(Stream::out, text + (found.files ? ":files\n" : ""));
  return 0;
}

namespace {

int run(const Arguments& arguments) {
  const std::string& shell = arguments.positional()[0];
  if (shell != "bash" && shell != "zsh" && shell != "fish") {
    throw Error({.code = "C904",
                 .where = shell,
                 .what = fmt::format("completion is for bash, zsh and fish, got '{}'", shell),
                 .fix = "snug completion bash"});
  }
  write(Stream::out, shell == "bash" ? kBash : shell == "zsh" ? kZsh : kFish);
  return 0;
}

}  // namespace

Command completion_command() {
  return {.name = "completion",
          .arguments = "bash|zsh|fish",
          .summary = "a script by which the shell completes commands, options, config keys and devices",
          .example = "snug completion bash > ~/.local/share/bash-completion/completions/snug",
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {},
          .run = run};
}

}  // namespace snug
