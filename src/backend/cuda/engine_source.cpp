#include "backend/cuda/engine_source.h"

#include <fmt/format.h>

namespace snug {

namespace {

const cudnn::Library* find_library(const EngineSourceOptions& options) {
  return options.use_cudnn ? cudnn::Library::open() : nullptr;
}

std::string name_of(const cudnn::Library* library) {
  return library == nullptr ? "bound" : fmt::format("cudnn {}", library->version());
}

/// What the answers depend on. Without a library nothing is asked, and so nothing kept.
EngineCache open_cache(const cudnn::Library* library, const DeviceSheet& sheet, const EngineSourceOptions& options) {
  if (library == nullptr) return {{}, {}};
  return {options.cache,
          fmt::format("{} {} {}", name_of(library), cudnn::to_string(library->driver()), sheet_json(sheet))};
}

}  // namespace

std::int64_t workspace_bound(const DeviceSheet& sheet) { return cudnn::cluster_workspace_bytes(sheet); }

EngineSource::EngineSource(DeviceSheet sheet, const EngineSourceOptions& options)
    : sheet_(std::move(sheet)),
      library_(find_library(options)),
      name_(name_of(library_)),
      cache_(open_cache(library_, sheet_, options)) {}

const std::vector<Engine>& EngineSource::engines(const Convolution& convolution) {
  const std::string key = key_of(convolution);
  if (const std::vector<Engine>* known = cache_.find(key)) return *known;
  if (library_ == nullptr) return cache_.add(key, {{"bound", workspace_bound(sheet_)}});
  if (!query_) query_ = std::make_unique<cudnn::EngineQuery>(*library_, sheet_);
  return cache_.add(key, query_->engines(convolution));
}

}  // namespace snug
