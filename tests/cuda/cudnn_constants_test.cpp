// The numbers that we declare ourselves against those of the real header, where there is one.
#include "backend/cuda/cudnn_constants.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/cudnn_library.h"
#include "base/file.h"

namespace snug::cudnn {
namespace {

std::optional<std::string> header() {
  std::vector<std::filesystem::path> folders{"/usr/local/cuda/include", "/usr/include"};
  for (const auto& folder : library_folders()) folders.push_back(folder.parent_path() / "include");
  for (const auto& folder : folders) {
    if (std::filesystem::exists(folder / "cudnn_graph.h")) return read_text(folder / "cudnn_graph.h");
  }
  return std::nullopt;
}

std::optional<int> number_of(const std::string& text, const std::string& name) {
  std::smatch match;
  const std::regex line("\\bCUDNN_" + name + "(\\s+CUDNN_DEPRECATED_ENUM)?\\s*=\\s*(\\d+)");
  if (!std::regex_search(text, match, line)) return std::nullopt;
  return std::stoi(match[2]);
}

TEST(CudnnConstants, AreThoseOfTheHeader) {
  const auto text = header();
  if (!text) GTEST_SKIP() << "no cudnn_graph.h here";
#define SNUG_NAMED(name) std::pair<std::string, int>(#name, name)
  const std::vector<std::pair<std::string, int>> descriptors{SNUG_NAMED(BACKEND_POINTWISE),
                                                             SNUG_NAMED(BACKEND_OPERATION_POINTWISE),
                                                             SNUG_NAMED(BACKEND_CONVOLUTION),
                                                             SNUG_NAMED(BACKEND_ENGINE),
                                                             SNUG_NAMED(BACKEND_ENGINECFG),
                                                             SNUG_NAMED(BACKEND_ENGINEHEUR),
                                                             SNUG_NAMED(BACKEND_EXECUTION_PLAN),
                                                             SNUG_NAMED(BACKEND_VARIANT_PACK),
                                                             SNUG_NAMED(BACKEND_KNOB_CHOICE),
                                                             SNUG_NAMED(BACKEND_OPERATION_CONVOLUTION_FORWARD),
                                                             SNUG_NAMED(BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER),
                                                             SNUG_NAMED(BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA),
                                                             SNUG_NAMED(BACKEND_OPERATIONGRAPH),
                                                             SNUG_NAMED(BACKEND_TENSOR),
                                                             SNUG_NAMED(BACKEND_DEVICEPROP)};
  for (const auto& [name, number] : descriptors) EXPECT_EQ(number_of(*text, name + "_DESCRIPTOR"), number) << name;
  const std::vector<std::pair<std::string, int>> others{SNUG_NAMED(ATTR_POINTWISE_MODE),
                                                        SNUG_NAMED(ATTR_POINTWISE_MATH_PREC),
                                                        SNUG_NAMED(ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR),
                                                        SNUG_NAMED(ATTR_OPERATION_POINTWISE_XDESC),
                                                        SNUG_NAMED(ATTR_OPERATION_POINTWISE_BDESC),
                                                        SNUG_NAMED(ATTR_OPERATION_POINTWISE_YDESC),
                                                        SNUG_NAMED(ATTR_TENSOR_IS_VIRTUAL),
                                                        SNUG_NAMED(TYPE_BOOLEAN),
                                                        SNUG_NAMED(TYPE_POINTWISE_MODE),
                                                        SNUG_NAMED(POINTWISE_ADD),
                                                        SNUG_NAMED(POINTWISE_RELU_FWD),
                                                        SNUG_NAMED(ATTR_CONVOLUTION_COMP_TYPE),
                                                        SNUG_NAMED(ATTR_CONVOLUTION_CONV_MODE),
                                                        SNUG_NAMED(ATTR_CONVOLUTION_DILATIONS),
                                                        SNUG_NAMED(ATTR_CONVOLUTION_FILTER_STRIDES),
                                                        SNUG_NAMED(ATTR_CONVOLUTION_POST_PADDINGS),
                                                        SNUG_NAMED(ATTR_CONVOLUTION_PRE_PADDINGS),
                                                        SNUG_NAMED(ATTR_CONVOLUTION_SPATIAL_DIMS),
                                                        SNUG_NAMED(ATTR_EXECUTION_PLAN_HANDLE),
                                                        SNUG_NAMED(ATTR_EXECUTION_PLAN_ENGINE_CONFIG),
                                                        SNUG_NAMED(ATTR_EXECUTION_PLAN_WORKSPACE_SIZE),
                                                        SNUG_NAMED(ATTR_EXECUTION_PLAN_DEVICEPROP),
                                                        SNUG_NAMED(ATTR_OPERATIONGRAPH_HANDLE),
                                                        SNUG_NAMED(ATTR_VARIANT_PACK_UNIQUE_IDS),
                                                        SNUG_NAMED(ATTR_VARIANT_PACK_DATA_POINTERS),
                                                        SNUG_NAMED(ATTR_VARIANT_PACK_WORKSPACE),
                                                        SNUG_NAMED(TYPE_HANDLE),
                                                        SNUG_NAMED(TYPE_VOID_PTR),
                                                        SNUG_NAMED(STATUS_NOT_INITIALIZED),
                                                        SNUG_NAMED(STATUS_INTERNAL_ERROR),
                                                        SNUG_NAMED(STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED),
                                                        SNUG_NAMED(STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED),
                                                        SNUG_NAMED(STATUS_EXECUTION_FAILED),
                                                        SNUG_NAMED(ATTR_ENGINEHEUR_MODE),
                                                        SNUG_NAMED(ATTR_ENGINEHEUR_OPERATION_GRAPH),
                                                        SNUG_NAMED(ATTR_ENGINEHEUR_RESULTS),
                                                        SNUG_NAMED(ATTR_ENGINEHEUR_DEVICEPROP),
                                                        SNUG_NAMED(ATTR_ENGINECFG_ENGINE),
                                                        SNUG_NAMED(ATTR_ENGINECFG_KNOB_CHOICES),
                                                        SNUG_NAMED(ATTR_ENGINECFG_WORKSPACE_SIZE),
                                                        SNUG_NAMED(ATTR_KNOB_CHOICE_KNOB_TYPE),
                                                        SNUG_NAMED(ATTR_KNOB_CHOICE_KNOB_VALUE),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_FORWARD_BETA),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_FORWARD_W),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_FORWARD_X),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_FORWARD_Y),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_BWD_DATA_W),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X),
                                                        SNUG_NAMED(ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY),
                                                        SNUG_NAMED(ATTR_OPERATIONGRAPH_OPS),
                                                        SNUG_NAMED(ATTR_TENSOR_BYTE_ALIGNMENT),
                                                        SNUG_NAMED(ATTR_TENSOR_DATA_TYPE),
                                                        SNUG_NAMED(ATTR_TENSOR_DIMENSIONS),
                                                        SNUG_NAMED(ATTR_TENSOR_STRIDES),
                                                        SNUG_NAMED(ATTR_TENSOR_UNIQUE_ID),
                                                        SNUG_NAMED(ATTR_ENGINE_GLOBAL_INDEX),
                                                        SNUG_NAMED(ATTR_ENGINE_NUMERICAL_NOTE),
                                                        SNUG_NAMED(ATTR_ENGINE_BEHAVIOR_NOTE),
                                                        SNUG_NAMED(ATTR_DEVICEPROP_JSON_REPRESENTATION),
                                                        SNUG_NAMED(TYPE_DATA_TYPE),
                                                        SNUG_NAMED(TYPE_INT64),
                                                        SNUG_NAMED(TYPE_FLOAT),
                                                        SNUG_NAMED(TYPE_CONVOLUTION_MODE),
                                                        SNUG_NAMED(TYPE_HEUR_MODE),
                                                        SNUG_NAMED(TYPE_KNOB_TYPE),
                                                        SNUG_NAMED(TYPE_NUMERICAL_NOTE),
                                                        SNUG_NAMED(TYPE_BACKEND_DESCRIPTOR),
                                                        SNUG_NAMED(TYPE_BEHAVIOR_NOTE),
                                                        SNUG_NAMED(TYPE_CHAR),
                                                        SNUG_NAMED(DATA_FLOAT),
                                                        SNUG_NAMED(DATA_HALF),
                                                        SNUG_NAMED(DATA_BFLOAT16),
                                                        SNUG_NAMED(HEUR_MODE_FALLBACK),
                                                        SNUG_NAMED(HEUR_MODE_A),
                                                        SNUG_NAMED(CROSS_CORRELATION),
                                                        SNUG_NAMED(NUMERICAL_NOTE_TENSOR_CORE),
                                                        SNUG_NAMED(NUMERICAL_NOTE_DOWN_CONVERT_INPUTS),
                                                        SNUG_NAMED(NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION),
                                                        SNUG_NAMED(NUMERICAL_NOTE_FFT),
                                                        SNUG_NAMED(NUMERICAL_NOTE_NONDETERMINISTIC),
                                                        SNUG_NAMED(NUMERICAL_NOTE_WINOGRAD),
                                                        SNUG_NAMED(BEHAVIOR_NOTE_RUNTIME_COMPILATION)};
#undef SNUG_NAMED
  for (const auto& [name, number] : others) EXPECT_EQ(number_of(*text, name), number) << name;
}

}  // namespace
}  // namespace snug::cudnn
