// Our own CPU kernels beside oneDNN's, on the same NHWC tensors. All of them are bound by memory; ours must stay near
// the library's, which lacks what we need: sums that do not depend on the number of threads, pool indices of a known
// meaning, NaN that survives a maximum, a backward pass from the output.
// SNUG_BENCH_THREADS sets the number of threads (default 2; give OMP_NUM_THREADS the same).
#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <oneapi/dnnl/dnnl.hpp>

#include "backend/backend.h"

namespace snug {
namespace {

int threads() {
  const char* text = std::getenv("SNUG_BENCH_THREADS");
  return text != nullptr ? std::atoi(text) : 2;
}

Backend& backend() {
  static const std::unique_ptr<Backend> kCpu = make_cpu_backend({.threads = threads()});
  return *kCpu;
}

/// Shapes of a small net, of a residual net, and of its last stage.
const std::vector<Shape> kImages{{128, 28, 28, 32}, {16, 56, 56, 64}, {16, 7, 7, 2048}};

/// One of our steps with memory of its own.
class OwnStep {
 public:
  OwnStep(Op op, Attributes attributes, const std::vector<std::pair<Shape, DType>>& operands) {
    ProgramBuilder builder(program_);
    step_.op = op;
    step_.attributes = std::move(attributes);
    for (const auto& [shape, type] : operands) {
      const auto name = std::to_string(program_.tensors.size());
      step_.operands.push_back({builder.add_tensor({.name = name, .shape = shape, .dtype = type})});
      memory_.emplace_back(static_cast<std::size_t>(shape.elements()), 0.5F);  // enough for any type of at most 4 bytes
    }
    if (op == Op::maxpool_backward) std::fill(memory_[1].begin(), memory_[1].end(), 0.0F);
    prepared_ = backend().prepare(program_, step_);
    workspace_.resize(static_cast<std::size_t>(prepared_.workspace_bytes) + 64);
    for (std::vector<float>& values : memory_) addresses_.push_back(values.data());
  }
  void run() { prepared_.run({.operands = addresses_.data(), .workspace = aligned_workspace()}); }

 private:
  void* aligned_workspace() {
    void* at = workspace_.data();
    std::size_t room = workspace_.size();
    return std::align(64, room - 64, at, room);
  }
  Program program_;
  Step step_;
  PreparedStep prepared_;
  std::vector<std::vector<float>> memory_;
  std::vector<std::byte> workspace_;
  std::vector<void*> addresses_;
};

/// One of oneDNN's primitives with memory of its own.
class LibraryStep {
 public:
  LibraryStep(dnnl::primitive primitive, const std::vector<std::pair<int, dnnl::memory::desc>>& arguments)
      : primitive_(std::move(primitive)) {
    for (const auto& [name, layout] : arguments) {
      dnnl::memory& memory = arguments_[name] = dnnl::memory(layout, engine());
      // Written once: untouched pages would all be one page of zeros, and reading them free. Pool indices are zeros.
      const bool real = layout.get_data_type() == dnnl::memory::data_type::f32;
      auto* bytes = static_cast<std::byte*>(memory.get_data_handle());
      if (real) std::fill_n(reinterpret_cast<float*>(bytes), layout.get_size() / sizeof(float), 0.5F);
      if (!real) std::fill_n(bytes, layout.get_size(), std::byte{0});
    }
  }
  static const dnnl::engine& engine() {
    static const dnnl::engine kCpu(dnnl::engine::kind::cpu, 0);
    return kCpu;
  }
  void run() {
    static dnnl::stream stream(engine());
    primitive_.execute(stream, arguments_);
    stream.wait();
  }

