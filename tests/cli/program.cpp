#include "cli/program.h"

#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>

namespace snug {

namespace {

std::string quoted(const std::string& word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string read_all(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

ProgramResult run_program(const std::vector<std::string>& words, const std::string& setup) {
  const TemporaryFolder folder;
  std::string command = setup.empty() ? "" : setup + "; ";
  // Times of plans come from a file, so that nothing depends on this machine's speed.
  command += "SNUG_CPU_RATES=${SNUG_CPU_RATES-" + quoted(SNUG_TEST_RATES) + "} exec " + quoted(SNUG_PROGRAM);
  for (const std::string& word : words) command += " " + quoted(word);
  command = "( " + command + " ) >" + quoted(folder / "out") + " 2>" + quoted(folder / "error") + " </dev/null";
  const int status = std::system(command.c_str());
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return {.code = code, .out = read_all(folder / "out"), .error = read_all(folder / "error")};
}

std::vector<std::string> split_words(const std::string& line) {
  std::istringstream stream(line);
  return {std::istream_iterator<std::string>(stream), {}};
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "snug-cli-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryFolder::file(const std::string& name, const std::string& text) const {
  std::string path = *this / name;
  std::ofstream(path) << text;
  return path;
}

std::string small_config() {
  return R"(name = "small"
[data]
train = { synthetic = "shapes", count = 200 }
val = { synthetic = "shapes", count = 60 }
[model]
input = [16, 16, 3]
layers = [
  { conv = 8, kernel = 3, padding = "same", norm = "batch", activation = "relu" },
  { maxpool = 2 },
  { global_avgpool = true },
  { dense = 10 },
]
[train]
epochs = 2
batch = 32
optimizer = { name = "sgd", lr = 0.05, momentum = 0.9 }
)";
}

}  // namespace snug
