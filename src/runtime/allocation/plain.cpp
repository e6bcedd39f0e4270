// Sanitizers bring their own operator new; nothing is replaced and nothing is counted.
#include "runtime/allocation/step_pool.h"
#include "runtime/runtime.h"

namespace snug {

StepPool::StepPool(StepMemory memory) : memory_(memory) {}
StepPool::~StepPool() = default;
void StepPool::end_step() {}

AllocationCounter::AllocationCounter() = default;
std::int64_t AllocationCounter::count() const { return 0; }

}  // namespace snug
