# `cmake --install`: bin/snug, one shared library with the public headers, oneDNN beside it, the configs, and
# find_package(snug). Public headers need the standard library alone, so users of the library need nothing else.
include(CMakePackageConfigHelpers)

# The folders' objects in one library; the command line and what only tests use stay out.
get_property(folders GLOBAL PROPERTY SNUG_LIBRARIES)
list(REMOVE_ITEM folders snug_cli snug_backend_reference)
list(TRANSFORM folders REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
add_library(snug_shared SHARED ${objects})
add_library(snug::snug ALIAS snug_shared)
set_target_properties(snug_shared PROPERTIES OUTPUT_NAME snug EXPORT_NAME snug LINKER_LANGUAGE CXX
                                             VERSION ${PROJECT_VERSION}
                                             SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
target_include_directories(snug_shared INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
                                                 $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                 $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>)
target_compile_features(snug_shared INTERFACE cxx_std_20)
target_link_libraries(snug_shared PRIVATE $<BUILD_INTERFACE:snug_train> ${CMAKE_DL_LIBS})
if(SNUG_SANITIZE)
  target_link_options(snug_shared PRIVATE -fsanitize=${SNUG_SANITIZE})
endif()

# Installed programs find the libraries by their own place, wherever the tree is moved to.
file(RELATIVE_PATH library_from_program /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
set_target_properties(snug PROPERTIES INSTALL_RPATH "$ORIGIN/${library_from_program}")
set_target_properties(snug_shared PROPERTIES INSTALL_RPATH "$ORIGIN")

install(TARGETS snug RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS snug_shared EXPORT snug LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/snug DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_BINARY_DIR}/include/snug/version.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/snug)
install(DIRECTORY configs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/snug/configs)
install(FILES LICENSE THIRD_PARTY_NOTICES.md README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The loader looks for libdnnl by its soname.
file(REAL_PATH ${OneDNN_LIBRARY} onednn_file)
install(PROGRAMS ${onednn_file} DESTINATION ${CMAKE_INSTALL_LIBDIR} RENAME libdnnl.so.3)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/snug)
install(EXPORT snug FILE snugTargets.cmake NAMESPACE snug:: DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/snugConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/snugConfig.cmake.in ${PROJECT_BINARY_DIR}/snugConfig.cmake
                              INSTALL_DESTINATION ${package_folder})
install(FILES ${PROJECT_BINARY_DIR}/snugConfig.cmake ${PROJECT_BINARY_DIR}/snugConfigVersion.cmake
        DESTINATION ${package_folder})
