#include "data/loader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/ensure.h"
#include "base/rng.h"
#include "base/text.h"
#include "data/augment.h"

namespace snug {

namespace {

constexpr std::int64_t kPiece =
    64;  // samples that a worker takes at a time: the lock is rare, small batches still share

void fill_order(std::vector<std::int64_t>& order, bool shuffle, std::uint64_t seed, std::int64_t epoch) {
  std::iota(order.begin(), order.end(), std::int64_t{0});
  if (!shuffle) return;
  ensure(order.size() < (std::uint64_t{1} << 32), "a shuffle counts in 32 bits");
  Random random(random_key(seed, RandomStream::shuffle, static_cast<std::uint64_t>(epoch)));
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  }
}

std::int64_t image_bytes(const DatasetInfo& info) { return info.image.elements() * size_bytes(info.dtype); }

/// Workers of this many threads are what `workers = 0` means: decoding bytes is light, the cores are for the training.
int worker_count(int asked) {
  if (asked > 0) return asked;
  return static_cast<int>(std::clamp(std::thread::hardware_concurrency() / 4, 1U, 4U));
}

/// One batch of the ring.
struct Slot {
  std::vector<std::byte> images;
  std::vector<std::int32_t> labels;
  std::vector<float> rows;
  Batch batch;
  std::int64_t first = 0;  ///< its place in the order
  std::int64_t pieces_left = 0;
  bool ready = false;
  std::exception_ptr error;
};

}  // namespace

std::vector<std::int64_t> epoch_order(std::int64_t samples, bool shuffle, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(samples));
  fill_order(order, shuffle, seed, epoch);
  return order;
}

struct Loader::State {
  State(std::shared_ptr<const Dataset> source, LoaderOptions wanted);
  ~State();

  void work();
  [[nodiscard]] bool has_work() const { return filling < end && filling < released + std::ssize(slots); }
  void fill(Slot& slot, std::int64_t begin, std::int64_t finish, std::byte* scratch) const;
  void fill_label(Slot& slot, std::int64_t place, std::int64_t sample) const;

  std::shared_ptr<const Dataset> data;
  LoaderOptions options;
  Augmenter augmenter;
  std::int64_t sample_bytes;
  std::vector<std::int64_t> order;
  std::vector<Slot> slots;
  std::uint64_t augment_key = 0;

  // Below: guarded by the mutex. Batches are numbered from 0 within the epoch; batch b lies in slot b mod ring.
  std::mutex mutex;
  std::condition_variable work_waits, batch_waits, idle_waits;
  std::int64_t released = 0;  ///< batches before it may be overwritten
  std::int64_t next = 0;      ///< the next that the reader gets
  std::int64_t filling = 0;   ///< the next that workers take pieces of
  std::int64_t piece = 0;     ///< of `filling`
  std::int64_t end = 0;
  int active = 0;  ///< workers that fill right now
  bool stop = false;
  double waited = 0;
  std::vector<std::jthread> workers;
};

Loader::State::State(std::shared_ptr<const Dataset> source, LoaderOptions wanted)
    : data(std::move(source)),
      options(std::move(wanted)),
      augmenter(options.augment, data->info().image, data->info().dtype),
      sample_bytes(image_bytes(data->info())),
      order(static_cast<std::size_t>(data->info().samples)) {
  const DatasetInfo& info = data->info();
  ensure(options.batch > 0 && options.ring >= 2, "a batch has samples; one batch is read while another is filled");
  if (info.labels == LabelKind::rows && options.row_width != info.label_width) {
    throw Error(data_finding(
        FileUse::labels, DataFault::label_kind, data->label_where(0),
        fmt::format("labels are rows of {} numbers, the loss needs {}", info.label_width,
                    options.row_width == 0 ? "class numbers" : fmt::format("rows of {}", options.row_width)),
        options.row_width == 0 ? "loss = \"categorical_crossentropy\""
                               : fmt::format("{{ dense = {} }}", info.label_width)));
  }
  slots.resize(static_cast<std::size_t>(options.ring));
  for (Slot& slot : slots) {
    slot.images.resize(static_cast<std::size_t>(options.batch * sample_bytes));
    if (options.row_width > 0) {
      slot.rows.resize(static_cast<std::size_t>(options.batch * options.row_width));
    } else {
      slot.labels.resize(static_cast<std::size_t>(options.batch));
    }
  }
  for (int worker = 0; worker < worker_count(options.workers); ++worker) workers.emplace_back([this] { work(); });
}

Loader::State::~State() {
  {
    const std::lock_guard lock(mutex);
    stop = true;
  }
  work_waits.notify_all();
  workers.clear();  // joins
}