 private:
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

dnnl::memory::desc nhwc(const Shape& s) {
  return {{s[0], s[3], s[1], s[2]}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::nhwc};
}
dnnl::memory::desc per_channel(const Shape& s) {
  return {{s[3]}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::a};
}

template <class Timed>
void measure(benchmark::State& state, Timed step) {
  for ([[maybe_unused]] auto iteration : state) step.run();
}

const Shape& image(const benchmark::State& state) { return kImages[static_cast<std::size_t>(state.range(0))]; }

using dnnl::normalization_flags;
const auto kScaleShift = normalization_flags::use_scale | normalization_flags::use_shift;

dnnl::batch_normalization_forward::primitive_desc library_batchnorm(const Shape& x) {
  return {LibraryStep::engine(), dnnl::prop_kind::forward_training, nhwc(x), nhwc(x), 1e-5F, kScaleShift};
}

void batchnorm_forward_own(benchmark::State& state) {
  const Shape& x = image(state);
  const std::pair<Shape, DType> c{{x[3]}, DType::f32}, big{x, DType::f32};
  measure(state, OwnStep(Op::batchnorm_forward, BatchNormAttributes{}, {big, c, c, c, c, big, c, c}));
}
void batchnorm_forward_library(benchmark::State& state) {
  const Shape& x = image(state);
  measure(state,
          LibraryStep(dnnl::batch_normalization_forward(library_batchnorm(x)), {{DNNL_ARG_SRC, nhwc(x)},
                                                                                {DNNL_ARG_DST, nhwc(x)},
                                                                                {DNNL_ARG_SCALE, per_channel(x)},
                                                                                {DNNL_ARG_SHIFT, per_channel(x)},
                                                                                {DNNL_ARG_MEAN, per_channel(x)},
                                                                                {DNNL_ARG_VARIANCE, per_channel(x)}}));
}
void batchnorm_backward_own(benchmark::State& state) {
  const Shape& x = image(state);
  const std::pair<Shape, DType> c{{x[3]}, DType::f32}, big{x, DType::f32};
  measure(state, OwnStep(Op::batchnorm_backward, BatchNormAttributes{}, {big, c, c, c, c, big, c, c, big}));
}
void batchnorm_backward_library(benchmark::State& state) {
  const Shape& x = image(state);
  const dnnl::batch_normalization_backward::primitive_desc description(LibraryStep::engine(), dnnl::prop_kind::backward,
                                                                       nhwc(x), nhwc(x), nhwc(x), 1e-5F, kScaleShift,
                                                                       library_batchnorm(x));
  measure(state, LibraryStep(dnnl::batch_normalization_backward(description), {{DNNL_ARG_SRC, nhwc(x)},
                                                                               {DNNL_ARG_DIFF_DST, nhwc(x)},
                                                                               {DNNL_ARG_DIFF_SRC, nhwc(x)},
                                                                               {DNNL_ARG_SCALE, per_channel(x)},
                                                                               {DNNL_ARG_MEAN, per_channel(x)},
                                                                               {DNNL_ARG_VARIANCE, per_channel(x)},
                                                                               {DNNL_ARG_DIFF_SCALE, per_channel(x)},
                                                                               {DNNL_ARG_DIFF_SHIFT, per_channel(x)}}));
}

/// Windows of 2×2 without overlap.
Shape pooled(const Shape& x) { return {x[0], x[1] / 2, x[2] / 2, x[3]}; }
const PoolAttributes kPool{{.kernel = {2, 2}, .stride = {2, 2}}};

dnnl::pooling_forward::primitive_desc library_pool(const Shape& x) {
  return {LibraryStep::engine(),
          dnnl::prop_kind::forward_training,
          dnnl::algorithm::pooling_max,
          nhwc(x),
          nhwc(pooled(x)),
          {2, 2},
          {2, 2},
          {0, 0},
          {0, 0},
          {0, 0}};
}
void maxpool_forward_own(benchmark::State& state) {
  const Shape& x = image(state);
  measure(state,
          OwnStep(Op::maxpool_forward, kPool, {{x, DType::f32}, {pooled(x), DType::f32}, {pooled(x), DType::u8}}));
}
void maxpool_forward_library(benchmark::State& state) {
  const Shape& x = image(state);
  const auto description = library_pool(x);
  measure(state, LibraryStep(dnnl::pooling_forward(description), {{DNNL_ARG_SRC, nhwc(x)},
                                                                  {DNNL_ARG_DST, nhwc(pooled(x))},
                                                                  {DNNL_ARG_WORKSPACE, description.workspace_desc()}}));
}
void maxpool_backward_own(benchmark::State& state) {
  const Shape& x = image(state);
  measure(state,
          OwnStep(Op::maxpool_backward, kPool, {{pooled(x), DType::f32}, {pooled(x), DType::u8}, {x, DType::f32}}));
}
void maxpool_backward_library(benchmark::State& state) {
  const Shape& x = image(state);
  const auto forward = library_pool(x);
  const dnnl::pooling_backward::primitive_desc description(LibraryStep::engine(), dnnl::algorithm::pooling_max, nhwc(x),
                                                           nhwc(pooled(x)), {2, 2}, {2, 2}, {0, 0}, {0, 0}, {0, 0},
                                                           forward);
  measure(state, LibraryStep(dnnl::pooling_backward(description), {{DNNL_ARG_DIFF_DST, nhwc(pooled(x))},
                                                                   {DNNL_ARG_DIFF_SRC, nhwc(x)},
                                                                   {DNNL_ARG_WORKSPACE, forward.workspace_desc()}}));
}

void relu_forward_own(benchmark::State& state) {
  const std::pair<Shape, DType> x{image(state), DType::f32};
  measure(state, OwnStep(Op::activation_forward, ActivationAttributes{}, {x, x}));
}
void relu_forward_library(benchmark::State& state) {
  const auto x = nhwc(image(state));
  const dnnl::eltwise_forward::primitive_desc description(LibraryStep::engine(), dnnl::prop_kind::forward_training,
                                                          dnnl::algorithm::eltwise_relu, x, x, 0.0F, 0.0F);
  measure(state, LibraryStep(dnnl::eltwise_forward(description), {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, x}}));
}

BENCHMARK(batchnorm_forward_own)->DenseRange(0, 2)->UseRealTime();
BENCHMARK(batchnorm_forward_library)->DenseRange(0, 2)->UseRealTime();
BENCHMARK(batchnorm_backward_own)->DenseRange(0, 2)->UseRealTime();
BENCHMARK(batchnorm_backward_library)->DenseRange(0, 2)->UseRealTime();
BENCHMARK(maxpool_forward_own)->DenseRange(0, 1)->UseRealTime();
BENCHMARK(maxpool_forward_library)->DenseRange(0, 1)->UseRealTime();
BENCHMARK(maxpool_backward_own)->DenseRange(0, 1)->UseRealTime();
BENCHMARK(maxpool_backward_library)->DenseRange(0, 1)->UseRealTime();
BENCHMARK(relu_forward_own)->DenseRange(0, 1)->UseRealTime();
BENCHMARK(relu_forward_library)->DenseRange(0, 1)->UseRealTime();

}  // namespace
}  // namespace snug

BENCHMARK_MAIN();
