// What an op knows: its shape rule, its parameters, the steps of its forward and backward pass. One file per op.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "ops/node.h"
#include "program/program.h"

namespace snug {

/// Why shapes cannot connect: the arithmetic, and what would work.
struct ShapeProblem {
  std::string what;
  std::string fix;
};
using ShapeResult = std::variant<Shape, ShapeProblem>;

/// What a node's forward pass left for its backward pass.
struct Forward {
  TensorId output;
  std::vector<TensorId> inputs;
  std::vector<TensorId> kept;  ///< tensors of the op's own: batch statistics, pool indices
};

/// Everything that lowering one node needs.
struct OpContext {
  ProgramBuilder& builder;
  const Node& node;
  LayerId layer;
  DType dtype = DType::f32;        ///< of activations and their gradients
  std::int64_t batch = 1;          ///< samples in this part
  std::int64_t sample_offset = 0;  ///< of the part in the whole batch
  bool training = true;
  bool batch_statistics = true;  ///< BN: normalise with the batch's statistics (training, not frozen)
  bool accumulate = false;       ///< parameter gradients are added to those of earlier parts
  std::uint64_t seed = 0;
  TensorId control;
  std::string suffix;                ///< appended to tensor names: the part's number, or empty
  std::vector<TensorId> parameters;  ///< in the order of Node::parameters
  std::vector<TensorId> gradients;   ///< likewise; not valid for what is not trained

  /// A new packed tensor "path:purpose" of the node's layer.
  TensorId tensor(std::string_view purpose, const Shape& shape, Role role = Role::activation) const;
  TensorId tensor(std::string_view purpose, const Shape& shape, Role role, DType dtype) const;
  /// What is computed per channel and the parameters' gradients are kept in, whatever activations are.
  [[nodiscard]] DType parameter_dtype() const { return dtype == DType::f64 ? DType::f64 : DType::f32; }
  void step(Op op, Phase phase, Attributes attributes, std::vector<Operand> operands,
            std::vector<Alternative> saved = {}) const;
};

struct OpDefinition {
  /// Output of one image; `node.attributes` and `node.channels` are set, `inputs` are the inputs' shapes.
  ShapeResult (*shape)(const Node& node, std::span<const Shape> inputs);
  /// Appends the parameters in operand order, named by `node.path`.
  std::vector<Parameter> (*parameters)(const Node& node, std::span<const Shape> inputs);
  /// Emits forward steps.
  Forward (*forward)(const OpContext& context, std::vector<TensorId> inputs);
  /// Emits backward steps: reads the gradient of the output, returns that of each input (not valid where `needed` is
  /// false). A returned tensor may be `dy` itself (add, flatten: nobody else writes it).
  std::vector<TensorId> (*backward)(const OpContext& context, const Forward& forward, TensorId dy,
                                    const std::vector<bool>& needed);
};

/// The definition of every node op but `input`.
[[nodiscard]] const OpDefinition& op_definition(NodeOp op);

/// FLOP (2 × multiply-add) and bytes moved to and from memory by one step: every operand once, what the two passes of a
/// norm with batch statistics both read twice.
struct Cost {
  std::int64_t flops = 0;
  std::int64_t bytes = 0;
};
[[nodiscard]] Cost step_cost(const Program& program, const Step& step);

/// Output extent of a window along one axis (floor): (in + pad − dilation·(kernel − 1) − 1) ÷ stride + 1; ≤ 0 when the
/// kernel does not fit.
[[nodiscard]] std::int64_t window_extent(const Window& window, int axis, std::int64_t input);

}  // namespace snug