void Loader::State::work() {
  std::vector<std::byte> scratch(augmenter.active() ? static_cast<std::size_t>(sample_bytes) : 0);
  std::unique_lock lock(mutex);
  for (;;) {
    work_waits.wait(lock, [this] { return stop || has_work(); });
    if (stop) return;
    Slot& slot = slots[static_cast<std::size_t>(filling % std::ssize(slots))];
    if (piece == 0) {
      slot.first = filling * options.batch;
      slot.batch.count = std::min(options.batch, std::ssize(order) - slot.first);
      slot.pieces_left = (slot.batch.count + kPiece - 1) / kPiece;
      slot.ready = false;
      slot.error = nullptr;
    }
    const std::int64_t begin = piece * kPiece;
    const std::int64_t finish = std::min(begin + kPiece, slot.batch.count);
    if (finish == slot.batch.count) {
      ++filling;
      piece = 0;
    } else {
      ++piece;
    }
    ++active;
    lock.unlock();
    std::exception_ptr error;
    try {
      fill(slot, begin, finish, scratch.data());
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    --active;
    if (error && !slot.error) slot.error = error;
    if (--slot.pieces_left == 0) {
      slot.ready = true;
      batch_waits.notify_one();
    }
    if (active == 0) idle_waits.notify_one();
  }
}

void Loader::State::fill(Slot& slot, std::int64_t begin, std::int64_t finish, std::byte* scratch) const {
  for (std::int64_t place = begin; place < finish; ++place) {
    const std::int64_t sample = order[static_cast<std::size_t>(slot.first + place)];
    std::byte* pixels = slot.images.data() + place * sample_bytes;
    data->read_image(sample, pixels);
    if (augmenter.active()) augmenter.apply(augment_key, sample, pixels, scratch);
    fill_label(slot, place, sample);
  }
}

void Loader::State::fill_label(Slot& slot, std::int64_t place, std::int64_t sample) const {
  const std::int64_t width = options.row_width;
  if (width == 0) {
    slot.labels[static_cast<std::size_t>(place)] = static_cast<std::int32_t>(data->label(sample));
    return;
  }
  float* row = slot.rows.data() + place * width;
  if (data->info().labels == LabelKind::rows) {
    data->read_row(sample, row);
    return;
  }
  const std::int64_t label = data->label(sample);
  if (width == 1) {
    *row = static_cast<float>(label);
    return;
  }
  if (label >= width) {
    throw Error(
        data_finding(FileUse::labels, DataFault::large_label, data->label_where(sample),
                     fmt::format("label {} does not fit a row of {} classes (0 to {})", label, width, width - 1),
                     fmt::format("{{ dense = {} }}", label + 1)));
  }
  std::fill_n(row, width, 0.0F);
  row[label] = 1;
}

Loader::Loader(std::shared_ptr<const Dataset> data, LoaderOptions options)
    : state_(std::make_unique<State>(std::move(data), std::move(options))) {}

Loader::~Loader() = default;

std::int64_t Loader::batches_per_epoch() const {
  const std::int64_t samples = std::ssize(state_->order);
  const std::int64_t batch = state_->options.batch;
  return state_->options.drop_last ? samples / batch : (samples + batch - 1) / batch;
}

void Loader::start_epoch(std::int64_t epoch, std::int64_t first_batch) {
  State& state = *state_;
  ensure(first_batch >= 0 && first_batch <= batches_per_epoch(), "an epoch begins at one of its batches");
  std::unique_lock lock(state.mutex);
  state.end = 0;  // no piece is taken any more; those in work are let finish
  state.idle_waits.wait(lock, [&state] { return state.active == 0; });
  fill_order(state.order, state.options.shuffle, state.options.seed, epoch);
  state.augment_key = random_key(state.options.seed, RandomStream::augmentation, static_cast<std::uint64_t>(epoch));
  for (Slot& slot : state.slots) {
    slot.ready = false;
    slot.error = nullptr;
  }
  state.released = state.next = state.filling = first_batch;
  state.piece = 0;
  state.waited = 0;
  state.end = batches_per_epoch();
  lock.unlock();
  state.work_waits.notify_all();
}

const Batch* Loader::next() {
  State& state = *state_;
  std::unique_lock lock(state.mutex);
  if (state.released < state.next) {
    state.released = state.next;
    state.work_waits.notify_all();
  }
  if (state.next >= state.end) return nullptr;
  Slot& slot = state.slots[static_cast<std::size_t>(state.next % std::ssize(state.slots))];
  // The slot may still hold the batch of the round before: it counts only once workers have begun this one.
  const auto filled = [&] { return slot.ready && slot.first == state.next * state.options.batch; };
  if (!filled()) {
    const auto begin = std::chrono::steady_clock::now();
    state.batch_waits.wait(lock, filled);
    state.waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  ++state.next;
  if (slot.error) std::rethrow_exception(slot.error);
  const auto count = static_cast<std::size_t>(slot.batch.count);
  slot.batch.images = std::span(slot.images).first(count * static_cast<std::size_t>(state.sample_bytes));
  slot.batch.labels = std::span(slot.labels).first(slot.labels.empty() ? 0 : count);
  slot.batch.rows = std::span(slot.rows).first(count * static_cast<std::size_t>(state.options.row_width));
  slot.batch.samples = std::span(state.order).subspan(static_cast<std::size_t>(slot.first), count);
  return &slot.batch;
}

double Loader::waited_seconds() const {
  const std::lock_guard lock(state_->mutex);
  return state_->waited;
}

std::int64_t Loader::ring_bytes(const DatasetInfo& info, const LoaderOptions& options) {
  const std::int64_t sample = image_bytes(info);
  const std::int64_t label = options.row_width > 0 ? options.row_width * 4 : 4;
  const std::int64_t scratch = options.augment.empty() ? 0 : worker_count(options.workers) * sample;
  return options.ring * options.batch * (sample + label) + info.samples * 8 + scratch;
}

}  // namespace snug
