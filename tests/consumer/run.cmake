# cmake -DBUILD=… -DSOURCE=… -DWORK=… -DGENERATOR=… -P run.cmake: installs BUILD into a fresh folder, moves it, builds and runs the
# consumer against it, and runs the installed program.
function(must)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN}\nended with ${status}:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK})
must(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/first)
file(RENAME ${WORK}/first ${WORK}/moved)
must(${CMAKE_COMMAND} -G ${GENERATOR} -S ${SOURCE}/tests/consumer -B ${WORK}/build -DCMAKE_PREFIX_PATH=${WORK}/moved
     -DCMAKE_BUILD_TYPE=Release)
must(${CMAKE_COMMAND} --build ${WORK}/build)
set(configs ${WORK}/moved/share/snug/configs)
must(${WORK}/build/consumer ${configs}/quickstart.toml ${WORK}/run)
if(NOT output MATCHES "planned [1-9]")
  message(FATAL_ERROR "the consumer printed: ${output}")
endif()
must(${WORK}/moved/bin/snug version --json)
must(${WORK}/moved/bin/snug check ${configs}/quickstart.toml)
