// What the sanitizers must be told of fibers. EMULATOR_THREAD_SANITIZER is defined by the build: the emulator itself is
// compiled without that sanitizer.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define EMULATOR_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMULATOR_ADDRESS_SANITIZER 1
#endif
#endif

#ifdef EMULATOR_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef EMULATOR_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>

extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

namespace emulator {

#ifdef EMULATOR_ADDRESS_SANITIZER
inline void poison(const void* memory, std::size_t bytes) { __asan_poison_memory_region(memory, bytes); }
inline void unpoison(const void* memory, std::size_t bytes) { __asan_unpoison_memory_region(memory, bytes); }
#else
inline void poison(const void*, std::size_t) {}
inline void unpoison(const void*, std::size_t) {}
#endif

#ifdef EMULATOR_THREAD_SANITIZER
/// Each block of a launch has memory of its own: else its locals would seem to race with those of the block before.
inline constexpr bool kFreshMemory = true;
#else
inline constexpr bool kFreshMemory = false;
#endif

/// While it lives, what this fiber reads and writes is no access of a kernel: memory functions are watched wherever
/// they are called. It must not outlive a switch that a fiber may never come back from.
class Unwatched {
 public:
  Unwatched() {
#ifdef EMULATOR_THREAD_SANITIZER
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
  }
  ~Unwatched() {
#ifdef EMULATOR_THREAD_SANITIZER
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#endif
  }
  Unwatched(const Unwatched&) = delete;
  Unwatched& operator=(const Unwatched&) = delete;
};

/// A stack of its own, as the sanitizers see it. Those calls are empty that a build has no use for.
class SanitizerFiber {
 public:
  /// A fiber that has not run yet, on this stack.
  void create([[maybe_unused]] const void* stack, [[maybe_unused]] std::size_t bytes) {
#ifdef EMULATOR_ADDRESS_SANITIZER
    stack_ = stack;
    bytes_ = bytes;
#endif
#ifdef EMULATOR_THREAD_SANITIZER
    thread_ = __tsan_create_fiber(0);
#endif
  }
  /// This is the thread's own stack.
  void is_current() {
#ifdef EMULATOR_THREAD_SANITIZER
    thread_ = __tsan_get_current_fiber();
#endif
  }
  void destroy() {
#ifdef EMULATOR_THREAD_SANITIZER
    __tsan_destroy_fiber(thread_);
#endif
  }
  /// Just before the jump to another; `for_good`: this one never runs again.
  void leave_to([[maybe_unused]] SanitizerFiber& next, [[maybe_unused]] bool for_good = false) {
#ifdef EMULATOR_ADDRESS_SANITIZER
    next.previous_ = this;
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_stack_, next.stack_, next.bytes_);
#endif
#ifdef EMULATOR_THREAD_SANITIZER
    __tsan_switch_to_fiber(next.thread_, __tsan_switch_to_fiber_no_sync);
#endif
  }
  /// Just behind the jump that came here.
  void arrived() {
#ifdef EMULATOR_ADDRESS_SANITIZER
    // Where one came from is told here: of the thread's own stack nobody else knows the place.
    __sanitizer_finish_switch_fiber(fake_stack_, &previous_->stack_, &previous_->bytes_);
#endif
  }
  /// What this fiber did before is seen by those that acquire the same place later.
  void release([[maybe_unused]] void* place) {
#ifdef EMULATOR_THREAD_SANITIZER
    __tsan_release(place);
#endif
  }
  void acquire([[maybe_unused]] void* place) {
#ifdef EMULATOR_THREAD_SANITIZER
    __tsan_acquire(place);
#endif
  }

 private:
#ifdef EMULATOR_ADDRESS_SANITIZER
  const void* stack_ = nullptr;
  std::size_t bytes_ = 0;
  void* fake_stack_ = nullptr;
  SanitizerFiber* previous_ = nullptr;
#endif
#ifdef EMULATOR_THREAD_SANITIZER
  void* thread_ = nullptr;
#endif
};

}  // namespace emulator
