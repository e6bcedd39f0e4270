#include "loss.cuh"

#include "warp.cuh"

namespace snug::kernels {

namespace {

__device__ inline double mean_over(const Loss& loss) {
  return loss.class_weights != nullptr ? static_cast<double>(*loss.weight_sum) : loss.mean_over;
}

/// log Σ e^z = shift + log sum, kept apart: the difference to a large z stays exact.
struct LogSum {
  float shift, sum;
};

__device__ inline LogSum log_sum(const float* z, int width) {
  float largest = -FLT_MAX;
  for (int k = lane_number(); k < width; k += 32) largest = z[k] > largest || is_nan(z[k]) ? z[k] : largest;
  largest = warp_largest(largest);
  float sum = 0;
  for (int k = lane_number(); k < width; k += 32) sum += expf(z[k] - largest);
  return {largest, warp_sum(sum)};
}

/// Places before the label's when the row is sorted from large to small, equal values by their index.
__device__ inline int rank_of(const float* z, int width, int label) {
  const float own = z[label];
  int before = 0;
  for (int k = lane_number(); k < width; k += 32) before += z[k] > own || (z[k] == own && k < label) ? 1 : 0;
  return warp_sum(before);
}

/// The place of the largest, the first of equal ones.
__device__ inline int place_of_largest(const float* row, int width) {
  float best = -FLT_MAX;
  int place = width;
  for (int k = lane_number(); k < width; k += 32) {
    if (place == width || row[k] > best) best = row[k], place = k;
  }
  for (int distance = 16; distance > 0; distance /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, best, distance);
    const int other_place = __shfl_xor_sync(kAllLanes, place, distance);
    const bool better =
        other_place < width && (place == width || other > best || (other == best && other_place < place));
    if (better) best = other, place = other_place;
  }
  return place;
}

/// One sample's cross entropy; target(k) is the label's share of class k before smoothing, `label` its largest.
template <class Target>
__device__ inline void crossentropy_sample(const Loss& loss, const float* z, float* dz, double weight, int label,
                                           const Target& target, SampleResult* result) {
  const LogSum s = log_sum(z, loss.width);
  const double log_of_sum = log(static_cast<double>(s.sum));
  const double smoothing = loss.label_smoothing, each = smoothing / loss.width;
  double value = 0, shares = 0;
  for (int k = lane_number(); k < loss.width; k += 32) {
    const double share = static_cast<double>(target(k)) * (1 - smoothing) + each;
    // A share of 0 counts too: 0 · infinity is not a number, and so is the loss.
    value += share * (log_of_sum - (static_cast<double>(z[k]) - static_cast<double>(s.shift)));
    shares += share;
  }
  value = warp_sum(value);
  shares = warp_sum(shares);
  const int rank = rank_of(z, loss.width, label);
  if (lane_number() == 0) {
    const bool finite = is_finite(value);
    *result = {value, weight, finite && rank == 0 ? 1 : 0, finite && rank < 5 ? 1 : 0};
  }
  if (dz == nullptr) return;
  const double factor = weight / mean_over(loss);
  const auto by_exponential = static_cast<float>(factor * shares / static_cast<double>(s.sum));
  const auto by_share = static_cast<float>(factor * (1 - smoothing)), constant = static_cast<float>(factor * each);
  for (int k = lane_number(); k < loss.width; k += 32)
    dz[k] = fmaf(by_exponential, expf(z[k] - s.shift), -constant) - by_share * target(k);
}

__device__ inline float* gradient_row(const Loss& loss, std::int64_t n) {
  return loss.gradient == nullptr ? nullptr : loss.gradient + n * loss.width;
}

__global__ void __launch_bounds__(kThreads)
    class_samples(Loss loss, const float* logits, const std::int32_t* labels, SampleResult* results) {
  const std::int64_t n = warp_row();
  if (n >= loss.samples) return;
  const int label = labels[n];
  if (label < 0 || label >= loss.width) {  // checked long before; never read
    if (lane_number() == 0) results[n] = {static_cast<double>(NAN), 1, 0, 0};
    return;
  }
  const double weight = loss.class_weights == nullptr ? 1.0 : static_cast<double>(loss.class_weights[label]);
  crossentropy_sample(
      loss, logits + n * loss.width, gradient_row(loss, n), weight, label,
      [label](int k) { return k == label ? 1.0F : 0.0F; }, results + n);
}

__global__ void __launch_bounds__(kThreads)
    row_samples(Loss loss, const float* logits, const float* labels, SampleResult* results) {
  const std::int64_t n = warp_row();
  if (n >= loss.samples) return;
  const float* row = labels + n * loss.width;
  double weight = 1;
  if (loss.class_weights != nullptr) {
    weight = 0;
    for (int k = lane_number(); k < loss.width; k += 32)
      weight += static_cast<double>(row[k]) * static_cast<double>(loss.class_weights[k]);
    weight = warp_sum(weight);
  }
  crossentropy_sample(
      loss, logits + n * loss.width, gradient_row(loss, n), weight, place_of_largest(row, loss.width),
      [row](int k) { return row[k]; }, results + n);
}

__global__ void __launch_bounds__(kThreads)
    sigmoid_samples(Loss loss, const float* logits, const float* labels, SampleResult* results) {
  const std::int64_t n = warp_row();
  if (n >= loss.samples) return;
  const float *z = logits + n * loss.width, *y = labels + n * loss.width;
  float* dz = gradient_row(loss, n);
  const double outputs = loss.width, smoothing = loss.label_smoothing, divisor = outputs * mean_over(loss);
  double value = 0;
  int wrong = 0;
  for (int k = lane_number(); k < loss.width; k += 32) {
    const double logit = z[k], target = static_cast<double>(y[k]) * (1 - smoothing) + smoothing / 2;
    const double small = exp(-fabs(logit));  // never overflows
    value += (fmax(logit, 0.0) - logit * target + log1p(small)) / outputs;
    wrong += (z[k] > 0) != (y[k] > 0.5F) ? 1 : 0;
    if (dz != nullptr) dz[k] = static_cast<float>(((logit >= 0 ? 1 : small) / (1 + small) - target) / divisor);
  }
  value = warp_sum(value);
  wrong = warp_sum(wrong);
  if (lane_number() == 0) results[n] = {value, 1, wrong == 0 ? 1 : 0, 0};
}

__global__ void __launch_bounds__(kThreads)
    square_samples(Loss loss, const float* y, const float* labels, SampleResult* results) {
  const std::int64_t n = warp_row();
  if (n >= loss.samples) return;
  float* dy = gradient_row(loss, n);
  const double outputs = loss.width, divisor = outputs * mean_over(loss);
  double value = 0;
  for (int k = lane_number(); k < loss.width; k += 32) {
    const std::int64_t at = n * loss.width + k;
    const double difference = static_cast<double>(y[at]) - static_cast<double>(labels[at]);
    value += difference * difference / outputs;
    if (dy != nullptr) dy[k] = static_cast<float>(2 * difference / divisor);
  }
  value = warp_sum(value);
  if (lane_number() == 0) results[n] = {value, 1, 0, 0};
}

/// One block: a thread per few samples, then a fixed tree.
__global__ void __launch_bounds__(kThreads)
    add_samples(double* stats, const SampleResult* results, std::int64_t samples) {
  SHARED(double[kWarps], between);
  double losses = 0, weights = 0, correct = 0, top5 = 0, strange = 0;
  for (std::int64_t n = threadIdx.x; n < samples; n += kThreads) {
    const SampleResult r = results[n];
    losses += r.weight * r.loss;
    weights += r.weight;
    correct += r.correct;
    top5 += r.correct_top5;
    strange += is_finite(r.loss) ? 0 : 1;
  }
  losses = block_sum(losses, between);
  weights = block_sum(weights, between);
  correct = block_sum(correct, between);
  top5 = block_sum(top5, between);
  strange = block_sum(strange, between);
  if (threadIdx.x != 0) return;
  stats[LossStats::loss_sum] += losses;
  stats[LossStats::weight_sum] += weights;
  stats[LossStats::correct] += correct;
  stats[LossStats::correct_top5] += top5;
  stats[LossStats::samples] += static_cast<double>(samples);
  if (strange != 0) stats[LossStats::not_finite] = 1;
}

template <class Label>
void launch_loss(void (*kernel)(Loss, const float*, const Label*, SampleResult*), const Loss& loss,
                 const float* outputs, const Label* labels, void* workspace, Stream stream) {
  if (loss.samples <= 0) return;
  auto* results = static_cast<SampleResult*>(workspace);
  launch(kernel, warp_blocks(loss.samples), kThreads, 0, stream, loss, outputs, labels, results);
  launch(add_samples, 1, kThreads, 0, stream, loss.stats, results, loss.samples);
}

__global__ void __launch_bounds__(kThreads)
    sum_number_weights(float* sum, const std::int32_t* labels, const float* weights, std::int64_t samples,
                       int classes) {
  SHARED(double[kWarps], between);
  double own = 0;
  for (std::int64_t n = threadIdx.x; n < samples; n += kThreads) {
    const int label = labels[n];
    if (label >= 0 && label < classes) own += static_cast<double>(weights[label]);
  }
  own = block_sum(own, between);
  if (threadIdx.x == 0) *sum = static_cast<float>(own);
}

__global__ void __launch_bounds__(kThreads)
    sum_row_weights(float* sum, const float* labels, const float* weights, std::int64_t samples, int classes) {
  SHARED(double[kWarps], between);
  double own = 0;
  for (std::int64_t i = threadIdx.x; i < samples * classes; i += kThreads)
    own += static_cast<double>(labels[i]) * static_cast<double>(weights[i % classes]);
  own = block_sum(own, between);
  if (threadIdx.x == 0) *sum = static_cast<float>(own);
}

__global__ void add_doubles(double* totals, const double* stats, int count) {
  if (static_cast<int>(threadIdx.x) < count) totals[threadIdx.x] += stats[threadIdx.x];
}

}  // namespace

