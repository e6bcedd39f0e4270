#include "backend/cpu/onednn.h"

#include <fmt/format.h>

#include "snug/diagnostic.h"

namespace snug::cpu {

namespace {

void check(dnnl_status_t status, std::string_view what) {
  if (status == dnnl_success) return;
  throw Error({.code = "I402",
               .where = "oneDNN",
               .what = fmt::format("{} failed with status {}", what, static_cast<int>(status)),
               .fix = "report this with the config and the output of: snug version --json"});
}

}  // namespace

dnnl::memory::data_type library_type(DType dtype) {
  switch (dtype) {
    case DType::f32: return dnnl::memory::data_type::f32;
    case DType::bf16: return dnnl::memory::data_type::bf16;
    case DType::f64:
    case DType::f16:
    case DType::u8:
    case DType::i32:
    case DType::i64: break;
  }
  fail("oneDNN is asked for fp32 and bf16 alone", __FILE__, __LINE__);
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

Place PrimitiveSequence::add_scratch(const dnnl::memory::desc& layout) {
  return {.in_workspace = true, .at = layout_.add_bytes(static_cast<std::int64_t>(layout.get_size()))};
}

void PrimitiveSequence::add(const dnnl::primitive_desc_base& description, std::vector<Argument> arguments) {
  Call call{.description = description, .primitive = {}, .bindings = {}, .arguments = {}};
  const dnnl_memory_desc* scratchpad = dnnl_primitive_desc_query_md(description.get(), dnnl_query_scratchpad_md, 0);
  if (scratchpad != nullptr && dnnl_memory_desc_get_size(scratchpad) > 0) {
    dnnl_memory_desc_t copy = nullptr;
    check(dnnl_memory_desc_clone(&copy, scratchpad), "copying a layout");
    const dnnl::memory::desc layout(copy);
    arguments.push_back({DNNL_ARG_SCRATCHPAD, add_scratch(layout), layout});
  }
  for (const Argument& argument : arguments) {
    call.bindings.push_back({argument.place, dnnl::memory(argument.layout, library_->engine, nullptr)});
    call.arguments.push_back({argument.name, call.bindings.back().memory.get()});
  }
  calls_.push_back(std::move(call));
}

void PrimitiveSequence::add_reorder(Place from, const dnnl::memory::desc& from_layout, Place to,
                                    const dnnl::memory::desc& to_layout, bool accumulate) {
  dnnl::primitive_attr attributes = user_scratchpad();
  if (accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0F);
    attributes.set_post_ops(sum);
  }
  const dnnl::reorder::primitive_desc description(library_->engine, from_layout, library_->engine, to_layout,
                                                  attributes);
  add(description, {{DNNL_ARG_FROM, from, from_layout}, {DNNL_ARG_TO, to, to_layout}});
}

void PrimitiveSequence::load() {
  if (loaded_) return;
  omp_set_num_threads(library_->threads);
  for (Call& call : calls_) call.primitive = dnnl::primitive(call.description.get());
  loaded_ = true;
}

void PrimitiveSequence::run(const StepArguments& arguments) {
  load();
  // OpenMP keeps the number per thread: whoever calls must have the one that the primitives were made for.
  if (omp_get_max_threads() != library_->threads) omp_set_num_threads(library_->threads);
  for (const Call& call : calls_) {
    for (const Binding& binding : call.bindings) {
      void* address = binding.place.in_workspace ? static_cast<std::byte*>(arguments.workspace) + binding.place.at
                                                 : arguments.operands[binding.place.at];
      check(dnnl_memory_set_data_handle(binding.memory.get(), address), "setting an address");
    }
    check(dnnl_primitive_execute(call.primitive.get(), library_->stream.get(), static_cast<int>(call.arguments.size()),
                                 call.arguments.data()),
          "running a primitive");
  }
}

PreparedStep as_step(PrimitiveSequence sequence, std::string algorithm) {
  const std::int64_t bytes = sequence.workspace_bytes();
  auto shared = std::make_shared<PrimitiveSequence>(std::move(sequence));
  return {.algorithm = std::move(algorithm),
          .workspace_bytes = bytes,
          .run = [shared](const StepArguments& arguments) { shared->run(arguments); },
          .load = [shared] { shared->load(); }};
}

}  // namespace snug::cpu
