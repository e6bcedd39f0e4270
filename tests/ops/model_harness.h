// Whole training and evaluation steps of small networks, on any backend, through planner and runtime.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "lowering/lowering.h"
#include "ops/op_harness.h"
#include "planner/planner.h"
#include "runtime/runtime.h"

namespace snug::ops_test {

/// A network and how it is trained.
struct NetCase {
  std::string name;
  std::string layers;   ///< as in a config, without the brackets
  std::string model{};  ///< or a file of configs/models, at a sixteenth of its width
  std::array<std::int64_t, 3> input{6, 6, 2};
  std::int64_t batch = 4, parts = 1;
  TrainConfig train{};
  std::vector<std::string> frozen{};
};

/// The cases of the tests: every kind of layer and connection; the models of configs/; every loss; every optimizer.
[[nodiscard]] std::vector<NetCase> layer_nets();
[[nodiscard]] std::vector<NetCase> model_nets();
[[nodiscard]] std::vector<NetCase> loss_nets();
[[nodiscard]] std::vector<NetCase> optimizer_nets();
[[nodiscard]] std::vector<NetCase> all_nets();

[[nodiscard]] Graph graph_of(const NetCase& net);

struct TrainingOptions {
  DType dtype = DType::f64;
  bool reuse_memory = true;
  bool in_place = true;
  bool fuse = true;
  bool fuse_products = false;  ///< wherever that is possible
  bool join_in_place = true;
  bool eager_update = false;  ///< layer by layer
};

/// A training and an evaluation program in shared arenas, with parameters, images and labels filled in: the same
/// numbers, exact in f32, on every backend.
class Training {
 public:
  Training(const NetCase& net, Backend& backend, const TrainingOptions& options = {});

  /// One training step; `step` counts from 0.
  void step(double rate, std::int64_t step);
  void evaluate();
  /// Other images and labels.
  void fill_batch(std::uint64_t seed);
  /// The loss of the last step.
  [[nodiscard]] double loss();

  [[nodiscard]] Values values(const std::string& tensor);
  void set(const std::string& tensor, const Values& values);
  /// Names of the parameters that are trained, without running statistics.
  [[nodiscard]] std::vector<std::string> trained() const;
  /// The bytes of everything that stays: parameters, statistics, optimizer state; with the step's statistics and the
  /// outputs of the last evaluation. By tensor name.
  [[nodiscard]] std::map<std::string, std::vector<std::byte>> lasting_bytes();
  /// The same as numbers.
  [[nodiscard]] std::map<std::string, Values> lasting_values();
  [[nodiscard]] const Plan& plan() const { return plan_; }

 private:
  void fill_parameters();
  void fill_labels(std::uint64_t seed);
  [[nodiscard]] std::vector<std::string> lasting_names() const;

  NetCase net_;
  Graph graph_;
  std::vector<bool> frozen_;
  Plan plan_;
  std::unique_ptr<Runtime> runtime_;
};

/// Three training steps on different batches, then an evaluation.
inline constexpr int kSteps = 3;
void run(Training& training, double rate);

/// Compares such a run with the same one with every storage in memory of its own. A lifetime that is too short would
/// let a tensor be overwritten in shared memory, or be NaN in memory of its own. Without `in_place` every tensor has a
/// storage of its own as well: an alias that overwrites what is still needed would show.
void expect_same_bits(const NetCase& net, Backend& backend, DType dtype, bool in_place = true);

}  // namespace snug::ops_test
