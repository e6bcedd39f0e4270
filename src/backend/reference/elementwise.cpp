#include "backend/reference/call.h"
#include "backend/reference/functions.h"

namespace snug::reference {

void add(const Call& call) {
  const Doubles a = call[0];
  const Doubles b = call[1];
  const Doubles y = call[2];
  for_each(y.extents, [&](Index n, Index h, Index w, Index c) { y(n, h, w, c) = a(n, h, w, c) + b(n, h, w, c); });
}

void copy(const Call& call) {
  if (call.copy_bytes()) return;
  const Doubles x = call[0];
  const Doubles y = call[1];
  ensure(x.extents == y.extents, "a copy keeps the shape");
  for_each(y.extents, [&](Index n, Index h, Index w, Index c) { y(n, h, w, c) = x(n, h, w, c); });
}

/// From any type that can be read; what it writes is double.
void cast(const Call& call) {
  const Reader x = call.reader(0);
  const Doubles y = call[1];
  const Segments& segments = call.attributes<CastAttributes>().segments;
  if (segments.empty()) {
    for_each(y.extents, [&](Index n, Index h, Index w, Index c) { y(n, h, w, c) = x(n, h, w, c); });
  }
  for (const Segment& segment : segments) {
    for (Index i = segment.begin; i < segment.begin + segment.count; ++i) y(i) = x(i);
  }
}

void fill(const Call& call) {
  const double value = call.attributes<FillAttributes>().value;
  const Doubles y = call[0];
  for_each(y.extents, [&](Index n, Index h, Index w, Index c) { y(n, h, w, c) = value; });
}

void scale_channels(const Call& call) {
  const Doubles x = call[0];
  const Doubles s = call[1];
  const Doubles y = call[2];
  for_each(y.extents, [&](Index n, Index h, Index w, Index c) { y(n, h, w, c) = x(n, h, w, c) * s(n, c); });
}

void scale_channels_backward(const Call& call) {
  const Doubles dy = call[0];
  const Doubles x = call[1];
  const Doubles s = call[2];
  const Doubles dx = call[3];
  const Doubles ds = call[4];
  for_each(ds.extents, [&](Index n, Index h, Index w, Index c) { ds(n, h, w, c) = 0; });
  for_each(dx.extents, [&](Index n, Index h, Index w, Index c) {
    const double gradient = dy(n, h, w, c);  // read first: dx may be dy or x in place
    ds(n, c) += gradient * x(n, h, w, c);
    dx(n, h, w, c) = gradient * s(n, c);
  });
}

}  // namespace snug::reference
