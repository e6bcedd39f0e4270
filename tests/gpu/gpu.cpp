#include "gpu/gpu.h"

#include <cstdlib>

#include "cli/target.h"
#include "snug/diagnostic.h"

namespace snug::gpu_test {

namespace {

std::string find_missing() {
  try {
    static_cast<void>(gpu_computer(0));
    return {};
  } catch (const Error& error) {
    return error.findings().front().code + " " + error.findings().front().what;
  }
}

}  // namespace

const std::string& missing() {
  static const std::string kMissing = find_missing();
  return kMissing;
}

Computer computer(bool checked) {
  ::setenv("SNUG_DEVICE_CHECKS", checked ? "1" : "0", 1);
  return gpu_computer(0);
}

}  // namespace snug::gpu_test
