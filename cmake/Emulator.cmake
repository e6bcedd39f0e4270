# The kernels as plain C++ on the emulator of tests/emulator, for tests: they need no CUDA toolkit and no GPU.
find_package(Boost 1.74 REQUIRED COMPONENTS context)

add_library(snug_emulator STATIC ${PROJECT_SOURCE_DIR}/tests/emulator/emulator.cpp)
target_link_libraries(snug_emulator PUBLIC Boost::context PRIVATE snug_flags)
target_include_directories(snug_emulator PUBLIC ${PROJECT_SOURCE_DIR}/tests)
if(SNUG_SANITIZE MATCHES "thread")
  # The scheduler is what makes fibers race, not a part of it: it tells the sanitizer what it must know.
  # (By the file, for its options come behind those of the target.)
  set_source_files_properties(${PROJECT_SOURCE_DIR}/tests/emulator/emulator.cpp PROPERTIES COMPILE_OPTIONS
                                                                                           -fno-sanitize=thread)
  target_compile_definitions(snug_emulator PRIVATE EMULATOR_THREAD_SANITIZER)
endif()

file(GLOB kernel_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*.cu)
set_source_files_properties(${kernel_sources} PROPERTIES LANGUAGE CXX)
add_library(snug_kernels_emulated STATIC ${kernel_sources})
target_link_libraries(snug_kernels_emulated PUBLIC snug_emulator PRIVATE snug_flags)
target_include_directories(snug_kernels_emulated PUBLIC ${PROJECT_SOURCE_DIR})
# 16-byte accesses go through other types than their elements'; pragmas are nvcc's.
target_compile_options(snug_kernels_emulated PRIVATE -O1 -fno-strict-aliasing -Wno-unknown-pragmas
                       $<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>)
