// Any bytes are the index and a shard of a pack, or are refused. The first two bytes are the length of the index.
#include "array_input.h"
#include "data/pack_format.h"

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace snug;
  if (size < 2) return 0;
  const std::size_t length = std::min<std::size_t>(data[0] + 256U * data[1], size - 2);
  const FileBytes first = fuzz::file_of("pack.index", data + 2, length);
  const FileBytes second = fuzz::file_of("shard", data + 2 + length, size - 2 - length);
  std::string problem;
  const auto index = pack::read_index(first.bytes, problem);
  ensure(index.has_value() == problem.empty(), "an index or a reason, never both");
  if (!index || index->shards.empty()) return 0;
  std::vector<pack::Entry> entries;
  pack::ShardProblem fault;
  if (!pack::read_shard(second.bytes, *index, 0, entries, fault)) {
    ensure(!fault.what.empty() && fault.record >= 0, "damage has its record");
    return 0;
  }
  for (const pack::Entry& entry : entries) (void)pack::record_is_whole(second.bytes, entry);
  return 0;
}
