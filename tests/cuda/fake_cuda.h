// A CUDA runtime of tests: it keeps a journal of what was asked, and says what it is told to say.
#pragma once

#include <string>
#include <vector>

#include "backend/cuda/cuda_api.h"

namespace snug::test {

struct FakeCuda {
  int devices = 1, count_status = 0, driver = 13000, open_status = 0, launch_error = 0, wait_error = 0;
  int capability = 90;
  std::size_t free_bytes = std::size_t{1} << 30;
  std::vector<std::string> journal;
  int open_handles = 0;
};
/// The state that the functions of `fake_api` work on.
[[nodiscard]] FakeCuda& fake_cuda();
[[nodiscard]] const cuda::Api& fake_api();

}  // namespace snug::test
