#include <bit>

#include "backend/cuda/steps/launch.h"
#include "base/rng.h"
#include "base/sample_place.h"
#include "kernels/activation.cuh"
#include "kernels/dropout.cuh"
#include "kernels/elementwise.cuh"
#include "kernels/half_bits.h"
#include "kernels/input.cuh"

namespace snug::cuda {

namespace {

kernels::PitchedRows pitched_rows(const StepInfo& s) {
  const std::int64_t width = s.shape(0).back(), element = size_bytes(s[0].dtype);
  return {.rows = s.elements(0) / width,
          .width_bytes = width * element,
          .from_pitch_bytes = channel_pitch(s[0]) * element,
          .to_pitch_bytes = channel_pitch(s[1]) * element};
}

std::uint64_t bits_of(double value, DType dtype) {
  switch (dtype) {
    case DType::f32: return std::bit_cast<std::uint32_t>(static_cast<float>(value));
    case DType::f64: return std::bit_cast<std::uint64_t>(value);
    case DType::bf16: return kernels::to_bf16_bits(static_cast<float>(value));
    case DType::f16: return kernels::to_half_bits(static_cast<float>(value));
    case DType::u8: return static_cast<std::uint8_t>(value);
    case DType::i32: return static_cast<std::uint32_t>(static_cast<std::int32_t>(value));
    case DType::i64: return static_cast<std::uint64_t>(value);
  }
  return 0;
}

Launch activation_launch(const Info& s, bool forward) {
  const kernels::Activation kind = activation_of(s->attributes<ActivationAttributes>().function);
  return {.run = [=](const Addresses& a) {
    if (forward) return kernels::activation_forward(s->data(0), kind, a[0], a[1], s->elements(0), a.stream());
    const bool from_output = s->step().chosen == Saved::output;
    if (!is_packed((*s)[0]) || !is_packed((*s)[1]) || !is_packed((*s)[2])) {
      const auto channels = static_cast<int>(s->shape(0).back());
      const kernels::SliceRows rows{s->elements(0) / channels, channels, channel_pitch((*s)[0]), channel_pitch((*s)[2]),
                                    channel_pitch((*s)[1])};
      return kernels::activation_backward_slices(s->data(0), kind, from_output, a[0], a[2], a[1], rows, a.stream());
    }
    kernels::activation_backward(s->data(0), kind, from_output, a[0], a[2], a[1], s->elements(0), a.stream());
  }};
}

Launch cast_launch(const Info& s) {
  Segments segments = s->attributes<CastAttributes>().segments;
  if (segments.empty()) segments = {{0, s->elements(0)}};
  return {.run = [=](const Addresses& a) {
    for (const Segment& segment : segments) {
      kernels::cast(s->data(0), s->data(1), a.as<std::byte>(0) + segment.begin * size_bytes((*s)[0].dtype),
                    a.as<std::byte>(1) + segment.begin * size_bytes((*s)[1].dtype), segment.count, a.stream());
    }
  }};
}

Launch dropout_launch(const Info& s) {
  const auto& d = s->attributes<DropoutAttributes>();
  const kernels::Dropout dropout{.rate = d.rate,
                                 .key = random_key(d.seed, RandomStream::dropout, static_cast<std::uint64_t>(d.layer)),
                                 .sample_offset = d.sample_offset,
                                 .per_sample = d.per_sample};
  const std::int64_t samples = s->shape(0)[0];
  return {.run = [=](const Addresses& a) {
    kernels::dropout(s->data(0), dropout, a.as<double>(1) + Control::step, a[0], a[2], samples,
                     s->elements(0) / samples, a.stream());
  }};
}

Launch input_launch(const Info& s) {
  const auto divisor = static_cast<float>(s->attributes<NormalizeAttributes>().divisor);
  const auto channels = static_cast<int>(s->shape(0).back());
  static_assert(SamplePlace::mirrored == static_cast<int>(kernels::kMirrored) &&
                SamplePlace::upside_down == static_cast<int>(kernels::kUpsideDown) &&
                SamplePlace::reflected == static_cast<int>(kernels::kReflected));
  if (s->attributes<NormalizeAttributes>().gathered)
    return {.run = [=](const Addresses& a) {
      kernels::normalize_gathered((*s)[0].dtype == DType::u8, s->data(4), divisor, a[0], a.as<const int>(3), a.as(1),
                                  a.as(2), a[4], s->images(4), a.stream());
    }};
  return {.run = [=](const Addresses& a) {
    kernels::normalize_input((*s)[0].dtype == DType::u8, s->data(3), divisor, a[0], a.as(1), a.as(2), a[3],
                             s->elements(0) / channels, channels, channels, a.stream());
  }};
}

}  // namespace

Launch elementwise_launch(const Info& s) {
  switch (s->step().op) {
    case Op::activation_forward: return activation_launch(s, true);
    case Op::activation_backward: return activation_launch(s, false);
    case Op::dropout_forward:
    case Op::dropout_backward: return dropout_launch(s);
    case Op::cast: return cast_launch(s);
    case Op::normalize_input: return input_launch(s);
    case Op::add:
      return {
          .run = [=](const Addresses& a) { kernels::add(s->data(0), a[0], a[1], a[2], s->elements(0), a.stream()); }};
    case Op::copy: return {.run = [=](const Addresses& a) { kernels::copy(a[0], a[1], pitched_rows(*s), a.stream()); }};
    case Op::fill:
      return {.run = [=](const Addresses& a) {
        const DType dtype = (*s)[0].dtype;
        const std::uint64_t bits = bits_of(s->attributes<FillAttributes>().value, dtype);
        kernels::fill(a[0], static_cast<int>(size_bytes(dtype)), bits, s->elements(0), a.stream());
      }};
    case Op::scale_channels:
      return {.run = [=](const Addresses& a) {
        kernels::scale_channels(s->data(0), a[0], a[1], a[2], s->images(0), a.stream());
      }};
    case Op::scale_channels_backward:
      return {.run = [=](const Addresses& a) {
        kernels::scale_channels_backward(s->data(0), a[0], a[1], a[2], a[3], a[4], s->images(0), a.stream());
      }};
    default: fail("not an elementwise op", __FILE__, __LINE__);
  }
}

}  // namespace snug::cuda
