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

namespace {

/// Elements from one row of channels to the next; all outer axes must follow from it, as in a channel slice.
std::int64_t pitch_of(const StepView& step, std::size_t i) {
  const TensorInfo& tensor = step[i];
  const int last = tensor.shape.rank() - 1;
  if (last <= 0) return tensor.shape.elements();
  const auto& strides = tensor.view.strides;
  const std::int64_t pitch = strides[static_cast<std::size_t>(last - 1)];
  std::int64_t expected = pitch;
  for (int axis = last - 1; axis >= 0; --axis) {
    if (strides[static_cast<std::size_t>(axis)] != expected || strides[static_cast<std::size_t>(last)] != 1) {
      step.cannot_run("a copied tensor is no channel slice");
    }
    expected *= tensor.shape[axis];
  }
  return pitch;
}

}  // namespace

PreparedStep prepare_copy(const CpuContext& context, const StepView& step) {
  const DType type = step[0].dtype;
  step.expect({type, type}, true);
  const std::int64_t element = size_bytes(type);
  const std::int64_t width = step.shape(0).rank() == 0 ? 1 : step.shape(0).back();
  const std::int64_t rows = step.elements(0) / width;
  const std::int64_t from_pitch = pitch_of(step, 0) * element;
  const std::int64_t to_pitch = pitch_of(step, 1) * element;
  const std::int64_t chunk = std::max<std::int64_t>(1, kChunkElements / width);
  return {.algorithm = "copy:own", .run = [=, threads = context.threads](const StepArguments& arguments) {
            const auto* from = operand<std::byte>(arguments, 0);
            auto* to = operand<std::byte>(arguments, 1);
            parallel_for(threads, (rows + chunk - 1) / chunk, [&](std::int64_t i) {
              for (std::int64_t row = i * chunk; row < std::min(rows, (i + 1) * chunk); ++row) {
                std::memcpy(to + row * to_pitch, from + row * from_pitch, static_cast<std::size_t>(width * element));
              }
            });
          }};
}

PreparedStep prepare_scale_channels(const CpuContext& context, const StepView& step) {
  step.expect({DType::f32, DType::f32, DType::f32});
  const std::int64_t images = step.shape(0)[0];
  const std::int64_t channels = step.shape(0).back();
  const std::int64_t rows = step.elements(0) / (images * channels);
  return {.algorithm = "scale_channels:own",
          .run = [=, kernel = context.kernels->channel.f32.scale, threads = context.threads](const StepArguments& a) {
            const float *x = operand(a, 0), *s = operand(a, 1);
            float* y = operand(a, 2);
            parallel_for(threads, images, [&](std::int64_t n) {
              const std::int64_t at = n * rows * channels;
              kernel(y + at, x + at, rows, channels, s + n * channels);
            });
          }};
}

PreparedStep prepare_scale_channels_backward(const CpuContext& context, const StepView& step) {
  step.expect({DType::f32, DType::f32, DType::f32, DType::f32, DType::f32});
  const std::int64_t images = step.shape(0)[0];
  const std::int64_t channels = step.shape(0).back();
  const std::int64_t rows = step.elements(0) / (images * channels);
  return {.algorithm = "scale_channels:own",
          .run = [=, kernels = &context.kernels->channel.f32, threads = context.threads](const StepArguments& a) {
            const float *dy = operand(a, 0), *x = operand(a, 1), *s = operand(a, 2);
            float *dx = operand(a, 3), *ds = operand(a, 4);
            parallel_for(threads, images, [&](std::int64_t n) {
              const std::int64_t at = n * rows * channels;
              kernels->products(dy + at, x + at, rows, channels, ds + n * channels);
              kernels->scale(dx + at, dy + at, rows, channels, s + n * channels);
            });
          }};
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
