// Golden files: examples of every structure on disk and on the wire, byte by byte. A change of a format fails
// here; where it is meant, raise the version that it belongs to, run the test with
// ANABRANCH_PRINT_GOLDEN=1, and put what it prints into tests/golden.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace anabranch::test {

/// The bytes of tests/golden/<name>.hex: hexadecimal, anything after # is a comment.
std::string golden(const std::string& name);
/// The same, line by line, where lines mean something: the words of each, without comments and empty lines.
std::vector<std::vector<std::string>> golden_lines(const std::string& name);

std::string to_hex(std::string_view bytes);
std::string from_hex(std::string_view text);

/// Checks that `bytes` are those of the file; prints them where the environment asks for it.
void check_golden(const std::string& name, std::string_view bytes);
bool is_printing();

}  // namespace anabranch::test
