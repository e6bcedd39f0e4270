#include <fmt/format.h>

#include "backend/cpu/onednn.h"
#include "backend/cpu/prepare.h"

namespace snug::cpu {

namespace {

using dnnl::memory;
using Layout = memory::desc;

Layout matrix(const TensorInfo& tensor) {
  return {{tensor.shape[0], tensor.shape[1]}, library_type(tensor.dtype), memory::format_tag::ab};
}
Layout vector(std::int64_t count) { return {{count}, memory::data_type::f32, memory::format_tag::a}; }

struct Product {
  std::int64_t samples = 0, inputs = 0, units = 0;
  const float *x = nullptr, *w = nullptr, *bias = nullptr;  ///< [samples][inputs], [units][inputs], [units] or null
  float* y = nullptr;                                       ///< [samples][units]
};

/// Tiles of one column of units, over the inputs of `block`. Beyond the last sample or unit the last stands again, and
/// is not written.
void fill_column(const Product& p, const DenseKernels& kernels, std::int64_t unit, Range block) {
  DenseTile tile{.count = block.end - block.begin,
                 .columns = std::min<std::int64_t>(kDenseSide, p.units - unit),
                 .bias = p.bias != nullptr ? p.bias + unit : nullptr,
                 .add = block.begin > 0};
  for (std::int64_t j = 0; j < kDenseSide; ++j)
    tile.w[j] = p.w + std::min(unit + j, p.units - 1) * p.inputs + block.begin;
  for (std::int64_t sample = 0; sample < p.samples; sample += kDenseSide) {
    tile.rows = std::min<std::int64_t>(kDenseSide, p.samples - sample);
    for (std::int64_t i = 0; i < kDenseSide; ++i)
      tile.x[i] = p.x + std::min(sample + i, p.samples - 1) * p.inputs + block.begin;
    kernels.tile(p.y + sample * p.units + unit, p.units, tile);
  }
}

/// y = x · wᵀ [+ bias] in tiles of 4×4 sums. A thread has its own units. Inputs are taken kBlock at a time, so that the
/// weights of a tile stay in the first cache and x in the second; an output's sum does not depend on the tile that it
/// lies in, so no bit depends on the batch or on the threads.
PreparedStep by_tiles(const CpuContext& context, const StepView& step, bool bias) {
  constexpr std::int64_t kBlock = 1'024;
  const Product shape{.samples = step.shape(0)[0], .inputs = step.shape(0)[1], .units = step.shape(1)[0]};
  return {.algorithm = "dense:tiles",
          .workspace_bytes = 0,
          .run = [=, kernels = context.kernels->dense, threads = context.threads](const StepArguments& arguments) {
            Product p = shape;
            p.x = operand(arguments, 0), p.w = operand(arguments, 1);
            p.bias = bias ? operand(arguments, 2) : nullptr;
            p.y = operand(arguments, bias ? 3 : 2);
            parallel_shares(threads, (p.units + kDenseSide - 1) / kDenseSide, [&](auto, auto begin, auto end) {
              for (std::int64_t k = 0; k < p.inputs; k += kBlock) {
                for (std::int64_t column = begin; column < end; ++column)
                  fill_column(p, kernels, column * kDenseSide, {k, std::min(p.inputs, k + kBlock)});
              }
            });
          }};
}

/// Whether tiles are faster than oneDNN 3.2 (measured at 32 to 128 samples): enough inputs to sum over, enough samples
/// for the weights to be read from the cache, and x within it.
bool tiles_pay(const CpuContext& context, const StepView& step) {
  constexpr std::int64_t kLeastInputs = 512, kLeastUnits = 32, kLeastSamples = 32, kMostSamples = 256;
  const std::int64_t samples = step.shape(0)[0];
  return step[0].dtype == kF32 && context.kernels->dense.tile != nullptr && step.shape(0)[1] >= kLeastInputs &&
         step.shape(1)[0] >= kLeastUnits && samples >= kLeastSamples && samples <= kMostSamples;
}

}  // namespace

// Weights stay as they lie: they change in every step, and reordering them costs what a better layout gains.

PreparedStep prepare_dense_forward(const CpuContext& context, const StepView& step) {
  const auto& dense = step.attributes<DenseAttributes>();
  const DType type = step[0].dtype;
  dense.bias ? step.expect({type, type, kF32, type}) : step.expect({type, type, type});
  if (tiles_pay(context, step)) return by_tiles(context, step, dense.bias);
  const std::size_t out = dense.bias ? 3 : 2;
  const Layout x = matrix(step[0]);
  const Layout w = matrix(step[1]);
  const Layout y = matrix(step[out]);
  const Layout bias = dense.bias ? vector(step.shape(1)[0]) : Layout();
  PrimitiveSequence sequence(context.library);
  const dnnl::inner_product_forward::primitive_desc description(sequence.engine(), dnnl::prop_kind::forward_training, x,
                                                                w, bias, y, user_scratchpad());
  std::vector<PrimitiveSequence::Argument> arguments{{DNNL_ARG_SRC, at_operand(0), x},
                                                     {DNNL_ARG_WEIGHTS, at_operand(1), w},
                                                     {DNNL_ARG_DST, at_operand(static_cast<std::int64_t>(out)), y}};
  if (dense.bias) arguments.push_back({DNNL_ARG_BIAS, at_operand(2), bias});
  sequence.add(description, std::move(arguments));
  return as_step(std::move(sequence), fmt::format("dense:{}", description.impl_info_str()));
}

PreparedStep prepare_dense_backward_data(const CpuContext& context, const StepView& step) {
  const DType type = step[0].dtype;
  step.expect({type, type, type});
  const Layout dy = matrix(step[0]);
  const Layout w = matrix(step[1]);
  const Layout dx = matrix(step[2]);
  PrimitiveSequence sequence(context.library);
  const dnnl::inner_product_forward::primitive_desc hint(sequence.engine(), dnnl::prop_kind::forward_training, dx, w,
                                                         dy, user_scratchpad());
  const dnnl::inner_product_backward_data::primitive_desc description(sequence.engine(), dx, w, dy, hint,
                                                                      user_scratchpad());
  sequence.add(description, {{DNNL_ARG_DIFF_DST, at_operand(0), dy},
                             {DNNL_ARG_WEIGHTS, at_operand(1), w},
                             {DNNL_ARG_DIFF_SRC, at_operand(2), dx}});
  return as_step(std::move(sequence), fmt::format("dense:{}", description.impl_info_str()));
}

PreparedStep prepare_dense_backward_weights(const CpuContext& context, const StepView& step) {
  const auto& dense = step.attributes<DenseAttributes>();
  const DType type = step[0].dtype;
  dense.bias ? step.expect({type, type, kF32, kF32}) : step.expect({type, type, kF32});
  const Layout x = matrix(step[0]);
  const Layout dy = matrix(step[1]);
  const Layout dw = matrix(step[2]);
  const Layout w({step.shape(2)[0], step.shape(2)[1]}, library_type(type), memory::format_tag::ab);
  const Layout bias = dense.bias ? vector(step.shape(2)[0]) : Layout();
  PrimitiveSequence sequence(context.library);
  const dnnl::inner_product_forward::primitive_desc hint(sequence.engine(), dnnl::prop_kind::forward_training, x, w,
                                                         bias, dy, user_scratchpad());
  const dnnl::inner_product_backward_weights::primitive_desc description(sequence.engine(), x, dw, bias, dy, hint,
                                                                         user_scratchpad());
  const Place weights = dense.accumulate ? sequence.add_scratch(dw) : at_operand(2);
  const Place dbias = dense.bias && dense.accumulate ? sequence.add_scratch(bias) : at_operand(3);
  std::vector<PrimitiveSequence::Argument> arguments{
      {DNNL_ARG_SRC, at_operand(0), x}, {DNNL_ARG_DIFF_DST, at_operand(1), dy}, {DNNL_ARG_DIFF_WEIGHTS, weights, dw}};
  if (dense.bias) arguments.push_back({DNNL_ARG_DIFF_BIAS, dbias, bias});
  sequence.add(description, std::move(arguments));
  if (dense.accumulate) sequence.add_reorder(weights, dw, at_operand(2), dw, true);
  if (dense.accumulate && dense.bias) sequence.add_reorder(dbias, bias, at_operand(3), bias, true);
  return as_step(std::move(sequence), fmt::format("dense:{}", description.impl_info_str()));
}

}  // namespace snug::cpu
