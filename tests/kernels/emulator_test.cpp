// The emulator against kernels that are right, and against planted faults, each of which must be caught.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "emulator/device.h"

namespace {

using snug::kernels::launch;

constexpr unsigned kAll = 0xFFFF'FFFFU;
constexpr int kThreads = 64;

/// The message of the fault that the launch ends with; empty without one.
template <class Launch>
std::string fault_of(const Launch& run) {
  try {
    run();
  } catch (const emulator::Fault& fault) {
    return fault.what();
  }
  return "";
}

bool has_thread_sanitizer() { return std::string(SNUG_SANITIZERS).find("thread") != std::string::npos; }
bool has_address_sanitizer() { return std::string(SNUG_SANITIZERS).find("address") != std::string::npos; }

// ---- what is right ------------------------------------------------------------------------------------------------

void count_threads(int* counts) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  counts[block * blockDim.count() + thread] += 1;
}

TEST(Emulator, runs_every_thread_of_every_block_once) {
  std::vector<int> counts(2 * 3 * 5 * 4 * 3 * 2);
  launch(count_threads, dim3(2, 3, 5), dim3(4, 3, 2), 0, nullptr, counts.data());
  EXPECT_EQ(counts, std::vector<int>(counts.size(), 1));
}

/// The sum of a block's numbers: shuffles within warps, shared memory between them.
void sum_block(float* sums, const float* x) {
  SHARED(float[kThreads / 32], between);
  float value = x[blockIdx.x * kThreads + threadIdx.x];
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_down_sync(kAll, value, distance);
  if (threadIdx.x % 32 == 0) between[threadIdx.x / 32] = value;
  __syncthreads();
  if (threadIdx.x == 0) sums[blockIdx.x] = between[0] + between[1];
}

TEST(Emulator, shuffles_and_shared_memory_add_up) {
  constexpr unsigned kBlocks = 7;
  std::vector<float> x(kBlocks * kThreads), sums(kBlocks, NAN);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    emulator::set_seed(seed);
    launch(sum_block, kBlocks, kThreads, 0, nullptr, sums.data(), x.data());
    for (unsigned b = 0; b < kBlocks; ++b) EXPECT_EQ(sums[b], 64.0F * 64.0F * static_cast<float>(b) + 63.0F * 32.0F);
  }
}

struct Shuffled {
  int from, above, below, across, narrow;
  unsigned ballot;
};

void shuffle_all(Shuffled* out) {
  const int lane = static_cast<int>(threadIdx.x);
  out[lane] = {__shfl_sync(kAll, lane, 5),     __shfl_down_sync(kAll, lane, 3),   __shfl_up_sync(kAll, lane, 3),
               __shfl_xor_sync(kAll, lane, 7), __shfl_xor_sync(kAll, lane, 1, 8), __ballot_sync(kAll, lane % 3 == 0)};
}

TEST(Emulator, every_shuffle_takes_from_the_lane_that_it_names) {
  std::vector<Shuffled> out(32);
  launch(shuffle_all, 1, 32, 0, nullptr, out.data());
  for (int lane = 0; lane < 32; ++lane) {
    const Shuffled& s = out[static_cast<std::size_t>(lane)];
    EXPECT_EQ(s.from, 5);
    EXPECT_EQ(s.above, lane + 3 < 32 ? lane + 3 : lane);
    EXPECT_EQ(s.below, lane >= 3 ? lane - 3 : lane);
    EXPECT_EQ(s.across, lane ^ 7);
    EXPECT_EQ(s.narrow, lane ^ 1);
    EXPECT_EQ(s.ballot, 0x49249249U);
  }
}

void read_unwritten(float* out) {
  SHARED(float[32], values);
  out[threadIdx.x] = values[threadIdx.x] + snug::kernels::dynamic_shared<float>()[threadIdx.x];
}

TEST(Emulator, shared_memory_begins_as_nan) {
  std::vector<float> out(32);
  launch(read_unwritten, 1, 32, 32 * sizeof(float), nullptr, out.data());
  for (const float value : out) EXPECT_TRUE(std::isnan(value));
}

