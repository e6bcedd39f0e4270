#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "base/text.h"
#include "cli/command.h"
#include "cli/common.h"
#include "report/terminal.h"
#include "train/export.h"

namespace snug {

namespace {

void require_safetensors(const Arguments& arguments) {
  static const std::vector<std::string> kFormats{"safetensors", "onnx"};
  const auto format = arguments.text("to");
  if (format == "safetensors") return;
  if (!format) {
    throw Error({.code = "C931",
                 .where = "--to",
                 .what = "`snug export` needs the format to write",
                 .fix = "--to safetensors"});
  }
  if (format == "onnx") {
    throw Error({.code = "C932",
                 .where = "--to onnx",
                 .what = "ONNX is not in this version, which exports safetensors",
                 .fix = "--to safetensors"});
  }
  throw Error({.code = "C931",
               .where = fmt::format("--to {}", *format),
               .what = fmt::format("--to is safetensors or onnx, not '{}'", *format),
               .fix = fmt::format("--to {}", nearest(*format, kFormats).value_or("safetensors"))});
}

/// Where to write: nothing that is there already is written over.
std::filesystem::path read_out(const Arguments& arguments) {
  const auto out = arguments.text("out");
  if (!out || out->empty()) {
    throw Error({.code = "C933",
                 .where = "--out",
                 .what = "`snug export` needs a file to write to",
                 .fix = "--out weights.safetensors"});
  }
  std::error_code ignored;
  std::filesystem::path path = *out;
  if (std::filesystem::exists(std::filesystem::symlink_status(path, ignored))) {
    throw Error({.code = "C934",
                 .where = fmt::format("--out {}", *out),
                 .what = fmt::format("{} is there already and is not written over", path.filename().string()),
                 .fix = "name a new file with --out, or remove that one"});
  }
  return path;
}

int run(const Arguments& arguments) {
  require_safetensors(arguments);
  const std::filesystem::path out = read_out(arguments);
  require_cpu(arguments, DeviceUse::plan);
  (void)thread_count(arguments);  // taken as every command takes it; nothing here is slow
  const ExportResult result = export_safetensors(arguments.positional()[0], out);
  const nlohmann::ordered_json json{{"file", out.string()}, {"tensors", result.tensors}, {"bytes", result.bytes}};
  print_result(
      arguments, json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
      fmt::format("{} tensors, {}, written to {}\n", result.tensors, format_bytes(result.bytes), out.string()));
  return 0;
}

}  // namespace

Command export_command() {
  return {.name = "export",
          .arguments = "CHECKPOINT",
          .summary = "the weights that evaluation uses, as a file for other programs",
          .example = "snug export runs/quickstart-1 --to safetensors --out weights.safetensors",
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {{"to", "FORMAT", "safetensors: a state dict with PyTorch's names and shapes"},
                      {"out", "FILE", "the file to write; must not exist"},
                      kDeviceOption,
                      kThreadsOption},
          .run = run};
}

}  // namespace snug
