#include "cli/target.h"

#include <fmt/format.h>

#include <utility>

#include "backend/cuda/cuda_planner.h"
#include "base/text.h"
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

/// The profile of a GPU in this machine.
DeviceProfile profile_of_gpu(std::int64_t number, const std::string& name) {
  const std::vector<DeviceEntry> gpus = list_gpus();
  if (number >= std::ssize(gpus)) {
    throw Error({.code = "G901",
                 .where = "--device " + name,
                 .what = fmt::format("this machine has {} GPUs; there is no cuda:{}", gpus.size(), number),
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

}  // namespace

Target plan_target(const Arguments& arguments) {
  const std::string name = arguments.text("device").value_or("cpu");
  if (name == "cpu") return {};
  const auto number = gpu_number(name);
  return target_of(number ? profile_of_gpu(*number, name) : load_profile(name));
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
