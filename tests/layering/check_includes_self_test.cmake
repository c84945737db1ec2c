# The include test must be able to fail: on fixtures/includes it has to name every violation, and nothing else.

set(fixture "${CMAKE_CURRENT_LIST_DIR}/fixtures/includes")
execute_process(
    COMMAND "${CMAKE_COMMAND}" "-DROOT=${fixture}" "-DTABLE=${fixture}/layers.cmake"
        "-DOWNERS=${fixture}/public_headers.cmake" -P "${CMAKE_CURRENT_LIST_DIR}/check_includes.cmake"
    RESULT_VARIABLE status ERROR_VARIABLE reported)
string(REGEX REPLACE "CMake Error.*" "" reported "${reported}")
file(READ "${fixture}/expected.txt" expected)
if(status EQUAL 0)
    message(FATAL_ERROR "The include test accepted the fixture")
endif()
if(NOT reported STREQUAL expected)
    message(FATAL_ERROR "The include test reported\n${reported}\ninstead of\n${expected}")
endif()
