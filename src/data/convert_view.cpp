// data.resize and data.gray_to_rgb for images of one size (arrays), and decoded images that are kept in memory.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>
#include <utility>

#include "data/wrapper.h"

namespace snug {

namespace {

class Converted final : public Wrapper {
 public:
  Converted(SourcePointer base, const Shape& image, const Box& box, ResizeFilter filter)
      : Wrapper(std::move(base)), source_(base_->info().image), box_(box), filter_(filter) {
    info_.image = image;
    info_.reader_bytes += 2 * (source_.elements() + image.elements()) * size_bytes(info_.dtype);
  }

  void read_image(std::int64_t sample, std::byte* pixels) const override {
    thread_local std::vector<std::byte> whole, part;
    thread_local ResizeScratch scratch;
    const auto element = static_cast<std::size_t>(size_bytes(info_.dtype));
    const std::int64_t channels = source_[2];
    whole.resize(static_cast<std::size_t>(source_.elements()) * element);
    part.resize(static_cast<std::size_t>(info_.image[0] * info_.image[1] * channels) * element);
    base_->read_image(at(sample), whole.data());
    const bool spread = channels != info_.image[2];
    std::byte* out = spread ? part.data() : pixels;
    if (info_.dtype == DType::u8) {
      resize_box(reinterpret_cast<const std::uint8_t*>(whole.data()), source_[0], source_[1], channels, box_, filter_,
                 reinterpret_cast<std::uint8_t*>(out), info_.image[0], info_.image[1], scratch);
    } else {
      resize_box(reinterpret_cast<const float*>(whole.data()), source_[0], source_[1], channels, box_, filter_,
                 reinterpret_cast<float*>(out), info_.image[0], info_.image[1], scratch);
    }
    if (!spread) return;
    for (std::int64_t i = 0; i < info_.image[0] * info_.image[1]; ++i) {
      for (std::int64_t c = 0; c < 3; ++c) {
        std::memcpy(pixels + static_cast<std::size_t>(3 * i + c) * element,
                    part.data() + static_cast<std::size_t>(i) * element, element);
      }
    }
  }

 private:
  Shape source_;
  Box box_;
  ResizeFilter filter_;
};

/// Keeps every image that was read once. Memory is taken page by page as images come.
class Kept final : public Wrapper {
 public:
  explicit Kept(SourcePointer base) : Wrapper(std::move(base)), states_(static_cast<std::size_t>(info_.samples)) {
    image_bytes_ = static_cast<std::size_t>(info_.image.elements() * size_bytes(info_.dtype));
    size_ = image_bytes_ * states_.size();
    // Addresses alone: what does not fit is the plan's to refuse, with numbers.
    void* place = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place != MAP_FAILED) bytes_ = static_cast<std::byte*>(place);
    info_.resident_bytes += static_cast<std::int64_t>(size_ + states_.size());
  }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  ~Kept() override {
    if (bytes_ != nullptr) ::munmap(bytes_, size_);
  }

  void read_image(std::int64_t sample, std::byte* pixels) const override {
    const auto index = static_cast<std::size_t>(sample);
    std::atomic<State>& state = states_[index];
    std::byte* place = bytes_ == nullptr ? nullptr : bytes_ + index * image_bytes_;
    if (place != nullptr && state.load(std::memory_order_acquire) == State::ready) {
      std::memcpy(pixels, place, image_bytes_);
      return;
    }
    base_->read_image(sample, pixels);
    State empty = State::empty;
    if (place == nullptr || !state.compare_exchange_strong(empty, State::filling)) return;
    std::memcpy(place, pixels, image_bytes_);
    state.store(State::ready, std::memory_order_release);
  }

 private:
  enum class State : std::uint8_t { empty, filling, ready };
  mutable std::vector<std::atomic<State>> states_;
  std::byte* bytes_ = nullptr;
  std::size_t image_bytes_ = 0, size_ = 0;
};

}  // namespace

SourcePointer make_converted(SourcePointer base, const DataConfig& config, const InputSize& input) {
  const Shape& source = base->info().image;
  const bool spread = config.gray_to_rgb && source[2] == 1;
  if (config.resize.empty() && !spread) return base;
  Box box{0, 0, static_cast<double>(source[0]), static_cast<double>(source[1])};
  Shape image{source[0], source[1], spread ? 3 : source[2]};
  if (config.resize.size() == 2) {
    image = {config.resize[0], config.resize[1], image[2]};
  } else if (config.resize.size() == 1) {
    const PictureSize all = resized_size_of({source[0], source[1]}, config.resize);
    const std::int64_t height = input[0] > 0 ? std::min(input[0], all.height) : config.resize[0];
    const std::int64_t width = input[0] > 0 ? std::min(input[1], all.width) : config.resize[0];
    box = center_box({source[0], source[1]}, all, height, width);
    image = {height, width, image[2]};
  }
  return std::make_shared<Converted>(std::move(base), image, box,
                                     config.resize_bicubic ? ResizeFilter::bicubic : ResizeFilter::bilinear);
}

SourcePointer make_kept(SourcePointer base) { return std::make_shared<Kept>(std::move(base)); }

PictureSize resized_size_of(const PictureSize& size, const std::vector<std::int64_t>& resize) {
  if (resize.empty()) return size;
  if (resize.size() == 2) return {resize[0], resize[1]};
  const std::int64_t side = resize[0];
  if (size.height <= size.width) return {side, std::max<std::int64_t>(side, side * size.width / size.height)};
  return {std::max<std::int64_t>(side, side * size.height / size.width), side};
}

Box center_box(const PictureSize& whole, const PictureSize& resized, std::int64_t height, std::int64_t width) {
  const double down = static_cast<double>(whole.height) / static_cast<double>(resized.height);
  const double across = static_cast<double>(whole.width) / static_cast<double>(resized.width);
  // To whole pixels of the resized picture, halves to even.
  const double top = std::nearbyint(static_cast<double>(resized.height - height) / 2);
  const double left = std::nearbyint(static_cast<double>(resized.width - width) / 2);
  return {top * down, left * across, static_cast<double>(height) * down, static_cast<double>(width) * across};
}

}  // namespace snug
