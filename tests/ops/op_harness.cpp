#include "ops/op_harness.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>

#include <gtest/gtest.h>

#include "base/rng.h"
#include "emulator/half.h"

namespace snug::ops_test {

namespace {

constexpr std::size_t kAlignment = 256;  // as in the arenas
constexpr std::size_t kGuard = 256;      // bytes before and behind every storage that no step may touch
constexpr int kUnwritten = 0xFF;         // as a float it is NaN

struct Free {
  void operator()(std::byte* bytes) const { std::free(bytes); }
};

/// Bytes with guards around them; everything begins as NaN.
class Block {
 public:
  explicit Block(std::int64_t size_bytes) {
    const std::size_t whole = (static_cast<std::size_t>(size_bytes) + 2 * kGuard + kAlignment - 1) / kAlignment;
    size_ = whole * kAlignment;
    bytes_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, size_)));
    std::memset(bytes_.get(), kUnwritten, size_);
  }
  [[nodiscard]] std::byte* data() const { return bytes_.get() + kGuard; }
  [[nodiscard]] std::vector<std::byte> snapshot() const { return {bytes_.get(), bytes_.get() + size_}; }

 private:
  std::unique_ptr<std::byte, Free> bytes_;
  std::size_t size_ = 0;
};

DType dtype_of(const StepCase& step, std::size_t operand, DType real) {
  const bool narrow = real == DType::bf16 || real == DType::f16;
  switch (step.args[operand].kind) {
    case Kind::real: return narrow && stays_wide(step, operand) ? DType::f32 : real;
    case Kind::byte: return DType::u8;
    case Kind::number: return DType::i32;
    case Kind::wide: return DType::f64;
  }
  return real;
}

/// Bytes from a view's first element to its element `index` (row-major).
std::int64_t element_offset(const TensorInfo& tensor, std::int64_t index) {
  std::int64_t place = 0;
  for (int axis = tensor.shape.rank() - 1; axis >= 0; --axis) {
    place += index % tensor.shape[axis] * tensor.view.strides[static_cast<std::size_t>(axis)];
    index /= tensor.shape[axis];
  }
  return place * size_bytes(tensor.dtype);
}

std::uint16_t as_bits(const std::byte* place) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, place, sizeof bits);
  return bits;
}

double load(const std::byte* place, DType dtype) {
  const auto as = [&](auto zero) {
    std::memcpy(&zero, place, sizeof zero);
    return static_cast<double>(zero);
  };
  switch (dtype) {
    case DType::f32: return as(0.0F);
    case DType::f64: return as(0.0);
    case DType::u8: return as(std::uint8_t{0});
    case DType::i32: return as(std::int32_t{0});
    case DType::i64: return as(std::int64_t{0});
    case DType::bf16: {
      std::uint16_t bits = 0;
      std::memcpy(&bits, place, sizeof bits);
      return static_cast<double>(std::bit_cast<float>(std::uint32_t{bits} << 16));
    }
    case DType::f16: return static_cast<double>(emulator::half_to_float(as_bits(place)));
  }
  std::abort();
}

void store(std::byte* place, DType dtype, double value) {
  const auto as = [&](auto typed) { std::memcpy(place, &typed, sizeof typed); };
  switch (dtype) {
    case DType::f32: return as(static_cast<float>(value));
    case DType::f64: return as(value);
    case DType::u8: return as(static_cast<std::uint8_t>(value));
    case DType::i32: return as(static_cast<std::int32_t>(value));
    case DType::i64: return as(static_cast<std::int64_t>(value));
    case DType::bf16:
      return as(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(static_cast<float>(value)) >> 16));
    case DType::f16: return as(emulator::float_to_half(static_cast<float>(value)));
  }
  std::abort();
}

/// A step as a program of its own, and the memory of its tensors.
struct Bench {
  Program program;
  std::vector<Block> blocks;  ///< by storage

