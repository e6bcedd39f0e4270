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
must(${WORK}/moved/bin/snug data synth --out ${WORK}/shapes --count 200 --val-count 40 --size 16)
must(${WORK}/build/consumer ${WORK}/shapes/config.toml ${WORK}/run ${WORK}/shapes/val-images.npy)
if(NOT output MATCHES "epoch 2: loss .*accuracy 0.*val-images.npy.39.: [0-9a-z]+ [1-9]")
  message(FATAL_ERROR "the consumer printed: ${output}")
endif()
must(${WORK}/moved/bin/snug version --json)
must(${WORK}/moved/bin/snug check ${configs}/quickstart.toml)
