// A command: its place in the help, its options, and the function that runs it. One file per command.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "cli/arguments.h"

namespace snug {

struct Command {
  std::string_view name;                    ///< "train", "data info"
  std::string_view arguments;               ///< as the help writes them: "CONFIG"
  std::string_view summary;                 ///< one line for the list of commands
  std::string_view example;                 ///< one line that works
  std::vector<std::string_view> more = {};  ///< further ones, each "snug …   # what for"
  std::size_t least_arguments = 0, most_arguments = 0;
  std::string_view instead = {};           ///< an option that stands for all arguments ("problem"); may be empty
  std::vector<Option> options;             ///< of this command; --json, --quiet, --strict and --help are added
  int (*run)(const Arguments&) = nullptr;  ///< returns the exit code; throws Error
};

[[nodiscard]] Command init_command();
[[nodiscard]] Command check_command();
[[nodiscard]] Command summary_command();
[[nodiscard]] Command plan_command();
[[nodiscard]] Command train_command();
[[nodiscard]] Command eval_command();
[[nodiscard]] Command predict_command();
[[nodiscard]] Command export_command();
[[nodiscard]] Command devices_command();
[[nodiscard]] Command data_info_command();
[[nodiscard]] Command data_synth_command();
[[nodiscard]] Command data_pack_command();
[[nodiscard]] Command data_convert_command();
[[nodiscard]] Command data_preview_command();
[[nodiscard]] Command tune_command();
[[nodiscard]] Command bench_model_command();
[[nodiscard]] Command bench_op_command();
[[nodiscard]] Command bench_device_command();
[[nodiscard]] Command bench_loader_command();
[[nodiscard]] Command bench_compare_command();
[[nodiscard]] Command runs_command();
[[nodiscard]] Command runs_show_command();
[[nodiscard]] Command runs_compare_command();
[[nodiscard]] Command runs_report_command();
[[nodiscard]] Command completion_command();
[[nodiscard]] Command version_command();

/// All of them, in the order of the help.
[[nodiscard]] const std::vector<Command>& commands();

/// The command that `words` begin with and how many words name it. Throws Error C… for unknown ones (with the nearest)
/// and for commands that are not in this version.
struct FoundCommand {
  const Command* command = nullptr;
  std::size_t words = 0;
};
[[nodiscard]] FoundCommand find_command(std::span<const std::string> words);
/// The same, with no command where there is none.
[[nodiscard]] FoundCommand known_command(std::span<const std::string> words);

/// Every option that the command takes, the common ones last.
[[nodiscard]] std::vector<Option> all_options(const Command& command);

/// `snug data --help`: the commands of two words that begin with `word`, after the help of the command `word` where
/// there is one ("runs"); empty when there are none.
[[nodiscard]] std::string group_help(std::string_view word);
/// `snug --help` and `snug COMMAND --help`.
[[nodiscard]] std::string overview_help();
[[nodiscard]] std::string command_help(const Command& command);

}  // namespace snug
