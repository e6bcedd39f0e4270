#include "lowering/lowering.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/ensure.h"
#include "base/sample_place.h"
#include "lowering/parameters.h"
#include "ops/op.h"

namespace snug {

std::vector<std::int64_t> split_batch(std::int64_t batch, std::int64_t parts) {
  parts = std::clamp<std::int64_t>(parts, 1, batch);
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(parts), batch / parts);
  for (std::int64_t i = 0; i < batch % parts; ++i) ++sizes[static_cast<std::size_t>(i)];
  return sizes;
}

namespace {

/// The tensors by which host and program talk.
struct Exchange {
  TensorId images, places, labels, mean, inverse_std, control, stats, totals, class_weights, weight_sum, norm, scaling,
      outputs;
};

class Lowering {
 public:
  Lowering(const Graph& graph, const LoweringOptions& options)
      : graph_(graph),
        options_(options),
        final_(final_layer(graph, options.train.loss)),
        layout_(layout_parameters(graph, options)),
        builder_(program_) {}

  Program run() {
    for (const Layer& layer : graph_.layers) program_.layers.push_back(layer.path);
    add_exchange();
    add_parameters();
    if (mixed()) add_copies();
    mark_trained();
    if (options_.with_loss) begin_step();
    std::int64_t first = 0;
    const std::vector<std::int64_t> parts = split_batch(options_.batch, options_.training ? options_.parts : 1);
    for (std::size_t part = 0; part < parts.size(); ++part) {
      suffix_ = parts.size() > 1 ? fmt::format("#{}", part) : "";
      lower_part(first, parts[part], part > 0);
      first += parts[part];
    }
    suffix_.clear();
    if (options_.training) add_updates();
    if (options_.with_loss) {
      step(Op::add_stats, end_phase(), NoAttributes{}, {{exchange_.stats}, {exchange_.totals, Access::inout}});
    }
    return std::move(program_);
  }

 private:
  // ---- set-up -------------------------------------------------------------------------------------------------

  [[nodiscard]] const Node& logits_node() const { return graph_[final_.logits]; }
  [[nodiscard]] std::int64_t outputs() const { return logits_node().output.elements(); }
  [[nodiscard]] bool takes_class_numbers() const {
    return options_.train.loss == Loss::sparse_categorical_crossentropy;
  }
  [[nodiscard]] bool weighs_classes() const {
    const Loss loss = options_.train.loss;
    return options_.training && !options_.train.class_weights.empty() &&
           (loss == Loss::sparse_categorical_crossentropy || loss == Loss::categorical_crossentropy);
  }
  /// Of parameters, their gradients and state, and all that the host exchanges.
  [[nodiscard]] DType parameter_dtype() const { return options_.dtype == DType::f64 ? DType::f64 : DType::f32; }
  /// Whether activations are of another type: weights then have copies that conv and dense read.
  [[nodiscard]] bool mixed() const { return options_.dtype != parameter_dtype(); }
  /// Whether gradients could be too small for their type: the loss is scaled then.
  [[nodiscard]] bool scaled() const { return options_.training && options_.dtype == DType::f16; }
  [[nodiscard]] Phase end_phase() const { return options_.training ? Phase::update : Phase::eval; }
  /// Whether images stay on the device; an evaluation's come from the host.
  [[nodiscard]] bool gathers() const { return options_.training && options_.kept_samples > 0; }
  [[nodiscard]] Phase begin_phase() const { return options_.training ? Phase::forward : Phase::eval; }

  TensorId add_exchange_tensor(std::string_view name, const Shape& shape, DType dtype) {
    return builder_.add_tensor(
        {.name = std::string(name), .shape = shape, .dtype = dtype, .role = Role::input, .arena = Arena::input});
  }

