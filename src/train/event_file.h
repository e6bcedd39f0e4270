// A file of events as TensorBoard reads them: TFRecords (lengths and checksums around each message) of Event messages.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/picture.h"
#include "train/histogram.h"
#include "train/protobuf.h"
#include "train/run_folder.h"
#include "train/state.h"

namespace snug {

/// Since 1970, as events hold it.
[[nodiscard]] double now_seconds();

/// A message with its length and the masked CRC-32C of both, as TFRecord files hold it.
[[nodiscard]] std::string tf_record(std::string_view message);

// What a summary shows under a tag.
[[nodiscard]] ProtoMessage scalar_value(std::string_view tag, double value);
[[nodiscard]] ProtoMessage histogram_value(std::string_view tag, const Histogram& histogram);
[[nodiscard]] ProtoMessage image_value(std::string_view tag, const Picture& picture);
/// What a plugin keeps with a run, without a value of its own.
[[nodiscard]] ProtoMessage plugin_value(std::string_view tag, std::string_view plugin, const ProtoMessage& content);

/// The events of one process: a file of its own in the run's folder, named such that it comes last. When a run goes
/// on, what its last process wrote beyond `committed` is cut off, and readers that have seen it already are told to
/// forget everything from `step` on.
class EventFile {
 public:
  /// Throws Error (C, M) as AppendFile does; so do all others.
  EventFile(const std::filesystem::path& folder, const EventMark& committed, std::int64_t step);
  /// Summaries of one step.
  void add(std::int64_t step, const std::vector<ProtoMessage>& values);
  /// A GraphDef.
  void add_graph(const ProtoMessage& graph);
  void sync() { file_.sync(); }
  [[nodiscard]] EventMark mark() const { return {.file = name_, .bytes = file_.size_bytes()}; }

 private:
  void write(std::int64_t step, int field, const ProtoMessage& what);

  std::string name_;
  AppendFile file_;
};

}  // namespace snug
