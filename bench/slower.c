// A program that takes SLOWER_PERCENT longer, for bench/compare_truth.py: preloaded, it stays busy whenever a thread
// looks at the steady clock, for a share of what passed since that thread looked last. Time is never told wrongly.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double share(void) {
  static double value = -1;
  if (value < 0) {
    const char* text = getenv("SLOWER_PERCENT");
    value = text == NULL ? 0 : atof(text) / 100;
  }
  return value;
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  static _Thread_local double last = 0;
  if (clock == CLOCK_MONOTONIC) {
    const double begin = now();
    const double end = begin + (last > 0 ? share() * (begin - last) : 0);
    while ((last = now()) < end) {
    }
  }
  return (int)syscall(SYS_clock_gettime, clock, time);
}
