// Any bytes are a list of pictures, or are refused with findings.
#include "array_input.h"
#include "data/picture_source.h"

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace snug;
  for (const bool known : {false, true}) {
    Findings findings;
    const auto list = list_csv(fuzz::file_of("list.csv", data, size),
                               known ? std::vector<std::string>{"cat", "dog"} : std::vector<std::string>{}, findings);
    ensure(list.has_value() == findings.empty(), "a list or findings, never both");
    fuzz::check_findings(findings);
    if (!list) continue;
    ensure(std::cmp_equal(list->labels.size(), list->store->count()), "a label for each picture");
    for (const std::int64_t label : list->labels) {
      ensure(list->classes.empty() || (label >= 0 && std::cmp_less(label, list->classes.size())), "a label is a class");
    }
  }
  return 0;
}
