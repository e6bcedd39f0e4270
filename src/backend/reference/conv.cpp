#include "backend/reference/call.h"
#include "backend/reference/functions.h"
#include "backend/reference/slopes.h"

namespace snug::reference {

namespace {

/// One product of a convolution: output (n, h, w, o) has the term input (n, ih, iw, group · ci + i) · weight
/// (o, kh, kw, i).
struct Product {
  Index n, h, w, o, ih, iw, kh, kw, i, c;
};

/// Calls visit for every product whose input pixel lies inside the image. `y` and `x` are the extents of the output
/// and the input, `weights` those of [out, kh, kw, in ÷ groups].
template <class Visit>
void for_each_product(const ConvAttributes& attributes, const Extents& x, const Extents& weights, const Extents& y,
                      Visit visit) {
  const Window& window = attributes.window;
  const Index outputs_per_group = weights[0] / attributes.groups;
  for_each(y, [&](Index n, Index h, Index w, Index o) {
    const Index group = o / outputs_per_group;
    for (Index kh = 0; kh < weights[1]; ++kh) {
      const Index ih = h * window.stride[0] - window.pad_begin[0] + kh * window.dilation[0];
      if (ih < 0 || ih >= x[1]) continue;
      for (Index kw = 0; kw < weights[2]; ++kw) {
        const Index iw = w * window.stride[1] - window.pad_begin[1] + kw * window.dilation[1];
        if (iw < 0 || iw >= x[2]) continue;
        for (Index i = 0; i < weights[3]; ++i) {
          visit(Product{n, h, w, o, ih, iw, kh, kw, i, group * weights[3] + i});
        }
      }
    }
  });
}

}  // namespace

void conv_forward(const Call& call) {
  const auto& attributes = call.attributes<ConvAttributes>();
  const Doubles x = call[0];
  const Doubles w = call[1];
  const Doubles y = call[attributes.bias ? 3 : 2];
  for_each(y.extents,
           [&](Index n, Index h, Index ow, Index o) { y(n, h, ow, o) = attributes.bias ? call[2](o) : 0.0; });
  for_each_product(attributes, x.extents, w.extents, y.extents, [&](const Product& p) {
    y(p.n, p.h, p.w, p.o) += x(p.n, p.ih, p.iw, p.c) * w(p.o, p.kh, p.kw, p.i);
  });
  if (!attributes.activation) return;
  for_each(y.extents, [&](Index n, Index h, Index ow, Index o) {
    y(n, h, ow, o) = activation_value(*attributes.activation, y(n, h, ow, o));
  });
}

void conv_backward_data(const Call& call) {
  const Doubles dy = call[0];
  const Doubles w = call[1];
  const Doubles dx = call[2];
  for_each(dx.extents, [&](Index n, Index h, Index iw, Index c) { dx(n, h, iw, c) = 0; });
  for_each_product(call.attributes<ConvAttributes>(), dx.extents, w.extents, dy.extents, [&](const Product& p) {
    dx(p.n, p.ih, p.iw, p.c) += dy(p.n, p.h, p.w, p.o) * w(p.o, p.kh, p.kw, p.i);
  });
}

void conv_backward_weights(const Call& call) {
  const auto& attributes = call.attributes<ConvAttributes>();
  const Doubles x = call[0];
  const Doubles dy = call[1];
  const Doubles dw = call[2];
  if (!attributes.accumulate) {
    for_each(dw.extents, [&](Index o, Index kh, Index kw, Index i) { dw(o, kh, kw, i) = 0; });
  }
  for_each_product(attributes, x.extents, dw.extents, dy.extents, [&](const Product& p) {
    dw(p.o, p.kh, p.kw, p.i) += x(p.n, p.ih, p.iw, p.c) * dy(p.n, p.h, p.w, p.o);
  });
  if (!attributes.bias) return;
  const Doubles db = call[3];
  for (Index o = 0; o < db.c() && !attributes.accumulate; ++o) db(o) = 0;
  for_each(dy.extents, [&](Index n, Index h, Index w, Index o) { db(o) += dy(n, h, w, o); });
}

}  // namespace snug::reference
