#include "cuda/fake_cuda.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <utility>

namespace snug::test {

namespace {

int note(std::string what) {
  fake_cuda().journal.push_back(std::move(what));
  return cuda::kSuccess;
}

int make_handle(void** handle, const char* what) {
  *handle = std::malloc(1);
  ++fake_cuda().open_handles;
  return note(fmt::format("create {}", what));
}
int drop_handle(void* handle) {
  std::free(handle);
  --fake_cuda().open_handles;
  return cuda::kSuccess;
}

int describe(int /*device*/, DeviceSheet* sheet) {
  *sheet = {.name = "NVIDIA Test", .capability = fake_cuda().capability, .multiprocessors = 100};
  return cuda::kSuccess;
}

int allocate(void** memory, std::size_t bytes) {
  if (bytes > fake_cuda().free_bytes) return cuda::kErrorMemoryAllocation;
  *memory = std::malloc(bytes);
  return note("allocate");
}

}  // namespace

FakeCuda& fake_cuda() {
  static FakeCuda the_fake;
  return the_fake;
}

const cuda::Api& fake_api() {
  static const cuda::Api kApi{
      .error_name = [](int) { return "cudaErrorTest"; },
      .error_text = [](int status) { return status == cuda::kErrorMemoryAllocation ? "out of memory" : "a fault"; },
      .take_last_error = [] { return std::exchange(fake_cuda().launch_error, 0); },
      .driver_version = [](int* version) { return *version = fake_cuda().driver, 0; },
      .runtime_version = [](int* version) { return *version = 13000, 0; },
      .device_count = [](int* count) { return *count = fake_cuda().devices, fake_cuda().count_status; },
      .set_device = [](int) { return fake_cuda().open_status; },
      .describe = describe,
      .memory_info = [](std::size_t* free_bytes,
                        std::size_t* total) { return *free_bytes = fake_cuda().free_bytes, *total = 1U << 30, 0; },
      .allocate = allocate,
      .release = [](void* memory) { return std::free(memory), note("release"); },
      .allocate_host = allocate,
      .release_host = [](void* memory) { return std::free(memory), note("release"); },
      .copy_to_device = [](void* to, const void* from, std::size_t bytes,
                           void*) { return std::memcpy(to, from, bytes), note("copy in"); },
      .copy_to_host = [](void* to, const void* from, std::size_t bytes,
                         void*) { return std::memcpy(to, from, bytes), note("copy out"); },
      .copy_within = [](void* to, const void* from, std::size_t bytes,
                        void*) { return std::memcpy(to, from, bytes), note("copy within"); },
      .fill = [](void* to, int value, std::size_t bytes, void*) { return std::memset(to, value, bytes), note("fill"); },
      .create_stream = [](void** stream) { return make_handle(stream, "stream"); },
      .destroy_stream = drop_handle,
      .wait_stream = [](void*) { return note("wait"), std::exchange(fake_cuda().wait_error, 0); },
      .stream_waits = [](void*, void*) { return note("stream waits"); },
      .create_event = [](void** event) { return make_handle(event, "event"); },
      .destroy_event = drop_handle,
      .record_event = [](void*, void*) { return note("record"); },
      .wait_event = [](void*) { return note("wait event"); },
      .create_stamp = [](void** event) { return make_handle(event, "stamp"); },
      .elapsed = [](float* milliseconds, void*, void*) { return *milliseconds = 2, 0; },
      .begin_capture = [](void*) { return note("begin"); },
      .end_capture = [](void*, void** graph) { return note("end"), make_handle(graph, "graph"); },
      .instantiate = [](void** executable, void*) { return make_handle(executable, "executable"); },
      .destroy_graph = drop_handle,
      .destroy_executable = drop_handle,
      .launch_graph = [](void*, void*) { return note("launch"); },
  };
  return kApi;
}

}  // namespace snug::test
