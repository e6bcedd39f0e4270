#include "backend/reference/call.h"
#include "backend/reference/functions.h"
#include "base/rng.h"

namespace snug::reference {

void dropout(const Call& call) {
  const auto& attributes = call.attributes<DropoutAttributes>();
  const Doubles x = call[0];
  const Doubles control = call[1];
  const Doubles y = call[2];
  const std::uint64_t key =
      random_key(attributes.seed, RandomStream::dropout, static_cast<std::uint64_t>(attributes.layer));
  const auto step = static_cast<std::uint64_t>(control(Control::step));
  for_each(y.extents, [&](Index n, Index h, Index w, Index c) {
    const auto sample = static_cast<std::uint64_t>(attributes.sample_offset + n);
    const Index place = (h * y.w() + w) * y.c() + c;
    const auto element = static_cast<std::uint64_t>(attributes.per_sample ? 0 : place);
    const auto words = philox(key, step << 32 | sample, element / 4);
    const bool kept = static_cast<double>(to_unit(words[element % 4])) >= attributes.rate;
    y(n, h, w, c) = kept ? x(n, h, w, c) / (1 - attributes.rate) : 0.0;
  });
}

}  // namespace snug::reference
