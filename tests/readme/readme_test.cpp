#include <fstream>
#include <sstream>
#include <string>

#include "support/catch.hpp"

namespace {

std::string text_of(const std::string& path) {
    std::ifstream file(std::string(ANABRANCH_TEST_DIR "/../") + path);
    INFO(path);
    REQUIRE(file);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// The n-th piece of C++ in the README.
std::string snippet(std::size_t n) {
    const auto readme = text_of("README.md");
    const std::string fence = "```cpp\n";
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= n; ++i) {
        begin = readme.find(fence, begin);
        REQUIRE(begin != std::string::npos);
        begin += fence.size();
    }
    const auto end = readme.find("```", begin);
    REQUIRE(end != std::string::npos);
    return readme.substr(begin, end - begin);
}

}  // namespace

TEST_CASE("the first program in the README is examples/quickstart, which is built and run") {
    CHECK(snippet(0) == text_of("examples/quickstart/main.cpp"));
}

TEST_CASE("what the README shows of requests is in examples/mirrored, which is built and run") {
    CHECK(text_of("examples/mirrored/main.cpp").find(snippet(1)) != std::string::npos);
}
