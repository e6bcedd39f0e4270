// The engines of every convolution on one device: from memory, from disk, from cuDNN; or a bound where there is none.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/cuda/convolution.h"
#include "backend/cuda/cudnn_engines.h"
#include "backend/cuda/device_sheet.h"
#include "backend/cuda/engine_cache.h"
#include "base/cache_folder.h"

namespace snug {

struct EngineSourceOptions {
  std::filesystem::path cache = cache_folder();  ///< empty: nothing is kept on disk
  bool use_cudnn = true;                         ///< false: bounds alone
};

class EngineSource {
 public:
  explicit EngineSource(DeviceSheet sheet, const EngineSourceOptions& options = {});
  EngineSource(const EngineSource&) = delete;
  EngineSource& operator=(const EngineSource&) = delete;
  ~EngineSource() { cache_.save(); }

  /// Best first, each with less scratch than those before it. Without cuDNN one entry, the bound.
  [[nodiscard]] const std::vector<Engine>& engines(const Convolution& convolution);
  /// "cudnn 9.19.1", or "bound".
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const DeviceSheet& sheet() const { return sheet_; }

 private:
  DeviceSheet sheet_;
  const cudnn::Library* library_ = nullptr;
  std::unique_ptr<cudnn::EngineQuery> query_;  ///< made once it is needed: it takes a tenth of a second
  std::string name_;
  EngineCache cache_;
};

/// What a convolution may take where cuDNN cannot be asked: with so much there is always an engine that fits, and on
/// sm_90 and later all those that split sums over the multiprocessors.
[[nodiscard]] std::int64_t workspace_bound(const DeviceSheet& sheet);

}  // namespace snug
