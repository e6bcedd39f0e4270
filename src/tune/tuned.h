// What `tune` found out, kept in the user's cache folder for the machine that it was measured on and for nothing else.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "snug/config.h"

namespace snug {

/// Everything that a tuned batch depends on. Results are used where all of it is equal.
struct TunedKey {
  std::string machine;  ///< this one, however many of its kind there are
  std::string device;   ///< processor or GPU
  int threads = 0;      ///< of the CPU
  std::string model;    ///< layers and what of [train] makes steps: a digest
  std::string precision;
  std::int64_t parts = 1;
  std::string libraries;  ///< the program's version and those of what computes
};

struct TunedBatch {
  std::int64_t batch = 0;
  double images_per_second = 0;
  std::string date;  ///< "2026-11-23"
};

/// The key of a config on this machine's processor, or on a GPU of that name, whose engines come from a library such
/// as "cudnn 9.19.1". `threads`: 0: all cores.
[[nodiscard]] TunedKey tuned_key(const Config& config, int threads, const std::string& gpu = {},
                                 const std::string& engines = {});

/// Where the result lies; pictures of its curve stand beside it. Empty where there is no cache folder.
[[nodiscard]] std::filesystem::path tuned_file(const TunedKey& key);

/// Nothing where there is none, where it is damaged, or where it is of something else.
[[nodiscard]] std::optional<TunedBatch> load_tuned(const TunedKey& key);
/// False where it cannot be written.
bool save_tuned(const TunedKey& key, const TunedBatch& tuned);

/// The network and what of the training settings changes the work of a step, as 16 hexadecimal digits. Names, data,
/// rates and schedules do not count.
[[nodiscard]] std::string model_digest(const Config& config);

/// "Linux machine id", else the host's name.
[[nodiscard]] std::string machine_name();

}  // namespace snug
