// Runs kernels on the CPU: one fiber per CUDA thread, one block after another, and everything checked that a GPU would
// leave undefined. It proves results, barriers and shuffles; it proves nothing about speed.
//
// Blocks come in a random order. Half of them let their threads take turns at random; in the other half the highest
// warp runs as far as it can before the next, which shows barriers that are missing on the way back of a loop.
// Shared memory begins as NaN and has guards around it. Under ThreadSanitizer every CUDA thread is a thread of its
// own, ordered by barriers alone, so that a race is reported with both lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <vector>

namespace emulator {

/// What a kernel did wrong: a barrier that not all threads reach, a shuffle with a wrong mask, a launch that no GPU
/// takes. Out of bounds and races are the sanitizers' to report.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Where a kernel calls something.
struct Place {
  const char* file = "";
  int line = 0;
};

struct Extent {
  unsigned x, y, z;
  constexpr Extent(unsigned columns = 1, unsigned rows = 1, unsigned planes = 1)  // NOLINT: implicit, as CUDA's dim3
      : x(columns), y(rows), z(planes) {}
  [[nodiscard]] std::uint64_t count() const { return std::uint64_t{x} * y * z; }
};

/// Where the running thread is. Written by the scheduler alone.
struct Position {
  Extent thread{0, 0, 0}, block{0, 0, 0}, threads, blocks;
};
extern Position position;

/// Runs `thread` for every thread of the grid. Throws Fault.
void run(const std::function<void()>& thread, const Extent& grid, const Extent& block, std::size_t dynamic_bytes);

/// Launches and copies in the order in which they came, to be done later: what a graph is on a GPU.
using Recording = std::vector<std::function<void()>>;
/// While it lives, what is launched goes into a recording.
class Recorder {
 public:
  explicit Recorder(Recording& recording);
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  ~Recorder();
};
/// Keeps `work` when a recorder lives; else says no, and the caller does it.
[[nodiscard]] bool record(const std::function<void()>& work);

/// Other orders of blocks and threads.
void set_seed(std::uint64_t seed);

// What follows is called by running threads.

/// Waits for all threads of the block, which must all come to the same place.
void barrier(Place place);

enum class WarpOp : std::uint8_t { take_from, take_above, take_below, take_across, ballot, sync };
struct WarpCall {
  WarpOp op = WarpOp::sync;
  unsigned mask = 0;        ///< lanes that take part
  std::uint64_t value = 0;  ///< handed to others
  unsigned operand = 0;     ///< of shuffles: a lane, a distance, or bits to flip
  unsigned width = 32;      ///< lanes of a group of its own
};
/// Waits for the lanes of the mask; the value that this lane takes, or the lanes with a value other than 0.
std::uint64_t warp(const WarpCall& call, Place place);

/// The block's shared variable with this key, NaN at first.
void* shared(const void* key, std::size_t bytes);
/// The shared memory that the launch asked for.
void* dynamic_shared();

}  // namespace emulator
