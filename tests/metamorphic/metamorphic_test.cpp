// Histories that are run again with one thing changed, and have to end alike (Chen et al., "Metamorphic testing: a new approach for
// generating next test cases", 1998). That they can end otherwise is shown beside each, with a condition left out.
#include <algorithm>

#include "metamorphic/telling.hpp"
#include "simulation/random.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using namespace anabranch::test;

namespace {

constexpr std::uint64_t story_count = 100;

/// Calls `compare(seed)` for every story.
template <class Compare>
void for_stories(Compare compare) {
    for (std::uint64_t seed = 1; seed <= story_count; ++seed) {
        INFO("story " << seed);
        compare(seed);
    }
}

bool is_below(const std::string& place, const std::string& map) { return place.starts_with('/' + map + ":p"); }

/// Whose registers are assigned by requests that may not have seen each other, or in a circle, so that timestamps decide.
bool is_decided_by_time(const std::string& place) { return is_below(place, "loose") || is_below(place, "contended"); }
bool is_register(const std::string& place) { return place.ends_with(":l") || place.ends_with(":m"); }

std::string name_of(const std::string& place) {
    const auto begin = place.rfind('/') + 1;
    return place.substr(begin, place.rfind(':') - begin);
}

std::array<std::int64_t, replica_count> random_skews(std::uint64_t seed) {
    simulation::random_source chance(seed);
    return {chance.between(-20'000, 20'000), chance.between(-20'000, 20'000), chance.between(-20'000, 20'000)};
}

std::array<unsigned, replica_count> random_ranks(std::uint64_t seed) {
    std::array<unsigned, replica_count> ranks{0, 1, 2};
    for (std::uint64_t n = 0; n <= seed % 5; ++n) std::ranges::next_permutation(ranks);
    return ranks;
}

}  // namespace

TEST_CASE("with the mesh's copies pure requests end as without") {
    std::size_t doubled = 0;
    for_stories([&](std::uint64_t seed) {
        const auto s = random_story(seed, {});
        const auto with = tell(s, {});
        const auto without = tell(s, {.has_copies = false});
        CHECK(difference(with.shown, without.shown) == shown_state{});
        CHECK(without.repeats == 0);
        CHECK(without.executions == s.requests.size());
        doubled += with.executions - without.executions;
    });
    CHECK(doubled > 5 * story_count);
}

TEST_CASE("copies that overtake each other may change what removals take") {
    std::size_t different = 0;
    for_stories([&](std::uint64_t seed) {
        const auto s = random_story(seed, {.is_disorderly = true});
        const auto found = difference(tell(s, {}).shown, tell(s, {.has_copies = false}).shown);
        for (const auto& [place, values] : found) CHECK(is_below(place, "ordered"));
        different += found.empty() ? 0 : 1;
    });
    CHECK(different > 0);
}

TEST_CASE("other replica ids change nothing while no timestamps tie") {
    for_stories([&](std::uint64_t seed) {
        const auto s = random_story(seed, {.has_contending = true, .is_disorderly = true});
        telling how{.programs = {.branches = true}};
        const auto before = tell(s, how);
        how.ranks = random_ranks(seed);
        const auto after = tell(s, how);
        CHECK(before.tied.empty());
        CHECK(difference(before.shown, after.shown) == shown_state{});
    });
}

TEST_CASE("where timestamps tie other replica ids change registers only") {
    std::size_t different = 0;
    for_stories([&](std::uint64_t seed) {
        const auto s = random_story(seed, {.has_contending = true});
        telling how{.does_time_pass = false};
        const auto before = tell(s, how);
        how.ranks = random_ranks(seed);
        const auto after = tell(s, how);
        CHECK(before.tied == after.tied);
        const auto found = difference(before.shown, after.shown);
        for (const auto& [place, values] : found) {
            INFO(place << ": " << values);
            CHECK(is_decided_by_time(place));
            CHECK(before.tied.contains(name_of(place)));
        }
        different += found.empty() ? 0 : 1;
    });
    CHECK(different > 0);
}

TEST_CASE("clocks that are wrong change registers only that are decided by time, and no counter") {
    std::size_t different = 0;
    for_stories([&](std::uint64_t seed) {
        const bool is_disorderly = seed % 2 == 0;
        const auto s = random_story(seed, {.has_contending = true, .is_disorderly = is_disorderly});
        const auto found = difference(tell(s, {}).shown, tell(s, {.skews = random_skews(seed)}).shown);
        for (const auto& [place, values] : found) {
            INFO(place << ": " << values);
            CHECK(is_register(place));
            CHECK((is_disorderly || is_decided_by_time(place)));
        }
        different += found.empty() ? 0 : 1;
    });
    CHECK(different > 0);
}

TEST_CASE("a program that looks at its clock would count otherwise") {
    std::size_t different = 0;
    for_stories([&](std::uint64_t seed) {
        const auto s = random_story(seed, {});
        telling how{.programs = {.reads_its_clock = true}};
        const auto before = tell(s, how).shown;
        how.skews = random_skews(seed);
        different += difference(before, tell(s, how).shown).contains("/common:p/sold:c") ? 1 : 0;
    });
    CHECK(different > 0);
}
