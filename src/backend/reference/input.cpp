#include "backend/reference/call.h"
#include "backend/reference/functions.h"
#include "base/sample_place.h"

namespace snug::reference {

namespace {

/// The place in [0, size) of a coordinate, or −1 beside the picture.
Index inside(Index i, Index size, bool reflects) {
  if (reflects && i < 0) i = -i;
  if (reflects && i >= size) i = 2 * (size - 1) - i;
  return i >= 0 && i < size ? i : -1;
}

void normalize_gathered(const Call& call) {
  const Reader images = call.reader(0);
  const Reader mean = call.reader(1);
  const Reader inverse_std = call.reader(2);
  const Reader places = call.reader(3);
  const Doubles y = call[4];
  const double divisor = call.attributes<NormalizeAttributes>().divisor;
  for_each(y.extents, [&](Index n, Index h, Index w, Index c) {
    const auto number = [&](Index i) { return static_cast<Index>(places(n, i)); };
    const Index turns = number(3);
    Index row = inside(h + number(1), y.h(), (turns & SamplePlace::reflected) != 0);
    Index column = inside(w + number(2), y.w(), (turns & SamplePlace::reflected) != 0);
    double pixel = 0;
    if (row >= 0 && column >= 0) {
      if ((turns & SamplePlace::upside_down) != 0) row = y.h() - 1 - row;
      if ((turns & SamplePlace::mirrored) != 0) column = y.w() - 1 - column;
      pixel = images(number(0), row, column, c);
    }
    y(n, h, w, c) = (pixel / divisor - mean(c)) * inverse_std(c);
  });
}

}  // namespace

void normalize_input(const Call& call) {
  if (call.attributes<NormalizeAttributes>().gathered) return normalize_gathered(call);
  const Reader images = call.reader(0);
  const Reader mean = call.reader(1);
  const Reader inverse_std = call.reader(2);
  const Doubles y = call[3];
  const double divisor = call.attributes<NormalizeAttributes>().divisor;
  for_each(y.extents, [&](Index n, Index h, Index w, Index c) {
    y(n, h, w, c) = (images(n, h, w, c) / divisor - mean(c)) * inverse_std(c);
  });
}

void nothing(const Call& /*call*/) {}

}  // namespace snug::reference
