// Batches in a seeded order, filled by worker threads ahead of the step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/sample_place.h"
#include "data/dataset.h"

namespace snug {

struct LoaderOptions {
  std::int64_t batch = 1;
  bool shuffle = false;  ///< a permutation of (seed, epoch), the same at any worker count
  bool drop_last = false;
  std::uint64_t seed = 1;
  int workers = 1;
  int ring = 3;                       ///< batches in flight
  std::vector<Augmentation> augment;  ///< keyed by (seed, epoch, sample), mixup and cutmix by (seed, epoch, batch)
  std::int64_t row_width = 0;  ///< > 0: labels are delivered as rows of this width (class numbers become one-hot, or
                               ///< one 0/1 column when it is 1)
  bool places = false;         ///< images stay where they are: a batch says which and how they change (`not_placed`)
  bool even_classes = false;   ///< each class is drawn as often as any other (instead of `shuffle`)
};

struct Batch {
  std::span<const std::byte> images;     ///< count × image, of the data set's dtype; empty with `places`
  std::span<const std::int32_t> labels;  ///< class numbers, when row_width is 0
  std::span<const float> rows;
  std::span<const SamplePlace> places{};  ///< instead of images, where these were asked for
  std::int64_t count = 0;                 ///< samples; fewer than the batch in the last one
  std::span<const std::int64_t> samples;  ///< their indices in the data set
};

class Loader {
 public:
  Loader(std::shared_ptr<const Dataset> data, LoaderOptions options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  [[nodiscard]] std::int64_t batches_per_epoch() const;
  /// Begins an epoch at one of its batches (resume).
  void start_epoch(std::int64_t epoch, std::int64_t first_batch = 0);
  /// The next batch, valid until the next call; null at the end of the epoch. Waits for the workers; allocates nothing.
  [[nodiscard]] const Batch* next();
  /// Seconds that `next` has waited since the epoch began.
  [[nodiscard]] double waited_seconds() const;
  [[nodiscard]] int workers() const;
  /// Host memory of the ring and of what the workers need besides.
  [[nodiscard]] static std::int64_t ring_bytes(const DatasetInfo& info, const LoaderOptions& options);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The order of an epoch: a permutation of 0..samples−1 (Fisher-Yates on (seed, epoch)), or the identity.
[[nodiscard]] std::vector<std::int64_t> epoch_order(std::int64_t samples, bool shuffle, std::uint64_t seed,
                                                    std::int64_t epoch);

}  // namespace snug
