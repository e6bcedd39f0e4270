// The GPU that these tests run on: cuda:0 of this machine. Without one they are skipped, and say so.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "backend/backend.h"
#include "backend/device.h"
#include "train/setup.h"

namespace snug::gpu_test {

/// Why there is none; empty where there is.
[[nodiscard]] const std::string& missing();

/// What computes there; `checked`: every step is waited for, and nothing recorded.
[[nodiscard]] Computer computer(bool checked = false);

/// The steps of `inner`, whose operands lie in this process: each run takes them to the device, every storage in an
/// allocation of its own between guards, and brings them back. Throws std::runtime_error for bytes that were written
/// outside, and what the device says against it.
[[nodiscard]] std::unique_ptr<Backend> make_visiting_backend(std::unique_ptr<Backend> inner,
                                                             std::shared_ptr<Device> device);

class Gpu : public testing::Test {
 protected:
  void SetUp() override {
    if (!missing().empty()) GTEST_SKIP() << missing();
  }
};

}  // namespace snug::gpu_test
