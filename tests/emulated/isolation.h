// Steps that see nothing but their operands.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "emulated/emulated_device.h"

namespace snug::test {

/// The steps of `inner`, each run while every byte of the device that is no operand of it, and all that it only writes,
/// is NaN. Throws std::runtime_error when one writes beside its outputs and its scratch, which is as long as it asked
/// for. The device must not record.
[[nodiscard]] std::unique_ptr<Backend> make_isolating_backend(std::unique_ptr<Backend> inner,
                                                              std::shared_ptr<EmulatedDevice> device);

}  // namespace snug::test
