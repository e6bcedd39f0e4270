// Takes the place of with_cuda.cpp in builds without CUDA.
#include <fmt/format.h>

#include "backend/cuda/gpu/gpu.h"
#include "snug/diagnostic.h"

namespace snug {

bool has_cuda() { return false; }

OpenGpu open_gpu(int number) {
  throw Error({.code = "G901",
               .where = fmt::format("--device cuda:{}", number),
               .what = "this build computes on the CPU alone: it has no CUDA backend",
               .fix = "--device cpu   # or build with a CUDA toolkit and -DSNUG_CUDA=ON"});
}

}  // namespace snug
