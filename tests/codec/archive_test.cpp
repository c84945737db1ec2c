#include "codec/archive.hpp"

#include <limits>
#include <map>

#include "support/catch_property.hpp"

using namespace anabranch;
using codec::decode;
using codec::encode;

namespace {

struct inner {
    std::int32_t number = 0;
    std::optional<std::string> text;
    bool operator==(const inner&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number, text);
    }
};

enum class shade : std::uint16_t { light = 1, dark = 500 };

struct outer {
    bool flag = false;
    std::uint64_t big = 0;
    std::int64_t balance = 0;
    std::string name;
    std::vector<inner> parts;
    std::array<std::uint8_t, 4> id{};
    shade colour{};
    bool operator==(const outer&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(flag, big, balance, name, parts, id, colour);
    }
};

std::string bytes(std::initializer_list<int> values) {
    std::string out;
    for (const int v : values) out += static_cast<char>(v);
    return out;
}

}  // namespace

TEST_CASE("numbers are as short as they can be") {
    CHECK(encode(std::uint64_t{0}) == bytes({0}));
    CHECK(encode(std::uint64_t{127}) == bytes({0x7f}));
    CHECK(encode(std::uint64_t{128}) == bytes({0x80, 1}));
    CHECK(encode(std::uint32_t{300}) == bytes({0xac, 2}));
    CHECK(encode(std::int64_t{-1}) == bytes({1}));
    CHECK(encode(std::int32_t{1}) == bytes({2}));
    CHECK(encode(std::numeric_limits<std::uint64_t>::max()).size() == 10);
    CHECK(encode(std::numeric_limits<std::int64_t>::min()).size() == 10);
    CHECK(encode(shade::dark) == bytes({0xf4, 3}));
    CHECK(encode(true) == bytes({1}));
    CHECK(encode(std::uint8_t{200}) == bytes({200}));
}

TEST_CASE("a map is its entries in order, and has one encoding") {
    using map = std::map<std::uint8_t, std::string>;
    const map m{{1, "a"}, {3, ""}};
    CHECK(encode(m) == bytes({2, 1, 1, 'a', 3, 0}));
    CHECK(decode<map>(encode(m)) == m);
    CHECK(decode<map>(bytes({0})) == map{});
    CHECK_FALSE(decode<map>(bytes({2, 3, 0, 1, 1, 'a'})));  // another order
    CHECK_FALSE(decode<map>(bytes({2, 1, 0, 1, 0})));       // one key twice
    CHECK_FALSE(decode<map>(bytes({2, 1, 0})));
    CHECK_FALSE(decode<map>(bytes({0xff, 0xff, 3, 1, 0})));  // more than there is
}

TEST_CASE("a number has one encoding") {
    CHECK(decode<std::uint64_t>(bytes({0x80, 1})) == 128U);
    CHECK_FALSE(decode<std::uint64_t>(bytes({0x80, 0})));
    CHECK_FALSE(decode<std::uint64_t>(bytes({0xff, 0x80, 0})));
    CHECK_FALSE(decode<std::uint64_t>(bytes({0x80})));
    CHECK_FALSE(decode<std::uint64_t>(""));
    CHECK_FALSE(decode<std::uint64_t>(bytes({1, 1})));
    const auto greatest = encode(std::numeric_limits<std::uint64_t>::max());
    CHECK(decode<std::uint64_t>(greatest) == std::numeric_limits<std::uint64_t>::max());
    CHECK_FALSE(decode<std::uint64_t>(greatest.substr(0, 9) + '\x02'));
    CHECK_FALSE(decode<std::uint64_t>(greatest.substr(0, 9) + '\x81' + '\x01'));
    const auto two = bytes({2});
    codec::input in(two);
    bool flag = true;
    in(flag);
    CHECK_FALSE(in.ok());
    CHECK_FALSE(flag);
}

