#include <unistd.h>

#include <cstdlib>

#include "cli/cli.h"

namespace {

/// OpenMP's threads spin for milliseconds while they wait, which starves the loader's threads and every neighbour on a
/// machine that is not ours alone (a step then takes twice to ten times as long). libgomp reads how long before main
/// begins, so the program starts itself once more with a short spin, unless the user has set a policy.
void wait_politely(char** arguments) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  ::setenv("GOMP_SPINCOUNT", "3000", 1);  // some microseconds: longer than between two loops of one step
  ::execv("/proc/self/exe", arguments);   // where this fails the program goes on as it is
}

/// oneDNN keeps the last 1,024 kernels that it made, which no plan could count. The backend has a cache of its own.
void keep_no_kernels() { ::setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "0", 0); }

}  // namespace

int main(int argc, char** argv) {
  keep_no_kernels();
  wait_politely(argv);
  return snug::run_cli(argc, argv);
}
