// synthetic = "shapes": ten figures of any place, size, rotation and colour, lighter than the noisy gradient that they
// stand on, with stray lines behind them. A linear classifier gets about a third of them right, a small network all.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>
#include <thread>

#include <fmt/format.h>

#include "base/rng.h"
#include "data/source.h"

namespace snug {

namespace {

constexpr std::array<std::string_view, 10> kFigures{"disc", "ring",  "square", "frame",    "triangle",
                                                    "star", "cross", "bar",    "crescent", "half-disc"};
constexpr int kMaxChannels = 3;
using Color = std::array<float, kMaxChannels>;

struct Point {
  float x = 0, y = 0;
};

/// Whether a point lies in a figure of radius 1 around the origin.
bool inside(int figure, Point p) {
  const float squared = p.x * p.x + p.y * p.y;
  const float far = std::max(std::abs(p.x), std::abs(p.y));
  const float near = std::min(std::abs(p.x), std::abs(p.y));
  switch (figure) {
    case 0: return squared <= 0.81F;
    case 1: return squared <= 0.90F && squared >= 0.30F;
    case 2: return far <= 0.76F;
    case 3: return far <= 0.80F && far >= 0.46F;
    case 4: {  // three half planes at distance ½ from the centre
      const float side = 0.8660254F * std::abs(p.x) + 0.5F * p.y;
      return p.y >= -0.5F && side <= 0.5F;
    }
    case 5: {  // five points: folded into half a sector, one edge from the tip at radius 1 to the notch
      constexpr float kSector = 2 * std::numbers::pi_v<float> / 5;
      constexpr float kNotch = 0.40F;
      const float turn = std::atan2(p.y, p.x);
      const float folded = std::abs(turn - kSector * std::round(turn / kSector));
      const float radius = std::sqrt(squared);
      const float x = radius * std::cos(folded);
      const float y = radius * std::sin(folded);
      const float notch_x = kNotch * std::cos(kSector / 2);
      const float notch_y = kNotch * std::sin(kSector / 2);
      return (x - 1) * notch_y + y * (1 - notch_x) <= 0;
    }
    case 6: return far <= 0.92F && near <= 0.26F;
    case 7: return std::abs(p.x) <= 0.95F && std::abs(p.y) <= 0.27F;
    case 8: return squared <= 0.90F && (p.x - 0.5F) * (p.x - 0.5F) + p.y * p.y >= 0.5F;
    default: return squared <= 0.90F && p.y >= -0.15F;
  }
}

struct Stroke {
  Point from, to;
  float half_width = 0;
  Color color{};
};

/// Everything random about one picture, but the noise.
struct Scene {
  int figure = 0;
  Point center;
  float radius = 0, cosine = 1, sine = 0;
  Color color{};
  Color ground{}, slope_x{}, slope_y{};  ///< the ground's colour in the middle, and its change from side to side
  std::array<Stroke, 3> strokes{};
  int stroke_count = 0;
};

float between(Random& random, float low, float high) { return low + (high - low) * random.uniform(); }

Color random_color(Random& random, float low, float high) {
  Color color;
  for (float& channel : color) channel = between(random, low, high);
  return color;
}

/// A colour that is lighter than `ground` in the mean over the channels that are used.
Color lighter(Random& random, const Color& ground, std::int64_t channels) {
  constexpr float kContrast = 70;
  for (;;) {
    const Color color = random_color(random, 60, 245);
    float difference = 0;
    for (std::int64_t c = 0; c < channels; ++c) {
      difference += color[static_cast<std::size_t>(c)] - ground[static_cast<std::size_t>(c)];
    }
    if (difference >= kContrast * static_cast<float>(channels)) return color;
  }
}

Scene make_scene(Random& random, std::int64_t index, const InputSize& size) {
  const auto height = static_cast<float>(size[0]);
  const auto width = static_cast<float>(size[1]);
  const float side = std::min(height, width);
  Scene scene;
  scene.figure = static_cast<int>(index % static_cast<std::int64_t>(kFigures.size()));
  scene.radius = side * between(random, 0.28F, 0.40F);
  scene.center = {between(random, scene.radius, width - scene.radius),
                  between(random, scene.radius, height - scene.radius)};
  const float turn = between(random, 0, 2 * std::numbers::pi_v<float>);
  scene.cosine = std::cos(turn);
  scene.sine = std::sin(turn);
  scene.ground = random_color(random, 15, 135);
  scene.color = lighter(random, scene.ground, size[2]);
  for (std::size_t c = 0; c < kMaxChannels; ++c) {
    scene.slope_x[c] = between(random, -35, 35);
    scene.slope_y[c] = between(random, -35, 35);
  }
  scene.stroke_count = static_cast<int>(random.below(static_cast<std::uint32_t>(scene.strokes.size()) + 1));
  for (Stroke& stroke : scene.strokes) {
    stroke.from = {between(random, 0, width), between(random, 0, height)};
    const float direction = between(random, 0, 2 * std::numbers::pi_v<float>);
    const float length = side * between(random, 0.15F, 0.5F);
    stroke.to = {stroke.from.x + length * std::cos(direction), stroke.from.y + length * std::sin(direction)};
    stroke.half_width = std::max(0.5F, 0.02F * side);
    stroke.color = random_color(random, 15, 240);
  }
  return scene;
}

/// How much of a pixel's area the figure covers, from 3 × 3 points.
float coverage(const Scene& scene, float left, float top) {
  constexpr std::array kPlaces{1.0F / 6, 0.5F, 5.0F / 6};
  const float reach = scene.radius + 1;
  const float dx = left + 0.5F - scene.center.x;
  const float dy = top + 0.5F - scene.center.y;
  if (dx * dx + dy * dy > reach * reach) return 0;
  int hits = 0;
  for (const float down : kPlaces) {
    for (const float right : kPlaces) {
      const float x = (left + right - scene.center.x) / scene.radius;
      const float y = (top + down - scene.center.y) / scene.radius;
      hits += inside(scene.figure, {scene.cosine * x + scene.sine * y, scene.cosine * y - scene.sine * x}) ? 1 : 0;
    }
  }
  return static_cast<float>(hits) / 9;
}

bool on_stroke(const Stroke& stroke, Point p) {
  const Point along{stroke.to.x - stroke.from.x, stroke.to.y - stroke.from.y};
  const Point off{p.x - stroke.from.x, p.y - stroke.from.y};
  const float length = along.x * along.x + along.y * along.y;
  const float t = std::clamp((off.x * along.x + off.y * along.y) / length, 0.0F, 1.0F);
  const float dx = off.x - t * along.x;
  const float dy = off.y - t * along.y;
  return dx * dx + dy * dy <= stroke.half_width * stroke.half_width;
}

Color color_at(const Scene& scene, std::int64_t x, std::int64_t y, const InputSize& size) {
  const auto left = static_cast<float>(x);
  const auto top = static_cast<float>(y);
  const float across = (left + 0.5F) / static_cast<float>(size[1]) - 0.5F;
  const float down = (top + 0.5F) / static_cast<float>(size[0]) - 0.5F;
  Color color;
  for (std::size_t c = 0; c < kMaxChannels; ++c) {
    color[c] = scene.ground[c] + across * scene.slope_x[c] + down * scene.slope_y[c];
  }
  for (int stroke = 0; stroke < scene.stroke_count; ++stroke) {
    const Stroke& line = scene.strokes[static_cast<std::size_t>(stroke)];
    if (on_stroke(line, {left + 0.5F, top + 0.5F})) color = line.color;
  }
  const float part = coverage(scene, left, top);
  for (std::size_t c = 0; c < kMaxChannels; ++c) color[c] += part * (scene.color[c] - color[c]);
  return color;
}

void draw(std::uint64_t key, std::int64_t index, const InputSize& size, std::uint8_t* pixels) {
  Random random(random_key(key, RandomStream::synthetic, static_cast<std::uint64_t>(index)));
  const Scene scene = make_scene(random, index, size);
  constexpr float kNoise = 30;  // from end to end, in steps of 255
  std::uint32_t word = 0;
  int bytes = 0;
  for (std::int64_t y = 0; y < size[0]; ++y) {
    for (std::int64_t x = 0; x < size[1]; ++x) {
      const Color color = color_at(scene, x, y, size);
      for (std::int64_t c = 0; c < size[2]; ++c) {
        if (bytes == 0) {
          word = random.next();
          bytes = 4;
        }
        const float noise = (static_cast<float>(word & 0xFFU) / 255 - 0.5F) * kNoise;
        word >>= 8;
        --bytes;
        const float value = color[static_cast<std::size_t>(c)] + noise + 0.5F;  // the cast then rounds
        *pixels++ = static_cast<std::uint8_t>(std::clamp(value, 0.0F, 255.0F));
      }
    }
  }
}

class ShapesSource final : public Dataset {
 public:
  ShapesSource(std::int64_t count, const InputSize& size, std::uint64_t key)
      : sample_bytes_(size[0] * size[1] * size[2]) {
    info_.samples = count;
    info_.image = Shape{size[0], size[1], size[2]};
    info_.source_dtype = "uint8";
    info_.classes.assign(kFigures.begin(), kFigures.end());
    info_.resident_bytes = count * sample_bytes_;
    pixels_.resize(static_cast<std::size_t>(info_.resident_bytes));
    const std::int64_t threads = std::clamp<std::int64_t>(std::thread::hardware_concurrency(), 1, 16);
    std::vector<std::jthread> painters;
    for (std::int64_t thread = 0; thread < threads; ++thread) {
      painters.emplace_back([this, thread, threads, count, size, key] {
        for (std::int64_t i = thread; i < count; i += threads) draw(key, i, size, pixels_.data() + i * sample_bytes_);
      });
    }
  }
  [[nodiscard]] const DatasetInfo& info() const override { return info_; }
  void read_image(std::int64_t sample, std::byte* pixels) const override {
    std::memcpy(pixels, pixels_.data() + sample * sample_bytes_, static_cast<std::size_t>(sample_bytes_));
  }
  [[nodiscard]] std::int64_t label(std::int64_t sample) const override {
    return sample % static_cast<std::int64_t>(kFigures.size());
  }
  void read_row(std::int64_t, float*) const override { fail("labels of shapes are numbers", __FILE__, __LINE__); }
  [[nodiscard]] std::string where(std::int64_t sample) const override { return fmt::format("shapes[{}]", sample); }

 private:
  std::int64_t sample_bytes_;
  std::vector<std::uint8_t> pixels_;
  DatasetInfo info_;
};

}  // namespace

SourcePointer make_shapes_source(std::int64_t count, const InputSize& size, std::uint64_t key) {
  return std::make_shared<ShapesSource>(count, size, key);
}

}  // namespace snug
