// The safetensors container: u64 header length, JSON header, then the tensors' bytes without gaps.
// Reading is strict: whatever breaks a rule of the format is a finding with both sides' numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/file.h"
#include "snug/diagnostic.h"

namespace snug {

using Metadata = std::map<std::string, std::string, std::less<>>;

struct SafeTensor {
  std::string name;
  std::string dtype;                ///< as written: "F32"
  std::vector<std::int64_t> shape;  ///< empty: a scalar
  std::span<const std::byte> bytes;
  [[nodiscard]] std::int64_t elements() const;
};

/// What a file holds; `bytes` point into what was parsed.
struct SafetensorsView {
  std::vector<SafeTensor> tensors;  ///< by offset
  Metadata metadata;
  [[nodiscard]] const SafeTensor* find(std::string_view name) const;
};

/// Checks and reads a whole file's bytes. Throws Error (family D); `where` names the file in it.
[[nodiscard]] SafetensorsView parse_safetensors(std::span<const std::byte> bytes, const std::string& where);

/// A file mapped for reading.
class SafetensorsFile {
 public:
  /// Throws Error: family C when it cannot be opened, D when it is malformed.
  explicit SafetensorsFile(const std::filesystem::path& path);
  [[nodiscard]] const SafetensorsView& view() const { return view_; }
  [[nodiscard]] const SafeTensor* find(std::string_view name) const { return view_.find(name); }
  [[nodiscard]] const Metadata& metadata() const { return view_.metadata; }

 private:
  MappedFile file_;
  SafetensorsView view_;
};

/// Whether `read_floats` can read it: F32, F64, F16, BF16.
[[nodiscard]] bool is_floating(const SafeTensor& tensor);
/// The values as float; `values` has tensor.elements() elements.
void read_floats(const SafeTensor& tensor, std::span<float> values);

/// A tensor to write. `bytes` is called once, when its turn comes; what it returns is written before the next call, so
/// that all tensors may share one buffer.
struct TensorSource {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::function<std::span<const std::byte>()> bytes;
};

/// Writes through AtomicFile: larger types first, then by name; the header is padded to 8 bytes.
/// Throws Error: family M when the disk is full, C when the file cannot be written.
void write_safetensors(const std::filesystem::path& path, std::vector<TensorSource> tensors, const Metadata& metadata);

/// The finding for a file that could not be written: M for a full disk, C otherwise.
[[nodiscard]] Diagnostic write_failure(const std::filesystem::path& path, int error_number);
/// Calls `write`; a std::system_error in it becomes the Error above.
void guard_writing(const std::filesystem::path& path, const std::function<void()>& write);

}  // namespace snug
