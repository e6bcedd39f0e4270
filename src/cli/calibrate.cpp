#include "cli/calibrate.h"

#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "config/precision.h"
#include "ops/op.h"
#include "planner/cpu_rates.h"
#include "report/terminal.h"
#include "runtime/runtime.h"
#include "tune/statistics.h"

namespace snug {

namespace {

constexpr int kRepeats = 6;
constexpr std::int64_t kConvSide = 28;
constexpr std::int64_t kCopyElements = 16LL << 20;  // 64 MiB each way: beyond the caches of a few cores

/// What is large enough to show what a device can do, and takes it a fraction of a second.
struct Sizes {
  int runs_in_a_row = 1;
  std::int64_t product_side = 1536;                  ///< 7 GFLOP: tens of milliseconds
  std::int64_t conv_batch = 8, conv_channels = 256;  ///< as much in a 3×3 convolution
  std::int64_t copy_elements = kCopyElements;
  std::int64_t cached_elements = 64LL << 10;  ///< 256 KiB each way: within the second cache of any core
};
/// A GPU: 1.1 TFLOP, 1 GiB each way and 8 MiB that stay in its cache; next to nothing where that is not free.
Sizes sizes_for(const Device* device) {
  if (device == nullptr) return {};
  const std::int64_t elements = device->memory().free_bytes / 16;
  if (elements < 256LL << 20)
    return {.runs_in_a_row = 2,
            .product_side = 64,
            .conv_batch = 1,
            .conv_channels = 16,
            .copy_elements = 1 << 14,
            .cached_elements = 1 << 12};
  return {.runs_in_a_row = 16,
          .product_side = 8192,
          .conv_batch = 512,
          .copy_elements = 256LL << 20,
          .cached_elements = 2LL << 20};
}

constexpr std::int64_t kLeastElements = 32 << 10;  // the fewest that all threads are woken for

struct Given {
  Shape shape;
  DType dtype = DType::f32;
  Access access = Access::in;
};
struct Operation {
  Op op;
  Attributes attributes;
  std::vector<Given> operands;
};

/// Adds the operation on `tensors`, of which those that are not there yet are made. They lie in the persistent arena,
/// which is there without anybody writing it first.
void add_step(Program& program, const Operation& operation, std::vector<TensorId>& tensors) {
  ProgramBuilder builder(program);
  Step step{.op = operation.op, .phase = Phase::eval, .attributes = operation.attributes};
  for (std::size_t i = 0; i < operation.operands.size(); ++i) {
    const Given& given = operation.operands[i];
    if (i == tensors.size())
      tensors.push_back(builder.add_tensor({.name = "x" + std::to_string(program.tensors.size()),
                                            .shape = given.shape,
                                            .dtype = given.dtype,
                                            .role = Role::weight,
                                            .arena = Arena::persistent}));
    step.operands.push_back({tensors[i], given.access});
  }
  builder.add_step(std::move(step));
}

Program one_step(const Operation& operation) {
  Program program;
  std::vector<TensorId> tensors;
  add_step(program, operation, tensors);
  return program;
}

/// What is measured with: a backend, and the device where it runs (null: here).
struct Bench {
  Backend& backend;
  std::shared_ptr<Device> device{};
  Sizes sizes = sizes_for(device.get());

