#include "emulator/emulator.h"

#include <boost/context/detail/fcontext.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "emulator/sanitizers.h"

// This file is built without ThreadSanitizer: what the scheduler reads and writes is no access of a kernel.
namespace emulator {

Position position;

namespace {

using boost::context::detail::fcontext_t;
using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

constexpr unsigned kWarp = 32, kMostThreads = 1024;
constexpr std::size_t kStackBytes = 256 << 10;      // a sanitizer's report needs most of it
constexpr std::size_t kFirstFramesBytes = 4 << 10;  // of begin and leave
constexpr std::size_t kMostShared = 227 << 10;      // of one block on sm_90
constexpr std::size_t kGuardBytes = 64;             // around shared variables
constexpr unsigned char kGuardPattern = 0xA5;

std::string text(Place place) {
  const std::string file = place.file;
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(place.line);
}

std::string text(const Extent& e) {
  return "(" + std::to_string(e.x) + ", " + std::to_string(e.y) + ", " + std::to_string(e.z) + ")";
}

enum class State : std::uint8_t { ready, at_barrier, in_warp, ended };

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<unsigned char, Free>;

struct Stack {
  Memory memory;
  [[nodiscard]] void* top() const { return memory.get() + kStackBytes; }
};

struct Thread {
  fcontext_t context = nullptr;
  State state = State::ready;
  Place place;
  std::uint64_t result = 0;
  Extent index;
  SanitizerFiber fiber;
};

/// A shuffle, ballot or __syncwarp that lanes have come to.
struct Meeting {
  WarpCall call;  ///< of the first lane
  Place place;
  unsigned arrived = 0;
  std::size_t complete = 0;  ///< meetings before this one
  std::array<char, 2> sync{};
  std::array<std::uint64_t, kWarp> values{};
  std::array<unsigned, kWarp> operands{};
};

/// Memory of a block between guards. It is filled with bytes that are NaN in every floating type.
class SharedVariable {
 public:
  explicit SharedVariable(std::size_t bytes) : bytes_(bytes) {
    const std::size_t padded = (bytes + kGuardBytes - 1) / kGuardBytes * kGuardBytes;
    size_ = padded + 2 * kGuardBytes;
    memory_.reset(static_cast<unsigned char*>(std::aligned_alloc(kGuardBytes, size_)));
    std::memset(memory_.get(), kGuardPattern, size_);
    std::memset(data(), 0xFF, bytes_);
    poison(memory_.get(), kGuardBytes);
    poison(data() + bytes_, size_ - kGuardBytes - bytes_);
  }
  [[nodiscard]] unsigned char* data() const { return memory_.get() + kGuardBytes; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// Ends the life of the variable: whether nothing was written beside it.
  [[nodiscard]] bool release() const {
    unpoison(memory_.get(), size_);
    const auto is_guard = [](unsigned char byte) { return byte == kGuardPattern; };
    return std::all_of(memory_.get(), data(), is_guard) &&
           std::all_of(data() + bytes_, memory_.get() + size_, is_guard);
  }

 private:
  std::size_t bytes_ = 0, size_ = 0;
  Memory memory_;
};

/// The launch that runs now. There is one scheduler and one OS thread.
class Machine {
 public:
  void run(const std::function<void()>& thread, const Extent& grid, const Extent& block, std::size_t dynamic_bytes);
  void seed(std::uint64_t seed) { random_.seed(seed); }

  void barrier(Place place);
  std::uint64_t warp(const WarpCall& call, Place place);
  void* shared(const void* key, std::size_t bytes);

  void begin(transfer_t from);

 private:
  void run_block(const Extent& index);
  void create_threads();
  void finish_launch();
  void take_turns();
  bool run_highest_warp();
  void resume(std::size_t thread);
  void wait(State state, Place place);
  [[noreturn]] void give_up(const std::string& why);
  void leave(bool for_good);
  void complete_meeting(std::size_t first_lane, Meeting& meeting);
  void expect_lanes(const WarpCall& call, Place place);
  [[nodiscard]] std::string stuck() const;
  void end_block();
  [[nodiscard]] std::string here() const { return " in block " + text(position.block); }

