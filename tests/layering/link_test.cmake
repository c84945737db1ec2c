# anabranch_link_test(<executable> <library>): links all of the library, used or not, with only what the library
# declares to depend on. A reference to a symbol of another layer stays undefined and the link fails.
function(anabranch_link_test executable library)
    file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/empty_main.cpp" "int main() {}\n")
    add_executable(${executable} "${CMAKE_CURRENT_BINARY_DIR}/empty_main.cpp")
    target_link_libraries(${executable} PRIVATE "$<LINK_LIBRARY:WHOLE_ARCHIVE,${library}>")
    target_link_options(${executable} PRIVATE -Wl,--no-undefined)
endfunction()
