// What commands report, where no other header has it: plain structs, their JSON (the contract's), their tables.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/info.h"
#include "snug/plan.h"
#include "snug/trainer.h"

namespace snug {

// ---- summary --------------------------------------------------------------------------------------------------

struct SummaryLayer {
  std::string name, type;
  std::vector<std::int64_t> output;  ///< of one image, with the leading 1
  std::int64_t parameters = 0, flops = 0;
};
struct SummaryReport {
  std::string name;
  std::array<std::int64_t, 3> input{};
  std::int64_t parameters = 0, flops_forward = 0;
  std::vector<SummaryLayer> layers;
};

// ---- devices --------------------------------------------------------------------------------------------------

struct DeviceProcess {
  std::int64_t pid = 0;
  std::string name;
  std::int64_t bytes = 0;
};
struct DeviceEntry {
  std::string id, name;
  std::int64_t total_bytes = 0, free_bytes = 0;
  std::vector<DeviceProcess> processes;
};
struct ProfileEntry {
  std::string name, device;
  std::int64_t total_bytes = 0;
  std::string compute_capability;
};
struct DevicesReport {
  std::vector<DeviceEntry> devices;
  std::vector<ProfileEntry> profiles;
  std::string remark{};  ///< why devices that are listed cannot be computed on; empty where all can
};

// ---- data synth -----------------------------------------------------------------------------------------------

struct WrittenData {
  std::string folder, config;
  std::int64_t train = 0, val = 0;
  std::array<std::int64_t, 3> shape{};
};

// ---- data pack, data convert, data preview ---------------------------------------------------------------------

struct PackedSplit {
  std::string name, kind;
  std::int64_t samples = 0, shards = 0, kept_shards = 0, bytes = 0;
};
struct PackedData {
  std::string folder;
  std::vector<PackedSplit> splits;
};
struct ConvertedData {
  std::int64_t samples = 0;
  std::vector<std::string> files;
};

// ---- version --------------------------------------------------------------------------------------------------

struct LibraryVersion {
  std::string name, version;
};
struct VersionReport {
  std::string version, compiler;
  std::vector<LibraryVersion> libraries;
  std::vector<std::string> architectures;  ///< "x86-64 avx512_core", later also "sm_90"
};

// ---- JSON: one line, without its end ----------------------------------------------------------------------------
// Plans and train events: train/event_json.h. Findings: report/findings.h.

[[nodiscard]] std::string to_json(const SummaryReport& report);
[[nodiscard]] std::string to_json(const DevicesReport& report);
[[nodiscard]] std::string to_json(const DataSummary& data);
[[nodiscard]] std::string to_json(const WrittenData& written);
[[nodiscard]] std::string to_json(const PackedData& packed);
[[nodiscard]] std::string to_json(const ConvertedData& converted);
[[nodiscard]] std::string to_json(const VersionReport& report);
[[nodiscard]] std::string to_json(const EvalResult& result);
[[nodiscard]] std::string to_json(const Prediction& prediction);

// ---- text for people, with its end --------------------------------------------------------------------------------

[[nodiscard]] std::string to_text(const SummaryReport& report);
[[nodiscard]] std::string to_text(const PlanReport& plan, std::string_view name);
[[nodiscard]] std::string to_text(const DevicesReport& report);
[[nodiscard]] std::string to_text(const DataSummary& data);
[[nodiscard]] std::string to_text(const WrittenData& written);
[[nodiscard]] std::string to_text(const PackedData& packed);
[[nodiscard]] std::string to_text(const ConvertedData& converted);
[[nodiscard]] std::string to_text(const VersionReport& report);
[[nodiscard]] std::string to_text(const EvalResult& result);

}  // namespace snug