  [[nodiscard]] std::byte* address(TensorId tensor) const {
    const View& view = program[tensor].view;
    return blocks[view.storage.index()].data() + view.offset_bytes;
  }
  [[nodiscard]] Values values(TensorId tensor) const {
    const TensorInfo& info = program[tensor];
    Values result;
    for (std::int64_t i = 0; i < info.shape.elements(); ++i) {
      result.push_back(load(address(tensor) + element_offset(info, i), info.dtype));
    }
    return result;
  }
};

TensorId add_operand(ProgramBuilder& builder, const Arg& arg, const std::string& name, DType dtype,
                     std::int64_t skew_elements) {
  Program& program = builder.program();
  Shape whole = arg.shape;
  if (arg.pitch > 0) whole[whole.rank() - 1] = arg.pitch;
  const StorageId storage{static_cast<std::int64_t>(program.storages.size())};
  const std::int64_t skew_bytes = skew_elements * size_bytes(dtype);
  program.storages.push_back({name, skew_bytes + whole.elements() * size_bytes(dtype), Arena::transient});
  const TensorId tensor = builder.add_view({.name = name, .shape = whole, .dtype = dtype}, storage, skew_bytes);
  return arg.pitch > 0 ? builder.add_channel_slice(tensor, arg.begin, arg.shape.back(), name + ":slice") : tensor;
}

Bench set_up(const StepCase& step, DType real, const RunOptions& options) {
  Bench bench;
  ProgramBuilder builder(bench.program);
  Step lowered{.op = step.op, .attributes = step.attributes, .operands = {}, .chosen = step.chosen};
  for (std::size_t i = 0; i < step.args.size(); ++i) {
    const Arg& arg = step.args[i];
    const bool shared = options.in_place && options.in_place->output == i;
    const TensorId tensor = shared ? lowered.operands[options.in_place->input].tensor
                                   : add_operand(builder, arg, "operand" + std::to_string(i), dtype_of(step, i, real),
                                                 options.skew_elements);
    lowered.operands.push_back({tensor, arg.access});
  }
  for (const Storage& storage : bench.program.storages) bench.blocks.emplace_back(storage.size_bytes);
  for (std::size_t i = 0; i < step.args.size(); ++i) {
    if (step.args[i].access == Access::out) continue;
    const TensorInfo& info = bench.program[lowered.operands[i].tensor];
    EXPECT_EQ(static_cast<std::int64_t>(step.args[i].values.size()), info.shape.elements()) << "operand " << i;
    for (std::int64_t e = 0; e < info.shape.elements(); ++e) {
      store(bench.address(lowered.operands[i].tensor) + element_offset(info, e), info.dtype,
            step.args[i].values[static_cast<std::size_t>(e)]);
    }
  }
  builder.add_step(std::move(lowered));
  return bench;
}

/// By storage: which bytes (guards included) the step may write.
std::vector<std::vector<bool>> writable_bytes(const Bench& bench) {
  std::vector<std::vector<bool>> writable;
  for (const Block& block : bench.blocks) writable.emplace_back(block.snapshot().size(), false);
  for (const Operand& operand : bench.program.steps[0].operands) {
    if (operand.access == Access::in) continue;
    const TensorInfo& info = bench.program[operand.tensor];
    for (std::int64_t e = 0; e < info.shape.elements(); ++e) {
      const std::int64_t place = info.view.offset_bytes + element_offset(info, e);
      for (std::int64_t b = 0; b < size_bytes(info.dtype); ++b) {
        writable[info.view.storage.index()][kGuard + static_cast<std::size_t>(place + b)] = true;
      }
    }
  }
  return writable;
}

void expect_untouched(const Bench& bench, const std::vector<std::vector<std::byte>>& before) {
  const auto writable = writable_bytes(bench);
  for (std::size_t s = 0; s < bench.blocks.size(); ++s) {
    const std::vector<std::byte> after = bench.blocks[s].snapshot();
    for (std::size_t b = 0; b < after.size(); ++b) {
      if (writable[s][b] || after[b] == before[s][b]) continue;
      ADD_FAILURE() << bench.program.storages[s].name << ": byte " << static_cast<std::ptrdiff_t>(b - kGuard) << " of "
                    << bench.program.storages[s].size_bytes << " was overwritten";
      break;
    }
  }
}

}  // namespace