  void add_exchange() {
    const Shape image{graph_.input[0], graph_.input[1], graph_.input[2]};
    const Shape channels{graph_.input[2]};
    if (gathers()) {
      exchange_.images = builder_.add_tensor({.name = std::string(exchange::kKeptImages),
                                              .shape = image.with_batch(options_.kept_samples),
                                              .dtype = options_.image_dtype,
                                              .role = Role::input,
                                              .arena = Arena::data});
      exchange_.places = add_exchange_tensor(exchange::kPlaces, {options_.batch, kSamplePlaceNumbers}, DType::i32);
    } else {
      exchange_.images = add_exchange_tensor(exchange::kImages, image.with_batch(options_.batch), options_.image_dtype);
    }
    exchange_.mean = add_exchange_tensor(exchange::kMean, channels, parameter_dtype());
    exchange_.inverse_std = add_exchange_tensor(exchange::kInverseStd, channels, parameter_dtype());
    if (options_.training) {
      exchange_.control = add_exchange_tensor(exchange::kControl, {Control::count}, DType::f64);
    } else {
      exchange_.outputs = add_exchange_tensor(exchange::kOutputs, {options_.batch, outputs()}, parameter_dtype());
    }
    if (!options_.with_loss) return;
    exchange_.labels = takes_class_numbers()
                           ? add_exchange_tensor(exchange::kLabels, {options_.batch}, DType::i32)
                           : add_exchange_tensor(exchange::kLabels, {options_.batch, outputs()}, parameter_dtype());
    exchange_.stats = add_exchange_tensor(exchange::kStats, {TrainStats::count}, DType::f64);
    exchange_.totals = add_exchange_tensor(exchange::kTotals, {TrainStats::count}, DType::f64);
    if (weighs_classes()) {
      exchange_.class_weights = add_exchange_tensor(exchange::kClassWeights, {outputs()}, parameter_dtype());
      exchange_.weight_sum = add_exchange_tensor("weight_sum", {1}, parameter_dtype());
    }
  }

  void add_parameters() {
    const ProgramBuilder::NewTensor weights{.name = "weights",
                                            .shape = {},
                                            .dtype = parameter_dtype(),
                                            .role = mixed() ? Role::master : Role::weight,
                                            .arena = Arena::persistent};
    if (!options_.training && options_.use_average) {
      // What is trained is read from its average; what is frozen has none.
      ProgramBuilder::NewTensor averages = weights;
      averages.name = "average";
      averages.role = Role::statistic;
      weights_ = add_parameter_tensors(builder_, graph_, layout_, {kDecay, kPlain}, averages, state_prefix::kAverage);
      merge(weights_, add_parameter_tensors(builder_, graph_, layout_, {kFrozen}, weights, ""));
    } else {
      weights_ = add_parameter_tensors(builder_, graph_, layout_, {kDecay, kPlain, kFrozen}, weights, "");
    }
    ProgramBuilder::NewTensor statistics = weights;
    statistics.name = "running";
    statistics.role = Role::statistic;
    merge(weights_, add_parameter_tensors(builder_, graph_, layout_, {kStatistics}, statistics, ""));
    if (!options_.training) return;
    const ProgramBuilder::NewTensor gradients{.name = "gradients",
                                              .shape = {},
                                              .dtype = parameter_dtype(),
                                              .role = Role::gradient,
                                              .arena = Arena::transient};
    gradients_ = add_parameter_tensors(builder_, graph_, layout_, {kDecay, kPlain}, gradients, state_prefix::kGradient);
  }

  /// Steps read the copies; updates and averages the masters (`flat`).
  void add_copies() {
    ParameterTensors copies = add_weight_copies(builder_, graph_, layout_, weights_, options_.dtype, begin_phase());
    copies.flat.assign(copies.flat.size(), TensorId{});
    merge(weights_, copies);
  }

  static void merge(ParameterTensors& into, const ParameterTensors& from) {
    for (std::size_t n = 0; n < into.by_node.size(); ++n) {
      for (std::size_t p = 0; p < into.by_node[n].size(); ++p) {
        if (from.by_node[n][p].valid()) into.by_node[n][p] = from.by_node[n][p];
      }
    }
    for (std::size_t g = 0; g < into.flat.size(); ++g) {
      if (from.flat[g].valid()) into.flat[g] = from.flat[g];
    }
  }

  [[nodiscard]] bool frozen(std::size_t node) const { return !options_.frozen.empty() && options_.frozen[node]; }

