// Graph → Program: forward steps, a backward walk, update steps; then the passes, each verified.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "lowering/offload.h"
#include "lowering/recompute.h"
#include "lowering/split.h"
#include "program/program.h"

namespace snug {

/// Which products may take what stands around them (fuse_products), and which norms a pool (fuse_pool).
struct ProductFusion {
  /// Whether the backend computes such a step; empty: none is made.
  std::function<bool(const Program&, const Step&)> possible;
  StepSeconds seconds;  ///< of any step: fused where that takes no longer; empty: wherever it is possible
};

struct LoweringOptions {
  std::int64_t batch = 1;    ///< samples in the program
  std::int64_t parts = 1;    ///< micro-batches the batch is done in: ceil(batch ÷ parts) samples each, the last fewer
  bool training = true;      ///< false: one evaluation step
  bool with_loss = true;     ///< evaluation without it: predict
  bool use_average = false;  ///< evaluation reads the EMA of the weights
  DType dtype = DType::f32;  ///< of activations and their gradients; all else is f64 in f64 programs and f32 in others
  DType image_dtype = DType::u8;           ///< as the host delivers images: u8, f32 (f64 in f64 programs)
  double image_divisor = 1;                ///< of normalize_input
  std::int64_t kept_samples = 0;           ///< training gathers its images from so many that stay; 0: the host's
  std::vector<bool> frozen;                ///< by node; empty: none
  TrainConfig train;                       ///< loss, optimizer, clipping, EMA, freezing of statistics, seed, …
  bool fuse = true;                        ///< a norm takes the sum and the activation behind it into its own sweeps
  ProductFusion products;                  ///< with `fuse`
  bool eager_update = false;               ///< parameters are updated as soon as their gradient is complete
  std::int64_t eager_run_bytes = 4 << 20;  ///< in runs of so many bytes: a sweep over less is as short as its start
  bool join_in_place = true;               ///< tensors joined by channels are written and read in their place
  bool in_place = true;                    ///< steps may write over operands that die with them
  Split split;               ///< the first layers in slices of the batch; of training programs in one part
  Dropped recomputed;        ///< activations that backward makes again; of training programs
  Offloaded offloaded;       ///< activations that wait for backward on the host; of training programs
  StepSeconds step_seconds;  ///< for when to begin their copies
};

/// Names of the tensors that host and program exchange (arena `input`). A program has `images`, or what stands for them
/// where images are kept: `kept_images` and `places`.
namespace exchange {
inline constexpr std::string_view kImages = "images";                 ///< [batch, h, w, c], raw
inline constexpr std::string_view kKeptImages = "kept_images";        ///< [samples, h, w, c], raw; arena `data`
inline constexpr std::string_view kPlaces = "places";                 ///< i32 [batch, 4]: a SamplePlace each
inline constexpr std::string_view kLabels = "labels";                 ///< i32 [batch], or f32 rows [batch, outputs]
inline constexpr std::string_view kMean = "input.mean";               ///< [c], after the division
inline constexpr std::string_view kInverseStd = "input.inverse_std";  ///< [c]
inline constexpr std::string_view kControl = "control";               ///< f64, see Control
inline constexpr std::string_view kScaling = "loss_scaling";          ///< f64, see LossScale; of fp16 training
inline constexpr std::string_view kStats = "stats";                   ///< f64, see TrainStats: of this step
inline constexpr std::string_view kTotals = "totals";                 ///< f64: summed over steps, zeroed by the host
inline constexpr std::string_view kClassWeights = "class_weights";    ///< [classes]; with train.class_weights
inline constexpr std::string_view kOutputs = "outputs";               ///< [batch, outputs] logits; evaluation only
}  // namespace exchange

/// Prefixes of the tensors kept beside parameter `name`: "momentum:conv1.weight".
namespace state_prefix {
inline constexpr std::string_view kMomentum = "momentum:";
inline constexpr std::string_view kFirstMoment = "moment1:";
inline constexpr std::string_view kSecondMoment = "moment2:";
inline constexpr std::string_view kAverage = "average:";
inline constexpr std::string_view kGradient = "gradient:";
}  // namespace state_prefix

/// Lowers the whole step: alternatives chosen, in-place aliases made, verified. `graph` must be free of findings.
/// Parameters are tensors named as in checkpoints, views of flat storages per optimizer group ("weights.decay",
/// "weights.plain", "weights.frozen"); gradients and optimizer state lie at equal offsets in storages of their own.
/// In 16 bits, "weights.…" are the masters, and beside them lie "copies.…" of the weights of conv and dense, which
/// every program fills first.
[[nodiscard]] Program lower(const Graph& graph, const LoweringOptions& options);

/// The type of activations in a precision.
[[nodiscard]] DType activation_dtype(Precision precision);

/// Joins batchnorm with the sum and the activation that follow it, forward and backward, where nothing else reads what
/// lies between. Runs before alternatives are chosen.
void fuse_batchnorm(Program& program);

/// Joins a convolution with the relu, relu6 or leaky_relu behind it, where nothing else reads what lies between: the
/// same bits. Runs before alternatives are chosen.
void fuse_conv_activation(Program& program);

/// Joins 1×1 convolutions with the statistics of the norm behind them, with norm and activation before them, and their
/// data gradients with the slope and the sums of that norm's backward step. Runs after the other fusions and before
/// alternatives are chosen.
void fuse_products(Program& program, const ProductFusion& may);

/// Takes the slope of a relu in front of a max pool from the pool's output, before the gradient is spread: the same
/// bits. Runs before alternatives are chosen.
void take_slope_behind_pool(Program& program);

/// Joins a norm with the relu and the max pool behind it, both ways, where nothing else reads what lies between: the
/// same bits. Asks `may` as fuse_products does; runs behind it.
void fuse_pool(Program& program, const ProductFusion& may);

/// Lets what is joined by channels be written and read in its place in the join, and norms add their gradient to the
/// one that is there. Runs after alternatives are chosen.
void join_in_place(Program& program);

/// Updates parameters as soon as their gradients are complete, at least so many bytes of them at a time, where
/// gradients are not clipped: the same bits. A gradient that is not finite leaves what is updated before it updated.
/// Runs before anything is recomputed.
void update_eagerly(Program& program, std::int64_t least_bytes);

/// The parts' sizes: as equal as possible, larger first.
[[nodiscard]] std::vector<std::int64_t> split_batch(std::int64_t batch, std::int64_t parts);

}  // namespace snug
