#include "train/process.h"

#include <cstdio>
#include <memory>

#include <unistd.h>

namespace snug {

namespace {

using FilePointer = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

}  // namespace

std::int64_t peak_resident_bytes() {
  // Not getrusage: its maximum is inherited from the process that started this one.
  const FilePointer file(std::fopen("/proc/self/status", "re"), std::fclose);
  char line[256];
  long long kibibytes = 0;
  while (file != nullptr && std::fgets(line, sizeof line, file.get()) != nullptr)
    if (std::sscanf(line, "VmHWM: %lld kB", &kibibytes) == 1) return kibibytes * 1024;
  return 0;
}

std::int64_t resident_bytes() {
  const FilePointer file(std::fopen("/proc/self/statm", "re"), std::fclose);
  long long total = 0, resident = 0;
  if (file == nullptr || std::fscanf(file.get(), "%lld %lld", &total, &resident) != 2) return 0;
  return resident * ::sysconf(_SC_PAGESIZE);
}

}  // namespace snug