TEST(Emulator, half_precision_rounds_as_a_gpu_does) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = emulator::half_to_float(half);
    if (std::isnan(value)) continue;
    EXPECT_EQ(emulator::float_to_half(value), half);
  }
  const float cases[][2] = {
      {65'519.0F, 65'504.0F},  {65'520.0F, INFINITY},  {1.0F + 0x1p-11F, 1.0F},  {1.0F + 0x3p-11F, 1.0F + 0x1p-9F},
      {0x1p-25F, 0.0F},        {0x1.8p-25F, 0x1p-24F}, {-0x1.8p-24F, -0x1p-23F}, {-70'000.0F, -INFINITY},
      {0x1.FFFp-15F, 0x1p-14F}};
  for (const auto& [from, to] : cases) EXPECT_EQ(emulator::half_to_float(emulator::float_to_half(from)), to) << from;
  EXPECT_TRUE(std::isnan(emulator::half_to_float(emulator::float_to_half(NAN))));
}

// ---- planted faults -----------------------------------------------------------------------------------------------

void barrier_for_some() {
  if (threadIdx.x < 40) __syncthreads();
}
void barrier_after_an_early_exit() {
  if (threadIdx.x == 3) return;
  __syncthreads();
}
void different_barriers() {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
void mask_without_the_caller() { __shfl_xor_sync(0xFFFF'0000U, 1, 1); }
void mask_with_lanes_that_left() {
  if (threadIdx.x == 7) return;
  __syncwarp();
}
void mask_beyond_the_block() { __shfl_down_sync(kAll, 1.0F, 1); }
void shuffle_in_a_branch() {
  if (threadIdx.x < 16) __shfl_xor_sync(kAll, 1, 1);
}
void take_from_outside_the_mask() {
  if (threadIdx.x < 16) __shfl_xor_sync(0xFFFFU, 1, 16);
}
void different_shuffles() {
  if (threadIdx.x < 16) {
    __shfl_xor_sync(kAll, 1, 1);
  } else {
    __shfl_down_sync(kAll, 1, 1);
  }
}
void odd_width() { __shfl_xor_sync(kAll, 1, 1, 12); }
void shared_memory_that_was_not_asked_for() { snug::kernels::dynamic_shared<float>()[0] = 1; }
void nothing() {}

struct Planted {
  const char* name;
  void (*kernel)();
  dim3 grid, block;
  const char* message;
};

TEST(Emulator, names_what_a_kernel_did_wrong) {
  if (has_thread_sanitizer()) GTEST_SKIP() << "exceptions of fibers share what a thread has of its own";
  const Planted table[] = {
      {"barrier in a branch", barrier_for_some, 1, 64, "40 of 64 threads wait for ever at emulator_test.cpp:"},
      {"barrier after an early exit", barrier_after_an_early_exit, 3, 64, "63 of 64 threads wait for ever"},
      {"two barriers", different_barriers, 1, 64, "threads are at different barriers"},
      {"mask without the caller", mask_without_the_caller, 1, 32, "with a mask without it at emulator_test.cpp:"},
      {"lane that left", mask_with_lanes_that_left, 1, 32, "has ended"},
      {"lanes that are not there", mask_beyond_the_block, 1, 20, "names lane 20, which is not there"},
      {"shuffle in a branch", shuffle_in_a_branch, 1, 32, "has ended"},
      {"lane outside the mask", take_from_outside_the_mask, 1, 32, "which is not in the mask"},
      {"two shuffles", different_shuffles, 1, 32, "lanes of a warp do different things"},
      {"odd width", odd_width, 1, 32, "a shuffle of width 12"},
      {"shared memory", shared_memory_that_was_not_asked_for, 1, 32, "of a launch without any"},
      {"no threads", nothing, 1, dim3(0), "a block of 0 threads"},
      {"many threads", nothing, 1, dim3(32, 33), "a block of 1056 threads"},
      {"no blocks", nothing, dim3(1, 0), 32, "a grid of (1, 0, 1) blocks"},
      {"tall grid", nothing, dim3(1, 65'536), 32, "a grid of (1, 65536, 1) blocks"},
  };
  for (const Planted& planted : table) {
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      emulator::set_seed(seed);
      const std::string fault = fault_of([&] { launch(planted.kernel, planted.grid, planted.block, 0, nullptr); });
      EXPECT_NE(fault.find(planted.message), std::string::npos) << planted.name << ": \"" << fault << '"';
    }
  }
  EXPECT_EQ(fault_of([] { launch(nothing, 2, 32, 0, nullptr); }), "") << "the machine works on after a fault";
}

void read_without_barrier(float* out) {
  SHARED(float[kThreads], values);
  values[threadIdx.x] = static_cast<float>(threadIdx.x);
  out[threadIdx.x] = values[(threadIdx.x + 32) % kThreads];  // planted: no barrier before
}

/// Every thread adds up what all wrote, twice through the same memory.
void write_without_barrier(float* out) {
  SHARED(float[kThreads], values);
  float sum = 0;
  for (int turn = 0; turn < 2; ++turn) {
    values[threadIdx.x] = static_cast<float>(turn + 1);
    __syncthreads();
    for (const float value : values) sum += value;  // planted: no barrier behind
  }
  out[threadIdx.x] = sum;
}

void write_one_place(float* out) { *out = static_cast<float>(blockIdx.x); }

/// How many of the seeds give a wrong result.
template <class Kernel, class Expected>
int wrong_seeds(Kernel kernel, const Expected& expected) {
  int wrong = 0;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    emulator::set_seed(seed);
    std::vector<float> out(kThreads, NAN);
    launch(kernel, 1, kThreads, 0, nullptr, out.data());
    bool right = true;
    for (std::size_t i = 0; i < out.size(); ++i) right = right && out[i] == expected(i);
    wrong += right ? 0 : 1;
  }
  return wrong;
}

TEST(Emulator, missing_barriers_give_wrong_results) {
  if (has_thread_sanitizer()) GTEST_SKIP() << "ThreadSanitizer reports them";
  EXPECT_EQ(wrong_seeds(read_without_barrier, [](std::size_t i) { return static_cast<float>((i + 32) % kThreads); }),
            8);
  EXPECT_GT(wrong_seeds(write_without_barrier, [](std::size_t) { return 3.0F * kThreads; }), 0);
}

/// Runs a kernel and ends with 0, unless a sanitizer makes it 66.
template <class Kernel>
[[noreturn]] void run_and_exit(Kernel kernel, unsigned blocks) {
  std::vector<float> out(kThreads);
  emulator::set_seed(1);
  launch(kernel, blocks, blocks == 1 ? kThreads : 1, 0, nullptr, out.data());
  std::exit(0);
}

TEST(EmulatorDeathTest, races_are_reported) {
  if (!has_thread_sanitizer()) GTEST_SKIP() << "needs ThreadSanitizer";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto failed = [](int status) { return status != 0; };
  EXPECT_EXIT(run_and_exit(read_without_barrier, 1), failed, "data race");
  EXPECT_EXIT(run_and_exit(write_without_barrier, 1), failed, "data race");
  EXPECT_EXIT(run_and_exit(write_one_place, 4), failed, "data race");
}

void write_behind_the_end(float* out) { out[threadIdx.x + 1] = 1; }
void write_behind_shared(int last) {
  SHARED(float[32], values);
  for (int i = 0; i <= last; ++i) values[i] = 0;
}

TEST(EmulatorDeathTest, writes_out_of_bounds_are_reported) {
  if (!has_address_sanitizer()) GTEST_SKIP() << "needs AddressSanitizer";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        std::vector<float> out(kThreads);
        launch(write_behind_the_end, 1, kThreads, 0, nullptr, out.data());
      },
      "heap-buffer-overflow");
  EXPECT_DEATH(launch(write_behind_shared, 1, 1, 0, nullptr, 32),
               "use-after-poison|heap-buffer-overflow|out of bounds");
}

TEST(Emulator, writes_beside_shared_memory_are_caught_behind_the_block) {
  if (has_address_sanitizer()) GTEST_SKIP() << "AddressSanitizer reports them";
  const std::string fault = fault_of([] { launch(write_behind_shared, 1, 1, 0, nullptr, 32); });
  EXPECT_NE(fault.find("a write beside a shared variable"), std::string::npos) << fault;
}

}  // namespace
