#include "cli/completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "cli/command.h"
#include "cli/common.h"
#include "cli/gpus.h"
#include "config/keys.h"
#include "planner/device_profile.h"
#include "report/terminal.h"
#include "train/run_reader.h"

namespace snug {

namespace {

// Each script hands over the words up to the cursor and shows what comes back.

constexpr std::string_view kBash = R"(# bash completion of snug:  source <(snug completion bash)
_snug() {
  local line word after_equals=
  # The words without their quotes, as the program gets them; bash puts back the one that the last word began with.
  local -a words=("${COMP_WORDS[@]:1:COMP_CWORD}")
  words=("${words[@]//[\"\'\\\\]/}")
  local current=${words[COMP_CWORD - 1]}
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
  done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
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
    line=${line#*$'\t'}
    if [[ $word == *= ]]; then
      open+=("${word//:/\\:}:$line")
    else
      whole+=("${word//:/\\:}${line:+:$line}")
    fi
  done < <("${words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)
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
    set current (string replace -ra '["\']' '' -- "$current")
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

/// Commands that only plan take GPUs that are not here, and files that describe one.
void add_devices(Collector& to, const Option& option, const std::string& before) {
  to.add(before + "cpu", "this machine's processor");
  if (option.help == kPlanDeviceOption.help) {
    for (const DeviceProfile& profile : installed_profiles()) to.add(before + profile.name, profile.device);
    to.add_files();
  } else if (option.help == kComputeDeviceOption.help) {
    for (const DeviceEntry& gpu : list_gpus()) to.add(before + gpu.id, gpu.name);
  }
}

/// The option that a word "--name" is, or null.
const Option* option_of(std::span<const Option> options, std::string_view word) {
  const auto found =
      std::ranges::find_if(options, [&](const Option& option) { return word == fmt::format("--{}", option.name); });
  return found == options.end() ? nullptr : &*found;
}

/// The value of an option; `before` is "--name=" where it is written in one word.
void add_values(Collector& to, const Option& option, const std::string& before) {
  if (!option.choices.empty()) {
    to.add_words(option.choices, ' ', before);
  } else if (option.name == kSetOption.name) {
    add_settings(to, before);
  } else if (option.name == kDeviceOption.name) {
    add_devices(to, option, before);
  } else if (option.value.starts_with("FILE") || option.value == "DIR" || option.value == "FOLDER") {
    to.add_files();
  }
}

/// What was typed after a command's name, without the last word.
struct Typed {
  std::vector<std::string> positional;
  std::string folder = "runs";  ///< --dir
};

Typed typed_words(std::span<const std::string> words, std::span<const Option> options) {
  Typed typed;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!word.starts_with("-")) {
      typed.positional.push_back(word);
    } else if (word.starts_with("--dir=")) {
      typed.folder = word.substr(word.find('=') + 1);
    } else if (const auto option = option_of(options, word); option != nullptr && !option->value.empty()) {
      if (++i < words.size() && option->name == "dir") typed.folder = words[i];
    }
  }
  return typed;
}

/// The names of the run folders in `typed.folder`; those elsewhere are found by their path.
void add_runs(Collector& to, const Typed& typed) {
  if (to.typed().find('/') != std::string::npos) return to.add_files();
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(typed.folder, ignored)) {
    std::string name = entry.path().filename().string();
    const bool named = std::ranges::find(typed.positional, name) != typed.positional.end();
    if (!named && is_run_folder(entry.path())) names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  for (std::string& name : names) to.add(std::move(name), "");
}

void add_arguments(Collector& to, const Command& command, const Typed& typed) {
  if (typed.positional.size() >= command.most_arguments) return;
  if (command.arguments.starts_with("RUN")) {
    add_runs(to, typed);
  } else if (command.arguments.find('|') != std::string_view::npos) {
    to.add_words(command.arguments, '|');
  } else {
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

/// What may stand before any command.
void add_first_options(Collector& to) {
  to.add("--help", "what the commands do");
  to.add("--version", "program, libraries, architectures");
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
    if (to.typed().starts_with("-")) add_first_options(to);
    return to.take();
  }
  if (before[0] == "help") {
    before.size() == 1 ? add_commands(to, "") : add_commands(to, before[1]);
    return to.take();
  }
  if (before.size() == 1 && !to.typed().starts_with("-")) add_commands(to, before[0]);
  const FoundCommand found = known_command(before);
  if (found.command == nullptr) return to.take();

  const Command& command = *found.command;
  const std::vector<Option> options = all_options(command);
  const std::size_t equals = to.typed().starts_with("--") ? to.typed().find('=') : std::string::npos;
  const Option* const valued = option_of(options, before.back());
  if (valued != nullptr && !valued->value.empty()) {
    add_values(to, *valued, "");
  } else if (equals != std::string::npos) {
    const Option* const option = option_of(options, std::string_view(to.typed()).substr(0, equals));
    if (option != nullptr) add_values(to, *option, to.typed().substr(0, equals + 1));
  } else if (to.typed().starts_with("-")) {
    for (const Option& option : options) {
      const std::string word = fmt::format("--{}", option.name);
      if (option.name == kSetOption.name || std::ranges::find(before, word) == before.end()) to.add(word, option.help);
    }
  } else {
    add_arguments(to, command, typed_words(before.subspan(found.words), options));
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
          .more = {"snug completion zsh > ~/.zfunc/_snug   # with ~/.zfunc in $fpath before compinit",
                   "snug completion fish > ~/.config/fish/completions/snug.fish"},
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {},
          .run = run};
}

}  // namespace snug
