#include <cmath>
#include <vector>

#include "backend/reference/call.h"
#include "backend/reference/functions.h"
#include "backend/reference/slopes.h"

namespace snug::reference {

namespace {

/// Calls visit(ih, iw, place) for the pixels of output pixel (h, w)'s window that lie inside the image, row by row.
template <class Visit>
void for_each_inside(const Window& window, const Extents& x, Index h, Index w, Visit visit) {
  for (Index kh = 0; kh < window.kernel[0]; ++kh) {
    const Index ih = h * window.stride[0] - window.pad_begin[0] + kh * window.dilation[0];
    if (ih < 0 || ih >= x[1]) continue;
    for (Index kw = 0; kw < window.kernel[1]; ++kw) {
      const Index iw = w * window.stride[1] - window.pad_begin[1] + kw * window.dilation[1];
      if (iw >= 0 && iw < x[2]) visit(ih, iw, kh * window.kernel[1] + kw);
    }
  }
}

double inside(const Window& window, const Extents& x, Index h, Index w) {
  double count = 0;
  for_each_inside(window, x, h, w, [&](Index, Index, Index) { count += 1; });
  return count;
}

void clear(const Doubles& x) {
  for_each(x.extents, [&](Index n, Index h, Index w, Index c) { x(n, h, w, c) = 0; });
}

/// Calls visit(ih, iw) for the pixels that cell (h, w) of an adaptive pool averages.
template <class Visit>
void for_each_in_cell(const Extents& x, const Extents& y, Index h, Index w, Visit visit) {
  const auto begin = [](Index cell, Index in, Index out) { return cell * in / out; };
  const auto end = [](Index cell, Index in, Index out) { return ((cell + 1) * in + out - 1) / out; };
  for (Index ih = begin(h, x[1], y[1]); ih < end(h, x[1], y[1]); ++ih) {
    for (Index iw = begin(w, x[2], y[2]); iw < end(w, x[2], y[2]); ++iw) visit(ih, iw);
  }
}

double cell_pixels(const Extents& x, const Extents& y, Index h, Index w) {
  double count = 0;
  for_each_in_cell(x, y, h, w, [&](Index, Index) { count += 1; });
  return count;
}

}  // namespace

void maxpool_forward(const Call& call) {
  const Window& window = call.attributes<PoolAttributes>().window;
  const Doubles x = call[0];
  const Doubles y = call[1];
  const Bytes index = call.bytes(2);
  for_each(y.extents, [&](Index n, Index h, Index w, Index c) {
    bool first = true;
    for_each_inside(window, x.extents, h, w, [&](Index ih, Index iw, Index place) {
      const double pixel = x(n, ih, iw, c);
      const bool larger = first || pixel > y(n, h, w, c) || (std::isnan(pixel) && !std::isnan(y(n, h, w, c)));
      first = false;
      if (!larger) return;
      y(n, h, w, c) = pixel;
      index(n, h, w, c) = static_cast<std::uint8_t>(place);
    });
    ensure(!first, "a pool's window meets the image");
  });
}

void maxpool_backward(const Call& call) {
  const Window& window = call.attributes<PoolAttributes>().window;
  const Doubles dy = call[0];
  const Bytes index = call.bytes(1);
  const Doubles dx = call[2];
  clear(dx);
  for_each(dy.extents, [&](Index n, Index h, Index w, Index c) {
    for_each_inside(window, dx.extents, h, w, [&](Index ih, Index iw, Index place) {
      if (place == index(n, h, w, c)) dx(n, ih, iw, c) += dy(n, h, w, c);
    });
  });
}

void batchnorm_maxpool_forward(const Call& call) {
  const Window& window = call.attributes<NormPoolAttributes>().window;
  const Doubles x = call[0], gamma = call[1], beta = call[2], mean = call[3], inverse_std = call[4], y = call[5];
  const Bytes index = call.bytes(6);
  for_each(y.extents, [&](Index n, Index h, Index w, Index c) {
    bool first = true;
    for_each_inside(window, x.extents, h, w, [&](Index ih, Index iw, Index place) {
      const double value = gamma(c) * (x(n, ih, iw, c) - mean(c)) * inverse_std(c) + beta(c);
      const double pixel = activation_value(ActivationFunction::relu, value);
      const bool larger = first || pixel > y(n, h, w, c) || (std::isnan(pixel) && !std::isnan(y(n, h, w, c)));
      first = false;
      if (!larger) return;
      y(n, h, w, c) = pixel;
      index(n, h, w, c) = static_cast<std::uint8_t>(place);
    });
    ensure(!first, "a pool's window meets the image");
  });
}

void batchnorm_maxpool_backward(const Call& call) {
  const auto& attributes = call.attributes<NormPoolAttributes>();
  const Doubles dy = call[0], gamma = call[2], beta = call[3], mean = call[4], inverse_std = call[5], x = call[6];
  const Bytes index = call.bytes(1);
  const Doubles g = call[7], dx = call[7], dgamma = call[8], dbeta = call[9];  // the gradient behind the norm, then dx
  const auto normalized = [&](Index n, Index h, Index w, Index c) {
    return (x(n, h, w, c) - mean(c)) * inverse_std(c);
  };
  clear(g);
  for_each(dy.extents, [&](Index n, Index h, Index w, Index c) {
    for_each_inside(attributes.window, x.extents, h, w, [&](Index ih, Index iw, Index place) {
      if (place != index(n, h, w, c)) return;
      const double in_front = gamma(c) * normalized(n, ih, iw, c) + beta(c);
      g(n, ih, iw, c) += dy(n, h, w, c) * activation_slope_at_input(ActivationFunction::relu, in_front);
    });
  });
  std::vector<double> sum(static_cast<std::size_t>(x.c())), dot(sum.size());
  for_each(x.extents, [&](Index n, Index h, Index w, Index c) {
    sum[static_cast<std::size_t>(c)] += g(n, h, w, c);
    dot[static_cast<std::size_t>(c)] += g(n, h, w, c) * normalized(n, h, w, c);
  });
  const auto count = static_cast<double>(x.n() * x.h() * x.w());
  for_each(x.extents, [&](Index n, Index h, Index w, Index c) {
    const auto at = static_cast<std::size_t>(c);
    const double centered = g(n, h, w, c) - sum[at] / count - normalized(n, h, w, c) * dot[at] / count;
    dx(n, h, w, c) = gamma(c) * inverse_std(c) * centered;
  });
  for (Index c = 0; c < x.c(); ++c) {
    const auto at = static_cast<std::size_t>(c);
    dgamma(c) = dot[at] + (attributes.accumulate ? dgamma(c) : 0.0);
    dbeta(c) = sum[at] + (attributes.accumulate ? dbeta(c) : 0.0);
  }
}

void avgpool_forward(const Call& call) {
  const Window& window = call.attributes<PoolAttributes>().window;
  const Doubles x = call[0];
  const Doubles y = call[1];
  for_each(y.extents, [&](Index n, Index h, Index w, Index c) {
    double sum = 0;
    for_each_inside(window, x.extents, h, w, [&](Index ih, Index iw, Index) { sum += x(n, ih, iw, c); });
    y(n, h, w, c) = sum / inside(window, x.extents, h, w);
  });
}

void avgpool_backward(const Call& call) {
  const Window& window = call.attributes<PoolAttributes>().window;
  const Doubles dy = call[0];
  const Doubles dx = call[1];
  clear(dx);
  for_each(dy.extents, [&](Index n, Index h, Index w, Index c) {
    const double share = dy(n, h, w, c) / inside(window, dx.extents, h, w);
    for_each_inside(window, dx.extents, h, w, [&](Index ih, Index iw, Index) { dx(n, ih, iw, c) += share; });
  });
}

void adaptive_avgpool_forward(const Call& call) {
  const Doubles x = call[0];
  const Doubles y = call[1];
  for_each(y.extents, [&](Index n, Index h, Index w, Index c) {
    double sum = 0;
    for_each_in_cell(x.extents, y.extents, h, w, [&](Index ih, Index iw) { sum += x(n, ih, iw, c); });
    y(n, h, w, c) = sum / cell_pixels(x.extents, y.extents, h, w);
  });
}

void adaptive_avgpool_backward(const Call& call) {
  const Doubles dy = call[0];
  const Doubles dx = call[1];
  clear(dx);
  for_each(dy.extents, [&](Index n, Index h, Index w, Index c) {
    const double share = dy(n, h, w, c) / cell_pixels(dx.extents, dy.extents, h, w);
    for_each_in_cell(dx.extents, dy.extents, h, w, [&](Index ih, Index iw) { dx(n, ih, iw, c) += share; });
  });
}

}  // namespace snug::reference
