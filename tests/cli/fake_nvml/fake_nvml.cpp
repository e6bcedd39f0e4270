// Stands for a driver's management library: one GPU with one process on it.
#include <cstdio>

struct Memory {
  unsigned long long total, free, used;
};
struct Process {
  unsigned int pid;
  unsigned long long used_bytes;
  unsigned int gpu_instance, compute_instance;
};

extern "C" {
int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
int nvmlDeviceGetCount_v2(unsigned int* count) {
  *count = 1;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned int, void** handle) {
  *handle = nullptr;
  return 0;
}
int nvmlDeviceGetName(void*, char* name, unsigned int length) {
  std::snprintf(name, length, "NVIDIA Test");
  return 0;
}
int nvmlDeviceGetUUID(void*, char* uuid, unsigned int length) {
  std::snprintf(uuid, length, "GPU-5eed0001");
  return 0;
}
int nvmlDeviceGetMemoryInfo(void*, Memory* memory) {
  *memory = {.total = 85520809984ULL, .free = 1000, .used = 85520808984ULL};
  return 0;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void*, unsigned int* count, Process* processes) {
  *count = 1;
  processes[0] = {.pid = 42, .used_bytes = 7, .gpu_instance = 0, .compute_instance = 0};
  return 0;
}
int nvmlSystemGetProcessName(unsigned int, char* name, unsigned int length) {
  std::snprintf(name, length, "python");
  return 0;
}
}
