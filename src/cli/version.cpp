#include "snug/version.h"

#include <fmt/format.h>
#include <oneapi/dnnl/dnnl.h>
#include <toml++/impl/version.h>
#include <zlib.h>
#include <nlohmann/detail/abi_macros.hpp>

#include "cli/command.h"
#include "cli/common.h"
#include "cli/conditions.h"
#include "report/reports.h"

namespace snug {

namespace {

std::string cpu_architecture() {
  switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41: return "x86-64 sse4.1";
    case dnnl_cpu_isa_avx: return "x86-64 avx";
    case dnnl_cpu_isa_avx2: return "x86-64 avx2";
    case dnnl_cpu_isa_avx2_vnni:
    case dnnl_cpu_isa_avx2_vnni_2: return "x86-64 avx2-vnni";
    case dnnl_cpu_isa_avx512_core:
    case dnnl_cpu_isa_avx512_core_vnni: return "x86-64 avx512";
    case dnnl_cpu_isa_avx512_core_bf16: return "x86-64 avx512-bf16";
    case dnnl_cpu_isa_avx512_core_fp16: return "x86-64 avx512-fp16";
    case dnnl_cpu_isa_avx512_core_amx:
    case dnnl_cpu_isa_avx512_core_amx_fp16: return "x86-64 avx512-amx";
    case dnnl_cpu_isa_default: break;
  }
  return "x86-64";
}

int run(const Arguments& arguments) {
  const VersionReport report = version_report();
  print_result(arguments, to_json(report), to_text(report));
  return 0;
}

}  // namespace

VersionReport version_report() {
  const dnnl_version_t* dnnl = dnnl_version();
  return {
      .version = kVersion,
      .compiler = SNUG_COMPILER,
      .libraries = {{"oneDNN", fmt::format("{}.{}.{}", dnnl->major, dnnl->minor, dnnl->patch)},
                    {"zlib", zlibVersion()},
                    {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
                    {"toml++", fmt::format("{}.{}.{}", TOML_LIB_MAJOR, TOML_LIB_MINOR, TOML_LIB_PATCH)},
                    {"nlohmann-json", fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
                                                  NLOHMANN_JSON_VERSION_PATCH)}},
      .architectures = {cpu_architecture()}};
}

Command version_command() {
  return {.name = "version",
          .arguments = "",
          .summary = "the program, its libraries, what it computes on",
          .example = "snug version --json",
          .options = {},
          .run = run};
}

}  // namespace snug
