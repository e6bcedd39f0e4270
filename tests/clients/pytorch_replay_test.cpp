// Trains the nets of pytorch_cases.py and compares with the losses that PyTorch gave (pytorch_losses.json).
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "snug/config.h"
#include "snug/trainer.h"
#include "train/safetensors.h"

namespace snug {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

// The first loss differs by rounding alone; over 20 steps rounding is amplified by the training itself.
constexpr double kFirstTolerance = 1e-5, kTolerance = 1e-3;

const Json& recorded() {
  // scripts/clients.sh names figures that PyTorch gave just now; without it the committed ones count.
  const char* live = std::getenv("SNUG_PYTORCH_LOSSES");
  static const Json json = Json::parse(
      read_text(live != nullptr ? fs::path(live) : fs::path(SNUG_SOURCE_DIR) / "tests/clients/pytorch_losses.json"));
  return json;
}

/// See pytorch_losses.py.
std::vector<float> formula(std::uint64_t number, std::size_t count, double scale, double shift) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t word = ((i + 1) * 2654435761U + (number + 1) * 40503 * 65537) & 0xFFFFFFFFU;
    values[i] = static_cast<float>(shift + scale * (static_cast<double>(word) / 4294967296.0 - 0.5));
  }
  return values;
}

template <class T>
void write_npy(const fs::path& path, const std::string& type, const std::string& shape, const std::vector<T>& values) {
  std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  file << "\x93NUMPY" << '\1' << '\0' << static_cast<char>(header.size() & 0xFF)
       << static_cast<char>(header.size() >> 8) << header;
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
}

void write_labels(const fs::path& path, const Json& test, std::size_t samples) {
  const auto outputs = test["outputs"].get<std::size_t>();
  const std::string kind = test["labels"];
  std::vector<std::int64_t> numbers;
  for (const float value : formula(1001, samples, static_cast<double>(outputs), static_cast<double>(outputs) / 2)) {
    numbers.push_back(static_cast<std::int64_t>(value) % static_cast<std::int64_t>(outputs));
  }
  if (kind == "numbers") {
    write_npy(path, "<i8", std::to_string(samples) + ",", numbers);
    return;
  }
  std::vector<float> rows = formula(1001, samples * outputs, 1.0, 0.5);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (kind == "ones") rows[i] = rows[i] > 0.5F ? 1.0F : 0.0F;
    if (kind == "one_hot") rows[i] = static_cast<std::int64_t>(i % outputs) == numbers[i / outputs] ? 1.0F : 0.0F;
  }
  write_npy(path, "<f4", std::to_string(samples) + ", " + std::to_string(outputs), rows);
}

void write_weights(const fs::path& path, const Json& tensors) {
  std::vector<std::vector<float>> values;
  std::vector<TensorSource> sources;
  for (const Json& tensor : tensors) {
    const auto shape = tensor["shape"].get<std::vector<std::int64_t>>();
    std::size_t count = 1;
    for (const std::int64_t extent : shape) count *= static_cast<std::size_t>(extent);
    values.push_back(formula(tensor["number"], count, tensor["scale"], tensor["shift"]));
    sources.push_back({.name = tensor["name"], .shape = shape, .bytes = nullptr});
  }
  for (std::size_t i = 0; i < sources.size(); ++i) {
    sources[i].bytes = [&values, i] { return std::as_bytes(std::span(values[i])); };
  }
  write_safetensors(path, std::move(sources), {});
}

struct Recorder final : Reporter {
  std::vector<double> losses, rates;
  double evaluation = 0;
  void on_event(const TrainEvent& event) override {
    if (const auto* step = std::get_if<StepEvent>(&event)) {
      losses.push_back(step->loss);
      rates.push_back(step->lr);
    }
    if (const auto* epoch = std::get_if<EpochEvent>(&event)) evaluation = epoch->val_loss.value_or(NAN);
  }
};

class PyTorchReplay : public testing::TestWithParam<std::string> {};

TEST_P(PyTorchReplay, LossesAgree) {
  const Json& test = recorded()["cases"][GetParam()];
  const auto samples = recorded()["samples"].get<std::size_t>();
  const fs::path folder = fs::temp_directory_path() / ("snug-replay-" + std::to_string(::getpid()));
  fs::remove_all(folder);
  fs::create_directories(folder);
  write_text(folder / "config.toml", test["config"].get<std::string>());
  Config config = load_config(folder / "config.toml");
  const auto [h, w, c] = config.model.input;
  write_npy(folder / "x.npy", "<f4",
            std::to_string(samples) + ", " + std::to_string(h) + ", " + std::to_string(w) + ", " + std::to_string(c),
            formula(1000, samples * static_cast<std::size_t>(h * w * c), 2.0, 0.0));
  write_labels(folder / "y.npy", test, samples);
  write_weights(folder / "init.safetensors", test["tensors"]);

  Recorder recorder;
  TrainOptions options;
  options.out = folder / "run";
  options.init = folder / "init.safetensors";
  options.log_every = 1;
  options.threads = 2;
  train(config, options, recorder);

  const auto losses = test["losses"].get<std::vector<double>>();
  const auto rates = test["rates"].get<std::vector<double>>();
  ASSERT_EQ(recorder.losses.size(), losses.size());
  for (std::size_t i = 0; i < losses.size(); ++i) {
    EXPECT_NEAR(recorder.losses[i], losses[i], losses[i] * (i == 0 ? kFirstTolerance : kTolerance)) << "step " << i;
    EXPECT_NEAR(recorder.rates[i], rates[i], 1e-6 * rates[i] + 1e-12) << "step " << i;
  }
  EXPECT_NEAR(recorder.evaluation, test["evaluation"].get<double>(), kTolerance * test["evaluation"].get<double>());
  fs::remove_all(folder);
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& [name, test] : recorded()["cases"].items()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, PyTorchReplay, testing::ValuesIn(case_names()),
                         [](const testing::TestParamInfo<std::string>& test) {
                           std::string name = test.param;
                           for (char& letter : name) {
                             if (!std::isalnum(static_cast<unsigned char>(letter))) letter = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace snug