  /// A node's output needs a gradient when something before it, or it itself, is trained.
  void mark_trained() {
    needs_gradient_.assign(graph_.nodes.size(), false);
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      const bool own = !frozen(n) && std::ranges::any_of(node.parameters, &Parameter::trainable);
      needs_gradient_[n] =
          own || std::ranges::any_of(node.inputs, [&](NodeId input) { return needs_gradient_[input.index()]; });
    }
  }

  void begin_step() {
    step(Op::fill, begin_phase(), FillAttributes{.value = 0}, {{exchange_.stats, Access::out}});
    if (weighs_classes()) {
      step(Op::weight_sum, begin_phase(), NoAttributes{},
           {{exchange_.labels}, {exchange_.class_weights}, {exchange_.weight_sum, Access::out}});
    }
  }

  void step(Op op, Phase phase, Attributes attributes, std::vector<Operand> operands) {
    builder_.add_step({.op = op, .phase = phase, .attributes = std::move(attributes), .operands = std::move(operands)});
  }

  // ---- one part of the batch ----------------------------------------------------------------------------------

  [[nodiscard]] OpContext context(NodeId id, std::int64_t first, std::int64_t samples, bool accumulate) {
    const Node& node = graph_[id];
    OpContext context{.builder = builder_, .node = node, .layer = node.layer};
    context.dtype = options_.dtype;
    context.batch = samples;
    context.sample_offset = first;
    context.training = options_.training;
    context.batch_statistics = options_.training && !options_.train.freeze_stats;
    context.accumulate = accumulate;
    context.seed = options_.train.seed;
    context.control = exchange_.control;
    context.suffix = suffix_;
    context.parameters = weights_.by_node[id.index()];
    if (options_.training) context.gradients = gradients_.by_node[id.index()];
    return context;
  }

  /// Rows [first, first + samples) of an exchanged tensor.
  TensorId part_of(TensorId whole, std::int64_t first, std::int64_t samples) {
    if (samples == options_.batch) return whole;
    return builder_.add_batch_slice(whole, first, samples, program_[whole].name + suffix_);
  }

  void lower_part(std::int64_t first, std::int64_t samples, bool accumulate) {
    std::vector<Forward> forward(graph_.nodes.size());
    forward[0].output = lower_input(first, samples);
    for (std::size_t n = 1; n <= final_.logits.index(); ++n) {
      const NodeId id{static_cast<std::int64_t>(n)};
      std::vector<TensorId> inputs;
      for (const NodeId input : graph_[id].inputs) inputs.push_back(forward[input.index()].output);
      forward[n] = op_definition(graph_[id].op).forward(context(id, first, samples, accumulate), std::move(inputs));
    }
    const TensorId logits =
        lower_outputs(flat(forward[final_.logits.index()].output, samples, "logits"), first, samples);
    if (!options_.with_loss) return;
    const TensorId dlogits = lower_loss(logits, first, samples);
    if (options_.training && needs_gradient_[final_.logits.index()]) {
      lower_backward(forward, dlogits, first, samples, accumulate);
    }
  }

  /// Hands the logits to the host (evaluation); returns them as the loss sees them.
  TensorId lower_outputs(TensorId logits, std::int64_t first, std::int64_t samples) {
    if (!options_.training) {
      const TensorId outputs = part_of(exchange_.outputs, first, samples);
      if (mixed()) return cast(logits, outputs);
      step(Op::copy, Phase::eval, NoAttributes{}, {{logits}, {outputs, Access::out}});
    }
    return mixed() ? cast(logits, add_logits("logits:wide", logits, parameter_dtype())) : logits;
  }

  /// A tensor like the logits of another type.
  TensorId add_logits(std::string_view name, TensorId logits, DType dtype) {
    return builder_.add_tensor({.name = std::string(name) + suffix_,
                                .shape = program_[logits].shape,
                                .dtype = dtype,
                                .role = Role::activation,
                                .layer = logits_node().layer});
  }

  TensorId cast(TensorId from, TensorId to) {
    builder_.add_step({.op = Op::cast,
                       .phase = begin_phase(),
                       .attributes = CastAttributes{},
                       .operands = {{from}, {to, Access::out}},
                       .layer = logits_node().layer});
    return to;
  }

