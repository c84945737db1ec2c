#include "sync/script.hpp"

#include <set>

#include "support/catch.hpp"

TEST_CASE("two sessions converse as the scripts say") {
    std::set<std::filesystem::path> scripts;
    for (const auto& entry : std::filesystem::directory_iterator(ANABRANCH_TEST_DIR "/sync/scripts")) scripts.insert(entry.path());
    REQUIRE(scripts.size() >= 12);
    for (const auto& script : scripts) {
        DYNAMIC_SECTION(script.stem().string()) { anabranch::test::run_script(script); }
    }
}
