#include "backend/cuda/device_sheet.h"

#include <gtest/gtest.h>

namespace snug {
namespace {

// As an H200's property sheet is accepted by cuDNN, and as an H100 tells its own (its place on the bus left out).
constexpr std::string_view kH200 =
    R"({"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],"regsPerBlock":65536,)"
    R"("multiProcessorCount":132,"smClockRateKHz":1980000,"memClockRateKHz":3201000,"l2CacheSize":62914560,)"
    R"("warpSize":32,"maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":232448,)"
    R"("reservedSharedMemoryPerBlock":1024,"maxRegistersPerSM":65536,"pciDeviceId":0,"maxCtasPerSM":32,)"
    R"("maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,"isTccDriver":0,"supportCoopLaunch":1,"deviceVer":900,)"
    R"("driverVer":13000,"cudaDeviceId":0,"totalGlobalMem":150754820096,"deviceName":"NVIDIA H200"})";

TEST(DeviceSheet, IsWhatCudnnTakes) {
  const DeviceSheet h200{.name = "NVIDIA H200",
                         .capability = 90,
                         .multiprocessors = 132,
                         .clock_khz = 1'980'000,
                         .memory_clock_khz = 3'201'000,
                         .l2_bytes = 62'914'560,
                         .total_bytes = 150'754'820'096};
  EXPECT_EQ(sheet_json(h200), kH200);
}

TEST(DeviceSheet, ArchitecturesAreKnownByCapability) {
  ASSERT_NE(find_architecture(89), nullptr);
  EXPECT_EQ(find_architecture(89)->threads_per_multiprocessor, 1536);
  EXPECT_EQ(find_architecture(70), nullptr);
  int last = 0;
  for (const Architecture& architecture : architectures()) {
    EXPECT_GT(architecture.capability, last);
    EXPECT_GE(architecture.shared_per_block_optin, 48 << 10);
    last = architecture.capability;
  }
  EXPECT_FALSE(has_bf16(75));
  EXPECT_TRUE(has_bf16(80));
  EXPECT_FALSE(has_clusters(89));
  EXPECT_TRUE(has_clusters(90));
}

}  // namespace
}  // namespace snug