void softmax_crossentropy(const Loss& loss, const float* logits, const std::int32_t* labels, void* workspace,
                          Stream stream) {
  launch_loss(class_samples, loss, logits, labels, workspace, stream);
}

void softmax_crossentropy_rows(const Loss& loss, const float* logits, const float* labels, void* workspace,
                               Stream stream) {
  launch_loss(row_samples, loss, logits, labels, workspace, stream);
}

void sigmoid_crossentropy(const Loss& loss, const float* logits, const float* labels, void* workspace, Stream stream) {
  launch_loss(sigmoid_samples, loss, logits, labels, workspace, stream);
}

void mean_squared_error(const Loss& loss, const float* outputs, const float* labels, void* workspace, Stream stream) {
  launch_loss(square_samples, loss, outputs, labels, workspace, stream);
}

void weight_sum_of_numbers(const std::int32_t* labels, const float* class_weights, float* sum, std::int64_t samples,
                           int classes, Stream stream) {
  launch(sum_number_weights, 1, kThreads, 0, stream, sum, labels, class_weights, samples, classes);
}

void weight_sum_of_rows(const float* labels, const float* class_weights, float* sum, std::int64_t samples, int classes,
                        Stream stream) {
  launch(sum_row_weights, 1, kThreads, 0, stream, sum, labels, class_weights, samples, classes);
}

void add_stats(const double* stats, double* totals, int count, Stream stream) {
  launch(add_doubles, 1, kThreads, 0, stream, totals, stats, count);
}

}  // namespace snug::kernels
