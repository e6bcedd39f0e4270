// Placement problems for tests: random ones, and MiniMalloc's CSV files.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "base/rng.h"
#include "memory/placement.h"

namespace snug::test {

struct RandomProblem {
  int buffers = 10;
  std::uint32_t steps = 10;
  std::uint32_t max_size = 100;
};

inline std::vector<Buffer> random_buffers(const RandomProblem& problem, std::uint64_t seed) {
  Random random(seed);
  std::vector<Buffer> buffers;
  for (int i = 0; i < problem.buffers; ++i) {
    const std::int64_t first = random.below(problem.steps);
    const std::int64_t length = 1 + random.below(problem.steps - static_cast<std::uint32_t>(first));
    buffers.push_back({.size_bytes = random.below(problem.max_size + 1), .life = {first, first + length}});
  }
  return buffers;
}

/// The least height over all orders, each buffer as low as it can go: a best packing is among them.
inline std::int64_t optimum(const std::vector<Buffer>& buffers) {
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), 0U);
  std::int64_t best = std::numeric_limits<std::int64_t>::max();
  do {
    std::vector<std::int64_t> offsets(buffers.size());
    std::int64_t height = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const Buffer& buffer = buffers[order[i]];
      std::int64_t offset = 0;
      bool moved = true;
      while (moved) {
        moved = false;
        for (std::size_t j = 0; j < i; ++j) {
          const Buffer& other = buffers[order[j]];
          const std::int64_t at = offsets[order[j]];
          const bool hits =
              other.life.overlaps(buffer.life) && at < offset + buffer.size_bytes && offset < at + other.size_bytes;
          if (!hits) continue;
          offset = at + other.size_bytes;
          moved = true;
        }
      }
      offsets[order[i]] = offset;
      height = std::max(height, offset + buffer.size_bytes);
    }
    best = std::min(best, height);
  } while (std::ranges::next_permutation(order).found);
  return best;
}

/// The shared test data, or an empty path where it is absent.
inline std::filesystem::path data_folder(const std::string& name) {
  const char* root = std::getenv("SNUG_TEST_DATA");
  const std::filesystem::path folder = std::filesystem::path(root != nullptr ? root : "../shared/data") / name;
  return std::filesystem::exists(folder) ? folder : std::filesystem::path();
}

/// Rows "id,lower,upper,size" after a header.
inline std::vector<Buffer> read_problem(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  std::vector<Buffer> buffers;
  while (std::getline(file, line)) {
    std::istringstream fields(line.substr(line.find(',') + 1));
    char comma = 0;
    Buffer buffer;
    fields >> buffer.life.first >> comma >> buffer.life.last >> comma >> buffer.size_bytes;
    buffers.push_back(buffer);
  }
  return buffers;
}

}  // namespace snug::test