  /// Seconds of some runs, after those that load what libraries need.
  [[nodiscard]] std::vector<double> seconds(const Program& program) const {
    const Plan plan = plan_programs({program}, backend);
    Runtime runtime(plan, {.device = device});
    runtime.run(0);
    if (device != nullptr) static_cast<void>(runtime.run_in_a_row(0, 2));
    std::vector<double> all;
    for (int i = 0; i < kRepeats; ++i) {
      const std::vector<double> some = device != nullptr
                                           ? runtime.run_in_a_row(0, static_cast<std::size_t>(sizes.runs_in_a_row))
                                           : runtime.run_timed(0);
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }
  [[nodiscard]] double best_seconds(const Program& program) const { return std::ranges::min(seconds(program)); }

  /// FLOP or bytes a second of the operations together.
  [[nodiscard]] double best_rate(const std::vector<Operation>& operations, std::int64_t Cost::*amount) const {
    double sum = 0, taken = 0;
    for (const Operation& operation : operations) {
      const Program program = one_step(operation);
      sum += static_cast<double>(step_cost(program, program.steps.front()).*amount);
      taken += best_seconds(program);
    }
    return sum / taken;
  }
};

/// Of each step the least time of some runs, after one that loads what libraries need.
std::vector<double> least_of_steps(Backend& backend, const Program& program) {
  const Plan plan = plan_programs({program}, backend);
  Runtime runtime(plan, {});
  std::vector<double> least = runtime.run_timed(0);
  for (int i = 0; i < kRepeats; ++i) {
    const std::vector<double> seconds = runtime.run_timed(0);
    for (std::size_t step = 0; step < least.size(); ++step) least[step] = std::min(least[step], seconds[step]);
  }
  return least;
}

Operation copy_of(std::int64_t elements) {
  const Shape flat{1, 1, elements / 64, 64};
  return {.op = Op::copy, .attributes = NoAttributes{}, .operands = {{flat}, {flat, DType::f32, Access::out}}};
}

/// A convolution that keeps the size.
struct ConvCase {
  std::int64_t batch = 1, side = 1, in = 1, out = 1, kernel = 1;
  bool depthwise = false;
};

Operation conv(const ConvCase& c, Op op, DType dtype) {
  const Shape x{c.batch, c.side, c.side, c.in};
  const Shape y{c.batch, c.side, c.side, c.out};
  const Shape w{c.out, c.kernel, c.kernel, c.depthwise ? 1 : c.in};
  const std::int64_t pad = c.kernel / 2;
  const ConvAttributes attributes{
      .window = Window{.kernel = {c.kernel, c.kernel}, .pad_begin = {pad, pad}, .pad_end = {pad, pad}},
      .groups = c.depthwise ? c.in : 1};
  Operation made{.op = op, .attributes = attributes, .operands = {}};
  if (op == Op::conv_forward) made.operands = {{x, dtype}, {w, dtype}, {y, dtype, Access::out}};
  if (op == Op::conv_backward_data) made.operands = {{y, dtype}, {w, dtype}, {x, dtype, Access::out}};
  if (op == Op::conv_backward_weights) made.operands = {{x, dtype}, {y, dtype}, {w, DType::f32, Access::out}};
  return made;
}

Operation norm(DType dtype) {
  const Shape map{16, 56, 56, 256};  // beyond the caches too
  const Shape row{256};
  return {.op = Op::batchnorm_forward,
          .attributes = BatchNormAttributes{},
          .operands = {{map, dtype},
                       {row},
                       {row},
                       {row, DType::f32, Access::inout},
                       {row, DType::f32, Access::inout},
                       {map, dtype, Access::out},
                       {row, DType::f32, Access::out},
                       {row, DType::f32, Access::out}}};
}

Operation product(DType dtype, std::int64_t side) {
  const Shape square{side, side};
  return {.op = Op::dense_forward,
          .attributes = DenseAttributes{},
          .operands = {{square, dtype}, {square, dtype}, {square, dtype, Access::out}}};
}

std::vector<DType> computable_types(const Processor& processor) {
  std::vector<DType> types{DType::f32};
  if (!cannot_compute(Precision::bf16, processor)) types.push_back(DType::bf16);
  return types;
}

/// What the last level of caches holds. Not by sysconf, which counts caches of cores that a virtual machine does not
/// have.
std::int64_t cache_bytes() {
  constexpr std::int64_t kUsual = 32LL << 20;  // where the system does not tell
  std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index3/size");
  std::int64_t kib = 0;
  char unit = 0;
  return file >> kib >> unit && unit == 'K' && kib > 0 ? kib << 10 : kUsual;
}

/// DeviceRates::cold_bytes_per_second and stay_bytes_per_second: weight gradients and norms run with everything in the
/// caches, and with nothing.
void measure_caches(Backend& backend, DType dtype, DeviceRates& rates) {
  // As networks have them: norms before 1×1 and 3×3 convolutions.
  constexpr std::array kCases{ConvCase{.batch = 8, .side = 28, .in = 384, .out = 128, .kernel = 1},
                              ConvCase{.batch = 8, .side = 56, .in = 128, .out = 128, .kernel = 1},
                              ConvCase{.batch = 8, .side = 28, .in = 128, .out = 32, .kernel = 3}};
  constexpr std::size_t kColdNorm = 1, kColdGradient = 3, kHotNorm = 6, kHotGradient = 7;
  double bytes = 0, cold = 0, stay = 0;  // of inputs, which are as large as outputs; seconds more in memory
  for (const ConvCase& c : kCases) {
    const Operation gradient = conv(c, Op::conv_backward_weights, dtype);
    const Shape& map = gradient.operands[0].shape;
    const Shape row{c.in};
    const Operation again{.op = Op::batchnorm_apply,
                          .attributes = BatchNormAttributes{},
                          .operands = {{map, dtype}, {row}, {row}, {row}, {row}, {map, dtype, Access::out}}};
    const Operation other = copy_of(kCopyElements);  // what else a step does meanwhile
    Program program;
    std::vector<TensorId> of_other, of_norm, of_gradient;
    add_step(program, other, of_other);
    add_step(program, again, of_norm);
    of_gradient.push_back(of_norm.back());
    for (const bool in_memory : {true, false}) {
      if (in_memory) add_step(program, other, of_other);
      add_step(program, gradient, of_gradient);
      add_step(program, again, of_norm);
    }
    add_step(program, gradient, of_gradient);
    const std::vector<double> least = least_of_steps(backend, program);
    const auto colder = [&](std::size_t in_memory, std::size_t hot) {
      return std::max(0.0, least[in_memory] - least[hot]);
    };
    const auto bytes_of = [&](std::size_t i) {
      return static_cast<double>(gradient.operands[i].shape.elements() * size_bytes(dtype));
    };
    // Of the gradient's operands the other one was made just before it in any case.
    const double share = bytes_of(0) / (bytes_of(0) + bytes_of(1));
    bytes += bytes_of(0);
    cold += share * colder(kColdGradient, kHotGradient);
    stay += colder(kColdNorm, kHotNorm) / 2;  // the other half is for reading
  }
  rates.cold_bytes_per_second = cold > 0 ? bytes / cold : 0;
  rates.stay_bytes_per_second = stay > 0 ? bytes / stay : 0;
}

/// Of the time in which this process's threads wanted to compute the share in which they had to wait for a core; 0
/// where the system does not tell.
double waited_share() {
  double ran = 0, waited = 0;
  std::error_code error;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", error)) {
    std::ifstream file(thread.path() / "schedstat");  // nanoseconds on a core, nanoseconds waiting, turns
    double of_one = 0, for_one = 0;
    if (!(file >> of_one >> for_one)) continue;
    ran += of_one;
    waited += for_one;
  }
  return ran > 0 ? waited / (ran + waited) : 0;
}

/// Measures and keeps, what was measured before included; the exit code of the process that does it.
int measure_and_save(const std::filesystem::path& file, int threads, const std::optional<CpuRates>& before) {
  try {
    const std::unique_ptr<Backend> backend = make_cpu_backend({.threads = threads});
    CpuRates rates{.fp32 = measure_rates(*backend, DType::f32), .bf16 = {}};
    if (!cannot_compute(Precision::bf16, this_processor())) rates.bf16 = measure_rates(*backend, DType::bf16);
    rates.waited_share = waited_share();
    return save_cpu_rates(file, before ? best_of(rates, *before) : rates) ? 0 : 1;
  } catch (const std::exception&) {
    return 1;
  }
}

/// Whether a file can be made there, without making one.
bool can_write(const std::filesystem::path& file) {
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  return !error && ::access(file.parent_path().c_str(), W_OK) == 0;
}

/// Whether it was written so lately that the machine is as it was.
bool is_young(const std::filesystem::path& file) {
  constexpr std::chrono::minutes kYoung{5};
  std::error_code error;
  const auto written = std::filesystem::last_write_time(file, error);
  return !error && std::filesystem::file_time_type::clock::now() - written < kYoung;
}

}  // namespace

DeviceLimits measure_limits(Backend& backend, DType dtype, const std::shared_ptr<Device>& device) {
  constexpr std::int64_t kCacheOfGpu = 32LL << 20;  // of 50 and 60 MiB: tensors that were written just before are there
  const Bench with{.backend = backend, .device = device};
  const Sizes& sizes = with.sizes;
  const Operation wide =
      conv({sizes.conv_batch, kConvSide, sizes.conv_channels, sizes.conv_channels, 3}, Op::conv_forward, dtype);
  return {.flops_per_second = std::max(with.best_rate({product(dtype, sizes.product_side)}, &Cost::flops),
                                       with.best_rate({wide}, &Cost::flops)),
          .memory_bytes_per_second = with.best_rate({copy_of(sizes.copy_elements)}, &Cost::bytes),
          .cache_bytes_per_second = with.best_rate({copy_of(sizes.cached_elements)}, &Cost::bytes),
          .cache_bytes = device != nullptr ? kCacheOfGpu : cache_bytes()};
}

void measure_device(Backend& backend, DeviceBench& bench, const Processor& processor,
                    const std::shared_ptr<Device>& device, const std::atomic<bool>* stop) {
  const Bench with{.backend = backend, .device = device};
  const Sizes& sizes = with.sizes;
  constexpr int kRounds = 5;
  struct Item {
    Program program;
    std::vector<double> seconds;
  };
  const auto types = computable_types(processor);
  std::vector<Item> items;
  for (const std::int64_t elements : {sizes.copy_elements, sizes.cached_elements})
    items.push_back({one_step(copy_of(elements)), {}});
  for (const DType dtype : types) items.push_back({one_step(product(dtype, sizes.product_side)), {}});
  // In turn: a moment in which something disturbs hits one run of each.
  for (int round = 0; round < kRounds && !bench.interrupted; ++round) {
    for (Item& item : items) {
      const std::vector<double> seconds = with.seconds(item.program);
      item.seconds.insert(item.seconds.end(), seconds.begin(), seconds.end());
    }
    bench.interrupted = stop != nullptr && stop->load() && round + 1 < kRounds;
  }
  const auto rate = [](const Item& item, std::int64_t Cost::*amount, double share) {
    const Cost cost = step_cost(item.program, item.program.steps.front());
    return static_cast<double>(cost.*amount) / quantile(item.seconds, share);
  };
  const auto copy = [&](const Item& item, std::string what, std::int64_t elements) {
    bench.copies.push_back({.what = std::move(what),
                            .bytes = elements * size_bytes(DType::f32),
                            .bytes_per_second = rate(item, &Cost::bytes, 0),
                            .median_bytes_per_second = rate(item, &Cost::bytes, 0.5)});
  };
  copy(items[0], "memory", sizes.copy_elements);
  copy(items[1], "cache", sizes.cached_elements);
  for (std::size_t i = 0; i < types.size(); ++i)
    bench.products.push_back({.type = types[i] == DType::bf16 ? "bf16" : "fp32",
                              .shape = fmt::format("{0}×{0} by {0}×{0}", sizes.product_side),
                              .flops_per_second = rate(items[2 + i], &Cost::flops, 0),
                              .median_flops_per_second = rate(items[2 + i], &Cost::flops, 0.5)});
  bench.least_seconds = with.best_seconds(one_step(copy_of(kLeastElements)));
}

DeviceRates measure_rates(Backend& backend, DType dtype) {
  // As in residual networks: 3×3 and 1×1, forward and backward.
  constexpr ConvCase kWide{.batch = 4, .side = 28, .in = 128, .out = 128, .kernel = 3};
  constexpr ConvCase kNarrow{.batch = 8, .side = 14, .in = 1024, .out = 256, .kernel = 1};
  constexpr ConvCase kSmall{.batch = 1, .side = 7, .in = 256, .out = 256, .kernel = 3};
  constexpr ConvCase kDepthwise{.batch = 16, .side = 56, .in = 144, .out = 144, .kernel = 3, .depthwise = true};
  std::vector<Operation> products, small, depthwise;
  for (const Op op : {Op::conv_forward, Op::conv_backward_data, Op::conv_backward_weights}) {
    products.push_back(conv(kWide, op, dtype));
    products.push_back(conv(kNarrow, op, dtype));
    small.push_back(conv(kSmall, op, dtype));
    depthwise.push_back(conv(kDepthwise, op, dtype));
  }
  const Bench with{.backend = backend};
  DeviceRates rates{.flops_per_second = with.best_rate(products, &Cost::flops),
                    .bytes_per_second = with.best_rate({copy_of(kCopyElements / 2)}, &Cost::bytes),
                    .least_seconds = with.best_seconds(one_step(copy_of(kLeastElements))),
                    .depthwise_flops_per_second = with.best_rate(depthwise, &Cost::flops),
                    .norm_bytes_per_second = with.best_rate({norm(dtype)}, &Cost::bytes)};
  const Program program = one_step(small.front());
  const auto flops = static_cast<double>(step_cost(program, program.steps.front()).flops);
  const double more = 1 / with.best_rate(small, &Cost::flops) - 1 / rates.flops_per_second;
  rates.product_seconds = std::max(0.0, more * flops);
  measure_caches(backend, dtype, rates);
  rates.cache_bytes = static_cast<double>(cache_bytes());
  return rates;
}

void ensure_cpu_rates(int threads) {
  const std::filesystem::path file = cpu_rates_file(threads);
  if (file.empty()) return;
  const std::optional<CpuRates> before = load_cpu_rates(file);
  if (before && (!is_disturbed(*before) || is_young(file))) return;
  if (!can_write(file)) return;
  if (!before && is_terminal(Stream::error)) write(Stream::error, "measuring this processor, once …\n");
  const pid_t child = ::fork();  // nothing has computed here yet: there is one thread
  if (child == 0) ::_exit(measure_and_save(file, threads, before));
  if (child > 0) ::waitpid(child, nullptr, 0);
}

}  // namespace snug
