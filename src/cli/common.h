// What several commands share: reading the config with the options that change it, devices, findings on their way out.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "cli/arguments.h"
#include "snug/config.h"
#include "snug/diagnostic.h"

namespace snug {

// Options that several commands take.
inline constexpr Option kSetOption{"set", "KEY=VALUE", "change a value of the config (repeatable): train.epochs=3"};
inline constexpr Option kDataRootOption{"data-root", "DIR", "where the data lies, instead of beside the config"};
inline constexpr Option kDeviceOption{"device", "D", "cpu: this command computes there alone"};
/// Of commands that plan.
inline constexpr Option kPlanDeviceOption{
    "device", "D", "cpu, cuda, or a GPU that need not be here: h200, rtx4090, my.toml (snug devices lists them)"};
/// Of commands that compute.
inline constexpr Option kComputeDeviceOption{"device", "D", "cpu, or a GPU of this machine: cuda, cuda:1"};
inline constexpr Option kThreadsOption{"threads", "N", "cores to use (all)"};
inline constexpr Option kEpochsOption{"epochs", "N", "instead of the config's train.epochs"};

/// What --set, --epochs and --data-root change of a config, where the command has them.
[[nodiscard]] ConfigOptions config_options(const Arguments& arguments);
/// The config that `path` names, with --set, --epochs and --data-root taken into account where the command has them.
[[nodiscard]] Config read_config(const std::string& path, const Arguments& arguments, bool model_only = false);
/// The same for a command that tells all that is wrong at once: what is sound beside faulty tables.
[[nodiscard]] Config read_sound_parts(const std::string& path, const Arguments& arguments);

/// --threads, or 0 for all cores.
[[nodiscard]] int thread_count(const Arguments& arguments);

/// Writes a command's result to standard output: JSON with its line end, or text for people.
void print_result(const Arguments& arguments, const std::string& json, const std::string& text);

/// --strict: warnings become errors.
void apply_strict(const Arguments& arguments, std::vector<Diagnostic>& findings);

/// Shows findings that do not stop the command: on standard error, so that results stay clean. Nothing with --json or
/// --quiet.
void show_asides(const Arguments& arguments, std::vector<Diagnostic> findings);

/// Of values that came from --set the fix is a --set too.
void fix_options(std::vector<Diagnostic>& findings);

/// What an exception says, as findings.
[[nodiscard]] std::vector<Diagnostic> current_exception_findings();

}  // namespace snug
