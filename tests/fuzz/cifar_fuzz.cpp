// Any bytes are CIFAR records that can be trained on, or are refused with findings.
#include "array_input.h"

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const unsigned flags = data[0];
  const std::size_t first = std::min<std::size_t>(data[1] + 256U * data[2], size - 3);
  std::vector<snug::FileBytes> files;
  files.push_back(snug::fuzz::file_of("a.bin", data + 3, first));
  if ((flags & 2U) != 0) files.push_back(snug::fuzz::file_of("b.bin", data + 3 + first, size - 3 - first));
  snug::Findings findings;
  auto source = snug::make_cifar_source(std::move(files), (flags & 1U) != 0 ? 100 : 10, findings);
  snug::ensure((source == nullptr) == !findings.empty(), "a data set or findings, never both");
  if (source != nullptr) snug::fuzz::finish(std::move(source), flags, findings);
  snug::fuzz::check_findings(findings);
  return 0;
}
