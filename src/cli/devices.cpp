#include <string>
#include <utility>

#include "backend/cuda/gpu/gpu.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/gpus.h"
#include "planner/cpu_rates.h"
#include "planner/device_profile.h"
#include "planner/planner.h"
#include "report/reports.h"

namespace snug {

namespace {

int run(const Arguments& arguments) {
  DevicesReport report;
  const DeviceMemory memory = cpu_memory();
  const std::string name = processor_fact("model name");
  report.devices.push_back({.id = "cpu",
                            .name = name.empty() ? "CPU" : name,
                            .total_bytes = memory.total_bytes,
                            .free_bytes = memory.free_bytes,
                            .processes = {}});
  for (DeviceEntry& gpu : list_gpus()) report.devices.push_back(std::move(gpu));
  if (report.devices.size() > 1 && !has_cuda())
    report.remark = "this build computes on the CPU alone: its GPUs can be planned for, not trained on";
  for (const DeviceProfile& profile : installed_profiles()) {
    report.profiles.push_back({.name = profile.name,
                               .device = profile.device,
                               .total_bytes = profile.total_bytes.value,
                               .compute_capability = capability_text(profile.capability)});
  }
  print_result(arguments, to_json(report), to_text(report));
  return 0;
}

}  // namespace

Command devices_command() {
  return {.name = "devices",
          .arguments = "",
          .summary = "the devices here, who uses their memory, and the profiles that can be planned for",
          .example = "snug devices",
          .options = {},
          .run = run};
}

}  // namespace snug
