// oneDNN's engine and stream, and a short sequence of its primitives as a prepared step. Included only by the files
// that prepare primitives: dnnl.hpp is heavy.
#pragma once

#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <utility>
#include <vector>

#include "backend/cpu/context.h"

namespace snug::cpu {

struct Library {
  int threads = 1;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
};

/// oneDNN's name of an element type.
[[nodiscard]] dnnl::memory::data_type library_type(DType dtype);

/// Where an argument of a primitive lies at run time.
struct Place {
  bool in_workspace = false;
  std::int64_t at = 0;  ///< byte offset in the workspace, or number of the operand
};
[[nodiscard]] inline Place at_operand(std::int64_t number) { return {.in_workspace = false, .at = number}; }

/// Primitives to run one after another. While preparing they are described alone, for their code is half of what
/// planning would take; `load` has it made, and running only sets addresses. These live in the objects, so one sequence
/// runs at a time.
class PrimitiveSequence {
 public:
  explicit PrimitiveSequence(std::shared_ptr<Library> library) : library_(std::move(library)) {}

  struct Argument {
    int name = 0;  ///< DNNL_ARG_…
    Place place;
    dnnl::memory::desc layout;
  };
  /// Room for a tensor of this layout in the workspace.
  Place add_scratch(const dnnl::memory::desc& layout);
  /// Appends a primitive; its scratchpad goes to the workspace.
  void add(const dnnl::primitive_desc_base& description, std::vector<Argument> arguments);
  /// Appends a copy between layouts; `accumulate` adds to what is there.
  void add_reorder(Place from, const dnnl::memory::desc& from_layout, Place to, const dnnl::memory::desc& to_layout,
                   bool accumulate = false);
  [[nodiscard]] const dnnl::engine& engine() const { return library_->engine; }
  [[nodiscard]] std::int64_t workspace_bytes() const { return layout_.bytes(); }
  void load();
  void run(const StepArguments& arguments);  ///< loads first where nobody has

 private:
  struct Binding {
    Place place;
    dnnl::memory memory;
  };
  struct Call {
    dnnl::primitive_desc_base description;
    dnnl::primitive primitive;  ///< empty until it is loaded
    std::vector<Binding> bindings;
    std::vector<dnnl_exec_arg_t> arguments;
  };
  std::shared_ptr<Library> library_;
  std::vector<Call> calls_;
  WorkspaceLayout layout_;
  bool loaded_ = false;
};

/// The sequence as a prepared step.
[[nodiscard]] PreparedStep as_step(PrimitiveSequence sequence, std::string algorithm);

/// Attributes of every primitive: scratch comes from the step's workspace.
[[nodiscard]] dnnl::primitive_attr user_scratchpad();

}  // namespace snug::cpu
