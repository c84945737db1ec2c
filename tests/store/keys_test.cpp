#include "store/keys.hpp"

#include <anabranch/limits.hpp>

#include "support/catch_property.hpp"

using namespace anabranch;
using namespace anabranch::store_keys;

namespace {

/// Names of a few bytes that matter to the escaping, so that they often share prefixes.
std::string name_of(const std::vector<std::uint8_t>& choices) {
    constexpr std::string_view bytes("\0\x01\x02 a\xfe\xff", 7);
    std::string name;
    for (const auto c : choices) name += bytes[c % bytes.size()];
    return name;
}
constexpr std::string_view all_types = ".acdelmpr";

using choices = std::vector<std::uint8_t>;

}  // namespace

TEST_CASE("a segment is the name, escaped, and the type") {
    CHECK(segment("ab", 'c') == std::string("ab\0\x01" "c", 5));
    CHECK(segment(std::string_view("a\0b", 3), 'p') == std::string("a\0\xff" "b\0\x01p", 7));
    CHECK(segment("", '.') == std::string("\0\x01.", 3));
}

TEST_CASE("segments come back from paths") {
    test::check_property("round trip", [](const choices& x, std::uint8_t type, const choices& rest) {
        const auto name = name_of(x);
        const auto t = all_types[type % all_types.size()];
        const auto s = first_segment(segment(name, t) + name_of(rest));
        RC_ASSERT(s.has_value());
        RC_ASSERT(s->name == name);
        RC_ASSERT(s->type == t);
        RC_ASSERT(s->length == segment(name, t).size());
    });
}

TEST_CASE("segments sort by name, then by type, and none is a prefix of another") {
    test::check_property("order", [](const choices& x, const choices& y, std::uint8_t t, std::uint8_t u) {
        const auto a = name_of(x);
        const auto b = name_of(y);
        const auto ta = all_types[t % all_types.size()];
        const auto tb = all_types[u % all_types.size()];
        RC_ASSERT((segment(a, ta) < segment(b, tb)) == (std::pair(a, ta) < std::pair(b, tb)));
        if (std::pair(a, ta) != std::pair(b, tb)) RC_ASSERT(!segment(a, ta).starts_with(segment(b, tb)));
    });
}

TEST_CASE("scans begin at the names with a prefix, or after a name with all its types") {
    test::check_property("bounds", [](const choices& x, const choices& y, std::uint8_t t) {
        const auto name = name_of(x);
        const auto other = name_of(y);
        const auto s = segment(name, all_types[t % all_types.size()]);
        RC_ASSERT((s >= names_after(other)) == (name > other));
        if (name.starts_with(other)) RC_ASSERT(s >= names_from(other));
        if (name < other) RC_ASSERT(s < names_from(other));
    });
}

TEST_CASE("a prefix ends where the next string that does not begin with it stands") {
    CHECK(prefix_end("a") == "b");
    CHECK(prefix_end("a\xff\xff") == "b");
    CHECK(prefix_end("\xff").empty());
    CHECK(prefix_end("").empty());
    test::check_property("end", [](const choices& x, const choices& y) {
        const auto prefix = name_of(x);
        const auto any = name_of(y);
        const auto end = prefix_end(prefix);
        RC_ASSERT(any.starts_with(prefix) == (any >= prefix && (end.empty() || any < end)));
    });
}

TEST_CASE("paths are well-formed and within the limits") {
    const auto deep = [](std::size_t depth, std::size_t length) {
        std::string path;
        for (std::size_t i = 0; i < depth; ++i) path += segment(std::string(length, 'x'), 'p');
        return path;
    };
    CHECK(is_path(segment("a", 'c')));
    CHECK(is_path(segment("", 'c')));
    CHECK_FALSE(is_path(""));
    CHECK_FALSE(is_path("a"));
    CHECK_FALSE(is_path(segment("a", 'c').substr(0, 3)));
    CHECK_FALSE(is_path(segment("a", 'c') + "b"));
    CHECK_FALSE(is_path(std::string_view("a\0b\0\x01" "c", 6)));
    CHECK(is_path(deep(limits::depth, 1)));
    CHECK_FALSE(is_path(deep(limits::depth + 1, 1)));
    CHECK(is_path(deep(1, limits::name)));
    CHECK_FALSE(is_path(deep(1, limits::name + 1)));
    CHECK(is_path(deep(7, limits::name)));
    CHECK_FALSE(is_path(deep(8, limits::name)));  // more than a whole path may have
    CHECK(is_path(segment(std::string(limits::name, '\0'), 'c')));  // the name counts, not its escapes
    test::check_property("any bytes", [](const choices& x) { (void)is_path(name_of(x)); });
}

TEST_CASE("log keys sort by bucket, replica and sequence") {
    const auto key = [](std::uint32_t bucket, std::uint32_t writer, std::uint64_t sequence) {
        return log_key(bucket_number{bucket}, origin{writer}, sequence);
    };
    CHECK(key(1, 0, 0) > key(0, UINT32_MAX, UINT64_MAX));
    CHECK(key(0, 1, 0) > key(0, 0, UINT64_MAX));
    CHECK(key(0, 0, 256) > key(0, 0, 255));
    const auto p = parse_log_key(key(3, 0x80000001, 0xff00000000000001));
    REQUIRE(p);
    CHECK(p->bucket == bucket_number{3});
    CHECK(p->writer == origin{0x80000001});
    CHECK(p->sequence == 0xff00000000000001);
    CHECK_FALSE(parse_log_key("short"));
    CHECK(row_key(bucket_number{7}, "path") == std::string("\0\0\0\x07path", 8));
}
