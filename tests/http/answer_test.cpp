// From what became of a request to a status.
#include <anabranch/http.hpp>

#include <set>

#include "support/catch.hpp"

using namespace anabranch;
using namespace std::chrono_literals;
using http::answer_to;

TEST_CASE("a receipt answers with the stored result, the first time and again") {
    for (const bool is_repeat : {false, true}) {
        const receipt committed{request_outcome::committed, "o1", is_repeat, {}};
        const auto placed = answer_to(committed);
        CHECK(placed.status == 200);
        CHECK(placed.code == "committed");
        CHECK(placed.text == "o1");
        CHECK(placed.retry_after == 0s);
        const receipt refused{request_outcome::refused, "out of stock", is_repeat, {}};
        CHECK(answer_to(refused).status == 409);
        CHECK(answer_to(refused, 402).status == 402);
        CHECK(answer_to(refused).code == "refused");
        CHECK(answer_to(refused).text == "out of stock");
    }
}

TEST_CASE("errors that a client meets have a status, a code and perhaps a time to try again") {
    struct expected {
        errc code;
        unsigned status;
        const char* name;
        std::chrono::seconds retry_after;
    };
    const auto e = GENERATE(values<expected>({{errc::request_conflict, 422, "request_conflict", 0s},
                                              {errc::request_too_old, 410, "request_too_old", 0s},
                                              {errc::request_from_future, 400, "request_from_future", 0s},
                                              {errc::too_many_requests, 503, "too_many_requests", 10s},
                                              {errc::not_a_member, 503, "not_a_member", 1s},
                                              {errc::storage_full, 503, "storage_full", 0s},
                                              {errc::storage_failure, 503, "storage_failure", 0s},
                                              {errc::closed, 503, "closed", 0s},
                                              {errc::retired, 503, "retired", 0s},
                                              {errc::not_held, 503, "not_held", 0s},
                                              {errc::refused, 409, "refused", 0s},
                                              {errc::insufficient_rights, 409, "insufficient_rights", 0s},
                                              {errc::invalid_argument, 400, "invalid_argument", 0s},
                                              {errc::invalid_token, 400, "invalid_token", 0s},
                                              {errc::behind_cut, 410, "behind_cut", 0s},
                                              {errc::limit_exceeded, 422, "limit_exceeded", 0s},
                                              {errc::overflow, 422, "overflow", 0s},
                                              {errc::corrupt, 500, "corrupt", 0s}}));
    const auto found = answer_to(error{e.code, "why"});
    CAPTURE(e.name);
    CHECK(found.status == e.status);
    CHECK(found.code == e.name);
    CHECK(found.text == "why");
    CHECK(found.retry_after == e.retry_after);
}

TEST_CASE("every error has a code of its own") {
    std::set<std::string> codes;
    for (int code = 1; code <= static_cast<int>(errc::not_held); ++code) {
        const auto found = answer_to(error{static_cast<errc>(code), {}});
        CHECK(found.status >= 400);
        CHECK(found.code != "unknown");
        CHECK(codes.insert(found.code).second);
    }
}

TEST_CASE("a session that is ahead of an instance is told to come back") {
    const auto found = http::answer_to_early_session(3);
    CHECK(found.status == 425);
    CHECK(found.code == "behind");
    CHECK(found.text.starts_with("3 transactions "));
    CHECK(http::answer_to_early_session(1).text.starts_with("1 transaction "));
    CHECK(found.retry_after == 1s);
}
