#include "update.cuh"

#include "warp.cuh"

namespace snug::kernels {

namespace {

constexpr int kMostSegments = 160;  // of a launch: its arguments have at most 4 KiB
constexpr int kChunk = kSegmentChunk;

/// Segments as arguments of a launch: block b works on the segment i with first_block[i] ≤ b < first_block[i + 1].
struct SegmentTable {
  std::int64_t begin[kMostSegments];
  std::int64_t count[kMostSegments];
  unsigned first_block[kMostSegments + 1];
  int size;
};

struct Chunk {
  std::int64_t begin, end;
};

__device__ inline Chunk chunk_of_block(const SegmentTable& t) {
  int low = 0, high = t.size;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (t.first_block[middle] <= blockIdx.x ? low : high) = middle;
  }
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x - t.first_block[low]) * kChunk;
  const std::int64_t end = begin + kChunk < t.count[low] ? begin + kChunk : t.count[low];
  return {t.begin[low] + begin, t.begin[low] + end};
}

/// run(table, blocks done before) for tables of at most kMostSegments; whether every segment begins at 16 bytes.
template <class Run>
void for_each_table(const FlatSegments& segments, const Run& run) {
  unsigned before = 0;
  for (int first = 0; first < segments.size; first += kMostSegments) {
    SegmentTable t;
    t.size = 0;
    t.first_block[0] = 0;
    bool wide = true;
    for (int i = first; i < segments.size && i < first + kMostSegments; ++i) {
      if (segments.count[i] <= 0) continue;
      t.begin[t.size] = segments.begin[i];
      t.count[t.size] = segments.count[i];
      t.first_block[t.size + 1] =
          t.first_block[t.size] + static_cast<unsigned>(divide_up(segments.count[i], std::int64_t{kChunk}));
      wide = wide && segments.begin[i] % 4 == 0;
      ++t.size;
    }
    if (t.size > 0) run(t, before, wide);
    before += t.first_block[t.size];
  }
}

/// visit<V>(element) for packets of this thread, kThreads apart; V is 4 where all begins at 16 bytes, but for the rest.
template <bool Wide, class Visit>
__device__ inline void for_each_packet(const Chunk& chunk, const Visit& visit) {
  if constexpr (Wide) {
    const std::int64_t packets = (chunk.end - chunk.begin) / 4;
#pragma unroll
    for (int k = 0; k < kPacketsPerThread; ++k) {
      const int i = static_cast<int>(threadIdx.x) + k * kThreads;
      if (i < packets) visit.template operator()<4>(chunk.begin + std::int64_t{4} * i);
    }
    const std::int64_t rest = chunk.begin + packets * 4 + threadIdx.x;
    if (rest < chunk.end) visit.template operator()<1>(rest);
  } else {
    for (std::int64_t i = chunk.begin + threadIdx.x; i < chunk.end; i += kThreads) visit.template operator()<1>(i);
  }
}

template <bool Wide>
__global__ void __launch_bounds__(kThreads)
    sum_squares(const __grid_constant__ SegmentTable table, double* partial, const float* g) {
  SHARED(double[kWarps], between);
  double sum = 0;
  for_each_packet<Wide>(chunk_of_block(table), [&]<int V>(std::int64_t at) {
    float values[V];
    load<V>(values, g + at);
#pragma unroll
    for (int v = 0; v < V; ++v) sum += static_cast<double>(values[v]) * static_cast<double>(values[v]);
  });
  sum = block_sum(sum, between);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads)
    join_squares(const double* partial, unsigned parts, double* sum, bool accumulate, double* not_finite) {
  SHARED(double[kWarps], between);
  double own = 0;
  for (unsigned i = threadIdx.x; i < parts; i += kThreads) own += partial[i];
  own = block_sum(own, between);
  if (threadIdx.x != 0) return;
  *sum = own + (accumulate ? *sum : 0.0);
  if (!is_finite(*sum)) *not_finite = 1;
}

/// By which gradients are multiplied.
__device__ inline float gradient_factor(double clip_norm, const UpdateState& state) {
  const double scale = state.loss_scale != nullptr ? *state.loss_scale : 1.0;
  if (clip_norm <= 0) return static_cast<float>(1.0 / scale);
  return static_cast<float>(fmin(1.0, clip_norm / (sqrt(*state.norm_squares) / scale + 1e-6)) / scale);
}

template <bool Wide>
__global__ void __launch_bounds__(kThreads) step_sgd(const __grid_constant__ SegmentTable table, Sgd sgd,
                                                     UpdateState state, const float* g, float* w, float* v) {
  if (*state.not_finite != 0) return;
  const auto rate = static_cast<float>(*state.learning_rate), decay = static_cast<float>(sgd.weight_decay);
  const auto momentum = static_cast<float>(sgd.momentum);
  const float clip = gradient_factor(sgd.clip_norm, state);
  for_each_packet<Wide>(chunk_of_block(table), [&]<int V>(std::int64_t at) {
    float gradients[V], weights[V], velocities[V] = {};
    load<V>(gradients, g + at);
    load<V>(weights, w + at);
    if (sgd.momentum > 0) load<V>(velocities, v + at);
#pragma unroll
    for (int i = 0; i < V; ++i) {
      float direction = fmaf(decay, weights[i], gradients[i] * clip);
      if (sgd.momentum > 0) {
        velocities[i] = fmaf(momentum, velocities[i], direction);
        direction = sgd.nesterov ? fmaf(momentum, velocities[i], direction) : velocities[i];
      }
      weights[i] = fmaf(-rate, direction, weights[i]);
    }
    store<V>(w + at, weights);
    if (sgd.momentum > 0) store<V>(v + at, velocities);
  });
}

