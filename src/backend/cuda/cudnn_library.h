// cuDNN's C backend API, opened at run time. The only place that calls it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backend/cuda/cudnn_constants.h"

namespace snug::cudnn {

/// What stands for the GPU's driver in this process. Without any, cuDNN does not even list the engines that it compiles
/// when they are first run.
enum class Driver : std::uint8_t { none, stand_in, real };
[[nodiscard]] std::string_view to_string(Driver driver);

/// Folders in which the library may lie, besides the loader's own: $SNUG_CUDNN, .deps of the source tree, the places of
/// Python's packages.
[[nodiscard]] std::vector<std::filesystem::path> library_folders();

class Library {
 public:
  /// The library, opened once a process; null where there is none, or with SNUG_CUDNN=none.
  [[nodiscard]] static const Library* open();

  [[nodiscard]] std::string version() const;  ///< "9.19.1"
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] Driver driver() const { return driver_; }
  [[nodiscard]] std::string last_error() const;

  // The functions of the library, by its own names.
  int (*create_descriptor)(int, void**) = nullptr;
  int (*destroy_descriptor)(void*) = nullptr;
  int (*finalize)(void*) = nullptr;
  int (*set_attribute)(void*, int, int, std::int64_t, const void*) = nullptr;
  int (*get_attribute)(void*, int, int, std::int64_t, std::int64_t*, void*) = nullptr;
  std::size_t (*get_version)() = nullptr;
  void (*get_last_error)(char*, std::size_t) = nullptr;
  // To execute, which needs a device.
  int (*create_handle)(void**) = nullptr;
  int (*destroy_handle)(void*) = nullptr;
  int (*set_stream)(void*, void*) = nullptr;
  int (*execute)(void* handle, void* plan, void* variant_pack) = nullptr;

 private:
  [[nodiscard]] bool open_at(const std::filesystem::path& path);

  std::filesystem::path path_;
  Driver driver_ = Driver::none;
};

/// One descriptor, owned. Setters remember the first failure: `finalize` then says no.
class Object {
 public:
  Object(const Library& library, Descriptor type);
  Object(Object&& other) noexcept
      : library_(other.library_), handle_(std::exchange(other.handle_, nullptr)), ok_(other.ok_) {}
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  Object& operator=(Object&&) = delete;
  ~Object();

  void set(Attribute name, Type type, std::int64_t count, const void* values);
  void set(Attribute name, std::span<const std::int64_t> values) {
    set(name, TYPE_INT64, static_cast<std::int64_t>(values.size()), values.data());
  }
  /// Pointers: a handle, addresses.
  void set(Attribute name, Type type, std::span<void* const> values) {
    set(name, type, static_cast<std::int64_t>(values.size()), values.data());
  }
  void set(Attribute name, std::int64_t value) { set(name, TYPE_INT64, 1, &value); }
  void set(Attribute name, float value) { set(name, TYPE_FLOAT, 1, &value); }
  void set(Attribute name, const Object& object) { set(name, TYPE_BACKEND_DESCRIPTOR, 1, &object.handle_); }
  template <class Enum>
  void set_enum(Attribute name, Type type, Enum value) {
    const int number = value;
    set(name, type, 1, &number);
  }
  [[nodiscard]] bool finalize();
  /// The library's own, for its calls.
  [[nodiscard]] void* handle() const { return handle_; }

  [[nodiscard]] std::optional<std::int64_t> integer(Attribute name) const;
  /// At most `most` values of an enumeration.
  [[nodiscard]] std::vector<int> enums(Attribute name, Type type, std::int64_t most) const;
  /// Fills in `objects`, which the caller has made; returns how many came.
  [[nodiscard]] std::size_t get(Attribute name, std::span<Object> objects) const;
  [[nodiscard]] std::size_t count(Attribute name) const;

 private:
  const Library& library_;
  void* handle_ = nullptr;
  bool ok_ = false;
};

}  // namespace snug::cudnn
