# One static library per folder of src/: snug_library(NAME SOURCES_FROM_FOLDER… DEPENDS …). The order in which folders
# depend on each other is the order of src/CMakeLists.txt; the linker keeps it.

add_library(snug_flags INTERFACE)
target_compile_options(snug_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                                            -Wcast-align -Wno-missing-field-initializers -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees overlaps in std::string that cannot happen (GCC bug 105651).
  target_compile_options(snug_flags INTERFACE -Wno-restrict)
endif()
target_include_directories(snug_flags INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include
                                                ${PROJECT_BINARY_DIR}/include ${PROJECT_SOURCE_DIR})
if(SNUG_SANITIZE)
  target_compile_options(snug_flags INTERFACE -fsanitize=${SNUG_SANITIZE} -fno-omit-frame-pointer -g1)
  target_link_options(snug_flags INTERFACE -fsanitize=${SNUG_SANITIZE})
  if(SNUG_SANITIZE MATCHES "undefined")
    target_compile_options(snug_flags INTERFACE -fno-sanitize-recover=undefined)
  endif()
endif()

# Every .cpp of the folder src/<folder> (not of its subfolders) in a library snug_<name>.
function(snug_library name)
  cmake_parse_arguments(ARG "" "FOLDER" "DEPENDS" ${ARGN})
  if(NOT ARG_FOLDER)
    set(ARG_FOLDER ${name})
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${ARG_FOLDER}/*.cpp)
  if(NOT sources)  # a folder that is still empty
    add_library(snug_${name} INTERFACE)
    target_link_libraries(snug_${name} INTERFACE ${ARG_DEPENDS})
    return()
  endif()
  add_library(snug_${name} STATIC ${sources})
  target_link_libraries(snug_${name} PUBLIC ${ARG_DEPENDS} PRIVATE snug_flags)
  set_property(GLOBAL APPEND PROPERTY SNUG_LIBRARIES snug_${name})
endfunction()

# Every tests/<folder>/*.cpp in one program, with SOURCES from elsewhere.
function(snug_tests folder)
  cmake_parse_arguments(ARG "" "" "DEPENDS;SOURCES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${folder}/*.cpp)
  if(SNUG_SANITIZE)  # it replaces operator new, as the sanitizers do
    list(FILTER sources EXCLUDE REGEX "tests/data/allocation_test.cpp$")
  endif()
  if(NOT sources)
    return()
  endif()
  list(APPEND sources ${ARG_SOURCES})
  set(target snug_${folder}_test)
  add_executable(${target} ${sources})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_options(${target} PRIVATE -O1)  # what is measured and proven is the libraries
  target_compile_definitions(${target} PRIVATE SNUG_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${target} PRIVATE snug_flags ${ARG_DEPENDS} GTest::gtest_main GTest::gmock)
  gtest_discover_tests(${target} TEST_PREFIX "${folder}." WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
                       DISCOVERY_MODE PRE_TEST
                       # Two tests at a time share the cores: threads that spin while they wait would take them.
                       PROPERTIES LABELS ${folder} TIMEOUT 300 ENVIRONMENT OMP_WAIT_POLICY=passive)
endfunction()