  TensorId lower_input(std::int64_t first, std::int64_t samples) {
    const Shape image{graph_.input[0], graph_.input[1], graph_.input[2]};
    const TensorId x = builder_.add_tensor({.name = "input" + suffix_,
                                            .shape = image.with_batch(samples),
                                            .dtype = options_.dtype,
                                            .role = Role::activation});
    const TensorId images = gathers() ? exchange_.images : part_of(exchange_.images, first, samples);
    std::vector<Operand> operands{{images}, {exchange_.mean}, {exchange_.inverse_std}};
    if (gathers()) operands.push_back({part_of(exchange_.places, first, samples)});
    operands.push_back({x, Access::out});
    step(Op::normalize_input, begin_phase(),
         NormalizeAttributes{.divisor = options_.image_divisor, .gathered = gathers()}, std::move(operands));
    return x;
  }

  /// The tensor as [samples, outputs]: the loss sees rows.
  TensorId flat(TensorId tensor, std::int64_t samples, std::string_view name) {
    const TensorInfo info = program_[tensor];
    if (info.shape.rank() == 2) return tensor;
    return builder_.add_view({.name = std::string(name) + suffix_,
                              .shape = {samples, info.shape.elements() / samples},
                              .dtype = info.dtype,
                              .role = info.role,
                              .layer = info.layer},
                             info.view.storage, info.view.offset_bytes);
  }

  [[nodiscard]] Op loss_op() const {
    switch (options_.train.loss) {
      case Loss::sparse_categorical_crossentropy: return Op::softmax_crossentropy;
      case Loss::categorical_crossentropy: return Op::softmax_crossentropy_rows;
      case Loss::binary_crossentropy: return Op::sigmoid_crossentropy;
      case Loss::mse: return Op::mean_squared_error;
    }
    fail("unknown loss", __FILE__, __LINE__);
  }

  /// Emits the loss; returns the gradient of the logits (training only).
  TensorId lower_loss(TensorId logits, std::int64_t first, std::int64_t samples) {
    LossAttributes attributes{.label_smoothing = options_.training ? options_.train.label_smoothing : 0,
                              .mean_over = static_cast<double>(options_.batch),
                              .class_weights = weighs_classes(),
                              .gradient = options_.training};
    std::vector<Operand> operands{{logits}, {part_of(exchange_.labels, first, samples)}};
    if (attributes.class_weights) {
      operands.push_back({exchange_.class_weights});
      operands.push_back({exchange_.weight_sum});
    }
    operands.push_back({exchange_.stats, Access::inout});
    TensorId dlogits;
    if (options_.training) {
      dlogits = add_logits(mixed() ? "dlogits:wide" : "dlogits", logits, parameter_dtype());
      operands.push_back({dlogits, Access::out});
    }
    builder_.add_step({.op = loss_op(),
                       .phase = begin_phase(),
                       .attributes = attributes,
                       .operands = std::move(operands),
                       .layer = logits_node().layer});
    if (scaled()) step(Op::scale_gradient, Phase::backward, NoAttributes{}, {{dlogits, Access::inout}, {scaling()}});
    return options_.training && mixed() ? cast(dlogits, add_logits("dlogits", logits, options_.dtype)) : dlogits;
  }

  /// What the loss is multiplied by; kept from step to step.
  TensorId scaling() {
    if (!exchange_.scaling.valid())
      exchange_.scaling = builder_.add_tensor({.name = std::string(exchange::kScaling),
                                               .shape = {LossScale::count},
                                               .dtype = DType::f64,
                                               .role = Role::optimizer,
                                               .arena = Arena::persistent});
    return exchange_.scaling;
  }

  // ---- the backward walk --------------------------------------------------------------------------------------

