#include "data/loader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <set>
#include <thread>

#include "base/rng.h"
#include "data/augment.h"
#include "data/files.h"

namespace snug {
namespace {

/// Images of h×w×c where pixel i of sample n is (n + i) mod 256; the label is n.
class Ramp final : public Dataset {
 public:
  Ramp(std::int64_t samples, const Shape& image) {
    info_.samples = samples;
    info_.image = image;
  }
  [[nodiscard]] const DatasetInfo& info() const override { return info_; }
  void read_image(std::int64_t sample, std::byte* pixels) const override {
    if (sample == bad) throw Error(Diagnostic{"D999", Severity::error, where(sample), "damaged", "mend it"});
    for (std::int64_t i = 0; i < info_.image.elements(); ++i) pixels[i] = static_cast<std::byte>((sample + i) % 256);
  }
  [[nodiscard]] std::int64_t label(std::int64_t sample) const override { return sample; }
  void read_row(std::int64_t sample, float* row) const override {
    for (std::int64_t k = 0; k < info_.label_width; ++k) row[k] = static_cast<float>(sample * 10 + k);
  }
  [[nodiscard]] std::string where(std::int64_t sample) const override { return "ramp[" + std::to_string(sample) + "]"; }

  DatasetInfo info_;
  std::atomic<std::int64_t> bad = -1;  ///< the sample that cannot be read
};

std::shared_ptr<Ramp> ramp(std::int64_t samples = 1000, const Shape& image = {6, 6, 3}) {
  return std::make_shared<Ramp>(samples, image);
}

const std::vector<Augmentation> kAugment{{.where = {}, .what = RandomCrop{.size = 6, .pad = 2}},
                                         {.where = {}, .what = Flip{.probability = 0.5}}};

/// Everything that an epoch delivers, as one string of bytes.
std::string epoch_bytes(Loader& loader, std::int64_t epoch, std::int64_t first_batch = 0) {
  std::string bytes;
  loader.start_epoch(epoch, first_batch);
  while (const Batch* batch = loader.next()) {
    bytes.append(reinterpret_cast<const char*>(batch->images.data()), batch->images.size());
    bytes.append(reinterpret_cast<const char*>(batch->labels.data()), batch->labels.size_bytes());
    bytes.append(reinterpret_cast<const char*>(batch->rows.data()), batch->rows.size_bytes());
  }
  return bytes;
}

TEST(Order, IsAPermutationOfSeedAndEpoch) {
  const auto order = epoch_order(1000, true, 5, 2);
  EXPECT_EQ(std::set<std::int64_t>(order.begin(), order.end()).size(), 1000U);
  EXPECT_EQ(*std::ranges::max_element(order), 999);
  EXPECT_EQ(order, epoch_order(1000, true, 5, 2));
  EXPECT_NE(order, epoch_order(1000, true, 5, 3));
  EXPECT_NE(order, epoch_order(1000, true, 6, 2));
  std::vector<std::int64_t> plain(1000);
  std::iota(plain.begin(), plain.end(), 0);
  EXPECT_EQ(epoch_order(1000, false, 5, 2), plain);
  EXPECT_NE(order, plain);
}

TEST(Order, IsUniform) {
  // Where sample 0 of 4 lands, over many epochs: each place about a quarter of the time (5 deviations: 137 of 4000).
  std::array<int, 4> landed{};
  for (std::int64_t epoch = 0; epoch < 4000; ++epoch) {
    const auto order = epoch_order(4, true, 1, epoch);
    ++landed[static_cast<std::size_t>(std::ranges::find(order, 0) - order.begin())];
  }
  for (const int count : landed) EXPECT_NEAR(count, 1000, 137);
}

TEST(Loader, DeliversEverySampleInOrder) {
  Loader loader(ramp(), {.batch = 64, .shuffle = true, .seed = 3, .workers = 2});
  const auto order = epoch_order(1000, true, 3, 1);
  loader.start_epoch(1);
  EXPECT_EQ(loader.batches_per_epoch(), 16);
  std::size_t place = 0;
  while (const Batch* batch = loader.next()) {
    ASSERT_EQ(batch->count, place == 960 ? 40 : 64);
    ASSERT_EQ(batch->images.size(), static_cast<std::size_t>(batch->count) * 108);
    for (std::int64_t i = 0; i < batch->count; ++i, ++place) {
      const auto at = static_cast<std::size_t>(i);
      ASSERT_EQ(batch->samples[at], order[place]);
      ASSERT_EQ(batch->labels[at], order[place]);
      ASSERT_EQ(batch->images[at * 108 + 107], static_cast<std::byte>((order[place] + 107) % 256));
    }
  }
  EXPECT_EQ(place, 1000U);
  EXPECT_EQ(loader.next(), nullptr);
  EXPECT_GE(loader.waited_seconds(), 0);
}

TEST(Loader, GivesTheSameBytesWithAnyNumberOfWorkers) {
  for (const auto& augment : {std::vector<Augmentation>{}, kAugment}) {
    std::string one;
    for (const int workers : {1, 2, 8}) {
      Loader loader(ramp(), {.batch = 100, .shuffle = true, .seed = 9, .workers = workers, .augment = augment});
      const std::string bytes = epoch_bytes(loader, 0) + epoch_bytes(loader, 1);
      if (workers == 1) one = bytes;
      EXPECT_TRUE(bytes == one) << workers;
    }
  }
}

TEST(Loader, NamesPlacesInsteadOfImages) {
  LoaderOptions options{.batch = 96, .shuffle = true, .seed = 5, .workers = 2, .augment = kAugment};
  Loader images(ramp(), options);
  options.places = true;
  Loader places(ramp(), options);
  const Augmenter augmenter(kAugment, ramp()->info().image, DType::u8);
  const std::uint64_t key = random_key(5, RandomStream::augmentation, 3);
  for (Loader* loader : {&images, &places}) loader->start_epoch(3);
  while (const Batch* with = images.next()) {
    const Batch* named = places.next();
    ASSERT_NE(named, nullptr);
    ASSERT_EQ(named->count, with->count);
    EXPECT_TRUE(named->images.empty());
    EXPECT_TRUE(with->places.empty());
    ASSERT_EQ(std::ssize(named->places), named->count);
    EXPECT_TRUE(std::ranges::equal(named->labels, with->labels));
    for (std::size_t i = 0; i < named->places.size(); ++i)
      EXPECT_EQ(named->places[i], augmenter.place(key, with->samples[i]));
  }
  EXPECT_EQ(places.next(), nullptr);
  EXPECT_EQ(Loader::ring_bytes(ramp()->info(), options), 3 * (4096 + 96 * 4) + 1000 * 8) << "a page of places";
}

TEST(Loader, GoesOnWithinAnEpochAsIfItHadNotStopped) {
  const LoaderOptions options{.batch = 48, .shuffle = true, .seed = 2, .workers = 2, .augment = kAugment};
  Loader whole(ramp(), options);
  epoch_bytes(whole, 3);
  const std::string all = epoch_bytes(whole, 4);
  for (const std::int64_t first : {0, 1, 7, 20, 21}) {
    Loader resumed(ramp(), options);
    const auto skipped = static_cast<std::size_t>(std::min<std::int64_t>(first * 48, 1000) * (108 + 4));
    EXPECT_TRUE(epoch_bytes(resumed, 4, first) == all.substr(skipped)) << first;
  }
}

TEST(Loader, BeginsAnewInTheMiddleOfAnEpoch) {
  Loader loader(ramp(), {.batch = 10, .shuffle = true, .workers = 3});
  const std::string whole = epoch_bytes(loader, 0);
  for (int round = 0; round < 50; ++round) {
    loader.start_epoch(round);
    for (int batch = 0; batch < round % 5; ++batch) ASSERT_NE(loader.next(), nullptr);
  }
  EXPECT_TRUE(epoch_bytes(loader, 0) == whole);
}

TEST(Loader, DropsThePartialBatchWhenAsked) {
  Loader loader(ramp(), {.batch = 300, .drop_last = true});
  EXPECT_EQ(loader.batches_per_epoch(), 3);
  loader.start_epoch(0);
  int batches = 0;
  for (; const Batch* batch = loader.next(); ++batches) EXPECT_EQ(batch->count, 300);
  EXPECT_EQ(batches, 3);
  Loader none(ramp(10), {.batch = 11, .drop_last = true});
  none.start_epoch(0);
  EXPECT_EQ(none.next(), nullptr);
}

TEST(Loader, KeepsABatchUntilTheNextCall) {
  Loader loader(ramp(), {.batch = 10, .workers = 2, .ring = 2});
  loader.start_epoch(0);
  for (std::int64_t n = 0; const Batch* batch = loader.next(); ++n) {
    if (n % 10 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // workers run as far ahead as they may
    for (std::size_t i = 0; i < 10; ++i) {
      ASSERT_EQ(batch->labels[i], n * 10 + static_cast<std::int64_t>(i));
      ASSERT_EQ(batch->images[i * 108], static_cast<std::byte>(batch->labels[i] % 256));
    }
  }
}

TEST(Loader, MakesRowsOfLabels) {
  struct Case {
    LabelKind kind;
    std::int64_t width;
    std::vector<float> rows;  ///< of the two samples
  };
  const std::vector<Case> cases{{LabelKind::numbers, 3, {1, 0, 0, 0, 1, 0}},
                                {LabelKind::numbers, 1, {0, 1}},
                                {LabelKind::rows, 2, {0, 1, 10, 11}}};
  for (const Case& c : cases) {
    const auto data = ramp(2);
    data->info_.labels = c.kind;
    data->info_.label_width = c.kind == LabelKind::rows ? c.width : 1;
    Loader loader(data, {.batch = 2, .row_width = c.width});
    loader.start_epoch(0);
    const Batch* batch = loader.next();
    ASSERT_NE(batch, nullptr);
    EXPECT_EQ(std::vector<float>(batch->rows.begin(), batch->rows.end()), c.rows);
    EXPECT_TRUE(batch->labels.empty());
  }
}

TEST(Loader, RefusesLabelsThatDoNotFit) {
  const auto rows = ramp(2);
  rows->info_.labels = LabelKind::rows;
  rows->info_.label_width = 4;
  expect_finding(findings_of([&] { Loader(rows, {.batch = 2}); }),
                 {"L123", "ramp[0]", {"rows of 4", "class numbers"}, "loss"});
  expect_finding(findings_of([&] { Loader(rows, {.batch = 2, .row_width = 3}); }),
                 {"L123", "ramp[0]", {"4", "3"}, "dense = 4"});
  Loader loader(ramp(5), {.batch = 2, .row_width = 3});
  loader.start_epoch(0);
  EXPECT_NE(loader.next(), nullptr);
  expect_finding(findings_of([&] { return loader.next(); }),
                 {"L122", "ramp[3]", {"label 3", "3 classes"}, "dense = 4"});
}

TEST(Loader, HandsOnWhatAReaderThrows) {
  for (const int workers : {1, 4}) {
    const auto data = ramp();
    data->bad = 333;
    Loader loader(data, {.batch = 100, .workers = workers});
    loader.start_epoch(0);
    for (int batch = 0; batch < 3; ++batch) ASSERT_NE(loader.next(), nullptr);
    expect_finding(findings_of([&] { return loader.next(); }), {"D999", "ramp[333]", {"damaged"}, "mend it"});
    data->bad = -1;
    loader.start_epoch(0);
    int batches = 0;
    while (loader.next() != nullptr) ++batches;
    EXPECT_EQ(batches, 10);
  }
}

TEST(Loader, DrawsClassesEvenly) {
  // Nine samples of class 0, one of class 1.
  class Rare final : public Dataset {
   public:
    Rare() {
      info_.samples = 1000;
      info_.image = Shape{2, 2, 1};
      info_.classes = {"often", "rare"};
    }
    [[nodiscard]] const DatasetInfo& info() const override { return info_; }
    void read_image(std::int64_t, std::byte* pixels) const override { std::fill_n(pixels, 4, std::byte{0}); }
    [[nodiscard]] std::int64_t label(std::int64_t sample) const override { return sample % 10 == 0 ? 1 : 0; }
    void read_row(std::int64_t, float*) const override {}
    [[nodiscard]] std::string where(std::int64_t) const override { return "rare"; }

   private:
    DatasetInfo info_;
  };
  Loader loader(std::make_shared<Rare>(), {.batch = 100, .seed = 3, .workers = 2, .even_classes = true});
  const auto samples = [&](std::int64_t epoch, std::int64_t first) {
    std::vector<std::int64_t> all;
    loader.start_epoch(epoch, first);
    while (const Batch* batch = loader.next()) all.insert(all.end(), batch->samples.begin(), batch->samples.end());
    return all;
  };
  const auto epoch = samples(2, 0);
  ASSERT_EQ(epoch.size(), 1000U);
  EXPECT_NEAR(std::ranges::count_if(epoch, [](std::int64_t sample) { return sample % 10 == 0; }), 500, 60);
  // A class gives all of its samples before one comes again: every rare one five times or so.
  for (std::int64_t sample = 0; sample < 1000; sample += 10) {
    EXPECT_NEAR(static_cast<double>(std::ranges::count(epoch, sample)), 5, 1.5) << sample;
  }
  EXPECT_NE(samples(3, 0), epoch);
  // The same order again, and from the middle on, whatever came before.
  const auto rest = samples(2, 4);
  EXPECT_TRUE(std::ranges::equal(rest, std::span(epoch).subspan(400)));
}

TEST(Loader, CountsItsMemory) {
  const auto data = ramp();
  EXPECT_EQ(Loader::ring_bytes(data->info(), {.batch = 10, .ring = 3}), 3 * (4096 + 10 * 4) + 8000);
  EXPECT_EQ(
      Loader::ring_bytes(data->info(), {.batch = 10, .workers = 2, .ring = 3, .augment = kAugment, .row_width = 5}),
      3 * (4096 + 10 * 20) + 8000 + 2 * 108);
}

// ---- augmentation ---------------------------------------------------------------------------------------------

/// The pixels of a ramp's sample after one augmentation, by plain formula: `from` gives the source of (y, x), or
/// nothing.
template <class From>
std::vector<std::byte> moved(const Ramp& data, std::int64_t sample, From from) {
  const Shape& image = data.info().image;
  std::vector<std::byte> in(static_cast<std::size_t>(image.elements()));
  std::vector<std::byte> out(in.size());
  data.read_image(sample, in.data());
  for (std::int64_t y = 0; y < image[0]; ++y) {
    for (std::int64_t x = 0; x < image[1]; ++x) {
      const auto [sy, sx] = from(y, x);
      const bool inside = sy >= 0 && sy < image[0] && sx >= 0 && sx < image[1];
      for (std::int64_t c = 0; c < image[2]; ++c) {
        const auto to = static_cast<std::size_t>((y * image[1] + x) * image[2] + c);
        out[to] = inside ? in[static_cast<std::size_t>((sy * image[1] + sx) * image[2] + c)] : std::byte{0};
      }
    }
  }
  return out;
}

using Images = std::vector<std::vector<std::byte>>;

Images delivered(const std::shared_ptr<Ramp>& data, const Augmentation& augmentation, std::int64_t epoch = 0) {
  Loader loader(data, {.batch = 50, .seed = 4, .augment = {augmentation}});
  loader.start_epoch(epoch);
  Images images;
  const auto bytes = static_cast<std::size_t>(data->info().image.elements());
  while (const Batch* batch = loader.next()) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(batch->count); ++i) {
      const auto image = batch->images.subspan(i * bytes, bytes);
      images.emplace_back(image.begin(), image.end());
    }
  }
  return images;
}

TEST(Augment, FlipsAboutAsOftenAsAsked) {
  for (const bool vertical : {false, true}) {
    const auto data = ramp(1000, {5, 6, 3});
    const Images images = delivered(data, {.where = {}, .what = Flip{.probability = 0.3, .vertical = vertical}});
    int flipped = 0;
    for (std::int64_t n = 0; n < 1000; ++n) {
      const auto same = moved(*data, n, [](auto y, auto x) { return std::pair(y, x); });
      const auto turned = moved(*data, n, [&](std::int64_t y, std::int64_t x) {
        return vertical ? std::pair(4 - y, x) : std::pair(y, 5 - x);
      });
      const auto& image = images[static_cast<std::size_t>(n)];
      ASSERT_TRUE(image == same || image == turned) << n;
      flipped += image == turned ? 1 : 0;
    }
    EXPECT_NEAR(flipped, 300, 73);  // 5 deviations
  }
}

TEST(Augment, CropsEveryShiftEquallyOften) {
  for (const bool reflect : {false, true}) {
    const auto data = ramp(2500);
    const Images images = delivered(data, {.where = {}, .what = RandomCrop{.size = 6, .pad = 2, .reflect = reflect}});
    std::map<std::pair<int, int>, int> shifts;
    const auto mirrored = [](std::int64_t i) { return i < 0 ? -i : i > 5 ? 10 - i : i; };
    for (std::int64_t n = 0; n < 2500; ++n) {
      int matches = 0;
      for (int dy = -2; dy <= 2; ++dy) {
        for (int dx = -2; dx <= 2; ++dx) {
          const auto expected = moved(*data, n, [&](std::int64_t y, std::int64_t x) {
            return reflect ? std::pair(mirrored(y + dy), mirrored(x + dx)) : std::pair(y + dy, x + dx);
          });
          if (images[static_cast<std::size_t>(n)] != expected) continue;
          ++matches;
          ++shifts[{dy, dx}];
        }
      }
      ASSERT_EQ(matches, 1) << n;
    }
    EXPECT_EQ(shifts.size(), 25U);
    for (const auto& [shift, count] : shifts) EXPECT_NEAR(count, 100, 50) << shift.first << ' ' << shift.second;
  }
}

TEST(Augment, ChangesFromEpochToEpoch) {
  const auto data = ramp(100);
  EXPECT_NE(delivered(data, kAugment[0], 0), delivered(data, kAugment[0], 1));
  EXPECT_EQ(delivered(data, kAugment[0], 1), delivered(data, kAugment[0], 1));
}

TEST(Augment, RefusesWhatDoesNotFit) {
  const Position where{.file = "c.toml", .line = 7, .column = 12};
  struct Case {
    std::variant<RandomCrop, RandomResizedCrop, Flip, Rotate, ColorJitter, RandAugment, Erase, Mix> what;
    Expected expected;
  };
  const std::vector<Case> cases{
      {RandomCrop{.size = 5, .pad = 1}, {"D116", "c.toml:7:12", {"5×5", "6×6"}, "random_crop = 6"}},
      {RandomCrop{.size = 6, .pad = 7}, {"D116", "c.toml:7:12", {"pad = 7", "6 pixels"}, "pad = "}},
      {RandomCrop{.size = 6, .pad = 6, .reflect = true}, {"D116", "c.toml:7:12", {"pad = 6", "at most 5"}, "pad = 5"}},
      {RandomResizedCrop{5}, {"D116", "c.toml:7:12", {"5×5", "6×6"}, "random_resized_crop = 6"}},
  };
  for (const Case& c : cases) {
    expect_finding(findings_of([&] { Loader(ramp(), {.batch = 2, .augment = {{where, c.what}}}); }), c.expected);
  }
}

}  // namespace
}  // namespace snug
