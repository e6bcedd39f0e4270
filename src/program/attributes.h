// The static values of steps and of graph nodes: small structs without behaviour. What changes from step to step
// (learning rate, step number) is data in the control tensor, never an attribute.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

namespace snug {

/// A sliding window over rows and columns, as convolutions and pools have it.
struct Window {
  std::array<std::int64_t, 2> kernel{1, 1}, stride{1, 1}, dilation{1, 1};
  std::array<std::int64_t, 2> pad_begin{0, 0}, pad_end{0, 0};  ///< rows, columns
  friend bool operator==(const Window&, const Window&) = default;
};

/// Elementwise; leaky_relu has slope 0.01, gelu is exact (erf).
enum class ActivationFunction : std::uint8_t { relu, relu6, leaky_relu, silu, gelu, sigmoid, tanh };

struct ConvAttributes {
  Window window;
  std::int64_t groups = 1;
  bool bias = false;        ///< a bias operand (forward), a bias gradient operand (backward weights)
  bool accumulate = false;  ///< backward weights: dw and db are added to, not overwritten
  std::optional<ActivationFunction> activation{};  ///< forward: of the output; relu, relu6 or leaky_relu
  friend bool operator==(const ConvAttributes&, const ConvAttributes&) = default;
};

struct DenseAttributes {
  bool bias = false;
  bool accumulate = false;  ///< as for ConvAttributes
  friend bool operator==(const DenseAttributes&, const DenseAttributes&) = default;
};

/// y = activation(normalised x [+ residual]); backward steps see through both.
struct BatchNormAttributes {
  double epsilon = 1e-5;
  double momentum = 0.1;       ///< running = (1 − momentum) · running + momentum · batch
  bool accumulate = false;     ///< backward: dgamma and dbeta are added to
  bool accumulate_dx = false;  ///< backward: dx is added to what is there
  bool residual = false;  ///< a tensor is added before the activation; backward: the slope is taken from the output
  std::optional<ActivationFunction> activation;
  friend bool operator==(const BatchNormAttributes&, const BatchNormAttributes&) = default;
};

/// A 1×1 convolution with norms around it: y = activation(norm(x)) · w.
struct Conv1x1Attributes {
  bool norm = false;                               ///< forward: x goes through the norm and the activation first
  std::optional<ActivationFunction> activation{};  ///< behind the norm; none, relu, relu6 or leaky_relu
  bool statistics = false;                         ///< forward: those of y are measured
  double epsilon = 1e-5, momentum = 0.1;           ///< of these, as in BatchNormAttributes
  bool addend = false;                             ///< backward data: a gradient that is added first
  bool residual = false;                           ///< backward data: the slope is taken from the output
  bool accumulate = false;                         ///< backward weights
  friend bool operator==(const Conv1x1Attributes&, const Conv1x1Attributes&) = default;
};

struct ActivationAttributes {
  ActivationFunction function = ActivationFunction::relu;
  friend bool operator==(const ActivationAttributes&, const ActivationAttributes&) = default;
};

struct PoolAttributes {
  Window window;  ///< pad_end may reach past the image (ceil); averages divide by the pixels inside it
  friend bool operator==(const PoolAttributes&, const PoolAttributes&) = default;
};

/// A norm with the relu and the max pool behind it.
struct NormPoolAttributes {
  Window window;            ///< of the pool
  bool accumulate = false;  ///< backward: dgamma and dbeta are added to
  friend bool operator==(const NormPoolAttributes&, const NormPoolAttributes&) = default;
};

/// Random zeroing with scale 1 ÷ (1 − rate). Element e of sample s of the batch (s = sample_offset + the row in this
/// tensor) is kept when to_unit(word) ≥ rate, where word is the (e mod 4)-th of
/// philox(random_key(seed, RandomStream::dropout, layer), control step << 32 | s, e ÷ 4).
/// `per_sample` (stochastic depth) draws one number for a whole sample: e = 0.
struct DropoutAttributes {
  double rate = 0;
  std::uint64_t seed = 0;
  std::int64_t layer = 0;
  std::int64_t sample_offset = 0;
  bool per_sample = false;
  friend bool operator==(const DropoutAttributes&, const DropoutAttributes&) = default;
};

struct FillAttributes {
  double value = 0;
  friend bool operator==(const FillAttributes&, const FillAttributes&) = default;
};

/// `scale` · ((x ÷ divisor) − mean[c]) · inverse_std[c] has its mean and inverse_std as operands.
struct NormalizeAttributes {
  double divisor = 1;
  bool gathered = false;  ///< images are all that there are, and an operand says which become y
  friend bool operator==(const NormalizeAttributes&, const NormalizeAttributes&) = default;
};

struct LossAttributes {
  double label_smoothing = 0;
  double mean_over = 1;        ///< the sum of losses is divided by it (the whole batch), unless weights are given
  bool class_weights = false;  ///< operands class_weights and weight_sum are present
  bool gradient = false;       ///< an operand for the gradient is present (training)
  friend bool operator==(const LossAttributes&, const LossAttributes&) = default;
};

/// One parameter inside a flat group: elements [begin, begin + count).
struct Segment {
  std::int64_t begin = 0, count = 0;
  friend bool operator==(const Segment&, const Segment&) = default;
};
/// The parameters of a flat group; what lies between them is padding that no kernel reads or writes.
using Segments = std::vector<Segment>;

struct CastAttributes {
  Segments segments;  ///< of the flat tensors; empty: every element
  friend bool operator==(const CastAttributes&, const CastAttributes&) = default;
};

struct GradientNormAttributes {
  Segments segments;
  bool accumulate = false;  ///< add to the sum of an earlier group
  friend bool operator==(const GradientNormAttributes&, const GradientNormAttributes&) = default;
};

struct UpdateAttributes {
  Segments segments;
  double weight_decay = 0;
  double clip_norm = 0;  ///< 0: none; else gradients are scaled by min(1, clip_norm ÷ (norm + 1e-6))
  bool scaled = false;   ///< gradients are those of a scaled loss: an operand says by what
  double momentum = 0;   ///< sgd
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  ///< adam
  bool decoupled = false;                             ///< adam: weight decay as in AdamW
  double ema_decay = 0;                               ///< ema: average = decay · average + (1 − decay) · w
  friend bool operator==(const UpdateAttributes&, const UpdateAttributes&) = default;
};

/// A step that overflowed halves the scale; so many in a row that did not double it.
struct LossScaleAttributes {
  double growth_steps = 2000;
  friend bool operator==(const LossScaleAttributes&, const LossScaleAttributes&) = default;
};

struct NoAttributes {
  friend bool operator==(const NoAttributes&, const NoAttributes&) = default;
};

using Attributes = std::variant<NoAttributes, ConvAttributes, DenseAttributes, BatchNormAttributes, Conv1x1Attributes,
                                ActivationAttributes, PoolAttributes, NormPoolAttributes, DropoutAttributes,
                                FillAttributes, NormalizeAttributes, LossAttributes, CastAttributes,
                                GradientNormAttributes, UpdateAttributes, LossScaleAttributes>;

}  // namespace snug
