// A Program: one training step (or one evaluation step) as a linear list of steps on tensors. It knows no op's
// meaning; the verifier, the printer and the planner work from operands and accesses alone.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/ids.h"
#include "base/shape.h"
#include "program/attributes.h"
#include "program/op_list.h"

namespace snug {

enum class Role : std::uint8_t { weight, master, optimizer, statistic, gradient, activation, workspace, input };
enum class Phase : std::uint8_t { forward, backward, update, eval };
enum class Access : std::uint8_t { in, out, inout };
enum class Arena : std::uint8_t {
  persistent,  ///< weights, masters, optimizer state, statistics: keeps its bytes from step to step
  transient,   ///< activations, gradients, workspaces: shares bytes over the step
  input,       ///< what the host writes or reads between steps: images, labels, control, statistics of the loss
  data,        ///< images that stay where they are computed with, written once before the first step
  host,        ///< host memory beside the device's: what waits there for the backward pass; shared over the step
};
/// Whether the arena's bytes are shared over a step, and nothing in them outlives it.
[[nodiscard]] constexpr bool is_shared_over_step(Arena arena) {
  return arena == Arena::transient || arena == Arena::host;
}
[[nodiscard]] std::string_view to_string(Role role);
[[nodiscard]] std::string_view to_string(Phase phase);
[[nodiscard]] std::string_view to_string(Arena arena);

/// A run of bytes with one lifetime. In-place operands and slices are several tensors in one storage.
/// Persistent and input storages of different programs with the same name are the same memory.
struct Storage {
  std::string name;
  std::int64_t size_bytes = 0;
  Arena arena = Arena::transient;
};

/// Where a tensor lies in its storage.
struct View {
  StorageId storage;
  std::int64_t offset_bytes = 0;
  std::array<std::int64_t, kMaxRank> strides{};  ///< in elements; the last is 1
};

struct TensorInfo {
  std::string name;  ///< of parameters: the name in checkpoints; else path and purpose ("layer1.0.conv1:dx")
  Shape shape;
  DType dtype = DType::f32;
  Role role = Role::activation;
  LayerId layer;  ///< not valid for what belongs to no layer
  View view;
};

struct Operand {
  TensorId tensor;
  Access access = Access::in;
};

/// What a backward step may read of the forward pass; the planner chooses one.
enum class Saved : std::uint8_t { input, output, mask };
struct Alternative {
  Saved kind = Saved::input;
  TensorId tensor;  ///< read by the step
};

/// Steps of one queue run one after another. A step of another queue than the main one begins once every step of the
/// main queue before it is done, and is done itself at the latest at the `wait` that names its operands.
inline constexpr std::uint8_t kMainQueue = 0;
inline constexpr std::uint8_t kCopyQueue = 1;  ///< between device and host

struct Step {
  Op op = Op::fill;
  Phase phase = Phase::forward;
  Attributes attributes;
  std::vector<Operand> operands;  ///< positional, see op_list.h; a chosen alternative follows, then the workspace
  LayerId layer;
  std::uint8_t queue = kMainQueue;
  std::vector<Alternative> saved;  ///< still to choose; empty once it is among the operands
  Saved chosen = Saved::input;     ///< which kind of alternative was chosen
  bool has_workspace = false;      ///< the last operand is scratch that lives for this step
};

struct Program {
  std::vector<Storage> storages;
  std::vector<TensorInfo> tensors;
  std::vector<Step> steps;
  std::vector<std::string> layers;  ///< paths, indexed by LayerId

