# Warnings and the compiler cache.

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    find_program(ANABRANCH_CCACHE ccache)
    mark_as_advanced(ANABRANCH_CCACHE)
    if(ANABRANCH_CCACHE)
        set(CMAKE_CXX_COMPILER_LAUNCHER "${ANABRANCH_CCACHE}")
    endif()
endif()

# The same warnings for every target of the project, tests and examples included.
function(anabranch_compile_options target)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # GCC warns of every atomic_thread_fence under the thread sanitizer, and Asio has some.
        target_compile_options(${target} PRIVATE -Wno-tsan)
        # False alarms of GCC 12 at -O3: of std::string's operator+ (its bug 105651), of a move into a small_vector.
        target_compile_options(${target} PRIVATE -Wno-restrict -Wno-stringop-overread)
    endif()
    if(ANABRANCH_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
endfunction()