Arg in(const Shape& shape, Values values, Kind kind) {
  return {.shape = shape, .access = Access::in, .values = std::move(values), .kind = kind};
}
Arg out(const Shape& shape, Kind kind) { return {.shape = shape, .access = Access::out, .values = {}, .kind = kind}; }
Arg inout(const Shape& shape, Values values, Kind kind) {
  return {.shape = shape, .access = Access::inout, .values = std::move(values), .kind = kind};
}

Arg saved(const StepCase& forward, int index) {
  Arg arg = forward.args[static_cast<std::size_t>(index)];
  arg.access = Access::in;
  arg.values.clear();
  arg.from = index;
  return arg;
}

StepCase complete(StepCase step, const std::vector<Values>& forward_values) {
  for (Arg& arg : step.args) {
    if (arg.from >= 0) arg.values = forward_values[static_cast<std::size_t>(arg.from)];
  }
  return step;
}

bool stays_wide(const StepCase& step, std::size_t operand) {
  switch (step.op) {
    case Op::conv_forward:
    case Op::dense_forward: return operand == 2 && step.args.size() == 4;  // the bias
    case Op::conv_backward_weights:
    case Op::dense_backward_weights: return operand >= 2;
    case Op::normalize_input: return operand < 3;
    case Op::batchnorm_forward:
    case Op::batchnorm_apply:
    case Op::batchnorm_inference:
    case Op::batchnorm_backward:
    case Op::batchnorm_inference_backward:
    case Op::batchnorm_statistics: return step.args[operand].shape.rank() == 1;
    case Op::batchnorm_maxpool_forward:
    case Op::batchnorm_maxpool_backward: return step.args[operand].shape.rank() == 1;
    case Op::batchnorm_backward_apply:
    case Op::conv1x1_forward:
    case Op::conv1x1_backward_data: return step.args[operand].shape.rank() <= 2;  // vectors, and their sums
    case Op::conv1x1_backward_weights: return step.args[operand].shape.rank() == 1 || operand == 6;
    case Op::weight_sum:
    case Op::softmax_crossentropy:
    case Op::softmax_crossentropy_rows:
    case Op::sigmoid_crossentropy:
    case Op::mean_squared_error:
    case Op::add_stats:
    case Op::scale_gradient:
    case Op::update_loss_scale:
    case Op::gradient_norm:
    case Op::sgd_update:
    case Op::adam_update:
    case Op::ema_update:
    case Op::fill: return true;
    default: return false;
  }
}

StepCase rounded(StepCase step, DType real) {
  for (std::size_t i = 0; i < step.args.size(); ++i) {
    if (step.args[i].kind != Kind::real) continue;
    const DType dtype = dtype_of(step, i, real);
    const bool to_bf16 = dtype == DType::bf16;
    for (double& value : step.args[i].values) {
      const auto single = static_cast<float>(value);
      if (dtype == DType::f16) {
        value = static_cast<double>(emulator::half_to_float(emulator::float_to_half(single)));
        continue;
      }
      const std::uint32_t cut = to_bf16 ? 0xFFFF'0000 : 0xFFFF'FFFF;
      value = static_cast<double>(std::bit_cast<float>(std::bit_cast<std::uint32_t>(single) & cut));
    }
  }
  return step;
}

std::vector<Values> run_step(Backend& backend, DType real, const StepCase& step, const RunOptions& options) {
  const Bench bench = set_up(step, real, options);
  const Step& lowered = bench.program.steps[0];
  const PreparedStep prepared = backend.prepare(bench.program, lowered);
  const Block workspace(prepared.workspace_bytes);
  std::vector<void*> addresses;
  for (const Operand& operand : lowered.operands) addresses.push_back(bench.address(operand.tensor));
  std::vector<std::vector<std::byte>> before;
  for (const Block& block : bench.blocks) before.push_back(block.snapshot());

  prepared.run({.operands = addresses.data(), .workspace = prepared.workspace_bytes > 0 ? workspace.data() : nullptr});

  expect_untouched(bench, before);
  std::vector<Values> results;
  for (const Operand& operand : lowered.operands) results.push_back(bench.values(operand.tensor));
  return results;
}

