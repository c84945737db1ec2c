#include <anabranch/environment.hpp>
#include <anabranch/ids.hpp>
#include <anabranch/result.hpp>

#include <set>

#include "base/base64.hpp"
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

TEST_CASE("base64url comes back, and nothing else is taken for it") {
    // RFC 4648, section 10, without padding.
    const std::pair<std::string, std::string> known[] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"},
                                                         {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
    for (const auto& [bytes, text] : known) {
        CHECK(to_base64url(bytes) == text);
        CHECK(from_base64url(text) == bytes);
    }
    for (const auto* text : {"Z", "Zg==", "Zh", "Zm8=", "Zm9v ", " Zm9v", "Zm\n9v", "+/8", "Zm9vY", "!!!!", "Zg=", "Zm=v"}) {
        CHECK_FALSE(from_base64url(text));
    }
    CHECK_FALSE(from_base64url(std::string_view("Zm\0v", 4)));
}

TEST_CASE("HMAC-SHA256 is the standard's") {
    // RFC 4231, test case 2; and a key that is longer than a block, test case 6.
    CHECK(to_string(hmac_sha256_128("Jefe", "what do ya want for nothing?")) == "5bdcc146bf60754e6a042426089575c7");
    CHECK(to_string(hmac_sha256_128(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")) ==
          "60e431591ee0b67f0d8a26aacbf5b77f");
}
