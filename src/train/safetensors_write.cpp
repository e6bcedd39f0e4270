#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/ensure.h"
#include "train/safetensors.h"

namespace snug {

namespace {

std::string_view dtype_name(DType dtype) {
  switch (dtype) {
    case DType::f32: return "F32";
    case DType::f64: return "F64";
    case DType::bf16: return "BF16";
    case DType::f16: return "F16";
    case DType::u8: return "U8";
    case DType::i32: return "I32";
    case DType::i64: return "I64";
  }
  return "?";
}

std::int64_t source_bytes(const TensorSource& tensor) {
  std::int64_t bytes = size_bytes(tensor.dtype);
  for (const std::int64_t extent : tensor.shape) bytes *= extent;
  return bytes;
}

/// The header of `tensors` in their order, padded to 8 bytes.
std::string make_header(const std::vector<TensorSource>& tensors, const Metadata& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::int64_t offset = 0;
  for (const TensorSource& tensor : tensors) {
    const std::int64_t bytes = source_bytes(tensor);
    header[tensor.name] = {
        {"dtype", dtype_name(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, std::vector<TensorSource> tensors, const Metadata& metadata) {
  std::ranges::sort(tensors, {}, [](const TensorSource& t) { return std::pair(-size_bytes(t.dtype), t.name); });
  const std::string header = make_header(tensors, metadata);
  guard_writing(path, [&] {
    AtomicFile file(path);
    const std::uint64_t length = header.size();
    file.write(std::as_bytes(std::span(&length, 1)));
    file.write(header);
    for (const TensorSource& tensor : tensors) {
      const std::span<const std::byte> bytes = tensor.bytes();
      ensure(static_cast<std::int64_t>(bytes.size()) == source_bytes(tensor), "a tensor's bytes fit its shape");
      file.write(bytes);
    }
    file.commit();
  });
}

Diagnostic write_failure(const std::filesystem::path& path, int error_number) {
  const std::string reason = std::generic_category().message(error_number);
  // EFBIG: the file size that the process is allowed (ulimit -f).
  if (error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG)
    return {.code = "M602",
            .where = path.string(),
            .what = fmt::format("the disk took no more: {}; what was saved before is whole", reason),
            .fix = "free some space, or name another folder with --out; then go on with --resume"};
  return {.code = "C602",
          .where = path.string(),
          .what = fmt::format("the file cannot be written: {}", reason),
          .fix = "name a folder that can be written: --out runs/another"};
}

void guard_writing(const std::filesystem::path& path, const std::function<void()>& write) {
  try {
    write();
  } catch (const std::system_error& error) {  // also std::filesystem::filesystem_error
    throw Error(write_failure(path, error.code().value()));
  }
}

}  // namespace snug
