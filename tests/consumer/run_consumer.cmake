# Installs the library below WORK_DIR and builds and runs the consumer project against it.
#   cmake -DBINARY_DIR=... -DWORK_DIR=... -DGENERATOR=... -DCXX_COMPILER=... -DCXX_FLAGS=... -P run_consumer.cmake

file(REMOVE_RECURSE "${WORK_DIR}")
foreach(step install configure build run)
    if(step STREQUAL "install")
        set(command "${CMAKE_COMMAND}" --install "${BINARY_DIR}" --prefix "${WORK_DIR}/prefix")
    elseif(step STREQUAL "configure")
        set(command "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}" -B "${WORK_DIR}/build" -G "${GENERATOR}"
            "-DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix" "-DCMAKE_CXX_COMPILER=${CXX_COMPILER}"
            "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}")
    elseif(step STREQUAL "build")
        set(command "${CMAKE_COMMAND}" --build "${WORK_DIR}/build")
    else()
        set(command "${WORK_DIR}/build/consumer")
    endif()
    execute_process(COMMAND ${command} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(NOT status EQUAL 0)
        message(NOTICE "${output}")
        message(FATAL_ERROR "consumer: ${step} failed (${status})")
    endif()
endforeach()
message(STATUS "consumer printed: ${output}")