TEST_CASE("a number has to fit its type") {
    CHECK(decode<std::uint16_t>(encode(std::uint32_t{65'535})) == 65'535U);
    CHECK_FALSE(decode<std::uint16_t>(encode(std::uint32_t{65'536})));
    CHECK(decode<std::int32_t>(encode(std::int64_t{std::numeric_limits<std::int32_t>::min()})) ==
          std::numeric_limits<std::int32_t>::min());
    CHECK_FALSE(decode<std::int32_t>(encode(std::int64_t{std::numeric_limits<std::int32_t>::min()} - 1)));
    CHECK_FALSE(decode<shade>(encode(std::uint32_t{65'536})));
}

TEST_CASE("a count is judged before anything is allocated") {
    CHECK_FALSE(decode<std::string>(encode(std::numeric_limits<std::uint64_t>::max())));
    CHECK_FALSE(decode<std::vector<inner>>(encode(std::uint64_t{1} << 40)));
    CHECK_FALSE(decode<std::vector<std::uint64_t>>(bytes({3, 1, 1})));
    const auto four = bytes({2, 1, 1, 1, 1});
    codec::input in(four);
    CHECK(in.count(2) == 2);
    const auto three = bytes({2, 1, 1, 1});
    codec::input short_of(three);
    CHECK(short_of.count(2) == 0);
    CHECK_FALSE(short_of.ok());
}

TEST_CASE("after a failure everything reads as nothing") {
    codec::input in(std::string_view("\x05" "abc", 4));
    std::string text = "old";
    std::uint64_t number = 9;
    bool flag = true;
    std::vector<std::string> list{"old"};
    std::optional<std::string> perhaps = "old";
    in(text, number, flag, list, perhaps);
    CHECK_FALSE(in.ok());
    CHECK_FALSE(in.complete());
    CHECK(text.empty());
    CHECK(number == 0);
    CHECK_FALSE(flag);
    CHECK(list.empty());
    CHECK_FALSE(perhaps);
    CHECK(in.remaining() == 0);
    CHECK(in.fixed64() == 0);
    CHECK(in.rest().empty());
}

TEST_CASE("fixed numbers and raw bytes") {
    std::string out;
    codec::output archive(out);
    archive.fixed64(0x0102030405060708);
    archive.raw("rest");
    CHECK(out == bytes({8, 7, 6, 5, 4, 3, 2, 1}) + "rest");
    codec::input in(out);
    CHECK(in.fixed64() == 0x0102030405060708);
    CHECK(in.raw(2) == "re");
    CHECK_FALSE(in.complete());
    CHECK(in.rest() == "st");
    CHECK(in.complete());
}

TEST_CASE("any structure comes back, and no part of it is taken for the whole") {
    test::check_property("structures", [](bool flag, std::uint64_t big, std::int64_t balance, const std::string& name,
                                          const std::vector<std::pair<std::int32_t, std::string>>& parts) {
        outer value{flag, big, balance, name, {}, {1, 2, 3, 255}, shade::dark};
        for (const auto& [number, text] : parts) value.parts.push_back({number, text.empty() ? std::nullopt : std::optional(text)});
        const auto whole = encode(value);
        RC_ASSERT(decode<outer>(whole) == value);
        RC_ASSERT(!decode<outer>(whole + '\0'));
        for (std::size_t n = 0; n < whole.size(); ++n) RC_ASSERT(!decode<outer>(std::string_view(whole).substr(0, n)));
    });
}

TEST_CASE("what can be read is written again as the same bytes") {
    test::check_property("canonical", [](const std::vector<std::uint8_t>& any) {
        const std::string in(any.begin(), any.end());
        if (const auto number = decode<std::uint64_t>(in)) RC_ASSERT(encode(*number) == in);
        if (const auto number = decode<std::int32_t>(in)) RC_ASSERT(encode(*number) == in);
        if (const auto parts = decode<std::vector<inner>>(in)) RC_ASSERT(encode(*parts) == in);
    });
}
