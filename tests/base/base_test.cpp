#include <anabranch/environment.hpp>
#include <anabranch/ids.hpp>
#include <anabranch/result.hpp>

#include <set>

#include "base/hash.hpp"
#include "support/catch.hpp"

using namespace anabranch;
using namespace std::chrono_literals;

TEST_CASE("replicas and hashes have names for people") {
    replica_id id;
    id.value = {0x0f, 0xa0};
    id.incarnation = 12;
    CHECK(to_string(id) == "0fa00000000000000000000000000000.12");
    CHECK(to_string(hash128{0xde, 0xad}) == "dead0000000000000000000000000000");
}

TEST_CASE("replicas are ordered by identity, then incarnation") {
    replica_id a;
    replica_id b;
    b.value[15] = 1;
    auto a2 = a;
    a2.incarnation = 9;
    CHECK(a < a2);
    CHECK(a2 < b);
}

TEST_CASE("a timestamp is milliseconds, then a counter") {
    const auto t = timestamp::from(1'700'000'000'000ms, 7);
    CHECK(t.wall() == 1'700'000'000'000ms);
    CHECK((t.value & 0xffff) == 7);
    CHECK(timestamp::from(5ms, UINT16_MAX) < timestamp::from(6ms));
    CHECK(timestamp{timestamp::from(5ms, UINT16_MAX).value + 1} == timestamp::from(6ms));
}

TEST_CASE("hashes are SHA-256, cut, over the parts run together") {
    // FIPS 180-2, the example "abc".
    CHECK(to_string(sha256_128({"abc"})) == "ba7816bf8f01cfea414140de5dae2223");
    CHECK(sha256_128({"a", "", "bc"}) == sha256_128({"abc"}));
    CHECK(sha256_128({"abd"}) != sha256_128({"abc"}));
}

TEST_CASE("every error has a code, a category and words of its own") {
    std::set<std::string> words;
    for (int code = 1; code <= static_cast<int>(errc::refused); ++code) {
        const std::error_code e = static_cast<errc>(code);
        CHECK(std::string(e.category().name()) == "anabranch");
        CHECK(words.insert(e.message()).second);
        CHECK(e.message() != "unknown error");
    }
    const result<int> failed = fail(errc::locked, "by somebody");
    CHECK(failed.error().code == errc::locked);
    CHECK(failed.error().message == "by somebody");
}

TEST_CASE("the system's environment has time and randomness") {
    const auto env = environment::system();
    CHECK(env.now() > 1'600'000'000'000ms);
    CHECK(env.random() != env.random());
}