  [[nodiscard]] const TensorInfo& operator[](TensorId id) const { return tensors[id.index()]; }
  [[nodiscard]] TensorInfo& operator[](TensorId id) { return tensors[id.index()]; }
  [[nodiscard]] const Storage& operator[](StorageId id) const { return storages[id.index()]; }
  [[nodiscard]] Storage& operator[](StorageId id) { return storages[id.index()]; }
  [[nodiscard]] const Step& operator[](StepId id) const { return steps[id.index()]; }
  /// The storage of a tensor.
  [[nodiscard]] const Storage& storage_of(TensorId id) const {
    return storages[tensors[id.index()].view.storage.index()];
  }
  /// The layer's path; empty for what belongs to none.
  [[nodiscard]] std::string layer_name(LayerId id) const { return id.valid() ? layers[id.index()] : std::string(); }
  /// The tensor with this name, or one that is not valid.
  [[nodiscard]] TensorId find(std::string_view name) const;
};

/// Row-major strides of a packed tensor.
[[nodiscard]] std::array<std::int64_t, kMaxRank> packed_strides(const Shape& shape);
[[nodiscard]] bool is_packed(const TensorInfo& tensor);
/// Elements from one row of channels to the next, where the outer axes follow from it: the number of channels of a
/// packed tensor, more of a channel slice. 0: another view.
[[nodiscard]] std::int64_t channel_pitch(const TensorInfo& tensor);
/// Whether the step takes a channel slice as this operand: kernels of our own may, a library's do not.
[[nodiscard]] bool may_be_pitched(const Step& step, std::size_t operand);
/// Bytes from the first to past the last element of the view.
[[nodiscard]] std::int64_t extent_bytes(const TensorInfo& tensor);

/// Adds tensors and steps. Names are made unique by the caller.
class ProgramBuilder {
 public:
  explicit ProgramBuilder(Program& program) : program_(program) {}

  struct NewTensor {
    std::string name;
    Shape shape;
    DType dtype = DType::f32;
    Role role = Role::activation;
    LayerId layer{};
    Arena arena = Arena::transient;
  };
  /// A packed tensor in a storage of its own, with the tensor's name.
  TensorId add_tensor(const NewTensor& tensor);
  /// A packed tensor over part of an existing storage (a parameter of a flat group, a flattened image).
  TensorId add_view(const NewTensor& tensor, StorageId storage, std::int64_t offset_bytes);
  /// Channels [begin, begin + count) of `whole`, pitched.
  TensorId add_channel_slice(TensorId whole, std::int64_t begin, std::int64_t count, std::string name);
  /// Rows [begin, begin + count) of the outermost axis of `whole`.
  TensorId add_batch_slice(TensorId whole, std::int64_t begin, std::int64_t count, std::string name);
  /// A storage as it is given.
  StorageId add_storage(Storage storage);
  /// A tensor as it is given, in a storage that is there: passes change a few fields of another one's.
  TensorId add_info(TensorInfo tensor);
  StepId add_step(Step step);
  [[nodiscard]] Program& program() { return program_; }

 private:
  Program& program_;
};

/// Checks a program: ids in range, operands inside their storage, every tensor written before it is read, accesses
/// that agree with the op list, phases in order, at most one alternative left per step; what a step of another queue
/// uses is waited for, and until then nobody changes what it reads or touches what it writes; what was copied to the
/// host is not read on the device. Returns what is wrong, one line each; empty when sound.
[[nodiscard]] std::vector<std::string> verify(const Program& program);

/// The steps as text, one a line: `summary --program`.
[[nodiscard]] std::string print(const Program& program);

/// Chooses for every step that still has alternatives the one which keeps fewer bytes alive (an alternative that
/// other steps keep alive anyway costs nothing; ties go to the first).
void choose_saved(Program& program);

/// Lets steps that allow it write over an operand that nothing reads later: storages are merged.
/// Which operands may be one is `in_place_operands`.
void alias_in_place(Program& program);

/// Positions of an output and of an input that it may overwrite.
struct InPlace {
  std::size_t output = 0, input = 0;
};
/// The pairs of which a step may have one, best first.
[[nodiscard]] std::vector<InPlace> in_place_operands(const Step& step);

/// Whether the two operands are alike enough to lie in one storage: each the whole of its own, of one type and size,
/// and nothing else of the step in the input's.
[[nodiscard]] bool can_share_storage(const Program& program, const Step& step, const InPlace& pair);

/// Drops storages that no step uses, and their tensors; a pass that unlinks steps ends with it.
void drop_unused(Program& program);

}  // namespace snug
