// What a device says against a run, as findings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <span>

#include "emulated/emulated_device.h"
#include "emulated/runs.h"
#include "runtime/arena_memory.h"
#include "snug/diagnostic.h"

namespace snug::test {
namespace {

using testing::HasSubstr;

Diagnostic finding_of(const Runs& runs, const std::shared_ptr<EmulatedDevice>& device) {
  try {
    (void)runs.emulated(nets()[1], {.device = device});
  } catch (const Error& error) {
    return error.findings().front();
  }
  return {};
}

void expect_sound(const Diagnostic& finding, int code) {
  EXPECT_EQ(exit_code(std::span(&finding, 1)), code) << finding.code;
  EXPECT_LE(finding.what.size(), 160U);
  EXPECT_FALSE(finding.fix.empty());
}

TEST(DeviceErrors, a_refused_launch_names_step_layer_engine_and_shape) {
  const Runs runs;
  const auto device = std::make_shared<EmulatedDevice>();
  device->launch_failure = DeviceFailure("invalid configuration argument");
  const Diagnostic finding = finding_of(runs, device);
  expect_sound(finding, 5);
  EXPECT_THAT(finding.what, HasSubstr("step 0, "));
  EXPECT_THAT(finding.what, HasSubstr("by own: invalid configuration argument"));
}

TEST(DeviceErrors, memory_that_runs_out_in_disguise_is_told_as_memory) {
  const Runs runs;
  const auto device = std::make_shared<EmulatedDevice>();
  device->launch_failure = DeviceFailure("CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED", true);
  expect_sound(finding_of(runs, device), 4);
}

TEST(DeviceErrors, a_fault_that_shows_later_is_told_where_it_shows) {
  const Runs runs;
  const auto device = std::make_shared<EmulatedDevice>();
  device->wait_failure = DeviceFailure("an illegal memory access was encountered");
  const Diagnostic finding = finding_of(runs, device);
  expect_sound(finding, 5);
  EXPECT_THAT(finding.what, HasSubstr("illegal memory access"));
  EXPECT_THAT(finding.fix, HasSubstr("SNUG_DEVICE_CHECKS"));
}

/// A device on which another process takes the memory once the plan is made.
TEST(DeviceErrors, memory_taken_after_the_plan_is_told_before_it_is_asked_for) {
  const Runs runs;
  const auto device = std::make_shared<EmulatedDevice>();
  Computer computer = emulated_computer(device);
  const auto planning = computer.planning;
  computer.planning = [=](const Config& config) {
    Planning answer = planning(config);
    device->total_bytes = 64 << 10;
    return answer;
  };
  try {
    (void)runs.with(nets()[1], computer);
    FAIL() << "the arenas cannot be had";
  } catch (const Error& error) {
    const Diagnostic& finding = error.findings().front();
    expect_sound(finding, 4);
    EXPECT_THAT(finding.what, HasSubstr("free now"));
  }
}

/// Locked memory is the host's: it is told with the host's figures, and begins as zero where a program needs that.
TEST(DeviceErrors, host_memory_that_is_refused_is_told_as_that) {
  const Runs runs;
  const auto device = std::make_shared<EmulatedDevice>();
  device->host_failure = DeviceFailure("cudaMallocHost: out of memory", true);
  const Diagnostic finding = finding_of(runs, device);
  expect_sound(finding, 4);
  EXPECT_EQ(finding.code, "M303");
  EXPECT_THAT(finding.what, HasSubstr("of locked host memory, the system has"));
  EXPECT_THAT(finding.fix, HasSubstr("ulimit -l"));
}

TEST(DeviceErrors, host_memory_begins_as_zero) {
  const auto device = std::make_shared<EmulatedDevice>();
  const ArenaMemory memory(1000, "test", device, ArenaMemory::Kind::host);
  EXPECT_TRUE(std::all_of(memory.data(), memory.data() + 1000, [](std::byte value) { return value == std::byte{0}; }));
}

}  // namespace
}  // namespace snug::test
