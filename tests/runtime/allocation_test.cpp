#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <memory>
#include <string>
#include <thread>

#include "runtime/allocation/step_pool.h"
#include "runtime/fake_backend.h"
#include "runtime/runtime.h"

namespace snug {
namespace {

/// Keeps the compiler from leaving an allocation out.
template <class T>
void use(T* pointer) {
  asm volatile("" : : "g"(pointer) : "memory");
}

bool replaced() {
  const AllocationCounter counter;
  use(std::make_unique<int>(1).get());
  return counter.count() > 0;
}

#define SKIP_UNLESS_REPLACED() \
  if (!replaced()) GTEST_SKIP() << "a sanitizer's operator new is in place"

struct alignas(64) Wide {
  char bytes[64];
};

TEST(AllocationCounter, CountsThisThread) {
  SKIP_UNLESS_REPLACED();
  const AllocationCounter counter;
  EXPECT_EQ(counter.count(), 0);
  auto one = std::make_unique<int>(1);
  use(one.get());
  EXPECT_EQ(counter.count(), 1);
  auto wide = std::make_unique<Wide>();
  use(wide.get());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(wide.get()) % 64, 0u);
  auto many = std::make_unique<int[]>(100);
  use(many.get());
  EXPECT_EQ(counter.count(), 3);
  std::thread other([] {
    for (int i = 0; i < 100; ++i) use(std::make_unique<int>(i).get());
  });
  const std::int64_t with_thread = counter.count();
  other.join();
  EXPECT_EQ(counter.count(), with_thread) << "another thread's allocations are its own";
}

TEST(StepPool, ServesWhatAStepGivesBack) {
  SKIP_UNLESS_REPLACED();
  const AllocationCounter counter;
  StepPool pool;
  for (int step = 0; step < 10'000; ++step) {
    auto a = std::make_unique<char[]>(300);
    auto b = std::make_unique<Wide>();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b.get()) % 64, 0u);
    auto c = std::make_unique<int>(step);
    use(a.get());
    b.reset();
    EXPECT_EQ(*c, step);
    c.reset();
    a.reset();
    pool.end_step();
  }
  EXPECT_EQ(counter.count(), 0);
}

TEST(StepPool, BlocksDoNotOverlap) {
  SKIP_UNLESS_REPLACED();
  StepPool pool;
  std::array<std::unique_ptr<std::uint64_t[]>, 40> blocks;
  for (std::size_t round = 0; round < 500; ++round) {
    auto& slot = blocks[round * 7 % blocks.size()];
    slot.reset();
    slot = std::make_unique<std::uint64_t[]>(1 + round % 50);
    std::fill_n(slot.get(), 1 + round % 50, round);
    if (round % 11 == 0) blocks[round % blocks.size()].reset();
    if (round % 100 == 99) pool.end_step();
    for (const auto& block : blocks) {
      if (!block) continue;
      const std::uint64_t made = block[0];
      for (std::size_t i = 0; i < 1 + made % 50; ++i) ASSERT_EQ(block[i], made);
    }
  }
}

TEST(StepPool, CountsWhatOutlivesItsStep) {
  SKIP_UNLESS_REPLACED();
  const AllocationCounter counter;
  std::unique_ptr<int> kept;
  {
    StepPool pool;
    kept = std::make_unique<int>(5);
    pool.end_step();
    EXPECT_EQ(counter.count(), 1);
    for (int step = 0; step < 10'000; ++step) {
      use(std::make_unique<char[]>(1000).get());
      pool.end_step();
    }
    EXPECT_EQ(counter.count(), 1) << "what stays takes its bytes once";
  }
  EXPECT_EQ(*kept, 5);
  std::thread([&] { kept.reset(); }).join();
}

TEST(StepPool, FallsBackToTheHeapAndCounts) {
  SKIP_UNLESS_REPLACED();
  const AllocationCounter counter;
  StepPool pool;
  auto large = std::make_unique<char[]>(1 << 20);
  use(large.get());
  EXPECT_EQ(counter.count(), 1);
  large.reset();
  pool.end_step();
  EXPECT_EQ(counter.count(), 1);
}

TEST(StepPool, TheFirstRunTakesFromTheHeapUncounted) {
  SKIP_UNLESS_REPLACED();
  const AllocationCounter counter;
  std::unique_ptr<int> kept;
  {
    StepPool pool(StepMemory::heap);
    kept = std::make_unique<int>(5);
    for (int i = 0; i < 1000; ++i) use(std::make_unique<char[]>(1000).get());
    pool.end_step();
  }
  EXPECT_EQ(counter.count(), 0);
  EXPECT_EQ(malloc_usable_size(kept.get()), 24u) << "a block of the heap";
}

TEST(StepPool, LeavesTheHeapAloneOutsideARun) {
  SKIP_UNLESS_REPLACED();
  { const StepPool pool; }
  const AllocationCounter counter;
  use(std::make_unique<int>(1).get());
  EXPECT_EQ(counter.count(), 1);
}

/// A program whose every step makes objects as a library would.
Plan plan_with_busy_steps(test::FakeBackend& backend) {
  test::Sketch sketch;
  sketch.tensor("x", {64}, Arena::input).tensor("a", {64}).tensor("y", {64}, Arena::input);
  sketch.relu("x", "a").add("a", "x", "y");
  Plan plan = plan_programs({sketch.program}, backend);
  for (PreparedStep& step : plan.programs[0].steps) {
    step.run = [inner = step.run](const StepArguments& arguments) {
      const std::vector<std::string> words(10, "a string that is too long to be kept in place");
      use(words.data());
      inner(arguments);
    };
  }
  return plan;
}

TEST(Runtime, AHundredRunsAllocateNothing) {
  test::FakeBackend backend;
  Runtime runtime(plan_with_busy_steps(backend));
  runtime.run(0);
  const struct mallinfo2 before = mallinfo2();
  std::int64_t allocations = 0;
  {
    const AllocationCounter counter;
    for (int i = 0; i < 100; ++i) runtime.run(0);
    allocations = counter.count();
  }
  const struct mallinfo2 after = mallinfo2();
  EXPECT_EQ(allocations, 0);
  if (replaced()) {
    EXPECT_EQ(after.uordblks, before.uordblks) << "the heap grew";
    EXPECT_EQ(after.hblkhd, before.hblkhd);
  }
}

TEST(Runtime, AnErrorInsideAStepOutlivesIt) {
  test::FakeBackend backend;
  Plan plan = plan_with_busy_steps(backend);
  plan.programs[0].steps[1].run = [](const StepArguments&) {
    throw Error({.code = "G101", .where = "the second step", .what = std::string(100, 'x'), .fix = "none"});
  };
  Runtime runtime(plan);
  for (int i = 0; i < 3; ++i) {
    try {
      runtime.run(0);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.findings()[0].what, std::string(100, 'x'));
    }
  }
}

}  // namespace
}  // namespace snug