  void lower_backward(const std::vector<Forward>& forward, TensorId dlogits, std::int64_t first, std::int64_t samples,
                      bool accumulate) {
    std::vector<TensorId> gradient(graph_.nodes.size());  // of each node's output: the sum over its readers so far
    const Shape& shape = program_[forward[final_.logits.index()].output].shape;
    gradient[final_.logits.index()] = dlogits;
    if (shape.rank() != 2) gradient[final_.logits.index()] = reshaped(dlogits, shape);
    for (std::size_t n = final_.logits.index(); n > 0; --n) {
      const Node& node = graph_.nodes[n];
      if (!needs_gradient_[n] || !gradient[n].valid()) continue;
      std::vector<bool> needed;
      needed.reserve(node.inputs.size());
      for (const NodeId input : node.inputs) needed.push_back(needs_gradient_[input.index()]);
      const std::vector<TensorId> dx = op_definition(node.op).backward(
          context(NodeId{static_cast<std::int64_t>(n)}, first, samples, accumulate), forward[n], gradient[n], needed);
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        if (needed[i]) add_gradient(gradient[node.inputs[i].index()], dx[i], node);
      }
    }
  }

  TensorId reshaped(TensorId tensor, const Shape& shape) {
    const TensorInfo info = program_[tensor];
    return builder_.add_view(
        {.name = info.name + ":image", .shape = shape, .dtype = info.dtype, .role = info.role, .layer = info.layer},
        info.view.storage, info.view.offset_bytes);
  }

  /// total += gradient; a sum is a tensor of its own (the in-place pass lets it overwrite one of its terms).
  void add_gradient(TensorId& total, TensorId gradient, const Node& node) {
    if (!total.valid()) {
      total = gradient;
      return;
    }
    const TensorId sum = builder_.add_tensor({.name = node.path + ":dsum" + suffix_,
                                              .shape = program_[gradient].shape,
                                              .dtype = options_.dtype,
                                              .role = Role::activation,
                                              .layer = node.layer});
    builder_.add_step({.op = Op::add,
                       .phase = Phase::backward,
                       .attributes = NoAttributes{},
                       .operands = {{total}, {gradient}, {sum, Access::out}},
                       .layer = node.layer});
    total = sum;
  }

  // ---- updates ------------------------------------------------------------------------------------------------

  TensorId state(int group, std::string_view name, Role role, std::string_view prefix) {
    const ProgramBuilder::NewTensor like{
        .name = std::string(name), .shape = {}, .dtype = parameter_dtype(), .role = role, .arena = Arena::persistent};
    return add_parameter_tensors(builder_, graph_, layout_, {group}, like, prefix)
        .flat[static_cast<std::size_t>(group)];
  }

  void add_updates() {
    std::vector<int> groups;
    for (const int group : {kDecay, kPlain}) {
      if (layout_.groups[static_cast<std::size_t>(group)].elements > 0) groups.push_back(group);
    }
    if (groups.empty()) return;
    exchange_.norm = add_exchange_tensor("gradient_norm_squared", {1}, DType::f64);
    for (const int group : groups) {
      const bool accumulate = group != groups.front();
      step(Op::gradient_norm, Phase::update,
           GradientNormAttributes{.segments = layout_.groups[static_cast<std::size_t>(group)].segments,
                                  .accumulate = accumulate},
           {{gradients_.flat[static_cast<std::size_t>(group)]},
            {exchange_.stats, Access::inout},
            {exchange_.norm, accumulate ? Access::inout : Access::out}});
    }
    for (const int group : groups) add_update(group);
    if (options_.train.ema > 0) {
      for (const int group : groups) add_average(group);
    }
    if (scaled())
      step(Op::update_loss_scale, Phase::update, LossScaleAttributes{},
           {{exchange_.stats}, {scaling(), Access::inout}});
  }

  [[nodiscard]] UpdateAttributes update_attributes(int group) const {
    const OptimizerConfig& optimizer = options_.train.optimizer;
    const bool sgd = optimizer.kind == OptimizerKind::sgd;
    return {.segments = layout_.groups[static_cast<std::size_t>(group)].segments,
            .weight_decay = group == kDecay ? optimizer.weight_decay : 0,
            .clip_norm = options_.train.clip_norm,
            .scaled = scaled(),
            .momentum = sgd ? optimizer.momentum : 0,
            .nesterov = sgd && optimizer.nesterov,
            .beta1 = optimizer.beta1,
            .beta2 = optimizer.beta2,
            .epsilon = optimizer.epsilon,
            .decoupled = optimizer.kind == OptimizerKind::adamw,
            .ema_decay = options_.train.ema};
  }

  void add_update(int group) {
    const UpdateAttributes attributes = update_attributes(group);
    const auto index = static_cast<std::size_t>(group);
    std::vector<Operand> operands{{gradients_.flat[index]}, {exchange_.control}, {exchange_.stats}};
    if (attributes.clip_norm > 0) operands.push_back({exchange_.norm});
    if (attributes.scaled) operands.push_back({scaling()});
    operands.push_back({weights_.flat[index], Access::inout});
    if (options_.train.optimizer.kind == OptimizerKind::sgd) {
      if (attributes.momentum > 0) {
        operands.push_back({state(group, "momentum", Role::optimizer, state_prefix::kMomentum), Access::inout});
      }
      step(Op::sgd_update, Phase::update, attributes, std::move(operands));
      return;
    }
    operands.push_back({state(group, "moment1", Role::optimizer, state_prefix::kFirstMoment), Access::inout});
    operands.push_back({state(group, "moment2", Role::optimizer, state_prefix::kSecondMoment), Access::inout});
    step(Op::adam_update, Phase::update, attributes, std::move(operands));
  }

  void add_average(int group) {
    const TensorId average = state(group, "average", Role::statistic, state_prefix::kAverage);
    step(Op::ema_update, Phase::update, update_attributes(group),
         {{weights_.flat[static_cast<std::size_t>(group)]}, {exchange_.stats}, {average, Access::inout}});
  }

  const Graph& graph_;
  const LoweringOptions& options_;
  FinalLayer final_;
  ParameterLayout layout_;
  Program program_;
  ProgramBuilder builder_;
  Exchange exchange_;
  ParameterTensors weights_, gradients_;
  std::vector<bool> needs_gradient_;  ///< by node: of its output
  std::string suffix_;
};

