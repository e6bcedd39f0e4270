#include "emulated/plain_products.h"

#include <cstring>
#include <vector>

#include "base/ensure.h"
#include "emulator/emulator.h"
#include "emulator/half.h"

namespace snug::test {

namespace {

using Extents = std::array<std::int64_t, 4>;

std::size_t count(const Extents& e) { return static_cast<std::size_t>(e[0] * e[1] * e[2] * e[3]); }

std::vector<double> load(const void* from, const Extents& extents, DType dtype) {
  std::vector<double> values(count(extents));
  const auto* floats = static_cast<const float*>(from);
  const auto* words = static_cast<const std::uint16_t*>(from);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = dtype == DType::f32    ? floats[i]
                : dtype == DType::bf16 ? emulator::bf16_to_float(words[i])
                                       : emulator::half_to_float(words[i]);
  }
  return values;
}

void store(void* to, const std::vector<double>& values, DType dtype) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto value = static_cast<float>(values[i]);
    if (dtype == DType::f32) {
      static_cast<float*>(to)[i] = value;
    } else {
      static_cast<std::uint16_t*>(to)[i] =
          dtype == DType::bf16 ? emulator::float_to_bf16(value) : emulator::float_to_half(value);
    }
  }
}

/// visit(x's pixel, filter's tap, y's pixel) for all that meet, each by the place of its first channel.
template <class Visit>
void for_each_tap(const Convolution& c, const Visit& visit) {
  const Window& window = c.window;
  for (std::int64_t n = 0; n < c.y[0]; ++n)
    for (std::int64_t row = 0; row < c.y[1]; ++row)
      for (std::int64_t column = 0; column < c.y[2]; ++column)
        for (std::int64_t i = 0; i < c.w[1]; ++i)
          for (std::int64_t j = 0; j < c.w[2]; ++j) {
            const std::int64_t h = row * window.stride[0] - window.pad_begin[0] + i * window.dilation[0];
            const std::int64_t w = column * window.stride[1] - window.pad_begin[1] + j * window.dilation[1];
            if (h < 0 || h >= c.x[1] || w < 0 || w >= c.x[2]) continue;
            visit(((n * c.x[1] + h) * c.x[2] + w) * c.x[3], (i * c.w[2] + j) * c.w[3],
                  ((n * c.y[1] + row) * c.y[2] + column) * c.y[3]);
          }
}

/// visit(x, w, y), the places of the three numbers of every product.
template <class Visit>
void for_each_product(const Convolution& c, const Visit& visit) {
  const std::int64_t groups = c.x[3] / c.w[3], filters_of_group = c.w[0] / groups;
  const std::int64_t filter = c.w[1] * c.w[2] * c.w[3];
  for_each_tap(c, [&](std::int64_t x, std::int64_t tap, std::int64_t y) {
    for (std::int64_t k = 0; k < c.w[0]; ++k)
      for (std::int64_t channel = 0; channel < c.w[3]; ++channel)
        visit(static_cast<std::size_t>(x + k / filters_of_group * c.w[3] + channel),
              static_cast<std::size_t>(k * filter + tap + channel), static_cast<std::size_t>(y + k));
  });
}

void compute(const Convolution& c, const Engine& engine, const ProductArguments& a) {
  ensure(engine.workspace_bytes == 0 || a.workspace != nullptr, "an engine with scratch is given some");
  if (engine.workspace_bytes > 0) std::memset(a.workspace, 0xFF, static_cast<std::size_t>(engine.workspace_bytes));
  const bool forward = c.kind == ConvolutionKind::forward, data = c.kind == ConvolutionKind::backward_data;
  std::vector<double> x = data ? std::vector<double>(count(c.x)) : load(a.x, c.x, c.dtype);
  std::vector<double> w = !forward && !data ? std::vector<double>(count(c.w)) : load(a.w, c.w, c.dtype);
  std::vector<double> y = forward ? std::vector<double>(count(c.y)) : load(a.y, c.y, c.dtype);
  for_each_product(c, [&](std::size_t at_x, std::size_t at_w, std::size_t at_y) {
    if (forward)
      y[at_y] += x[at_x] * w[at_w];
    else if (data)
      x[at_x] += y[at_y] * w[at_w];
    else
      w[at_w] += x[at_x] * y[at_y];
  });
  if (c.bias) {
    const std::vector<double> bias = load(a.bias, {1, 1, 1, c.y[3]}, c.dtype);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += bias[i % bias.size()];
  }
  if (c.relu) {
    for (double& value : y) value = value > 0 ? value : (value != value ? value : 0);
  }
  if (forward)
    store(a.y, y, c.dtype);
  else if (data)
    store(a.x, x, c.dtype);
  else
    store(a.w, w, c.dtype);
}

class PlainProducts final : public ProductLibrary {
 public:
  [[nodiscard]] ProductCall prepare(const Convolution& convolution, const Engine& engine) override {
    return [=](const ProductArguments& arguments) {
      const auto work = [=] { compute(convolution, engine, arguments); };
      if (!emulator::record(work)) work();
    };
  }
};

}  // namespace

std::shared_ptr<ProductLibrary> make_plain_products() { return std::make_shared<PlainProducts>(); }

}  // namespace snug::test
