#include <cmath>

#include "backend/cpu/prepare.h"
#include "base/rng.h"

namespace snug::cpu {

namespace {

template <class T>
PreparedStep dropout(const CpuContext& context, const StepView& step) {
  step.expect({kStored<T>, kF64, kStored<T>});
  const auto d = step.attributes<DropoutAttributes>();
  const std::int64_t samples = step.shape(0)[0];
  const std::int64_t elements = step.elements(0) / samples;
  // to_unit(word) ≥ rate, in whole numbers: both sides times 2^24.
  const auto threshold = static_cast<std::uint32_t>(std::ceil(d.rate * 0x1p24));
  const float factor = d.rate < 1 ? static_cast<float>(1 / (1 - d.rate)) : 0.0F;
  const std::uint64_t key = random_key(d.seed, RandomStream::dropout, static_cast<std::uint64_t>(d.layer));
  const std::int64_t chunks = (elements + kChunkElements - 1) / kChunkElements;  // of one sample
  const int threads = samples * elements <= kSerialElements ? 1 : context.threads;
  return {.algorithm = "dropout:own",
          .run = [=, kernels = &context.kernels->elementwise.of<T>()](const StepArguments& a) {
            const T* x = operand<T>(a, 0);
            const auto at_step = static_cast<std::uint64_t>(operand<double>(a, 1)[Control::step]);
            T* y = operand<T>(a, 2);
            parallel_for(threads, samples * chunks, [&](std::int64_t i) {
              const std::int64_t sample = i / chunks;
              const std::int64_t first = i % chunks * kChunkElements;
              const std::int64_t at = sample * elements + first;
              const std::int64_t count = std::min(kChunkElements, elements - first);
              const std::uint64_t counter = at_step << 32 | static_cast<std::uint64_t>(d.sample_offset + sample);
              if (d.per_sample) {
                const bool kept = philox(key, counter, 0)[0] >> 8 >= threshold;
                kernels->multiply(y + at, x + at, kept ? factor : 0.0F, count);
              } else {
                kernels->dropout(y + at, x + at, count, first, key, counter, threshold, factor);
              }
            });
          }};
}

}  // namespace

/// Forward and backward: the same factors, drawn again.
PreparedStep prepare_dropout(const CpuContext& context, const StepView& step) {
  return by_storage(step, 0, [&]<class T>() { return dropout<T>(context, step); });
}

}  // namespace snug::cpu
