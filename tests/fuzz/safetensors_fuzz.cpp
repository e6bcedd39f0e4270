// Any bytes as a safetensors file: a finding or tensors that lie within the bytes; then as a checkpoint.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "findings.h"
#include "train/checkpoint.h"
#include "train/safetensors.h"

namespace {

using snug::require;

void use(const snug::SafetensorsView& view, const std::byte* begin, std::size_t size) {
  for (const snug::SafeTensor& tensor : view.tensors) {
    require(tensor.bytes.empty() || (tensor.bytes.data() >= begin && tensor.bytes.size() <= size));
    require(view.find(tensor.name) == &tensor);
    if (!is_floating(tensor)) continue;
    require(static_cast<std::size_t>(tensor.elements()) <= size);
    std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
    read_floats(tensor, values);
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  snug::expect_findings([&] {
    const snug::SafetensorsView view = snug::parse_safetensors({bytes, size}, "fuzz");
    use(view, bytes, size);
    (void)snug::checkpoint_info(view.metadata, "fuzz");
  });
  return 0;
}
