// Measuring in a process of its own: a run's memory, and what is held against its plan, stay its own.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <string>
#include <string_view>

#include "check/families.h"
#include "check/measured.h"

namespace snug {

namespace {

constexpr char kField = '\x1f', kRecord = '\x1e';

std::string packed(const Findings& findings) {
  std::string text;
  for (const Diagnostic& finding : findings) {
    text += finding.code + kField + std::to_string(static_cast<int>(finding.severity)) + kField + finding.where +
            kField + finding.what + kField + finding.fix + kRecord;
  }
  return text;
}

Findings unpacked(std::string_view text) {
  Findings findings;
  while (!text.empty()) {
    const std::string_view record = text.substr(0, text.find(kRecord));
    std::array<std::string, 5> fields;
    std::size_t begin = 0;
    for (std::string& field : fields) {
      const std::size_t end = std::min(record.find(kField, begin), record.size());
      field = record.substr(std::min(begin, record.size()), end - std::min(begin, end));
      begin = end + 1;
    }
    const int severity = fields[1] == "2" ? 2 : fields[1] == "1" ? 1 : 0;
    findings.push_back({fields[0], static_cast<Severity>(severity), fields[2], fields[3], fields[4]});
    text.remove_prefix(std::min(record.size() + 1, text.size()));
  }
  return findings;
}

/// In what this machine can compute in: the precision changes nothing of what is looked for.
RunSetup computable(RunSetup setup) {
  Precision& precision = setup.lowering.train.precision;
  if (precision != Precision::bf16 || cannot_compute(Precision::bf16, this_processor())) precision = Precision::fp32;
  setup.lowering.dtype = activation_dtype(precision);
  return setup;
}

void write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::string read_all(int file) {
  std::string text;
  std::array<char, 4096> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  for (;;) {
    const ssize_t got = ::read(file, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

[[noreturn]] void measure_and_leave(const Config& config, const RunSetup& setup, const MeasureOptions& options,
                                    int out) {
  try {
    write_all(out, packed(measure(config, computable(setup), options)));
  } catch (const std::exception&) {
    // What stands in the way is told by those who plan and run.
  }
  ::_exit(0);
}

}  // namespace

std::vector<Diagnostic> measure_apart(const Config& config, const RunSetup& setup, const MeasureOptions& options) {
  std::array<int, 2> pipe{-1, -1};
  if (::pipe(pipe.data()) != 0) return {};
  const pid_t child = ::fork();  // nothing has computed here yet: there is one thread
  if (child == 0) {
    ::close(pipe[0]);
    measure_and_leave(config, setup, options, pipe[1]);
  }
  ::close(pipe[1]);
  Findings findings;
  if (child > 0) {
    findings = unpacked(read_all(pipe[0]));
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  }
  ::close(pipe[0]);
  return findings;
}

}  // namespace snug