Values random_values(std::int64_t count, std::uint64_t seed, double low, double high) {
  Random random(random_key(seed, RandomStream::synthetic));
  Values values;
  for (std::int64_t i = 0; i < count; ++i) {
    values.push_back(
        static_cast<double>(static_cast<float>(low + (high - low) * static_cast<double>(random.uniform()))));
  }
  return values;
}

Values random_values(const Shape& shape, std::uint64_t seed, double low, double high) {
  return random_values(shape.elements(), seed, low, high);
}

namespace {

constexpr double kDifference = 1e-5;  // of the order of ε^⅓: truncation and rounding are both near 1e-10
constexpr double kGradientError = 1e-6;
constexpr std::size_t kSampled = 40;  // elements of an operand whose difference quotient is taken

double largest(const Values& values) {
  double result = 0;
  for (const double value : values) result = std::max(result, std::abs(value));
  return result;
}

double dot(const Values& a, const Values& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// d(y · dy) ÷ d(element of operand) by central difference.
double difference_quotient(Backend& backend, const GradientCase& gradient_case, int operand, std::size_t element,
                           const Values& dy) {
  StepCase step = gradient_case.forward;
  const auto loss = [&](double change) {
    Values& values = step.args[static_cast<std::size_t>(operand)].values;
    const double original = values[element];
    values[element] = original + change;
    const double result = dot(run_step(backend, DType::f64, step)[static_cast<std::size_t>(gradient_case.output)], dy);
    values[element] = original;
    return result;
  };
  return (loss(kDifference) - loss(-kDifference)) / (2 * kDifference);
}

}  // namespace

void expect_gradient(Backend& backend, const GradientCase& gradient_case, int operand, const Values& dy,
                     const Values& analytic) {
  const double scale = largest(analytic);
  EXPECT_GT(scale, 1e-6) << "an all-zero gradient";
  for (const double value : analytic) ASSERT_TRUE(std::isfinite(value));
  const std::size_t step = std::max<std::size_t>(1, analytic.size() / kSampled);
  for (std::size_t element = 0; element < analytic.size(); element += step) {
    const double numeric = difference_quotient(backend, gradient_case, operand, element, dy);
    ASSERT_NEAR(analytic[element], numeric, kGradientError * scale) << "element " << element;
  }
}

void expect_gradients(const GradientCase& gradient_case) {
  SCOPED_TRACE(gradient_case.forward.name);
  const auto backend = make_reference_backend();
  const std::vector<Values> forward = run_step(*backend, DType::f64, gradient_case.forward);
  for (const BackwardCase& backward : gradient_case.backward) {
    SCOPED_TRACE(backward.step.name);
    const StepCase step = complete(backward.step, forward);
    const std::vector<Values> results = run_step(*backend, DType::f64, step);
    const Values& dy = step.args[static_cast<std::size_t>(backward.dy)].values;
    for (const auto& [operand, forward_operand] : backward.gradients) {
      SCOPED_TRACE("operand " + std::to_string(operand));
      Values analytic = results[static_cast<std::size_t>(operand)];
      const Arg& arg = step.args[static_cast<std::size_t>(operand)];
      for (std::size_t i = 0; i < arg.values.size(); ++i) analytic[i] -= arg.values[i];  // accumulated: what was added
      expect_gradient(*backend, gradient_case, forward_operand, dy, analytic);
    }
  }
}

void expect_close(const Values& actual, const Values& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  const double bound = tolerance * (largest(expected) + std::numeric_limits<float>::min());
  std::size_t worst = 0;
  double worst_error = -1;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double error = std::abs(actual[i] - expected[i]);
    if (error <= worst_error) continue;
    worst = i;
    worst_error = error;
    if (std::isnan(error)) break;
  }
  EXPECT_LE(worst_error, bound) << what << ": element " << worst << " is " << actual[worst] << ", expected "
                                << expected[worst];
}

}  // namespace snug::ops_test
