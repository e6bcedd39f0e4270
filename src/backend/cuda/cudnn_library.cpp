#include "backend/cuda/cudnn_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <system_error>

namespace snug::cudnn {

namespace {

namespace fs = std::filesystem;

constexpr const char* kLibraryName = "libcudnn_graph.so.9";  // the part that plans; it opens the others itself
constexpr const char* kNoDriverName = "libsnug_no_driver.so";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

/// `root`/lib/python3*/{site,dist}-packages/{nvidia/cudnn,torch}/lib: where Python's package manager puts it.
void add_python_folders(const fs::path& root, std::vector<fs::path>& folders) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root / "lib", error)) {
    if (!entry.path().filename().string().starts_with("python3")) continue;
    for (const char* packages : {"site-packages", "dist-packages"}) {
      folders.push_back(entry.path() / packages / "nvidia" / "cudnn" / "lib");
      folders.push_back(entry.path() / packages / "torch" / "lib");
    }
  }
}

/// The root of the Python that a shell would start: of an environment that nobody has activated.
fs::path python_root() {
  std::string path = environment("PATH");
  while (!path.empty()) {
    const std::size_t colon = std::min(path.find(':'), path.size());
    const fs::path python = fs::path(path.substr(0, colon)) / "python3";
    path.erase(0, colon + 1);
    std::error_code error;
    if (fs::exists(python, error)) return python.parent_path().parent_path();
  }
  return {};
}

/// A driver's library by name, else our own that says no to everything; cuDNN finds either by the name libcuda.so.1.
Driver load_driver() {
  if (::dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) != nullptr) return Driver::real;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path installed = program.parent_path().parent_path() / "lib" / "snug" / kNoDriverName;
  for (const fs::path& path : {installed, fs::path(SNUG_NO_DRIVER)}) {
    if (::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr) return Driver::stand_in;
  }
  return Driver::none;
}

template <class Function>
bool find_symbol(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(::dlsym(library, name));
  return function != nullptr;
}

}  // namespace

std::string_view to_string(Driver driver) {
  switch (driver) {
    case Driver::none: return "no driver";
    case Driver::stand_in: return "stand-in driver";
    case Driver::real: return "driver";
  }
  return "?";
}

std::vector<fs::path> library_folders() {
  std::vector<fs::path> folders;
  if (const std::string given = environment("SNUG_CUDNN"); !given.empty()) {
    return {fs::path(given), fs::path(given) / "lib", fs::path(given) / "nvidia" / "cudnn" / "lib"};
  }
  folders.emplace_back(fs::path(SNUG_SOURCE_DEPS) / "cudnn" / "lib");
  const std::string conda = environment("CONDA_PREFIX");
  for (const fs::path& root :
       {fs::path(environment("VIRTUAL_ENV")), fs::path(conda), python_root(), fs::path("/usr"), fs::path("/usr/local"),
        fs::path("/opt/conda"), fs::path(environment("HOME")) / ".local"}) {
    if (!root.empty()) add_python_folders(root, folders);
  }
  if (!conda.empty()) folders.push_back(fs::path(conda) / "lib");
  for (const char* folder : {"/usr/local/cuda/lib64", "/usr/local/cuda/lib", "/usr/lib/x86_64-linux-gnu"})
    folders.emplace_back(folder);
  return folders;
}

const Library* Library::open() {
  static const std::unique_ptr<const Library> kLibrary = []() -> std::unique_ptr<const Library> {
    const std::string given = environment("SNUG_CUDNN");
    if (given == "none") return nullptr;
    auto candidate = std::make_unique<Library>();
    if (given.empty() && candidate->open_at(kLibraryName)) return candidate;
    for (const fs::path& folder : library_folders()) {
      if (candidate->open_at(folder / kLibraryName)) return candidate;
    }
    return nullptr;
  }();
  return kLibrary.get();
}

bool Library::open_at(const fs::path& path) {
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return false;
  const bool complete =
      find_symbol(library, "cudnnBackendCreateDescriptor", create_descriptor) &&
      find_symbol(library, "cudnnBackendDestroyDescriptor", destroy_descriptor) &&
      find_symbol(library, "cudnnBackendFinalize", finalize) &&
      find_symbol(library, "cudnnBackendSetAttribute", set_attribute) &&
      find_symbol(library, "cudnnBackendGetAttribute", get_attribute) &&
      find_symbol(library, "cudnnGetVersion", get_version) &&
      find_symbol(library, "cudnnGetLastErrorString", get_last_error) &&
      find_symbol(library, "cudnnCreate", create_handle) && find_symbol(library, "cudnnDestroy", destroy_handle) &&
      find_symbol(library, "cudnnSetStream", set_stream) && find_symbol(library, "cudnnBackendExecute", execute);
  if (!complete) return false;
  path_ = path;
  driver_ = load_driver();
  return true;
}

std::string Library::version() const {
  const std::size_t number = get_version();  // 91901
  return fmt::format("{}.{}.{}", number / 10'000, number / 100 % 100, number % 100);
}

std::string Library::last_error() const {
  std::array<char, 512> message{};
  get_last_error(message.data(), message.size());
  return message.data();
}

Object::Object(const Library& library, Descriptor type) : library_(library) {
  ok_ = library.create_descriptor(type, &handle_) == 0;
}

Object::~Object() {
  if (handle_ != nullptr) library_.destroy_descriptor(handle_);
}

void Object::set(Attribute name, Type type, std::int64_t count, const void* values) {
  ok_ = ok_ && library_.set_attribute(handle_, name, type, count, values) == 0;
}

bool Object::finalize() { return ok_ && library_.finalize(handle_) == 0; }

std::optional<std::int64_t> Object::integer(Attribute name) const {
  std::int64_t value = 0;
  std::int64_t count = 0;
  if (library_.get_attribute(handle_, name, TYPE_INT64, 1, &count, &value) != 0 || count != 1) return std::nullopt;
  return value;
}

std::vector<int> Object::enums(Attribute name, Type type, std::int64_t most) const {
  std::vector<int> values(static_cast<std::size_t>(most));
  std::int64_t count = 0;
  if (library_.get_attribute(handle_, name, type, most, &count, values.data()) != 0) count = 0;
  values.resize(static_cast<std::size_t>(std::clamp<std::int64_t>(count, 0, most)));
  return values;
}

std::size_t Object::get(Attribute name, std::span<Object> objects) const {
  std::vector<void*> handles;
  handles.reserve(objects.size());
  for (const Object& object : objects) handles.push_back(object.handle_);
  std::int64_t count = 0;
  const auto wanted = static_cast<std::int64_t>(handles.size());
  if (library_.get_attribute(handle_, name, TYPE_BACKEND_DESCRIPTOR, wanted, &count, handles.data()) != 0) return 0;
  return static_cast<std::size_t>(std::clamp<std::int64_t>(count, 0, wanted));
}

std::size_t Object::count(Attribute name) const {
  std::int64_t count = 0;
  if (library_.get_attribute(handle_, name, TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr) != 0) return 0;
  return static_cast<std::size_t>(std::max<std::int64_t>(0, count));
}

}  // namespace snug::cudnn
