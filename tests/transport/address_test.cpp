#include <map>

#include "support/catch.hpp"
#include "transport/backoff.hpp"
#include "transport/endpoint.hpp"

using namespace anabranch;
using namespace anabranch::transport;
using namespace std::chrono_literals;

TEST_CASE("an endpoint is a host and a port") {
    const auto named = parse_endpoint("cloud.example:7400");
    REQUIRE(named);
    CHECK(named->host == "cloud.example");
    CHECK(named->port == 7400);

    CHECK(parse_endpoint("10.0.0.1:0")->port == 0);
    CHECK(parse_endpoint("[::1]:7400")->host == "::1");
    CHECK(parse_endpoint("[::1]:65535")->port == 65535);
}

TEST_CASE("what is no endpoint is refused by name") {
    const auto* const text =
        GENERATE("", "cloud.example", ":7400", "cloud.example:", "cloud.example:65536", "cloud.example:-1",
                 "cloud.example:74x", "cloud.example: 7400", "::1:7400", "[]:7400", "[::1]",
                 "[10.0.0.1]:7400", "a b:7400", "http://cloud:7400");
    const auto parsed = parse_endpoint(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == errc::invalid_argument);
    CHECK(parsed.error().message.find("'" + std::string(text) + "'") != std::string::npos);
}

TEST_CASE("nobody connects to port 0") {
    CHECK(parse_peer("cloud.example:1"));
    REQUIRE_FALSE(parse_peer("cloud.example:0"));
    CHECK(parse_peer("cloud.example:0").error().code == errc::invalid_argument);
}

TEST_CASE("a back-off's bound doubles up to its greatest, and a reset begins again") {
    // 2^64 - 1 is no multiple of the number of values, so take the greatest value by hand.
    std::uint64_t drawn = 0;
    backoff waiting(100ms, 1000ms, [&drawn] { return drawn; });
    const auto greatest = [&](std::uint64_t bound) {
        drawn = bound;
        return waiting.next();
    };
    CHECK(greatest(100) == 100ms);
    CHECK(greatest(200) == 200ms);
    CHECK(greatest(400) == 400ms);
    CHECK(greatest(800) == 800ms);
    CHECK(greatest(1000) == 1000ms);
    CHECK(greatest(1001) == 0ms);
    waiting.reset();
    CHECK(greatest(101) == 0ms);
    CHECK(greatest(200) == 200ms);
}

TEST_CASE("a back-off has full jitter") {
    std::uint64_t next = 0;
    backoff waiting(7ms, 7ms, [&next] { return next++; });
    std::map<std::chrono::milliseconds, int> times;
    for (int i = 0; i < 800; ++i) ++times[waiting.next()];
    REQUIRE(times.size() == 8);
    for (const auto& [time, count] : times) CHECK(count == 100);
}

TEST_CASE("a back-off takes strange bounds") {
    backoff none(0ms, 0ms, [] { return std::uint64_t{1}; });
    CHECK(none.next() == 1ms);
    backoff reversed(10ms, 1ms, [] { return std::uint64_t{10}; });
    CHECK(reversed.next() == 10ms);
    CHECK(reversed.next() == 10ms);
    backoff huge(std::chrono::milliseconds::max() / 2, std::chrono::milliseconds::max(),
                 [] { return UINT64_MAX; });
    for (int i = 0; i < 4; ++i) CHECK(huge.next() >= 0ms);
}
