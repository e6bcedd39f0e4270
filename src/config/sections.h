// The tables of a config, one function each: checks, and fills the plain structs.
#pragma once

#include <filesystem>
#include <optional>

#include "config/findings.h"
#include "config/value.h"
#include "snug/config.h"

namespace snug::config {

/// What relative paths of data start from: `data_root`, else the key data.root, else the config's own folder.
struct DataFolders {
  std::filesystem::path config;
  std::optional<std::filesystem::path> data_root;
};
void read_data(const Value& table, const DataFolders& folders, bool required, DataConfig& out, Findings& findings);
void read_model(const Value& table, ModelConfig& out, Findings& findings);
void read_train(const Value& table, TrainConfig& out, Findings& findings);
void read_memory(const Value& table, MemoryConfig& out, Findings& findings);

}  // namespace snug::config
