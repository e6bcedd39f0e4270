// Configs written in a few words, and data sets that hold what a test says.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "check/check.h"

namespace snug::test {

/// A config of three parts; what a case leaves out is sound.
struct Text {
  std::string layers = "{ global_avgpool = true }, { dense = 10 }";
  std::string train;  ///< lines of [train]
  std::string data = "train = { synthetic = \"shapes\", count = 100 }\nval = { synthetic = \"shapes\", count = 50 }";
  std::string memory, model;  ///< lines of [memory], [model]
};
inline std::string to_toml(const Text& text) {
  return "[data]\n" + text.data + "\n[model]\ninput = [16, 16, 3]\nlayers = [ " + text.layers + " ]\n" + text.model +
         "\n[train]\n" + text.train + "\n[memory]\n" + text.memory + "\n";
}

struct Checked {
  Config config;
  Graph graph;
  std::vector<Diagnostic> graph_findings, findings;
};
inline Checked check(const Text& text) {
  Checked checked;
  checked.config = parse_config(to_toml(text), "run.toml");
  checked.graph = build_graph(checked.config.model, checked.graph_findings);
  checked.findings = check_config(checked.config, checked.graph);
  return checked;
}

/// A data set in memory. Pixels are a function of sample and element; labels are numbers or rows.
class FakeData final : public Dataset {
 public:
  struct Content {
    std::string name = "x.npy";
    std::vector<std::int64_t> numbers;
    std::vector<std::vector<float>> rows;
    Shape image{16, 16, 3};
    DType dtype = DType::u8;
    std::string source_dtype = "uint8";
    double integer_max = 255;
    /// No two images are alike, in no two data sets.
    std::function<double(std::int64_t, std::int64_t)> pixel{};
  };
  explicit FakeData(Content content) : content_(std::move(content)) {
    static int made = 0;
    if (!content_.pixel) {
      content_.pixel = [set = ++made](std::int64_t sample, std::int64_t element) {
        return static_cast<double>(philox(static_cast<std::uint64_t>(set), static_cast<std::uint64_t>(sample),
                                          static_cast<std::uint64_t>(element))[0] %
                                   256);
      };
    }
    const bool rows = !content_.rows.empty();
    info_.samples = static_cast<std::int64_t>(rows ? content_.rows.size() : content_.numbers.size());
    info_.image = content_.image;
    info_.dtype = content_.dtype;
    info_.source_dtype = content_.source_dtype;
    info_.integer_max = content_.integer_max;
    info_.labels = rows ? LabelKind::rows : LabelKind::numbers;
    info_.label_width = rows ? static_cast<std::int64_t>(content_.rows.front().size()) : 1;
  }
  [[nodiscard]] const DatasetInfo& info() const override { return info_; }
  void read_image(std::int64_t sample, std::byte* pixels) const override {
    for (std::int64_t i = 0; i < info_.image.elements(); ++i) {
      const double value = content_.pixel(sample, i);
      if (content_.dtype == DType::u8) {
        pixels[i] = static_cast<std::byte>(value);
      } else {
        const auto number = static_cast<float>(value);
        std::memcpy(pixels + i * 4, &number, sizeof number);
      }
    }
  }
  [[nodiscard]] std::int64_t label(std::int64_t sample) const override {
    return content_.numbers[static_cast<std::size_t>(sample)];
  }
  void read_row(std::int64_t sample, float* row) const override {
    const auto& source = content_.rows[static_cast<std::size_t>(sample)];
    std::copy(source.begin(), source.end(), row);
  }
  [[nodiscard]] std::string where(std::int64_t sample) const override {
    return content_.name + "[" + std::to_string(sample) + "]";
  }
  [[nodiscard]] std::string label_where(std::int64_t sample) const override { return "y-of-" + where(sample); }

 private:
  Content content_;
  DatasetInfo info_;
};

/// Class numbers 0, 1, …, classes − 1 again and again.
inline std::vector<std::int64_t> cycle(std::int64_t samples, std::int64_t classes, std::int64_t first = 0) {
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < samples; ++i) labels.push_back(first + i % classes);
  return labels;
}
inline std::vector<std::vector<float>> one_hot(std::int64_t samples, std::int64_t classes) {
  std::vector<std::vector<float>> rows;
  for (std::int64_t i = 0; i < samples; ++i) {
    rows.emplace_back(static_cast<std::size_t>(classes));
    rows.back()[static_cast<std::size_t>(i % classes)] = 1;
  }
  return rows;
}

}  // namespace snug::test