  const std::function<void()>* body_ = nullptr;
  std::vector<Stack> stacks_;
  std::size_t first_stack_ = 0, stacks_in_use_ = 0;  ///< of the block's
  std::vector<SharedVariable> retired_;              ///< of blocks that are over, see kFreshMemory
  std::vector<Thread> threads_;
  std::vector<Meeting> meetings_;  ///< by warp
  std::map<const void*, SharedVariable> shared_;
  std::size_t running_ = 0;  ///< thread
  std::size_t at_barrier_ = 0, ended_ = 0;
  Place barrier_place_;
  std::size_t barriers_ = 0;  ///< that all have come to
  std::array<char, 2> barrier_sync_{};
  fcontext_t scheduler_ = nullptr;
  SanitizerFiber scheduler_fiber_;
  std::string fault_;
  std::mt19937_64 random_{1};
};

Machine& machine() {
  static Machine the_machine;
  return the_machine;
}

void fiber_entry(transfer_t from) { machine().begin(from); }

void Machine::run(const std::function<void()>& thread, const Extent& grid, const Extent& block,
                  std::size_t dynamic_bytes) {
  if (block.count() == 0 || block.count() > kMostThreads)
    throw Fault("a block of " + std::to_string(block.count()) + " threads: 1 to 1024 can be launched");
  if (grid.count() == 0 || grid.x > 0x7FFF'FFFFU || grid.y > 65'535 || grid.z > 65'535)
    throw Fault("a grid of " + text(grid) + " blocks: 1 to (2147483647, 65535, 65535) can be launched");
  const Unwatched scheduler;
  body_ = &thread;
  position.threads = block;
  position.blocks = grid;
  if (dynamic_bytes > kMostShared)
    throw Fault("a launch with " + std::to_string(dynamic_bytes) + " bytes of shared memory");
  scheduler_fiber_.is_current();
  first_stack_ = stacks_in_use_ = 0;
  std::vector<std::uint64_t> order(grid.count());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random_);
  for (const std::uint64_t i : order) {
    if (dynamic_bytes > 0) shared(nullptr, dynamic_bytes);
    run_block({static_cast<unsigned>(i % grid.x), static_cast<unsigned>(i / grid.x % grid.y),
               static_cast<unsigned>(i / grid.x / grid.y)});
  }
  finish_launch();
}

/// What follows comes after the launch, whose memory can now be used again.
void Machine::finish_launch() {
  scheduler_fiber_.acquire(this);
  retired_.clear();
}

void Machine::create_threads() {
  const Extent& size = position.threads;
  threads_.assign(size.count(), {});
  meetings_.assign((size.count() + kWarp - 1) / kWarp, {});
  if (kFreshMemory) first_stack_ += stacks_in_use_;
  stacks_in_use_ = threads_.size();
  while (stacks_.size() < first_stack_ + threads_.size())
    stacks_.push_back({Memory(static_cast<unsigned char*>(std::aligned_alloc(64, kStackBytes)))});
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    Thread& thread = threads_[i];
    const auto linear = static_cast<unsigned>(i);
    thread.index = {linear % size.x, linear / size.x % size.y, linear / size.x / size.y};
    const Stack& stack = stacks_[first_stack_ + i];
    thread.context = make_fcontext(stack.top(), kStackBytes, fiber_entry);
    thread.fiber.create(stack.memory.get(), kStackBytes);
  }
}

void Machine::run_block(const Extent& index) {
  position.block = index;
  at_barrier_ = ended_ = 0;
  fault_.clear();
  create_threads();
  const bool highest_first = (random_() & 1U) != 0;
  while (ended_ < threads_.size() && fault_.empty()) {
    const auto is_ready = [](const Thread& thread) { return thread.state == State::ready; };
    if (std::none_of(threads_.begin(), threads_.end(), is_ready))
      fault_ = stuck();
    else if (!highest_first)
      take_turns();
    else
      run_highest_warp();
  }
  end_block();
  if (fault_.empty()) return;
  finish_launch();
  throw Fault(std::exchange(fault_, {}));
}

/// Every thread that can run does so once, in a random order.
void Machine::take_turns() {
  std::vector<std::size_t> order(threads_.size());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random_);
  for (const std::size_t i : order) {
    if (threads_[i].state == State::ready && fault_.empty()) resume(i);
  }
}

bool Machine::run_highest_warp() {
  for (std::size_t warp = meetings_.size(); warp-- > 0;) {
    bool ran = false;
    for (std::size_t i = warp * kWarp; i < std::min(threads_.size(), (warp + 1) * kWarp); ++i) {
      if (threads_[i].state != State::ready || !fault_.empty()) continue;
      resume(i);
      ran = true;
    }
    if (ran) return true;
  }
  return false;
}

void Machine::resume(std::size_t i) {
  running_ = i;
  Thread& thread = threads_[i];
  position.thread = thread.index;
  scheduler_fiber_.leave_to(thread.fiber);
  thread.context = jump_fcontext(thread.context, nullptr).fctx;
  scheduler_fiber_.arrived();
}

/// From the running thread to the scheduler.
void Machine::leave(bool for_good) {
  Thread& thread = threads_[running_];
  thread.fiber.leave_to(scheduler_fiber_, for_good);
  scheduler_ = jump_fcontext(scheduler_, nullptr).fctx;
  threads_[running_].fiber.arrived();
}

void Machine::begin(transfer_t from) {
  scheduler_ = from.fctx;
  threads_[running_].fiber.arrived();
  try {
    (*body_)();
  } catch (const Fault& fault) {
    const Unwatched message;
    fault_ = fault.what();
  }
  Thread& thread = threads_[running_];
  thread.state = State::ended;
  ++ended_;
  thread.fiber.release(this);
  const Meeting& meeting = meetings_[running_ / kWarp];
  if (fault_.empty() && meeting.arrived != 0 && (meeting.call.mask >> running_ % kWarp & 1U) != 0) {
    const Unwatched message;
    fault_ = "lane " + std::to_string(running_ % kWarp) + " has ended, and " + text(meeting.place) + " waits for it" +
             here();
  }
  leave(true);
  std::abort();  // an ended thread is never resumed
}

void Machine::wait(State state, Place place) {
  Thread& thread = threads_[running_];
  thread.state = state;
  thread.place = place;
  leave(false);
}

/// Unwinds the running thread alone; the others of its block never run again.
void Machine::give_up(const std::string& why) { throw Fault(why + here()); }

std::string Machine::stuck() const {
  std::string places;
  for (const Thread& thread : threads_) {
    if (thread.state != State::ended && places.find(text(thread.place)) == std::string::npos)
      places += (places.empty() ? "" : " and ") + text(thread.place);
  }
  return std::to_string(threads_.size() - ended_) + " of " + std::to_string(threads_.size()) +
         " threads wait for ever at " + places + ", " + std::to_string(ended_) + " have ended" + here();
}

void Machine::barrier(Place place) {
  Thread& thread = threads_[running_];
  if (at_barrier_ == 0) barrier_place_ = place;
  if (barrier_place_.line != place.line || std::strcmp(barrier_place_.file, place.file) != 0)
    give_up("threads are at different barriers, " + text(barrier_place_) + " and " + text(place));
  void* const sync = &barrier_sync_[barriers_ % 2];  // not the next one's: others may come there before all left this
  thread.fiber.release(sync);
  if (++at_barrier_ < threads_.size()) {
    wait(State::at_barrier, place);
  } else {
    at_barrier_ = 0;
    ++barriers_;
    for (Thread& other : threads_) {
      if (other.state == State::at_barrier) other.state = State::ready;
    }
  }
  threads_[running_].fiber.acquire(sync);
}

/// Gives up unless this lane is in the mask, and every lane of the mask is there to come.
void Machine::expect_lanes(const WarpCall& call, Place place) {
  const std::size_t lane = running_ % kWarp, first = running_ - lane;
  if ((call.mask >> lane & 1U) == 0)
    give_up("lane " + std::to_string(lane) + " calls with a mask without it at " + text(place));
  for (std::size_t i = 0; i < kWarp; ++i) {
    if ((call.mask >> i & 1U) == 0) continue;
    if (first + i >= threads_.size() || threads_[first + i].state == State::ended)
      give_up("the mask at " + text(place) + " names lane " + std::to_string(i) + ", which is not there or has ended");
  }
}

std::uint64_t Machine::warp(const WarpCall& call, Place place) {
  expect_lanes(call, place);
  const std::size_t lane = running_ % kWarp;
  Meeting& meeting = meetings_[running_ / kWarp];
  if (meeting.arrived == 0) {
    meeting.call = call;
    meeting.place = place;
  }
  const WarpCall& first = meeting.call;
  if (first.op != call.op || first.mask != call.mask || first.width != call.width || meeting.place.line != place.line)
    give_up("lanes of a warp do different things, " + text(meeting.place) + " and " + text(place));
  if (call.width == 0 || call.width > kWarp || (call.width & (call.width - 1)) != 0)
    give_up("a shuffle of width " + std::to_string(call.width) + " at " + text(place));
  meeting.values[lane] = call.value;
  meeting.operands[lane] = call.operand;
  meeting.arrived |= 1U << lane;
  Thread& thread = threads_[running_];
  const bool orders_memory = call.op == WarpOp::sync;
  void* const sync = &meeting.sync[meeting.complete % 2];
  if (orders_memory) thread.fiber.release(sync);
  if (meeting.arrived != call.mask) {
    wait(State::in_warp, place);
  } else {
    complete_meeting(running_ - lane, meeting);
  }
  if (orders_memory) threads_[running_].fiber.acquire(sync);
  return threads_[running_].result;
}

/// The lane whose value `lane` takes; its own where the other would lie outside its group.
unsigned source_lane(const WarpCall& call, unsigned lane, unsigned operand) {
  const unsigned group = lane / call.width * call.width, place = lane - group;
  switch (call.op) {
    case WarpOp::take_from: return group + operand % call.width;
    case WarpOp::take_above: return place + operand < call.width ? lane + operand : lane;
    case WarpOp::take_below: return place >= operand ? lane - operand : lane;
    case WarpOp::take_across: return (place ^ operand) < call.width ? group + (place ^ operand) : lane;
    case WarpOp::ballot:
    case WarpOp::sync: break;
  }
  return lane;
}

/// The last lane exchanges for all.
void Machine::complete_meeting(std::size_t first_lane, Meeting& meeting) {
  std::uint64_t ballot = 0;
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    if ((meeting.arrived >> lane & 1U) != 0 && meeting.values[lane] != 0) ballot |= 1ULL << lane;
  }
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    if ((meeting.arrived >> lane & 1U) == 0) continue;
    Thread& thread = threads_[first_lane + lane];
    const unsigned source = source_lane(meeting.call, lane, meeting.operands[lane]);
    if ((meeting.arrived >> source & 1U) == 0)
      give_up("lane " + std::to_string(lane) + " takes from lane " + std::to_string(source) +
              ", which is not in the mask, at " + text(meeting.place));
    thread.result = meeting.call.op == WarpOp::ballot ? ballot : meeting.values[source];
    if (thread.state == State::in_warp) thread.state = State::ready;
  }
  meeting.arrived = 0;
  ++meeting.complete;
}

