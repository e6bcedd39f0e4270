// The GPU through a runtime of tests: what is asked of it, and what it says becomes.
#include "backend/cuda/cuda_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cuda/fake_cuda.h"
#include "snug/diagnostic.h"

namespace snug::cuda {
namespace {

using test::fake_api;
using test::fake_cuda;
using testing::ElementsAre;
using testing::HasSubstr;

class CudaDevice : public testing::Test {
 protected:
  void SetUp() override { fake_cuda() = {}; }
  void TearDown() override { EXPECT_EQ(fake_cuda().open_handles, 0) << "streams, events and graphs are given back"; }

  /// What opening it says; of code and sentence.
  static std::string refusal(int number = 0) {
    try {
      (void)open_device(fake_api(), number);
    } catch (const Error& error) {
      const Diagnostic& finding = error.findings().front();
      EXPECT_FALSE(finding.fix.empty());
      EXPECT_LE(finding.what.size(), 160U);
      return finding.code + " " + finding.what;
    }
    return "opened";
  }
  /// What was asked since `from`.
  static std::vector<std::string> asked(std::size_t from) {
    const auto& journal = fake_cuda().journal;
    return {journal.begin() + static_cast<std::ptrdiff_t>(from), journal.end()};
  }
};

TEST_F(CudaDevice, ThatIsNotToBeHadIsRefusedWithTheCause) {
  EXPECT_EQ(refusal(), "opened");
  EXPECT_THAT(refusal(1), HasSubstr("G901 1 GPUs can be seen here"));
  fake_cuda() = {.devices = 0, .count_status = kErrorNoDevice};
  EXPECT_THAT(refusal(), HasSubstr("G901 no GPUs can be seen here"));
  fake_cuda() = {.count_status = kErrorInsufficientDriver, .driver = 12020};
  EXPECT_THAT(refusal(), HasSubstr("G902 the driver supports CUDA 12.2, this program is built for CUDA 13.0"));
  fake_cuda() = {.count_status = kErrorInsufficientDriver, .driver = 0};
  EXPECT_THAT(refusal(), HasSubstr("G901 this machine has no NVIDIA driver"));
  fake_cuda() = {.count_status = 999};
  EXPECT_THAT(refusal(), HasSubstr("G906 the driver does not answer"));
  fake_cuda() = {.capability = 70};
  EXPECT_THAT(refusal(), HasSubstr("G904 NVIDIA Test has compute capability 7.0, the kernels need 7.5"));
  fake_cuda() = {.open_status = kErrorDevicesUnavailable};
  EXPECT_THAT(refusal(), HasSubstr("G906 NVIDIA Test cannot be opened"));
}

TEST_F(CudaDevice, ThatIsHiddenSaysByWhat) {
  ::setenv("CUDA_VISIBLE_DEVICES", "GPU-1234", 1);
  EXPECT_THAT(refusal(3), HasSubstr("(CUDA_VISIBLE_DEVICES is \"GPU-1234\")"));
  ::unsetenv("CUDA_VISIBLE_DEVICES");
}

TEST_F(CudaDevice, OfALaterGenerationIsTakenAsTheNewestKnown) {
  fake_cuda().capability = 103;
  EXPECT_EQ(describe_device(fake_api(), 0).capability, 100);
}

TEST_F(CudaDevice, MemoryIsZeroedAndWhatIsRefusedIsToldAsMemory) {
  const auto device = open_device(fake_api(), 0);
  std::byte* const memory = device->allocate(64);
  EXPECT_TRUE(std::all_of(memory, memory + 64, [](std::byte value) { return value == std::byte{0}; }));
  device->release(memory);
  fake_cuda().free_bytes = 10;
  try {
    (void)device->allocate(64);
    FAIL();
  } catch (const DeviceFailure& failure) {
    EXPECT_TRUE(failure.of_memory);
    EXPECT_THAT(failure.what(), HasSubstr("cudaMalloc: out of memory"));
  }
}

TEST_F(CudaDevice, StepsAreRecordedOnceAndLaunchedAsOne) {
  const auto device = open_device(fake_api(), 0);
  std::size_t from = fake_cuda().journal.size();
  const auto graph = device->record([&] {
    device->fork(1);
    device->fork(2);
    device->join();
    device->fork(1);
  });
  EXPECT_THAT(asked(from), ElementsAre("begin", "record", "stream waits", "record", "stream waits",  // both forks
                                       "record", "stream waits", "record", "stream waits",           // both come back
                                       "record", "stream waits", "record", "stream waits",  // what is open is joined
                                       "end", "create graph", "create executable"));
  from = fake_cuda().journal.size();
  graph->launch();
  graph->launch();
  EXPECT_THAT(asked(from), ElementsAre("launch", "launch"));
}

TEST_F(CudaDevice, ARecordingThatFailsIsEnded) {
  const auto device = open_device(fake_api(), 0);
  EXPECT_THROW((void)device->record([] { throw DeviceFailure("no"); }), DeviceFailure);
  EXPECT_THAT(fake_cuda().journal, testing::Contains("end"));
}

/// Whoever waits for the device waits for every queue that has work.
TEST_F(CudaDevice, WaitsForWorkBesideTheMainQueueToo) {
  const auto device = open_device(fake_api(), 0);
  device->fork(2);
  const std::size_t from = fake_cuda().journal.size();
  device->wait();
  EXPECT_THAT(asked(from), ElementsAre("record", "stream waits", "wait"));
}

TEST_F(CudaDevice, CopiesAheadBesideTheMainQueue) {
  const auto device = open_device(fake_api(), 0);
  std::vector<std::byte> host(64, std::byte{7}), ahead(64), place(64);
  const std::size_t from = fake_cuda().journal.size();
  device->copy_ahead(ahead.data(), host.data(), 64);
  device->take_ahead();
  device->copy_within(place.data(), ahead.data(), 64);
  device->release_ahead();
  EXPECT_THAT(asked(from), ElementsAre("copy in", "record", "stream waits", "copy within", "record", "stream waits"));
  EXPECT_EQ(place, host);
}

TEST_F(CudaDevice, TellsTheTimeBetweenStamps) {
  const auto device = open_device(fake_api(), 0);
  device->stamp(0);
  device->stamp(1);
  EXPECT_DOUBLE_EQ(device->seconds_between(0, 1), 2e-3);
}

TEST_F(CudaDevice, WithoutKernelsForItIsToldSo) {
  const auto device = open_device(fake_api(), 0);
  fake_cuda().launch_error = kErrorNoKernelImage;
  const auto failure = device->take_failure();
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->what(), HasSubstr("this build has no kernels for this GPU"));
}

TEST_F(CudaDevice, AFailureIsToldOnce) {
  const auto device = open_device(fake_api(), 0);
  EXPECT_FALSE(device->take_failure());
  fake_cuda().launch_error = 9;
  const auto failure = device->take_failure();
  EXPECT_THAT(failure ? failure->what() : "none", HasSubstr("the launch: a fault (cudaErrorTest)"));
  EXPECT_FALSE(device->take_failure());
  fake_cuda().wait_error = 700;
  EXPECT_THROW(device->wait(), DeviceFailure);
  EXPECT_NO_THROW(device->wait());
}

TEST_F(CudaDevice, WithChecksEveryStepIsWaitedForAndNothingRecorded) {
  const auto device = open_device(fake_api(), 0, {.check_every_step = true});
  EXPECT_EQ(device->record([] {}), nullptr);
  fake_cuda().wait_error = 700;
  EXPECT_TRUE(device->take_failure());
}

}  // namespace
}  // namespace snug::cuda
