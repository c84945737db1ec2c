// Issue times: in a header, and in a key that is a UUID.
#include <anabranch/http.hpp>

#include "support/catch.hpp"

using namespace anabranch;
using namespace std::chrono_literals;
using http::parse_time;
using http::time_of_uuid7;

namespace {
constexpr auto at = 1795531977123ms;  // 2026-11-24T14:52:57.123Z
}

TEST_CASE("a time is milliseconds since 1970") {
    CHECK(parse_time("1795531977123") == at);
    CHECK(parse_time("0") == 0ms);
    CHECK(parse_time("281474976710655") == 281474976710655ms);
    CHECK_FALSE(parse_time("281474976710656"));  // no timestamp holds more than 48 bits
    CHECK_FALSE(parse_time("99999999999999999999"));
}

TEST_CASE("a time is one of RFC 3339") {
    CHECK(parse_time("2026-11-24T14:52:57.123Z") == at);
    CHECK(parse_time("2026-11-24t14:52:57.123z") == at);
    CHECK(parse_time("2026-11-24T14:52:57Z") == at - 123ms);
    CHECK(parse_time("2026-11-24T14:52:57.1Z") == at - 23ms);
    CHECK(parse_time("2026-11-24T14:52:57.123999999Z") == at);
    CHECK(parse_time("2026-11-24T16:22:57.123+01:30") == at);
    CHECK(parse_time("2026-11-24T13:52:57.123-01:00") == at);
    CHECK(parse_time("2026-11-25T00:52:57.123+10:00") == at);
    CHECK(parse_time("1970-01-01T00:00:00Z") == 0ms);
    CHECK(parse_time("1970-01-01T01:00:00+01:00") == 0ms);
    CHECK(parse_time("2024-02-29T00:00:00Z") == 1709164800000ms);
    CHECK(parse_time("2016-12-31T23:59:60Z") == 1483228800000ms);  // a leap second
}

TEST_CASE("other texts are no times") {
    const auto text = GENERATE(as<std::string>(), "", " ", "-1", "+1", "1.5", "0x10", "17955319771 23", "now", "1795531977123ms",
                               "2026-11-24", "2026-11-24T14:52Z", "2026-11-24T14:52:57", "2026-11-24 14:52:57Z",
                               "2026-11-24T14:52:57.Z", "2026-11-24T14:52:57,123Z", "2026-11-24T14:52:57.123ZZ",
                               "2026-11-24T14:52:57.123+0100", "2026-11-24T14:52:57.123+01", "2026-11-24T14:52:57.123+01:3",
                               "2026-11-24T14:52:57+24:00",
                               "2026-11-24T14:52:57+01:60", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
                               "2026-00-01T00:00:00Z", "2026-11-31T00:00:00Z", "2026-11-24T24:00:00Z",
                               "2026-11-24T14:60:00Z", "2026-11-24T14:52:61Z", "-026-11-24T14:52:57Z",
                               "2026-1-24T14:52:57Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01",
                               "Tue, 24 Nov 2026 14:52:57 GMT");
    CAPTURE(text);
    CHECK_FALSE(parse_time(text));
}

TEST_CASE("a UUID of version 7 tells its time") {
    // The example of RFC 9562, appendix A.6: 22 February 2022, 14:22:22 GMT-05:00.
    CHECK(time_of_uuid7("017F22E2-79B0-7CC3-98C4-DC0C0C07398F") == 1645557742000ms);
    CHECK(time_of_uuid7("017f22e2-79b0-7cc3-98c4-dc0c0c07398f") == 1645557742000ms);
    CHECK(time_of_uuid7("ffffffff-ffff-7000-b000-000000000000") == 281474976710655ms);
}

TEST_CASE("no other key tells a time") {
    const auto text = GENERATE(as<std::string>(), "", "017f22e2-79b0-4cc3-98c4-dc0c0c07398f",  // version 4
                               "017f22e2-79b0-7cc3-78c4-dc0c0c07398f",                         // another variant
                               "017f22e2-79b0-7cc3-c8c4-dc0c0c07398f", "017f22e279b07cc398c4dc0c0c07398f",
                               "017f22e2-79b0-7cc3-98c4-dc0c0c07398", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
                               "017f22e2-79b0-7cc3-98c4-dc0c0c07398g", "g17f22e2-79b0-7cc3-98c4-dc0c0c07398f",
                               "{17f22e2-79b0-7cc3-98c4-dc0c0c073980", "-17f22e2-79b0-7cc3-98c4-dc0c0c07398f",
                               "017f22e2_79b0-7cc3-98c4-dc0c0c07398f");
    CAPTURE(text);
    CHECK_FALSE(time_of_uuid7(text));
}
