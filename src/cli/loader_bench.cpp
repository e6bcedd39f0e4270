#include "cli/loader_bench.h"

#include <chrono>
#include <utility>
#include <vector>

#include "data/loader.h"

namespace snug {

LoaderBench measure_loader(const Config& config, const RunSetup& setup, std::int64_t batch, double seconds,
                           const std::atomic<bool>* stop) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  const DatasetInfo& info = setup.splits.train->info();
  LoaderBench bench{.data = config.data.train ? std::string(to_string(config.data.train->format)) : "",
                    .samples = info.samples,
                    .image_bytes = info.image.elements() * size_bytes(info.dtype),
                    .batch = batch};
  Loader loader(setup.splits.train, train_loader_options(config, batch, setup.row_width));
  bench.workers = loader.workers();
  std::vector<double> times;
  std::int64_t images = 0;
  Clock::time_point begin = Clock::now();
  const auto stopped = [&] { return bench.interrupted = stop != nullptr && stop->load(); };
  const auto enough = [&] { return times.size() >= 2 && since(begin) >= seconds; };
  for (std::int64_t epoch = 0; !enough() && !bench.interrupted; ++epoch) {
    loader.start_epoch(epoch);
    for (;;) {
      const Clock::time_point before = Clock::now();
      const Batch* next = loader.next();
      if (next == nullptr) break;
      if (bench.first_batch_seconds == 0) {  // the workers begin: not part of the rate
        bench.first_batch_seconds = since(begin);
        begin = Clock::now();
        continue;
      }
      if (next->count == batch) times.push_back(1e3 * since(before));
      images += next->count;
      ++bench.batches;
      if (enough() || stopped()) break;
    }
  }
  bench.seconds = since(begin);
  bench.images_per_second = static_cast<double>(images) / bench.seconds;
  bench.bytes_per_second = bench.images_per_second * static_cast<double>(bench.image_bytes);
  bench.batch_time = timing_of(std::move(times));
  return bench;
}

}  // namespace snug
