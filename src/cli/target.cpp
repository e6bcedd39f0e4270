#include "cli/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "backend/cuda/cuda_planner.h"
#include "backend/cuda/gpu/gpu.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/gpus.h"
#include "snug/diagnostic.h"

namespace snug {

namespace {

/// The number of "cuda" or "cuda:N".
std::optional<std::int64_t> gpu_number(std::string_view name) {
  if (name == "cuda") return 0;
  if (!name.starts_with("cuda:")) return std::nullopt;
  const auto number = parse_integer(name.substr(5));
  return number && *number >= 0 ? number : std::nullopt;
}

std::vector<DeviceEntry> visible_gpus() {
  std::vector<DeviceEntry> gpus = list_gpus();
  std::erase_if(gpus, [](const DeviceEntry& gpu) { return !gpu.id.starts_with("cuda:"); });
  return gpus;
}

/// A profile is planned for; what computes is a device of this machine.
[[noreturn]] void refuse_profile(const DeviceProfile& profile) {
  const std::vector<DeviceEntry> gpus = visible_gpus();
  const auto here = std::ranges::find(gpus, profile.device, &DeviceEntry::name);
  if (here != gpus.end()) {
    throw Error({.code = "G903",
                 .where = "--device " + profile.name,
                 .what = fmt::format("{} names a profile, which is planned for; {} is the {} of this machine",
                                     profile.name, here->id, profile.device),
                 .fix = "--device " + here->id});
  }
  throw Error(
      {.code = "G903",
       .where = "--device " + profile.name,
       .what = fmt::format("{} ({}) can be planned for; the GPU is not in this machine, so it cannot be trained on",
                           profile.name, profile.device),
       .fix = fmt::format("--device cpu   # snug plan CONFIG --device {} says what fits there", profile.name)});
}

/// The profile of a GPU in this machine.
DeviceProfile profile_of_gpu(std::int64_t number, const std::string& name) {
  const std::vector<DeviceEntry> gpus = visible_gpus();
  const std::size_t hidden = list_gpus().size() - gpus.size();
  if (number >= std::ssize(gpus)) {
    throw Error(
        {.code = "G901",
         .where = "--device " + name,
         .what = fmt::format("this machine has {} GPUs{}; there is no cuda:{}", gpus.size(),
                             hidden > 0 ? fmt::format(" and {} that CUDA_VISIBLE_DEVICES hides", hidden) : "", number),
         .fix = "--device h100-80gb   # plans for a GPU that is not here; snug devices lists them"});
  }
  const std::string& device = gpus[static_cast<std::size_t>(number)].name;
  try {
    return load_profile(device);
  } catch (const Error&) {
    throw Error({.code = "G905",
                 .where = "--device " + name,
                 .what = fmt::format("cuda:{} is a {}, for which there is no one profile", number, device),
                 .fix = "--device FILE.toml   # with a profile of your own; snug devices lists those installed"});
  }
}

/// What is known of an open GPU: its profile where there is one, and what its driver tells. Its memory is what is free
/// now, without the context that this process has there already.
DeviceMemory memory_of_gpu(const OpenGpu& gpu, Precision precision) {
  const DeviceMemoryState now = gpu.device->memory();
  DeviceMemory memory{.name = gpu.sheet.name,
                      .driver_bytes = std::int64_t{576} << 20,  // of an H100, the largest that was seen
                      .library_bytes = std::int64_t{64} << 20,
                      .granularity_bytes = kDeviceGranularityBytes,
                      .estimated = {"driver", "library"}};
  try {
    memory = memory_of(load_profile(gpu.sheet.name), precision);
  } catch (const Error&) {  // a card without a profile: no rates, and so no estimated times
  }
  memory.total_bytes = now.total_bytes;
  memory.free_bytes = std::min(now.total_bytes, now.free_bytes + memory.driver_bytes);
  return memory;
}

/// Free bytes of cuda:`number` as the driver's management library has them; nothing where it does not tell.
std::optional<std::int64_t> free_bytes_of(std::size_t number) {
  const std::vector<DeviceEntry> gpus = visible_gpus();
  return number < gpus.size() && gpus[number].total_bytes > 0 ? std::optional(gpus[number].free_bytes) : std::nullopt;
}

/// What was free before this process had a context there is what it is measured by.
std::function<std::int64_t()> taken_of(std::size_t number, std::optional<std::int64_t> free_before) {
  if (!free_before) return {};
  return [=] { return *free_before - free_bytes_of(number).value_or(*free_before); };
}

}  // namespace

Computer gpu_computer(std::size_t number) {
  const std::optional<std::int64_t> free_before = free_bytes_of(number);
  const OpenGpu gpu = open_gpu(static_cast<int>(number));
  const auto source = std::make_shared<EngineSource>(gpu.sheet);
  const auto options = [](const Config& config) {
    return CudaPlannerOptions{.workspace_limit_bytes = config.memory.workspace_bytes,
                              .tf32 = config.train.precision == Precision::tf32};
  };
  const auto planning = [=](const Config& config) {
    Planning answer{.memory = memory_of_gpu(gpu, config.train.precision),
                    .make_backend = [=] { return make_cuda_planner(source, options(config)); }};
    answer.memory.engines = source->name();
    return answer;
  };
  return {.planning = planning,
          .make_backend = [=](const Config& config) { return gpu.make_backend(source, options(config)); },
          .device = gpu.device,
          .processor = {.gpu = Gpu{.name = gpu.sheet.name, .capability = gpu.sheet.capability}},
          .used_bytes = taken_of(number, free_before)};
}

std::string device_name(const Arguments& arguments) {
  if (const auto given = arguments.text("device")) return *given;
  return has_cuda() && !visible_gpus().empty() ? "cuda" : "cpu";
}

std::optional<std::size_t> gpu_number_of(const Arguments& arguments) {
  const auto number = gpu_number(device_name(arguments));
  return number ? std::optional(static_cast<std::size_t>(*number)) : std::nullopt;
}

std::string gpu_name(std::size_t number) {
  const std::vector<DeviceEntry> gpus = visible_gpus();
  return number < gpus.size() && !gpus[number].name.empty() ? gpus[number].name : fmt::format("cuda:{}", number);
}

std::optional<Computer> run_target(const Arguments& arguments) {
  const std::string name = device_name(arguments);
  if (name == "cpu") return std::nullopt;
  const auto number = gpu_number(name);
  if (!number) refuse_profile(load_profile(name));
  return gpu_computer(static_cast<std::size_t>(*number));
}

Target plan_target(const Arguments& arguments) {
  const std::string name = device_name(arguments);
  if (name == "cpu") return {};
  const auto number = gpu_number(name);
  return target_of(number ? profile_of_gpu(*number, name) : load_profile(name));
}

void require_device(const Arguments& arguments) {
  const auto name = arguments.text("device");
  if (name && *name != "cpu") static_cast<void>(plan_target(arguments));
}

Target target_of(DeviceProfile profile) {
  Target target{.profile = std::move(profile)};
  target.processor.gpu = Gpu{.name = target.profile->device, .capability = target.profile->capability};
  return target;
}

Planning planning_for(const Target& target, const Config& config, int threads) {
  if (!target.profile) {
    return {.memory = cpu_device(threads, config.train.precision),
            .make_backend = [=] { return make_cpu_backend({.threads = threads}); }};
  }
  const auto source = std::make_shared<EngineSource>(sheet_of(*target.profile));
  const CudaPlannerOptions options{.workspace_limit_bytes = config.memory.workspace_bytes,
                                   .tf32 = config.train.precision == Precision::tf32};
  Planning planning{.memory = memory_of(*target.profile, config.train.precision),
                    .make_backend = [=] { return make_cuda_planner(source, options); }};
  planning.memory.engines = source->name();
  return planning;
}

PlanRunOptions plan_options(const Target& target, const Planning& planning, int threads) {
  return {.trial_backend = planning.make_backend,
          .planning = [=](const Config& config) { return planning_for(target, config, threads); },
          .processor = target.processor,
          .tuned_threads = target.profile ? std::nullopt : std::optional(threads)};
}

}  // namespace snug
