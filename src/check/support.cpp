// C: what a config can say and this run does not do. What open_data refuses by itself is not repeated here.
#include <utility>

#include "check/families.h"
#include "train/setup.h"

namespace snug {

void check_support(const Config& config, const Processor& processor, Findings& findings) {
  if (auto why = cannot_keep_images(config, processor)) findings.push_back(*std::move(why));
}

}  // namespace snug
