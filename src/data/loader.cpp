#include "data/loader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
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

constexpr std::int64_t kPage = 4096;

/// Whether samples are decoded, and not only copied or named.
bool decodes(const DatasetInfo& info, const LoaderOptions& options) { return info.reader_bytes > 0 && !options.places; }

/// Samples that a worker takes at a time: the lock is rare, small batches still share. Pictures are work enough.
std::int64_t piece_size(const DatasetInfo& info, const LoaderOptions& options) {
  return decodes(info, options) ? 8 : 64;
}

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

/// What `workers = 0` means. Copying bytes is light, and the cores are for the training; decoding pictures is not.
int worker_count(const DatasetInfo& info, const LoaderOptions& options) {
  if (options.workers > 0) return options.workers;
  const unsigned cores = std::thread::hardware_concurrency();
  return static_cast<int>(decodes(info, options) ? std::clamp(cores / 2, 1U, 8U) : std::clamp(cores / 4, 1U, 4U));
}

std::int64_t whole_pages(std::int64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

/// Memory that begins at a page: what a device copies from best.
class PageBuffer {
 public:
  PageBuffer() = default;
  explicit PageBuffer(std::int64_t bytes) {
    bytes_.reset(static_cast<std::byte*>(std::aligned_alloc(kPage, static_cast<std::size_t>(whole_pages(bytes)))));
    if (bytes_ == nullptr) throw std::bad_alloc();
  }
  [[nodiscard]] std::byte* data() const { return bytes_.get(); }
  [[nodiscard]] std::span<std::byte> first(std::size_t count) const { return {bytes_.get(), count}; }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<std::byte, Free> bytes_;
};

/// Samples by class, for drawing classes evenly.
struct ClassLists {
  std::vector<std::vector<std::int64_t>> samples;  ///< of each class that has any
};

ClassLists list_classes(const Dataset& data) {
  ClassLists lists;
  lists.samples.resize(std::max<std::size_t>(1, data.info().classes.size()));
  std::int64_t sample = 0;
  for (const std::int64_t label : class_numbers(data)) {
    if (std::cmp_greater_equal(label, lists.samples.size())) lists.samples.resize(static_cast<std::size_t>(label) + 1);
    lists.samples[static_cast<std::size_t>(label)].push_back(sample++);
  }
  std::erase_if(lists.samples, [](const auto& list) { return list.empty(); });
  return lists;
}

void shuffle(std::vector<std::int64_t>& list, Random& random) {
  for (std::size_t i = list.size(); i > 1; --i) {
    std::swap(list[i - 1], list[random.below(static_cast<std::uint32_t>(i))]);
  }
}

/// As many samples as ever; each comes of a class drawn evenly, and a class gives all of its samples before one again.
void fill_evenly(std::vector<std::int64_t>& order, ClassLists& lists, std::uint64_t seed, std::int64_t epoch) {
  Random random(random_key(seed, RandomStream::shuffle, ~static_cast<std::uint64_t>(epoch)));
  std::vector<std::size_t> places(lists.samples.size());
  for (auto& list : lists.samples) {
    std::ranges::sort(list);  // whatever epochs came before
    shuffle(list, random);
  }
  for (std::int64_t& sample : order) {
    const std::size_t which = random.below(static_cast<std::uint32_t>(lists.samples.size()));
    std::vector<std::int64_t>& list = lists.samples[which];
    if (places[which] == list.size()) {
      shuffle(list, random);
      places[which] = 0;
    }
    sample = list[places[which]++];
  }
}

/// One batch of the ring.
struct Slot {
  PageBuffer images;
  std::vector<SamplePlace> places;  ///< instead of images
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
  void mix_batch(Slot& slot) const;

  std::shared_ptr<const Dataset> data;
  LoaderOptions options;
  Augmenter augmenter;
  std::int64_t sample_bytes;
  std::int64_t piece_samples;
  std::vector<std::int64_t> order;
  ClassLists classes;  ///< with even_classes
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
      piece_samples(piece_size(data->info(), options)),
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
  ensure(!augmenter.mixes() || options.row_width > 0, "mixed labels are rows");
  ensure(!options.places || not_placed(options.augment).empty(), "what cannot be placed was refused");
  if (options.even_classes) classes = list_classes(*data);
  slots.resize(static_cast<std::size_t>(options.ring));
  for (Slot& slot : slots) {
    if (options.places) {
      slot.places.resize(static_cast<std::size_t>(options.batch));
    } else {
      slot.images = PageBuffer(options.batch * sample_bytes);
    }
    if (options.row_width > 0) {
      slot.rows.resize(static_cast<std::size_t>(options.batch * options.row_width));
    } else {
      slot.labels.resize(static_cast<std::size_t>(options.batch));
    }
  }
  for (int worker = 0; worker < worker_count(info, options); ++worker) workers.emplace_back([this] { work(); });
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
  std::vector<std::byte> scratch(augmenter.active() && !options.places ? static_cast<std::size_t>(sample_bytes) : 0);
  std::unique_lock lock(mutex);
  for (;;) {
    work_waits.wait(lock, [this] { return stop || has_work(); });
    if (stop) return;
    Slot& slot = slots[static_cast<std::size_t>(filling % std::ssize(slots))];
    if (piece == 0) {
      slot.first = filling * options.batch;
      slot.batch.count = std::min(options.batch, std::ssize(order) - slot.first);
      slot.pieces_left = (slot.batch.count + piece_samples - 1) / piece_samples;
      slot.ready = false;
      slot.error = nullptr;
    }
    const std::int64_t begin = piece * piece_samples;
    const std::int64_t finish = std::min(begin + piece_samples, slot.batch.count);
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
    if (error && !slot.error) slot.error = error;
    const bool last = --slot.pieces_left == 0;
    if (last && !slot.error && augmenter.mixes()) {
      lock.unlock();  // the batch is this worker's alone now
      mix_batch(slot);
      lock.lock();
    }
    --active;
    if (last) {
      slot.ready = true;
      batch_waits.notify_one();
    }
    if (active == 0) idle_waits.notify_one();
  }
}

void Loader::State::fill(Slot& slot, std::int64_t begin, std::int64_t finish, std::byte* scratch) const {
  for (std::int64_t place = begin; place < finish; ++place) {
    const std::int64_t sample = order[static_cast<std::size_t>(slot.first + place)];
    if (options.places) {
      slot.places[static_cast<std::size_t>(place)] = augmenter.place(augment_key, sample);
    } else {
      augmenter.read(*data, augment_key, sample, slot.images.data() + place * sample_bytes, scratch);
    }
    fill_label(slot, place, sample);
  }
}

/// What is done to a batch as a whole.
void Loader::State::mix_batch(Slot& slot) const {
  const auto count = static_cast<std::size_t>(slot.batch.count);
  augmenter.mix(augment_key, slot.first / options.batch,
                slot.images.first(count * static_cast<std::size_t>(sample_bytes)),
                std::span(slot.rows).first(count * static_cast<std::size_t>(options.row_width)), slot.batch.count);
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
  if (state.options.even_classes) {
    fill_evenly(state.order, state.classes, state.options.seed, epoch);
  } else {
    fill_order(state.order, state.options.shuffle, state.options.seed, epoch);
  }
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
  if (state.options.places) {
    slot.batch.places = std::span(slot.places).first(count);
  } else {
    slot.batch.images = slot.images.first(count * static_cast<std::size_t>(state.sample_bytes));
  }
  slot.batch.labels = std::span(slot.labels).first(slot.labels.empty() ? 0 : count);
  slot.batch.rows = std::span(slot.rows).first(count * static_cast<std::size_t>(state.options.row_width));
  slot.batch.samples = std::span(state.order).subspan(static_cast<std::size_t>(slot.first), count);
  return &slot.batch;
}

double Loader::waited_seconds() const {
  const std::lock_guard lock(state_->mutex);
  return state_->waited;
}

int Loader::workers() const { return static_cast<int>(state_->workers.size()); }

std::int64_t Loader::ring_bytes(const DatasetInfo& info, const LoaderOptions& options) {
  const bool placed = options.places;
  const std::int64_t sample = placed ? static_cast<std::int64_t>(sizeof(SamplePlace)) : image_bytes(info);
  const std::int64_t labels = options.batch * (options.row_width > 0 ? options.row_width * 4 : 4);
  const std::int64_t worker = placed ? 0 : (options.augment.empty() ? 0 : sample) + info.reader_bytes;
  const std::int64_t order = info.samples * 8 * (options.even_classes ? 2 : 1);
  return options.ring * (whole_pages(options.batch * sample) + labels) + order + worker_count(info, options) * worker;
}

}  // namespace snug
