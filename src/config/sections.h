// The tables of a config, one function each: checks, and fills the plain structs.
#pragma once

#include <filesystem>

#include "config/findings.h"
#include "config/value.h"
#include "snug/config.h"

namespace snug::config {

/// `folder`: what relative paths of data start from.
void read_data(const Value& table, const std::filesystem::path& folder, bool required, DataConfig& out,
               Findings& findings);
void read_model(const Value& table, ModelConfig& out, Findings& findings);
void read_train(const Value& table, TrainConfig& out, Findings& findings);
void read_memory(const Value& table, MemoryConfig& out, Findings& findings);

}  // namespace snug::config
