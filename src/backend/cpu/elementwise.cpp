#include <cstring>

#include "backend/cpu/prepare.h"

namespace snug::cpu {

namespace {

template <class T>
PreparedStep add(const CpuContext& context, const StepView& step) {
  step.expect({kStored<T>, kStored<T>, kStored<T>});
  const std::int64_t total = step.elements(0);
  return {.algorithm = "add:own",
          .run = [kernel = context.kernels->elementwise.of<T>().add, threads = context.threads,
                  total](const StepArguments& arguments) {
            const T *a = operand<T>(arguments, 0), *b = operand<T>(arguments, 1);
            T* y = operand<T>(arguments, 2);
            parallel_elements(threads, total,
                              [&](std::int64_t at, std::int64_t count) { kernel(y + at, a + at, b + at, count); });
          }};
}

template <class To, class From>
PreparedStep cast(const CpuContext& context, const StepView& step, void (*kernel)(To*, const From*, std::int64_t)) {
  Segments chunks = chunks_of(step.attributes<CastAttributes>().segments);
  if (chunks.empty()) chunks = chunks_of({{0, step.elements(0)}});
  const int threads = step.elements(0) <= kSerialElements ? 1 : context.threads;
  return {
      .algorithm = "cast:own",
      .run = [kernel, threads, chunks = std::make_shared<const Segments>(std::move(chunks))](const StepArguments& a) {
        const From* x = operand<From>(a, 0);
        To* y = operand<To>(a, 1);
        parallel_for(threads, static_cast<std::int64_t>(chunks->size()), [&](std::int64_t i) {
          const Segment& chunk = (*chunks)[static_cast<std::size_t>(i)];
          kernel(y + chunk.begin, x + chunk.begin, chunk.count);
        });
      }};
}

}  // namespace

PreparedStep prepare_add(const CpuContext& context, const StepView& step) {
  return by_storage(step, 0, [&]<class T>() { return add<T>(context, step); });
}

PreparedStep prepare_cast(const CpuContext& context, const StepView& step) {
  if (step[0].dtype == kBf16) {
    step.expect({kBf16, kF32});
    return cast(context, step, context.kernels->cast.widen);
  }
  step.expect({kF32, kBf16});
  return cast(context, step, context.kernels->cast.narrow);
}

PreparedStep prepare_copy(const CpuContext& context, const StepView& step) {
  const DType type = step[0].dtype;
  step.expect({type, type}, true);
  const std::int64_t element = size_bytes(type);
  const std::int64_t width = step.shape(0).rank() == 0 ? 1 : step.shape(0).back();
  const std::int64_t rows = step.elements(0) / width;
  const std::int64_t from_pitch = channel_pitch(step[0]) * element;
  const std::int64_t to_pitch = channel_pitch(step[1]) * element;
  return {.algorithm = "copy:own", .run = [=, threads = context.threads](const StepArguments& arguments) {
            const auto* from = operand<std::byte>(arguments, 0);
            auto* to = operand<std::byte>(arguments, 1);
            parallel_rows(threads, rows, width, [&](std::int64_t row) {
              std::memcpy(to + row * to_pitch, from + row * from_pitch, static_cast<std::size_t>(width * element));
            });
          }};
}

namespace {

/// Images of [rows, channels] with a factor per channel. Kernels take the factors as floats: of bf16 ones an image has
/// a row of floats in the workspace.
struct Scaling {
  std::int64_t images = 0, rows = 0, channels = 0;
  [[nodiscard]] std::int64_t image() const { return rows * channels; }
};

Scaling scaling_of(const StepView& step) {
  const std::int64_t images = step.shape(0)[0], channels = step.shape(0).back();
  return {.images = images, .rows = step.elements(0) / (images * channels), .channels = channels};
}

template <class T>
std::int64_t float_rows_bytes(const Scaling& s) {
  return std::is_same_v<T, float> ? 0 : s.images * s.channels * static_cast<std::int64_t>(sizeof(float));
}

template <class T>
PreparedStep scale_channels(const CpuContext& context, const StepView& step) {
  step.expect({kStored<T>, kStored<T>, kStored<T>});
  const Scaling s = scaling_of(step);
  const auto run = [s, kernels = context.kernels, threads = context.threads](const StepArguments& a) {
    parallel_for(threads, s.images, [&](std::int64_t n) {
      const T* x = operand<T>(a, 0) + n * s.image();
      const T* given = operand<T>(a, 1) + n * s.channels;
      T* y = operand<T>(a, 2) + n * s.image();
      if constexpr (std::is_same_v<T, float>) {
        kernels->channel.f32.scale(y, x, s.rows, s.channels, given);
      } else {
        float* factors = scratch(a, 0) + n * s.channels;
        kernels->cast.widen(factors, given, s.channels);
        kernels->channel.bf16.scale(y, x, s.rows, s.channels, factors);
      }
    });
  };
  return {.algorithm = "scale_channels:own", .workspace_bytes = float_rows_bytes<T>(s), .run = run};
}

template <class T>
PreparedStep scale_channels_backward(const CpuContext& context, const StepView& step) {
  step.expect({kStored<T>, kStored<T>, kStored<T>, kStored<T>, kStored<T>});
  const Scaling s = scaling_of(step);
  const auto run = [s, kernels = context.kernels, threads = context.threads](const StepArguments& a) {
    parallel_for(threads, s.images, [&](std::int64_t n) {
      const T *dy = operand<T>(a, 0) + n * s.image(), *x = operand<T>(a, 1) + n * s.image();
      const T* given = operand<T>(a, 2) + n * s.channels;
      T *dx = operand<T>(a, 3) + n * s.image(), *ds = operand<T>(a, 4) + n * s.channels;
      if constexpr (std::is_same_v<T, float>) {
        kernels->channel.f32.products(dy, x, s.rows, s.channels, ds);
        kernels->channel.f32.scale(dx, dy, s.rows, s.channels, given);
      } else {
        float* row = scratch(a, 0) + n * s.channels;
        kernels->channel.bf16.products(dy, x, s.rows, s.channels, row);
        kernels->cast.narrow(ds, row, s.channels);
        kernels->cast.widen(row, given, s.channels);
        kernels->channel.bf16.scale(dx, dy, s.rows, s.channels, row);
      }
    });
  };
  return {.algorithm = "scale_channels:own", .workspace_bytes = float_rows_bytes<T>(s), .run = run};
}

}  // namespace

PreparedStep prepare_scale_channels(const CpuContext& context, const StepView& step) {
  return by_storage(step, 0, [&]<class T>() { return scale_channels<T>(context, step); });
}

PreparedStep prepare_scale_channels_backward(const CpuContext& context, const StepView& step) {
  return by_storage(step, 0, [&]<class T>() { return scale_channels_backward<T>(context, step); });
}

PreparedStep prepare_fill(const CpuContext& context, const StepView& step) {
  const DType type = step[0].dtype;
  step.expect({type});
  const std::int64_t total = step.elements(0);
  const double value = step.attributes<FillAttributes>().value;
  const auto filled = [&]<class T>(T typed) -> PreparedStep {
    return {.algorithm = "fill:own", .run = [=, threads = context.threads](const StepArguments& a) {
              T* y = operand<T>(a, 0);
              parallel_elements(threads, total,
                                [&](std::int64_t at, std::int64_t count) { std::fill_n(y + at, count, typed); });
            }};
  };
  switch (type) {
    case DType::f32: return filled(static_cast<float>(value));
    case DType::f64: return filled(value);
    case DType::i32: return filled(static_cast<std::int32_t>(value));
    case DType::u8: return filled(static_cast<std::uint8_t>(value));
    case DType::i64: return filled(static_cast<std::int64_t>(value));
    case DType::bf16:
    case DType::f16: break;
  }
  step.cannot_run("fill of this type");
}

PreparedStep prepare_wait(const CpuContext& /*context*/, const StepView& /*step*/) {
  // There is one queue: what is named is complete.
  return {.algorithm = "wait", .run = [](const StepArguments&) {}};
}

}  // namespace snug::cpu
