// run.json: how a run was started, each time, and how that ended. What a reproduction needs beside config and plan.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snug {

/// One start of the program on a run; a run that was resumed has several.
struct RunStart {
  std::string started, ended;  ///< UTC, "2026-01-31T12:00:00Z"; `ended` is empty while it runs, and where it was killed
  std::string state;           ///< how it ended: finished, stopped (--max-steps), interrupted, diverged, failed
  std::string command;         ///< as a shell takes it; empty where a program of others trained
  std::string folder;          ///< in which it was given
  std::string machine, device;
  std::string model;         ///< the model file's name; empty where the config writes the layers
  std::int64_t step = 0;     ///< at which it began
  std::int64_t threads = 0;  ///< 0: all cores
  double seconds = 0;        ///< from start to end
  std::vector<std::pair<std::string, std::string>> versions;  ///< of the program and its libraries
};
struct RunRecord {
  std::vector<RunStart> starts;
};

[[nodiscard]] std::string run_record_json(const RunRecord& record);
/// Throws Error (D) for what is no such file; `where` names it.
[[nodiscard]] RunRecord read_run_record(std::string_view text, const std::string& where);

/// In UTC, as RunStart has it.
[[nodiscard]] std::string time_text(std::time_t time = std::time(nullptr));
[[nodiscard]] std::string host_name();

}  // namespace snug
