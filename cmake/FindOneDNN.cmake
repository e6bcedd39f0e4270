# Finds oneDNN (threads by OpenMP) in SNUG_ONEDNN_ROOT, by default where scripts/setup.sh unpacks it. Defines OneDNN::dnnl.
set(SNUG_ONEDNN_ROOT ${PROJECT_SOURCE_DIR}/.deps/onednn CACHE PATH "Folder with include/ and lib/ of oneDNN")
find_path(OneDNN_INCLUDE_DIR oneapi/dnnl/dnnl.hpp PATHS ${SNUG_ONEDNN_ROOT}/include NO_DEFAULT_PATH)
find_library(OneDNN_LIBRARY dnnl PATHS ${SNUG_ONEDNN_ROOT}/lib NO_DEFAULT_PATH)
if(OneDNN_INCLUDE_DIR)
  file(STRINGS ${OneDNN_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h version_lines REGEX "define DNNL_VERSION_(MAJOR|MINOR|PATCH)")
  string(REGEX MATCHALL "[0-9]+" version_numbers "${version_lines}")
  list(JOIN version_numbers "." OneDNN_VERSION)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OneDNN REQUIRED_VARS OneDNN_LIBRARY OneDNN_INCLUDE_DIR VERSION_VAR OneDNN_VERSION
                                  REASON_FAILURE_MESSAGE "run scripts/setup.sh, or set SNUG_ONEDNN_ROOT")
if(OneDNN_FOUND AND NOT TARGET OneDNN::dnnl)
  add_library(OneDNN::dnnl SHARED IMPORTED)
  set_target_properties(OneDNN::dnnl PROPERTIES IMPORTED_LOCATION ${OneDNN_LIBRARY}
                                                INTERFACE_INCLUDE_DIRECTORIES ${OneDNN_INCLUDE_DIR})
endif()
