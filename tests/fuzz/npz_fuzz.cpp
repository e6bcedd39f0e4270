// Any bytes are an archive of NumPy arrays, or are refused with findings.
#include "array_input.h"

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace snug;
  const FileBytes file = fuzz::file_of("f.npz", data, size);
  for (const char* name : {"x", ""}) {
    Findings findings;
    const auto array = read_npz(file, name, FileUse::images, findings);
    ensure(array.has_value() == findings.empty(), "an array or findings, never both");
    fuzz::check_findings(findings);
    if (!array) continue;
    std::int64_t elements = 1;
    for (const std::int64_t extent : array->extents) elements *= extent;
    ensure(std::cmp_equal(array->data.size(), elements * size_bytes(array->element)), "the elements are all there");
    for (std::int64_t i = 0; i < std::min<std::int64_t>(elements, 1000); ++i) [[maybe_unused]]
      const volatile float value = float_at(*array, i);
    if (elements > 0) {
      const volatile float last = float_at(*array, elements - 1);
      (void)last;
    }
  }
  return 0;
}
