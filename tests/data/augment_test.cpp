// What augmentations do to pixels and labels; that bits repeat is tested with the loader.
#include "data/augment.h"

#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "base/sample_place.h"
#include "data/pictures.h"

namespace snug {
namespace {

using What = std::variant<RandomCrop, RandomResizedCrop, Flip, Rotate, ColorJitter, RandAugment, Erase, Mix>;

const Shape kImage{24, 24, 3};

std::vector<std::uint8_t> applied(const What& what, std::vector<std::uint8_t> pixels, std::int64_t sample) {
  const Augmenter augmenter({{.where = {}, .what = what}}, kImage, DType::u8);
  std::vector<std::byte> scratch(pixels.size());
  augmenter.apply(random_key(1, RandomStream::augmentation, 0), sample, reinterpret_cast<std::byte*>(pixels.data()),
                  scratch.data());
  return pixels;
}

double mean(const std::vector<std::uint8_t>& pixels) {
  return std::accumulate(pixels.begin(), pixels.end(), 0.0) / static_cast<double>(pixels.size());
}

TEST(Augment, OfNoStrengthChangesNothing) {
  const auto pixels = generated(24, 24).pixels;
  for (const What& what : std::vector<What>{Rotate{0}, ColorJitter{0, 0, 0, 0}, Erase{0}, Flip{0}}) {
    for (std::int64_t sample = 0; sample < 5; ++sample)
      EXPECT_EQ(applied(what, pixels, sample), pixels) << what.index();
  }
}

TEST(Augment, OfStrengthChangesAndDiffersFromSampleToSample) {
  const auto pixels = generated(24, 24).pixels;
  for (const What& what :
       std::vector<What>{Rotate{30}, ColorJitter{0.5, 0.5, 0.5, 0.2}, RandomResizedCrop{24}, Erase{1}}) {
    EXPECT_NE(applied(what, pixels, 1), pixels) << what.index();
    EXPECT_NE(applied(what, pixels, 1), applied(what, pixels, 2)) << what.index();
    EXPECT_EQ(applied(what, pixels, 1), applied(what, pixels, 1)) << what.index();
  }
}

TEST(Augment, RotationKeepsTheCenter) {
  std::vector<std::uint8_t> pixels(std::size_t{24} * 24 * 3, 0);
  for (std::int64_t y = 10; y < 14; ++y) {
    for (std::int64_t x = 30; x < 42; ++x) pixels[static_cast<std::size_t>(y * 72 + x)] = 255;
  }
  const auto turned = applied(Rotate{180}, pixels, 3);
  EXPECT_GT(turned[12 * 72 + 36], 200);
  EXPECT_NEAR(mean(turned), mean(pixels), 0.5);
}

TEST(Augment, BrightnessAndHueStayWithinTheirBounds) {
  const std::vector<std::uint8_t> gray(std::size_t{24} * 24 * 3, 100);
  double low = 255;
  double high = 0;
  for (std::int64_t sample = 0; sample < 200; ++sample) {
    const double value = mean(applied(ColorJitter{0.3, 0, 0, 0}, gray, sample));
    low = std::min(low, value);
    high = std::max(high, value);
    // Gray has no hue and no saturation.
    EXPECT_EQ(applied(ColorJitter{0, 0, 0.9, 0.5}, gray, sample), gray);
  }
  EXPECT_GE(low, 70);
  EXPECT_LE(high, 130);
  EXPECT_LT(low, 76);
  EXPECT_GT(high, 124);
}

TEST(Augment, EraseFillsOneRectangle) {
  std::vector<std::uint8_t> pixels(std::size_t{24} * 24 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = i / 3 % 2 == 0 ? 0 : 255;
  const auto erased = applied(Erase{1}, pixels, 5);
  std::int64_t changed = 0;
  for (std::size_t i = 0; i < pixels.size(); ++i) changed += pixels[i] != erased[i] ? 1 : 0;
  EXPECT_GT(changed, 24 * 24 * 3 / 60);
  EXPECT_LT(changed, 24 * 24 * 3 / 2);
}

TEST(Augment, RandaugmentHoldsItsRange) {
  const auto pixels = generated(24, 24).pixels;
  std::int64_t same = 0;
  for (std::int64_t sample = 0; sample < 100; ++sample)
    same += applied(RandAugment{1, 9}, pixels, sample) == pixels ? 1 : 0;
  EXPECT_GT(same, 0);  // one of the fourteen does nothing
  EXPECT_LT(same, 40);
}

TEST(Mix, KeepsSumsOfPixelsAndLabels) {
  for (const bool cut : {false, true}) {
    const Augmenter augmenter({{.where = {}, .what = Mix{.alpha = 1, .cut = cut}}}, {8, 8, 1}, DType::f32);
    std::vector<float> images(256);  // 4 of 8×8
    for (std::size_t i = 0; i < images.size(); ++i) {
      const std::size_t image = i / 64;
      images[i] = static_cast<float>(image);
    }
    std::vector<float> rows{1, 0, 0, 1, 1, 0, 0, 1};
    rows = {1, 0, 1, 0, 0, 1, 0, 1};
    bool mixed = false;
    for (std::int64_t batch = 0; batch < 8; ++batch) {
      std::vector<float> x = images;
      std::vector<float> y = rows;
      augmenter.mix(7, batch, std::as_writable_bytes(std::span(x)), y, 4);
      EXPECT_NEAR(std::accumulate(x.begin(), x.end(), 0.0), 64 * (0 + 1 + 2 + 3), 1e-2);
      for (std::size_t n = 0; n < 4; ++n) EXPECT_NEAR(y[2 * n] + y[2 * n + 1], 1, 1e-6);
      // The share of the partner's pixels is the share of its label: image 0 is 0, its partner 3.
      const double own = 1 - std::accumulate(x.begin(), x.begin() + 64, 0.0) / (64 * 3);
      EXPECT_NEAR(own, y[0], 1e-5);
      mixed = mixed || (y[0] > 0.01F && y[0] < 0.99F);
    }
    EXPECT_TRUE(mixed);
  }
}

TEST(Augment, ColorsNeedBytes) {
  Findings findings;
  check_augmentations(std::vector<Augmentation>{{.where = {.file = "c.toml", .line = 7, .column = 12},
                                                 .what = ColorJitter{0.4, 0, 0, 0}}},
                      kImage, DType::f32, findings);
  expect_finding(findings, {"D116", "c.toml:7:12", {"color_jitter", "8-bit"}, "np.uint8"});
}

/// The picture as a place says it: the definition in base/sample_place.h, pixel by pixel.
std::vector<std::uint8_t> placed(const std::vector<std::uint8_t>& pixels, const SamplePlace& place, std::int64_t side) {
  const auto inside = [&](std::int64_t i) {
    if ((place.turns & SamplePlace::reflected) != 0) i = i < 0 ? -i : i < side ? i : 2 * (side - 1) - i;
    return i >= 0 && i < side ? i : -1;
  };
  std::vector<std::uint8_t> made(pixels.size(), 0);
  for (std::int64_t r = 0; r < side; ++r) {
    for (std::int64_t c = 0; c < side; ++c) {
      std::int64_t row = inside(r + place.down), column = inside(c + place.right);
      if (row < 0 || column < 0) continue;
      if ((place.turns & SamplePlace::upside_down) != 0) row = side - 1 - row;
      if ((place.turns & SamplePlace::mirrored) != 0) column = side - 1 - column;
      for (std::int64_t k = 0; k < 3; ++k)
        made[static_cast<std::size_t>((r * side + c) * 3 + k)] =
            pixels[static_cast<std::size_t>((row * side + column) * 3 + k)];
    }
  }
  return made;
}

TEST(Augment, APlaceSaysWhatIsDoneToThePixels) {
  const auto pixels = generated(24, 24).pixels;
  const Flip across{.probability = 0.5}, over{.probability = 0.5, .vertical = true};
  const RandomCrop black{.size = 24, .pad = 5}, mirrored{.size = 24, .pad = 7, .reflect = true};
  const std::uint64_t key = random_key(3, RandomStream::augmentation, 2);
  for (const std::vector<What>& list : std::vector<std::vector<What>>{{},
                                                                      {across},
                                                                      {over},
                                                                      {black},
                                                                      {mirrored},
                                                                      {across, over, black},
                                                                      {mirrored, over, across},
                                                                      {over, black, across, over},
                                                                      {across, mirrored, across}}) {
    std::vector<Augmentation> augmentations;
    for (const What& what : list) augmentations.push_back({.where = {}, .what = what});
    ASSERT_TRUE(not_placed(augmentations).empty());
    const Augmenter augmenter(augmentations, kImage, DType::u8);
    for (std::int64_t sample = 0; sample < 40; ++sample) {
      std::vector<std::uint8_t> changed = pixels;
      std::vector<std::byte> scratch(pixels.size());
      augmenter.apply(key, sample, reinterpret_cast<std::byte*>(changed.data()), scratch.data());
      const SamplePlace place = augmenter.place(key, sample);
      ASSERT_EQ(place.sample, sample);
      ASSERT_EQ(placed(pixels, place, 24), changed) << "list of " << list.size() << ", sample " << sample;
    }
  }
}

TEST(Augment, WhatNoPlaceSaysIsNamed) {
  const auto names = [](const std::vector<What>& list) {
    std::vector<Augmentation> augmentations;
    for (const What& what : list) augmentations.push_back({.where = {}, .what = what});
    return not_placed(augmentations);
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names({Flip{0.5}, RandomCrop{.size = 24, .pad = 2}}), Names{});
  EXPECT_EQ(names({Rotate{10}, Flip{0.5}, Rotate{20}, Erase{0.5}}), (Names{"rotate", "erase"}));
  EXPECT_EQ(names({RandomCrop{.size = 24, .pad = 0}}), Names{"random_crop without pad"});
  EXPECT_EQ(names({RandomCrop{.size = 24, .pad = 2}, RandomCrop{.size = 24, .pad = 2}}), Names{"a second random_crop"});
  EXPECT_EQ(names({RandomResizedCrop{24}, Mix{}}), (Names{"random_resized_crop", "mixup"}));
}

}  // namespace
}  // namespace snug