void* Machine::shared(const void* key, std::size_t bytes) {
  const Unwatched scheduler;
  const auto found = shared_.find(key);
  if (found != shared_.end()) return found->second.data();
  if (bytes == 0) give_up("dynamic shared memory of a launch without any");
  std::size_t total = bytes;
  for (const auto& [other, variable] : shared_) total += variable.bytes();
  if (total > kMostShared) give_up("a block with " + std::to_string(total) + " bytes of shared memory");
  return shared_.try_emplace(key, bytes).first->second.data();
}

void Machine::end_block() {
  for (const auto& [key, variable] : shared_) {
    if (!variable.release() && fault_.empty()) fault_ = "a write beside a shared variable" + here();
  }
  if (kFreshMemory) {
    for (auto& [key, variable] : shared_) retired_.push_back(std::move(variable));
  }
  shared_.clear();
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    threads_[i].fiber.destroy();
    // The first frames of a thread never return, and those of one that was given up neither.
    const std::size_t left = threads_[i].state == State::ended ? kFirstFramesBytes : kStackBytes;
    const Stack& stack = stacks_[first_stack_ + i];
    unpoison(stack.memory.get() + kStackBytes - left, left);
  }
}

}  // namespace

namespace {
Recording* recording = nullptr;
}

Recorder::Recorder(Recording& target) { recording = &target; }
Recorder::~Recorder() { recording = nullptr; }
bool record(const std::function<void()>& work) {
  if (recording == nullptr) return false;
  recording->push_back(work);
  return true;
}

void run(const std::function<void()>& thread, const Extent& grid, const Extent& block, std::size_t dynamic_bytes) {
  machine().run(thread, grid, block, dynamic_bytes);
}
void set_seed(std::uint64_t seed) { machine().seed(seed); }
void barrier(Place place) { machine().barrier(place); }
std::uint64_t warp(const WarpCall& call, Place place) { return machine().warp(call, place); }
void* shared(const void* key, std::size_t bytes) { return machine().shared(key, bytes); }
void* dynamic_shared() { return machine().shared(nullptr, 0); }

}  // namespace emulator