/// The factors of an Adam step, from doubles once per thread.
struct AdamFactors {
  float rate, decay, weight_factor, beta1_rest, beta2, beta2_rest, epsilon, clip, root_correction;
};

__device__ inline AdamFactors adam_factors(const Adam& adam, const UpdateState& state) {
  const double skipped = state.skipped != nullptr ? *state.skipped : 0.0;
  const double rate = *state.learning_rate, t = *state.step - skipped + 1;  // this step counts
  return {.rate = static_cast<float>(rate / (1 - pow(adam.beta1, t))),
          .decay = adam.decoupled ? 0.0F : static_cast<float>(adam.weight_decay),
          .weight_factor = adam.decoupled ? static_cast<float>(1 - rate * adam.weight_decay) : 1.0F,
          .beta1_rest = static_cast<float>(1 - adam.beta1),
          .beta2 = static_cast<float>(adam.beta2),
          .beta2_rest = static_cast<float>(1 - adam.beta2),
          .epsilon = static_cast<float>(adam.epsilon),
          .clip = gradient_factor(adam.clip_norm, state),
          .root_correction = static_cast<float>(sqrt(1 - pow(adam.beta2, t)))};
}

template <bool Wide>
__global__ void __launch_bounds__(kThreads) step_adam(const __grid_constant__ SegmentTable table, Adam adam,
                                                      UpdateState state, const float* g, float* w, float* m, float* v) {
  SHARED(AdamFactors, shared_factors);
  if (*state.not_finite != 0) return;
  if (threadIdx.x == 0) shared_factors = adam_factors(adam, state);
  __syncthreads();
  const AdamFactors f = shared_factors;
  for_each_packet<Wide>(chunk_of_block(table), [&]<int V>(std::int64_t at) {
    float gradients[V], weights[V], first[V], second[V];
    load<V>(gradients, g + at);
    load<V>(weights, w + at);
    load<V>(first, m + at);
    load<V>(second, v + at);
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const float gradient = fmaf(f.decay, weights[i], gradients[i] * f.clip);
      first[i] = fmaf(f.beta1_rest, gradient - first[i], first[i]);
      second[i] = fmaf(f.beta2, second[i], f.beta2_rest * gradient * gradient);
      const float root = sqrtf(second[i]) / f.root_correction + f.epsilon;
      weights[i] = fmaf(f.weight_factor, weights[i], -f.rate * first[i] / root);
    }
    store<V>(w + at, weights);
    store<V>(m + at, first);
    store<V>(v + at, second);
  });
}

template <bool Wide>
__global__ void __launch_bounds__(kThreads)
    step_average(const __grid_constant__ SegmentTable table, float decay, float rest, const double* not_finite,
                 const float* w, float* average) {
  if (*not_finite != 0) return;
  for_each_packet<Wide>(chunk_of_block(table), [&]<int V>(std::int64_t at) {
    float weights[V], averages[V];
    load<V>(weights, w + at);
    load<V>(averages, average + at);
#pragma unroll
    for (int i = 0; i < V; ++i) averages[i] = fmaf(decay, averages[i], rest * weights[i]);
    store<V>(average + at, averages);
  });
}

unsigned blocks_of(const SegmentTable& t) { return t.first_block[t.size]; }

}  // namespace

void gradient_norm(const FlatSegments& segments, const float* g, double* sum, bool accumulate, double* not_finite,
                   void* workspace, Stream stream) {
  auto* partial = static_cast<double*>(workspace);
  unsigned parts = 0;
  for_each_table(segments, [&](const SegmentTable& t, unsigned before, bool wide) {
    const auto kernel = wide && aligned(g) ? sum_squares<true> : sum_squares<false>;
    launch(kernel, blocks_of(t), kThreads, 0, stream, t, partial + before, g);
    parts = before + blocks_of(t);
  });
  launch(join_squares, 1, kThreads, 0, stream, partial, parts, sum, accumulate, not_finite);
}

void sgd_update(const FlatSegments& segments, const Sgd& sgd, const UpdateState& state, const float* g, float* w,
                float* v, Stream stream) {
  for_each_table(segments, [&](const SegmentTable& t, unsigned, bool wide) {
    const auto kernel = wide && aligned(g, w, v) ? step_sgd<true> : step_sgd<false>;
    launch(kernel, blocks_of(t), kThreads, 0, stream, t, sgd, state, g, w, v);
  });
}

void adam_update(const FlatSegments& segments, const Adam& adam, const UpdateState& state, const float* g, float* w,
                 float* m, float* v, Stream stream) {
  for_each_table(segments, [&](const SegmentTable& t, unsigned, bool wide) {
    const auto kernel = wide && aligned(g, w, m, v) ? step_adam<true> : step_adam<false>;
    launch(kernel, blocks_of(t), kThreads, 0, stream, t, adam, state, g, w, m, v);
  });
}

void ema_update(const FlatSegments& segments, double decay, const double* not_finite, const float* w, float* average,
                Stream stream) {
  for_each_table(segments, [&](const SegmentTable& t, unsigned, bool wide) {
    const auto kernel = wide && aligned(w, average) ? step_average<true> : step_average<false>;
    launch(kernel, blocks_of(t), kThreads, 0, stream, t, static_cast<float>(decay), static_cast<float>(1 - decay),
           not_finite, w, average);
  });
}

}  // namespace snug::kernels