/// Ends the process when a pass broke the program: that is our mistake, never the user's.
void ensure_sound(const Program& program, std::string_view pass) {
  const std::vector<std::string> problems = verify(program);
  if (!problems.empty()) fail(fmt::format("{} broke the program: {}", pass, problems.front()), __FILE__, __LINE__);
}

}  // namespace

DType activation_dtype(Precision precision) {
  switch (precision) {
    case Precision::fp32:
    case Precision::tf32: return DType::f32;
    case Precision::bf16: return DType::bf16;
    case Precision::fp16: return DType::f16;
  }
  return DType::f32;
}

Program lower(const Graph& graph, const LoweringOptions& options) {
  ensure(graph.output.valid() && options.batch > 0, "a program needs a whole graph and a batch");
  Program program = Lowering(graph, options).run();
  ensure_sound(program, "lowering");
  if (options.fuse) {
    fuse_batchnorm(program);
    ensure_sound(program, "fusing batchnorm");
    take_slope_behind_pool(program);
    ensure_sound(program, "taking slopes behind pools");
    fuse_conv_activation(program);
    ensure_sound(program, "fusing convolutions and activations");
    fuse_products(program, options.products);
    ensure_sound(program, "fusing products");
    fuse_pool(program, options.products);
    ensure_sound(program, "fusing norms and pools");
  }
  choose_saved(program);
  ensure_sound(program, "choosing what is saved");
  if (options.join_in_place) {
    join_in_place(program);
    ensure_sound(program, "joining in place");
  }
  if (options.training && !options.split.until.empty()) {
    split_front(program, options.split);
    ensure_sound(program, "splitting the first layers");
  }
  if (options.training && options.eager_update) {
    update_eagerly(program, options.eager_run_bytes);
    ensure_sound(program, "updating eagerly");
  }
  if (options.training && !options.recomputed.empty()) {
    recompute(program, options.recomputed);
    ensure_sound(program, "recomputing");
  }
  if (options.training && !options.offloaded.empty()) {
    offload(program, options.offloaded, options.step_seconds);
    ensure_sound(program, "offloading");
  }
  if (!options.in_place) return program;
  alias_in_place(program);
  ensure_sound(program, "aliasing in place");
  return program;
}

}  // namespace snug
