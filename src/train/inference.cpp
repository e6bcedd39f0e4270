#include "train/inference.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "config/precision.h"
#include "lowering/lowering.h"

namespace snug {

Checkpoint open_checkpoint(const std::filesystem::path& path) {
  const std::filesystem::path file = find_checkpoint(path);
  Checkpoint checkpoint{.path = file, .file = SafetensorsFile(file), .info = {}};
  checkpoint.info = checkpoint_info(checkpoint.file.metadata(), file.string());
  return checkpoint;
}

Graph checked_graph(const Config& config) {
  std::vector<Diagnostic> findings;
  Graph graph = build_graph(config.model, findings);
  if (has_errors(findings)) throw Error(std::move(findings));
  return graph;
}

void require_whole(const Checkpoint& checkpoint, const Graph& graph) {
  std::vector<Diagnostic> findings = compare_weights(checkpoint.file, checkpoint.path, graph, false);
  const std::int64_t channels = graph.nodes[0].output[2];
  if (const std::int64_t scaled = std::ssize(checkpoint.info.scaling.mean); scaled != channels) {
    findings.push_back({.code = "D603",
                        .where = checkpoint.path.string(),
                        .what = fmt::format("the checkpoint scales {} channels, its model takes {}", scaled, channels),
                        .fix = "take another checkpoint of the run: this one was changed"});
  }
  if (has_errors(findings)) throw Error(std::move(findings));
}

std::int64_t output_count(const Graph& graph, Loss loss) {
  return graph[final_layer(graph, loss).logits].output.elements();
}

std::vector<std::string> class_names(const std::vector<std::string>& known, std::int64_t count) {
  if (std::ssize(known) == count) return known;
  std::vector<std::string> names;
  for (std::int64_t c = 0; c < count; ++c) names.push_back(std::to_string(c));
  return names;
}

void check_scale(const CheckpointInfo& info, const DatasetInfo& images, const std::string& where) {
  if (images.integer_max == info.integer_max) return;
  const auto scale = [](double integer_max) {
    return integer_max > 0 ? fmt::format("integers up to {:.0f}", integer_max) : std::string("floats");
  };
  throw Error(Diagnostic{.code = "D613",
                         .where = where,
                         .what = fmt::format("the images are {} ({}), the network was trained on {}",
                                             scale(images.integer_max), images.source_dtype, scale(info.integer_max)),
                         .fix = info.integer_max == 255 ? "images.astype(numpy.uint8), on the scale 0 to 255"
                                                        : "store the images as the training data were"});
}

namespace {

/// Throws Error (M) where the arenas are more than this machine has free.
void require_memory(const Plan& plan, const std::filesystem::path& path) {
  const std::int64_t needed = plan.persistent_bytes + plan.transient_bytes + plan.input_bytes;
  const std::int64_t available = cpu_memory().free_bytes;
  if (needed <= available) return;
  throw Error(
      {.code = "M617",
       .where = path.string(),
       .what = fmt::format("to run this network takes {}, {} are free", format_bytes(needed), format_bytes(available)),
       .fix = "free memory, or use a machine with more"});
}

}  // namespace

Inference::Inference(const Checkpoint& checkpoint, const Config& config, const Graph& graph,
                     const std::vector<std::int64_t>& batches, bool with_loss, const Computer& computer)
    : backend_(computer.make_backend(config)) {
  if (const auto why = cannot_compute(config.train.precision, computer.processor)) {
    throw Error({.code = "T616",
                 .where = to_string(config.where("train.precision")),
                 .what = *why,
                 .fix = "--set 'train.precision=\"fp32\"'"});
  }
  LoweringOptions options{.training = false,
                          .with_loss = with_loss,
                          .dtype = activation_dtype(config.train.precision),
                          .image_dtype = checkpoint.info.integer_max == 255 ? DType::u8 : DType::f32,
                          .image_divisor = checkpoint.info.scaling.divisor,
                          .train = config.train};
  std::vector<Program> programs;
  for (const std::int64_t batch : batches) {
    options.batch = batch;
    programs.push_back(lower(graph, options));
  }
  require_whole(checkpoint, graph);
  plan_ = plan_programs(std::move(programs), *backend_);
  require_memory(plan_, checkpoint.path);
  plan_.eval = 0;
  plan_.eval_last = batches.size() > 1 ? 1 : -1;
  network_ = std::make_unique<Network>(plan_, checkpoint.info.scaling, config.train,
                                       RuntimeOptions{.device = computer.device});
  std::vector<Diagnostic> findings = load_weights(checkpoint.file, checkpoint.path, graph, *network_, false);
  if (has_errors(findings)) throw Error(std::move(findings));
}

}  // namespace snug
