// Any bytes as a file of a run folder (the first says which): the folder is read, shown and drawn, or told as damaged.
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <unistd.h>

#include "base/file.h"
#include "findings.h"
#include "report/run_page.h"
#include "report/runs.h"
#include "train/run_reader.h"

namespace {

constexpr std::array<const char*, 7> kFiles{"run.json",    "plan.json",   "evaluation.json", "log.jsonl",
                                            "metrics.csv", "config.toml", "last.state"};
constexpr std::string_view kConfig = R"(name = "fuzz"
[data]
train = { synthetic = "shapes", count = 40 }
[model]
input = [8, 8, 1]
layers = [ { flatten = true }, { dense = 10 } ]
)";

/// A folder of this process, made once, where its files cost nothing.
const std::filesystem::path& run_folder() {
  static const std::filesystem::path kFolder = [] {
    const std::filesystem::path memory = "/dev/shm";
    std::filesystem::path folder = (std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path()) /
                                   ("snug-run-fuzz-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    return folder;
  }();
  return kFolder;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::filesystem::path& folder = run_folder();
  snug::write_text(folder / "config.toml", kConfig);
  snug::write_text(folder / "log.jsonl", "");
  const std::filesystem::path file = folder / kFiles[data[0] % kFiles.size()];
  snug::write_text(file, {reinterpret_cast<const char*>(data) + 1, size - 1});
  snug::expect_findings([&] {
    const snug::RunDetails run = snug::read_details(folder);
    snug::require(!run_page(run).empty() && !run_text(run).empty() && !run_json(run).empty());
  });
  std::filesystem::remove(file);
  return 0;
}
