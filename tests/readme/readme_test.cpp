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

}  // namespace

TEST_CASE("the first program in the README is examples/quickstart, which is built and run") {
    const auto readme = text_of("README.md");
    const std::string fence = "```cpp\n";
    const auto begin = readme.find(fence);
    REQUIRE(begin != std::string::npos);
    const auto end = readme.find("```", begin + fence.size());
    REQUIRE(end != std::string::npos);
    CHECK(readme.substr(begin + fence.size(), end - begin - fence.size()) == text_of("examples/quickstart/main.cpp"));
}
