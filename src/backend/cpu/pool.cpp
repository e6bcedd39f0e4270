#include <fmt/format.h>

#include <vector>

#include "backend/cpu/prepare.h"
#include "snug/diagnostic.h"

namespace snug::cpu {

namespace {

/// Axis 0: rows, 1: columns.
PoolGeometry geometry_of(const Window& window, const Shape& x, const Shape& y) {
  PoolGeometry g{.in_height = x[1], .in_width = x[2], .out_height = y[1], .out_width = y[2], .channels = x[3]};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    g.kernel[axis] = window.kernel[axis];
    g.stride[axis] = window.stride[axis];
    g.dilation[axis] = window.dilation[axis];
    g.pad[axis] = window.pad_begin[axis];
  }
  return g;
}

PoolGeometry max_geometry(const StepView& step, const Shape& x, const Shape& y) {
  const PoolGeometry g = geometry_of(step.attributes<PoolAttributes>().window, x, y);
  if (const std::int64_t taps = g.kernel[0] * g.kernel[1]; taps > 255) {
    throw Error({.code = "A490",
                 .where = std::string(to_string(step.step().op)),
                 .what = fmt::format("maxpool of {}×{} has {} pixels; the place of the largest is kept in a byte, "
                                     "at most 255",
                                     g.kernel[0], g.kernel[1], taps),
                 .fix = "maxpool = 15"});
  }
  return g;
}

int threads_for(const CpuContext& context, std::int64_t elements) {
  return elements <= kSerialElements ? 1 : context.threads;
}

template <class T>
PreparedStep max_forward(const CpuContext& context, const StepView& step) {
  step.expect({kStored<T>, kStored<T>, DType::u8});
  const PoolGeometry g = max_geometry(step, step.shape(0), step.shape(1));
  const std::int64_t images = step.shape(0)[0];
  const int threads = threads_for(context, step.elements(0));
  return {.algorithm = "maxpool:own",
          .run = [kernel = context.kernels->pool.of<T>().max_forward, threads, g, images](const StepArguments& a) {
            const T* x = operand<T>(a, 0);
            T* y = operand<T>(a, 1);
            auto* index = operand<std::uint8_t>(a, 2);
            parallel_for(threads, images * g.out_height, [&](std::int64_t i) {
              const std::int64_t image = i / g.out_height;
              const std::int64_t at = i * g.out_width * g.channels;
              kernel(g, i % g.out_height, x + image * g.in_height * g.in_width * g.channels, y + at, index + at);
            });
          }};
}

/// By input place along one axis: the outputs whose windows reach over it.
std::vector<Range> readers(const PoolGeometry& g, std::size_t axis, std::int64_t in_extent, std::int64_t out_extent) {
  std::vector<Range> ranges;
  const std::int64_t stride = g.stride[axis];
  const std::int64_t reach = g.dilation[axis] * (g.kernel[axis] - 1);
  for (std::int64_t in = 0; in < in_extent; ++in) {
    const std::int64_t last = in + g.pad[axis];
    const std::int64_t first = std::max<std::int64_t>(0, last - reach);
    const std::int64_t end = std::min(out_extent, last / stride + 1);
    ranges.push_back({std::min(end, (first + stride - 1) / stride), end});
  }
  return ranges;
}

template <class T>
PreparedStep max_backward(const CpuContext& context, const StepView& step) {
  step.expect({kStored<T>, DType::u8, kStored<T>});
  const PoolGeometry g = max_geometry(step, step.shape(2), step.shape(0));
  const std::int64_t images = step.shape(0)[0];
  const int threads = threads_for(context, step.elements(2));
  return {.algorithm = "maxpool:own",
          .run = [kernel = context.kernels->pool.of<T>().max_backward, threads, g, images,
                  rows = readers(g, 0, g.in_height, g.out_height),
                  columns = readers(g, 1, g.in_width, g.out_width)](const StepArguments& a) {
            const T* dy = operand<T>(a, 0);
            const auto* index = operand<std::uint8_t>(a, 1);
            T* dx = operand<T>(a, 2);
            parallel_for(threads, images * g.in_height, [&](std::int64_t i) {
              const std::int64_t at = i / g.in_height * g.out_height * g.out_width * g.channels;
              const std::int64_t row = i % g.in_height;
              kernel(g, row, rows[static_cast<std::size_t>(row)], columns.data(), dy + at, index + at,
                     dx + i * g.in_width * g.channels);
            });
          }};
}

}  // namespace

PreparedStep prepare_maxpool_forward(const CpuContext& context, const StepView& step) {
  return by_storage(step, 0, [&]<class T>() { return max_forward<T>(context, step); });
}

PreparedStep prepare_maxpool_backward(const CpuContext& context, const StepView& step) {
  return by_storage(step, 0, [&]<class T>() { return max_backward<T>(context, step); });
}

