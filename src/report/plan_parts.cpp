#include "report/plan_parts.h"

#include <algorithm>

namespace snug {

std::vector<PlanPart> plan_parts(const PlanReport& plan) {
  const PlanBreakdown& breakdown = plan.breakdown;
  const bool cpu = plan.device == "cpu";
  std::vector<PlanPart> parts{
      {"driver", cpu ? "the process and its libraries" : "the context that the driver keeps for a process",
       breakdown.driver},
      {"library", "code of the library's kernels", breakdown.library},
      {"weights", "what is trained", breakdown.weights},
      {"optimizer", "momentum or moments of every weight", breakdown.optimizer},
      {"statistics", "running means and variances, averages", breakdown.statistics},
      {"input", "the batch itself: images, labels", breakdown.input - plan.data_bytes},
      {"activations", "outputs of layers kept for the backward pass, their gradients", breakdown.activations},
      {"gradients", "of the weights", breakdown.gradients},
      {"workspace", "scratch of the library's kernels", breakdown.workspace},
      {"padding", "holes between buffers, whole pages", breakdown.padding}};
  if (plan.data_bytes > 0) {
    const auto input = std::ranges::find(parts, "input", &PlanPart::name);
    parts.insert(input, {"images", "the training images, which stay on the device", plan.data_bytes});
  }
  return parts;
}

std::string_view phase_words(std::string_view phase) {
  if (phase == "forward") return "in the forward pass";
  if (phase == "backward") return "in the backward pass";
  if (phase == "update") return "in the update of weights";
  if (phase == "eval") return "in the evaluation";
  return phase;
}

}  // namespace snug
