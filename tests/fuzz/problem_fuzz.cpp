// Any bytes are a placement problem, which is then placed and written as it was read, or are refused with findings.
#include "array_input.h"
#include "data/problem_csv.h"

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace snug;
  Findings findings;
  const auto table = read_problem(fuzz::file_of("p.csv", data, size), findings);
  ensure(table.has_value() == findings.empty(), "a problem or findings, never both");
  fuzz::check_findings(findings);
  constexpr std::size_t kMostBuffers = 200;  // reading is what is tested here
  if (!table || table->buffers.size() > kMostBuffers) return 0;
  const Placement placement = place(table->buffers, {.alignment_bytes = 1});
  ensure(validate(table->buffers, placement.offsets, 1, placement.height_bytes).empty(), "a sound placement");
  const std::string solved = solution_csv(*table, placement.offsets);
  Findings none;
  const auto again =
      read_problem(fuzz::file_of("s.csv", reinterpret_cast<const std::uint8_t*>(solved.data()), solved.size()), none);
  ensure(again.has_value(), "a solution is a problem too");
  if (!again) return 0;
  ensure(again->buffers.size() == table->buffers.size(), "and as large");
  ensure(again->offset_column.has_value(), "with offsets");
  for (std::size_t i = 0; i < table->buffers.size(); ++i) {
    ensure(again->buffers[i].life == table->buffers[i].life, "a row keeps its lifetime");
    ensure(again->buffers[i].size_bytes == table->buffers[i].size_bytes, "and its size");
  }
  return 0;
}