namespace {

/// One axis of an averaging pool: which inputs each output reads, and which outputs read each input. Both are runs,
/// because windows neither shrink nor turn back.
struct Axis {
  std::vector<Range> inputs;   ///< by output
  std::vector<Range> outputs;  ///< by input
  std::vector<float> weights;  ///< by output: 1 ÷ inputs
};

Axis axis_of(std::vector<Range> inputs, std::int64_t in_extent) {
  Axis axis{.inputs = std::move(inputs), .outputs = {}, .weights = {}};
  axis.outputs.assign(static_cast<std::size_t>(in_extent), Range{0, 0});
  for (std::size_t out = 0; out < axis.inputs.size(); ++out) {
    const Range range = axis.inputs[out];
    axis.weights.push_back(range.end > range.begin ? 1.0F / static_cast<float>(range.end - range.begin) : 0.0F);
    for (std::int64_t in = range.begin; in < range.end; ++in) {
      Range& readers = axis.outputs[static_cast<std::size_t>(in)];
      if (readers.begin == readers.end) readers.begin = static_cast<std::int64_t>(out);
      readers.end = static_cast<std::int64_t>(out) + 1;
    }
  }
  return axis;
}

struct AverageGeometry {
  std::int64_t images = 0, in_height = 0, in_width = 0, out_height = 0, out_width = 0, channels = 0;
  Axis rows, columns;
};

AverageGeometry average_geometry(const Shape& x, const Shape& y) {
  return {.images = x[0],
          .in_height = x[1],
          .in_width = x[2],
          .out_height = y.rank() == 4 ? y[1] : 1,
          .out_width = y.rank() == 4 ? y[2] : 1,
          .channels = x[3],
          .rows = {},
          .columns = {}};
}

AverageGeometry window_geometry(const StepView& step, const Shape& x, const Shape& y) {
  AverageGeometry g = average_geometry(x, y);
  const Window& window = step.attributes<PoolAttributes>().window;
  if (window.dilation != std::array<std::int64_t, 2>{1, 1}) step.cannot_run("an average pool cannot be dilated");
  const auto axis = [&](std::size_t i, std::int64_t in, std::int64_t out) {
    std::vector<Range> inputs;
    for (std::int64_t o = 0; o < out; ++o) {
      const std::int64_t first = o * window.stride[i] - window.pad_begin[i];
      inputs.push_back(
          {std::clamp<std::int64_t>(first, 0, in), std::clamp<std::int64_t>(first + window.kernel[i], 0, in)});
    }
    return axis_of(std::move(inputs), in);
  };
  g.rows = axis(0, g.in_height, g.out_height);
  g.columns = axis(1, g.in_width, g.out_width);
  return g;
}

AverageGeometry adaptive_geometry(const Shape& x, const Shape& y) {
  AverageGeometry g = average_geometry(x, y);
  const auto axis = [](std::int64_t in, std::int64_t out) {
    std::vector<Range> inputs;
    for (std::int64_t o = 0; o < out; ++o) inputs.push_back({o * in / out, ((o + 1) * in + out - 1) / out});
    return axis_of(std::move(inputs), in);
  };
  g.rows = axis(g.in_height, g.out_height);
  g.columns = axis(g.in_width, g.out_width);
  return g;
}

template <class T>
PreparedStep average_forward(const CpuContext& context, const StepView& step, AverageGeometry geometry) {
  step.expect({kStored<T>, kStored<T>});
  const auto shared = std::make_shared<const AverageGeometry>(std::move(geometry));
  const int threads = threads_for(context, shared->images * shared->in_height * shared->in_width * shared->channels);
  return {.algorithm = "avgpool:own",
          .run = [kernel = context.kernels->pool.of<T>().average_forward, threads, shared](const StepArguments& a) {
            const AverageGeometry& g = *shared;
            const T* x = operand<T>(a, 0);
            T* y = operand<T>(a, 1);
            parallel_for(threads, g.images * g.out_height, [&](std::int64_t i) {
              const T* image = x + i / g.out_height * g.in_height * g.in_width * g.channels;
              const Range rows = g.rows.inputs[static_cast<std::size_t>(i % g.out_height)];
              kernel(y + i * g.out_width * g.channels, image, g.channels, g.in_width, rows, g.columns.inputs.data(),
                     g.out_width);
            });
          }};
}

template <class T>
PreparedStep average_backward(const CpuContext& context, const StepView& step, AverageGeometry geometry) {
  step.expect({kStored<T>, kStored<T>});
  const auto shared = std::make_shared<const AverageGeometry>(std::move(geometry));
  const int threads = threads_for(context, shared->images * shared->in_height * shared->in_width * shared->channels);
  return {.algorithm = "avgpool:own",
          .run = [kernel = context.kernels->pool.of<T>().average_backward, threads, shared](const StepArguments& a) {
            const AverageGeometry& g = *shared;
            const T* dy = operand<T>(a, 0);
            T* dx = operand<T>(a, 1);
            parallel_for(threads, g.images * g.in_height, [&](std::int64_t i) {
              const T* image = dy + i / g.in_height * g.out_height * g.out_width * g.channels;
              const Range rows = g.rows.outputs[static_cast<std::size_t>(i % g.in_height)];
              kernel(dx + i * g.in_width * g.channels, image, g.channels, g.out_width, rows, g.rows.weights.data(),
                     g.columns.outputs.data(), g.columns.weights.data(), g.in_width);
            });
          }};
}

PreparedStep average_forward(const CpuContext& context, const StepView& step, const AverageGeometry& geometry) {
  return by_storage(step, 0, [&]<class T>() { return average_forward<T>(context, step, geometry); });
}

PreparedStep average_backward(const CpuContext& context, const StepView& step, const AverageGeometry& geometry) {
  return by_storage(step, 0, [&]<class T>() { return average_backward<T>(context, step, geometry); });
}

}  // namespace

PreparedStep prepare_avgpool_forward(const CpuContext& context, const StepView& step) {
  return average_forward(context, step, window_geometry(step, step.shape(0), step.shape(1)));
}

PreparedStep prepare_avgpool_backward(const CpuContext& context, const StepView& step) {
  return average_backward(context, step, window_geometry(step, step.shape(1), step.shape(0)));
}

PreparedStep prepare_adaptive_avgpool_forward(const CpuContext& context, const StepView& step) {
  return average_forward(context, step, adaptive_geometry(step.shape(0), step.shape(1)));
}

PreparedStep prepare_adaptive_avgpool_backward(const CpuContext& context, const StepView& step) {
  return average_backward(context, step, adaptive_geometry(step.shape(1), step.shape(0)));
}

}  // namespace snug::cpu
