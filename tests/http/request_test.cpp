// From headers to a request's identity.
#include <anabranch/http.hpp>

#include <algorithm>
#include <set>

#include "support/catch.hpp"

using namespace anabranch;
using namespace std::chrono_literals;
using http::read_request;

namespace {

using headers = std::vector<std::pair<std::string_view, std::string_view>>;

constexpr auto arrived = 1'800'000'000'000ms;
constexpr std::string_view uuid7 = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
constexpr http::request_content order{"POST", "/orders", "{}"};

result<std::optional<request>> read(const headers& sent, const http::request_options& options = {}) {
    return read_request(http::lookup_in(sent), order, arrived, options);
}

/// Of a request that says all that it has to, and what `more` says.
headers complete(const headers& more = {}) {
    headers all{{"Idempotency-Key", "k1"}, {"Idempotency-Issued", "1795531977123"}, {"x-principal", "ada"}};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

/// The same with that key instead.
headers with_key(std::string_view key) {
    auto all = complete();
    all[0].second = key;
    return all;
}

request accepted(const headers& sent, const http::request_options& options = {}) {
    const auto found = read(sent, options);
    INFO((found ? "" : found.error().message));
    REQUIRE(found);
    REQUIRE(*found);
    return **found;
}

/// Why it was refused; every refusal is a 400.
std::string why_not(const headers& sent, const http::request_options& options = {}) {
    const auto found = read(sent, options);
    if (found) return "accepted";
    CHECK(http::answer_to(found.error()).status == 400);
    return found.error().message;
}

}  // namespace

TEST_CASE("a request is what its headers say") {
    const auto found = accepted(complete({{"x-tenant", "shop"}, {"x-envoy-attempt-count", "3"}}));
    CHECK(found.tenant == "shop");
    CHECK(found.principal == "ada");
    CHECK(found.key == "k1");
    CHECK(found.issued == 1795531977123ms);
    CHECK(found.role == request_role::primary);
    CHECK(found.attempt == 3);
    CHECK(found.content == http::digest(order));
}

TEST_CASE("without a key a request has no identity, and needs none of the other headers") {
    for (const headers& sent : {headers{}, headers{{"x-request-id", uuid7}, {"x-principal", "ada"}}}) {
        const auto found = read(sent);
        REQUIRE(found);
        CHECK_FALSE(found->has_value());
    }
}

TEST_CASE("names of headers are compared without case, and white space around values does not count") {
    const headers sent{{"IDEMPOTENCY-KEY", " k1\t"}, {"idempotency-issued", " 1795531977123 "}, {"X-Principal", "\tada"}};
    const auto found = accepted(sent);
    CHECK(found.key == "k1");
    CHECK(found.principal == "ada");
    // Whatever case an option is in, servers are asked for names in lower case.
    std::set<std::string, std::less<>> asked;
    const http::header_lookup lookup = [&](std::string_view name) {
        asked.emplace(name);
        return http::lookup_in(sent)(name);
    };
    REQUIRE(read_request(lookup, order, arrived, {.tenant_header = "X-Shop"}));
    CHECK(asked.contains("idempotency-key"));
    CHECK(asked.contains("x-shop"));
    CHECK_FALSE(asked.contains("X-Shop"));
}

TEST_CASE("a key is the same with quotes and without") {
    CHECK(accepted(with_key("k-1/=+:~")).key == "k-1/=+:~");
    CHECK(accepted(with_key("\"k-1/=+:~\"")).key == "k-1/=+:~");
    CHECK(accepted(with_key(R"("with space, \"quotes\" and \\")")).key == R"(with space, "quotes" and \)");
}

TEST_CASE("what is neither a token nor a quoted string is no key") {
    const auto key = GENERATE(as<std::string>(), "", "\"\"", "\"", "\"open", "open\"", "a\"b", "two keys", "two,keys", "a;b=c",
                              R"(a\b)",
                              R"("a", "b")", R"("a"b")", R"("a\")", R"("a\n")", R"("a";b=c)", "k\x7f", "k\x01",
                              "\"k\x01\"", "\"k\x7f\"",
                              "\"\xc3\xa4\"", "\xc3\xa4");
    CAPTURE(key);
    CHECK(why_not(with_key(key)) == "Idempotency-Key is neither a token nor a quoted string");
}

TEST_CASE("values have a longest length") {
    const std::string most(http::max_value, 'k');
    const std::string more = most + 'k';
    CHECK(accepted(with_key(most)).key == most);
    CHECK(why_not(with_key(more)) == "Idempotency-Key is too long");
    CHECK(accepted(complete({{"x-tenant", most}})).tenant == most);
    CHECK(why_not(complete({{"x-tenant", more}})) == "x-tenant is too long");
    CHECK(why_not({{"Idempotency-Key", uuid7}, {"x-principal", more}}) == "x-principal is too long");
    CHECK(why_not({{"Idempotency-Key", uuid7}, {"x-principal", "ada"}, {"Idempotency-Issued", more}}) ==
          "Idempotency-Issued is too long");
}

TEST_CASE("a header of which two parties may each have sent one is refused, also where they agree") {
    for (const char* header : {"Idempotency-Key", "Idempotency-Issued", "x-principal"}) {
        const auto all = complete();
        const auto first = std::find_if(all.begin(), all.end(), [&](const auto& sent) { return sent.first == header; });
        CHECK(why_not(complete({*first})) == header + std::string(" is given more than once"));
    }
    CHECK(why_not(complete({{"x-tenant", "a"}, {"X-Tenant", "b"}})) == "x-tenant is given more than once");
}

TEST_CASE("the issue time is the header's, then the key's, and then missing") {
    CHECK(accepted({{"Idempotency-Key", uuid7}, {"x-principal", "ada"}}).issued == 1645557742000ms);
    const auto quoted = '"' + std::string(uuid7) + '"';
    CHECK(accepted({{"Idempotency-Key", quoted}, {"x-principal", "ada"}}).issued == 1645557742000ms);
    CHECK(accepted(with_key(uuid7)).issued == 1795531977123ms);

    const headers without{{"Idempotency-Key", "k1"}, {"x-principal", "ada"}};
    CHECK(why_not(without).starts_with("issue time missing"));
    CHECK(accepted(without, {.stamp = true}).issued == arrived);
    // A stamp replaces nothing that the client has said, and excuses nothing.
    CHECK(accepted(with_key(uuid7), {.stamp = true}).issued == 1795531977123ms);
    CHECK(accepted({{"Idempotency-Key", uuid7}, {"x-principal", "ada"}}, {.stamp = true}).issued == 1645557742000ms);
    const headers malformed{{"Idempotency-Key", uuid7}, {"x-principal", "ada"}, {"Idempotency-Issued", "today"}};
    CHECK(why_not(malformed, {.stamp = true}) == "Idempotency-Issued is neither milliseconds since 1970 nor a time of RFC 3339");
    CHECK(accepted(complete({{"When", "5"}}), {.issued_header = "when"}).issued == 5ms);
}

TEST_CASE("x-request-id is a key only where that is wanted, and then the last") {
    const http::request_options options{.request_id_is_key = true};
    CHECK(accepted({{"x-request-id", uuid7}, {"x-principal", "ada"}}, options).key == uuid7);
    CHECK(accepted(complete({{"x-request-id", uuid7}}), options).key == "k1");
    CHECK(why_not(with_key(""), options) == "Idempotency-Key is neither a token nor a quoted string");
    const auto none = read({{"x-principal", "ada"}}, options);
    CHECK((none && !*none));
}

TEST_CASE("a request is its principal's, and a missing one is an error") {
    const headers nobody{{"Idempotency-Key", uuid7}};
    CHECK(why_not(nobody) == "x-principal is missing");
    CHECK(why_not({{"Idempotency-Key", uuid7}, {"x-principal", " "}}) == "x-principal is missing");
    CHECK(accepted(nobody, {.allow_anonymous = true}).principal.empty());
    CHECK(accepted(complete(), {.allow_anonymous = true}).principal == "ada");
    CHECK(accepted(complete()).tenant == "default");
    CHECK(accepted(complete(), {.default_tenant = "shop"}).tenant == "shop");
    CHECK(why_not(complete({{"x-tenant", ""}})) == "x-tenant is missing");
}

TEST_CASE("a mirrored copy is known by its host") {
    const auto role = [](std::string_view host, const http::request_options& options = {}) {
        const auto by_host = accepted(complete({{"Host", host}}), options).role;
        CHECK(accepted(complete({{":authority", host}}), options).role == by_host);
        return by_host;
    };
    for (const char* host : {"shop-shadow", "shop-shadow:8080", "shop.example-SHADOW:80", "[::1]-shadow",
                             "[::1]-shadow:8080"}) {
        CAPTURE(host);
        CHECK(role(host) == request_role::mirror);
    }
    for (const char* host : {"", "shop", "shop:8080", "shop-shadow.example", "shop-shadow.example:80", "shadow",
                             "shop:8080-shadow", "[::1]", "[::1]:8080", "[::1-shadow]:8080", "[fe80::1-shadow:1]"}) {
        CAPTURE(host);
        CHECK(role(host) == request_role::primary);
    }
    CHECK(role("shop-shadow:8080", {.mirror_suffix = ""}) == request_role::primary);
    CHECK(role("shop.mirror", {.mirror_suffix = ".mirror"}) == request_role::mirror);
    // Where there is an authority it is the host (RFC 9113, section 8.3.1).
    CHECK(accepted(complete({{"host", "shop-shadow"}, {":authority", "shop"}})).role == request_role::primary);
}

TEST_CASE("a mirrored copy is known by its mark") {
    CHECK(accepted(complete({{"X-Mirrored", "1"}})).role == request_role::mirror);
    CHECK(accepted(complete({{"x-mirrored", "0"}, {"x-mirrored", "1"}})).role == request_role::mirror);
    CHECK(accepted(complete({{"x-mirrored", "0"}})).role == request_role::primary);
    CHECK(accepted(complete({{"x-mirrored", ""}})).role == request_role::primary);
    const http::request_options options{.mirror_header = "X-Copy", .mirror_mark = "yes"};
    CHECK(accepted(complete({{"x-copy", "yes"}}), options).role == request_role::mirror);
    CHECK(accepted(complete({{"x-mirrored", "1"}}), options).role == request_role::primary);
}

TEST_CASE("an attempt that cannot be read is the first") {
    CHECK(accepted(complete({{"X-Envoy-Attempt-Count", "2"}})).attempt == 2);
    for (const char* count : {"", "0", "-1", "two", "2x", "99999999999"}) {
        CHECK(accepted(complete({{"x-envoy-attempt-count", count}})).attempt == 1);
    }
    CHECK(accepted(complete({{"x-envoy-attempt-count", "2"}, {"x-envoy-attempt-count", "3"}})).attempt == 1);
}

TEST_CASE("the digest is of method, target and body, wherever one of them ends") {
    // Computed with Python's hashlib: instances of different releases have to agree.
    CHECK(to_string(http::digest({"POST", "/orders?x=1", R"({"id":1})"})) == "abff7d68c0cf78bd648cdfc6926278b4");
    const std::set<hash128> all{http::digest({"POST", "/a", "b"}), http::digest({"POST", "/ab", ""}),
                                http::digest({"POST/", "a", "b"}), http::digest({"PUT", "/a", "b"}),
                                http::digest({"POST", "/b", "b"}), http::digest({"POST", "/a", "c"})};
    CHECK(all.size() == 6);
}
