#include <anabranch/cereal.hpp>
#include <anabranch/store.hpp>

#include <cereal/types/array.hpp>
#include <cereal/types/bitset.hpp>
#include <cereal/types/chrono.hpp>
#include <cereal/types/deque.hpp>
#include <cereal/types/list.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/polymorphic.hpp>
#include <cereal/types/set.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/tuple.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>
#include <limits>
#include <random>

#include "support/catch.hpp"

using anabranch::errc;
using anabranch::value_codec;

namespace cereal_test {

enum class colour : std::uint16_t { red = 1, green = 300 };

struct line {
    std::string product;
    std::uint32_t quantity = 0;
    std::int64_t cents = 0;
    bool operator==(const line&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(CEREAL_NVP(product), CEREAL_NVP(quantity), cents);
    }
};

struct everything {
    std::vector<line> lines;
    std::map<std::string, std::int32_t> stock;
    std::unordered_map<std::string, double> prices;
    std::optional<std::string> note;
    std::variant<std::monostate, std::int64_t, std::string> choice;
    std::tuple<bool, float, std::u16string> triple;
    std::pair<std::int8_t, char> two;
    std::array<std::uint64_t, 3> three{};
    std::vector<bool> flags;
    std::vector<std::int32_t> numbers;
    std::deque<std::string> names;
    std::list<std::uint8_t> bytes;
    std::set<std::uint16_t> chosen;
    std::bitset<11> bits;
    std::chrono::milliseconds since{};
    colour paint = colour::red;
    std::shared_ptr<line> shared;
    std::unique_ptr<line> owned;

    template <class Archive>
    void serialize(Archive& archive, std::uint32_t version) {
        archive(lines, stock, prices, note, choice, triple, two, three, flags, numbers, names, bytes, chosen, bits);
        archive(since, paint, shared, owned);
        if (version != 3) throw cereal::Exception("not version 3");
    }
};

everything filled() {
    everything e;
    e.lines = {{"tea", 2, -399}, {"", 0, 0}, {std::string("a\0b", 3), 4'000'000'000U, std::numeric_limits<std::int64_t>::min()}};
    e.stock = {{"tea", -1}, {"mug", std::numeric_limits<std::int32_t>::max()}};
    e.prices = {{"tea", 3.99}};
    e.note = "ring twice";
    e.choice = std::string("by post");
    e.triple = {true, 0.5F, u"\u20ac"};
    e.two = {-128, 'x'};
    e.three = {0, 1, std::numeric_limits<std::uint64_t>::max()};
    e.flags = {true, false, true};
    e.numbers = {0, -1, 64, std::numeric_limits<std::int32_t>::min()};
    e.names = {"Ada", "Grace"};
    e.bytes = {0, 255};
    e.chosen = {7, 700};
    e.bits = std::bitset<11>(0b101'0000'0011);
    e.since = std::chrono::milliseconds{-5};
    e.paint = colour::green;
    e.shared = std::make_shared<line>(line{"mug", 1, 700});
    e.owned = std::make_unique<line>(line{"cup", 1, 800});
    return e;
}

void check_equal(const everything& a, const everything& b) {
    CHECK(a.lines == b.lines);
    CHECK(a.stock == b.stock);
    CHECK(a.prices == b.prices);
    CHECK(a.note == b.note);
    CHECK(a.choice == b.choice);
    CHECK(a.triple == b.triple);
    CHECK(a.two == b.two);
    CHECK(a.three == b.three);
    CHECK(a.flags == b.flags);
    CHECK(a.numbers == b.numbers);
    CHECK(a.names == b.names);
    CHECK(a.bytes == b.bytes);
    CHECK(a.chosen == b.chosen);
    CHECK(a.bits == b.bits);
    CHECK(a.since == b.since);
    CHECK(a.paint == b.paint);
    REQUIRE(b.shared);
    CHECK(*a.shared == *b.shared);
    REQUIRE(b.owned);
    CHECK(*a.owned == *b.owned);
}

struct nothing {
    bool operator==(const nothing&) const = default;
    template <class Archive>
    void serialize(Archive&) {}
};

struct nested {
    std::unique_ptr<nested> inner;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(inner);
    }
};

struct animal {
    virtual ~animal() = default;
    virtual std::string name() const = 0;
    template <class Archive>
    void serialize(Archive&) {}
};
struct dog final : animal {
    std::string name() const override { return "dog " + called; }
    std::string called;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(called);
    }
};

struct wide {
    std::array<std::uint64_t, 128> numbers{};
    template <class Archive>
    void serialize(Archive& archive) {
        archive(numbers);
    }
};

template <class T>
bool decodes(std::string_view bytes) {
    const auto value = value_codec<T>::decode(bytes);
    if (!value) CHECK(value.error().code == errc::undecodable);
    return value.has_value();
}

template <class T>
void check_mangled(const T& value) {
    const auto bytes = value_codec<T>::encode(value);
    REQUIRE(decodes<T>(bytes));
    for (std::size_t n = 0; n < bytes.size(); ++n) CHECK_FALSE(decodes<T>(bytes.substr(0, n)));
    CHECK_FALSE(decodes<T>(bytes + '\0'));
    CHECK_FALSE(decodes<T>(bytes + 'x'));
    std::mt19937 random(7);  // the same sequence everywhere
    for (int i = 0; i < 20'000; ++i) {
        auto mangled = bytes;
        for (auto n = 1 + random() % 4; n > 0; --n) {
            const auto at = random() % mangled.size();
            switch (random() % 3) {
                case 0: mangled[at] = static_cast<char>(random()); break;
                case 1: mangled.erase(at, 1 + random() % 3); break;
                default: mangled.insert(at, 1 + random() % 9, static_cast<char>(random() % 2 == 0 ? 0xff : random())); break;
            }
            if (mangled.empty()) mangled = "x";
        }
        (void)decodes<T>(mangled);  // no crash, nothing allocated that the bytes do not pay for
    }
}

}  // namespace cereal_test

CEREAL_CLASS_VERSION(cereal_test::everything, 3)
CEREAL_REGISTER_TYPE_WITH_NAME(cereal_test::dog, "dog")
CEREAL_REGISTER_POLYMORPHIC_RELATION(cereal_test::animal, cereal_test::dog)

using namespace cereal_test;

TEST_CASE("a struct of every type that cereal knows comes back") {
    const auto value = filled();
    const auto bytes = value_codec<everything>::encode(value);
    auto back = value_codec<everything>::decode(bytes);
    REQUIRE(back);
    check_equal(value, *back);
    CHECK(value_codec<everything>::encode(*back) == bytes);
}

TEST_CASE("types stand alone as values") {
    const std::vector<std::string> names{"a", "", "b"};
    CHECK(value_codec<std::vector<std::string>>::decode(value_codec<std::vector<std::string>>::encode(names)) == names);
    CHECK(value_codec<colour>::decode(value_codec<colour>::encode(colour::green)) == colour::green);
    const std::variant<int, std::string> either = "x";
    CHECK(value_codec<std::variant<int, std::string>>::decode(value_codec<std::variant<int, std::string>>::encode(either)) == either);
}

TEST_CASE("the encoding is compact and does not depend on the machine") {
    CHECK(value_codec<line>::encode({"tea", 300, -1}) == std::string("\x03tea\xac\x02\x01", 7));
    const std::vector<std::int32_t> numbers{1, -1, 64};
    CHECK(value_codec<std::vector<std::int32_t>>::encode(numbers) == std::string("\x03\x02\x01\x80\x01", 5));
    CHECK(value_codec<std::pair<float, double>>::encode({1.0F, -2.0}) ==
          std::string("\x00\x00\x80\x3f\x00\x00\x00\x00\x00\x00\x00\xc0", 12));
}

TEST_CASE("elements without content can be counted") {
    for (const std::size_t n : {0U, 1U, 2U, 300U}) {
        const std::vector<nothing> nothings(n);
        const auto bytes = value_codec<std::vector<nothing>>::encode(nothings);
        CHECK(value_codec<std::vector<nothing>>::decode(bytes) == nothings);
        const std::vector<std::vector<nothing>> nestings{nothings, {}, nothings};
        CHECK(value_codec<std::vector<std::vector<nothing>>>::decode(value_codec<std::vector<std::vector<nothing>>>::encode(nestings)) ==
              nestings);
    }
}

TEST_CASE("a polymorphic value comes back as what it was") {
    auto rex = std::make_unique<dog>();
    rex->called = "Rex";
    const std::unique_ptr<animal> pet = std::move(rex);
    const auto bytes = value_codec<std::unique_ptr<animal>>::encode(pet);
    const auto back = value_codec<std::unique_ptr<animal>>::decode(bytes);
    REQUIRE(back);
    CHECK((*back)->name() == "dog Rex");
    check_mangled(pet);
}

TEST_CASE("what is cut, longer or mangled is undecodable or another value, never a crash") {
    check_mangled(filled());
    check_mangled(std::vector<line>{{"tea", 1, 2}, {"mug", 3, 4}});
    check_mangled(std::map<std::string, std::vector<std::optional<double>>>{{"a", {1.5, std::nullopt}}, {"b", {}}});
}

TEST_CASE("numbers have one encoding, and have to fit") {
    CHECK(decodes<std::vector<std::uint8_t>>(std::string("\x01\x05", 2)));
    CHECK_FALSE(decodes<std::vector<std::uint8_t>>(std::string("\x81\x00\x05", 3)));
    CHECK_FALSE(decodes<std::optional<std::uint16_t>>(std::string("\x00\xff\xff\x07", 4)));
    CHECK_FALSE(decodes<std::vector<std::uint64_t>>("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
    CHECK(decodes<std::vector<std::uint64_t>>("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    CHECK_FALSE(decodes<std::vector<std::int16_t>>(std::string("\x01\x80\x80\x04", 4)));
    CHECK_FALSE(decodes<std::vector<bool>>(std::string("\x01\x02", 2)));
}

TEST_CASE("counts are judged before memory is taken") {
    // 2^63 elements, 2^40 elements, and as many as there are bytes but none behind them.
    CHECK_FALSE(decodes<std::vector<wide>>("\xff\xff\xff\xff\xff\xff\xff\xff\x7f"));
    CHECK_FALSE(decodes<std::vector<std::string>>("\x80\x80\x80\x80\x80\x20"));
    const std::string many = std::string("\xff\xff\xff\x03", 4) + std::string(8'388'607, '\xff');
    CHECK_FALSE(decodes<std::vector<wide>>(many));
    CHECK_FALSE(decodes<std::deque<wide>>(many));
    CHECK_FALSE(decodes<std::list<wide>>(many));
}

namespace {

nested nested_in_itself(int depth) {
    nested outer;
    for (int i = 0; i < depth; ++i) {
        auto next = std::make_unique<nested>();
        next->inner = std::move(outer.inner);
        outer.inner = std::move(next);
    }
    return outer;
}

}  // namespace

TEST_CASE("nesting has a limit, and its bytes cannot break the stack") {
    CHECK(value_codec<nested>::decode(value_codec<nested>::encode(nested_in_itself(100))));
    CHECK_THROWS_AS(value_codec<nested>::encode(nested_in_itself(1000)), cereal::Exception);
    CHECK_FALSE(decodes<nested>(std::string(8'000'000, '\x01')));
}

TEST_CASE("registers hold structs") {
    auto store = anabranch::store::in_memory().value();
    auto shop = store.create_bucket("shop").value();
    REQUIRE(shop.commit([](anabranch::transaction& tx) {
        tx.last_writer<line>("first").set({"tea", 2, 399});
        tx.multi_value<line>("any").set({"mug", 1, 700});
        tx.last_writer<std::string>("text").set("tea");
    }));
    REQUIRE(shop.read([](const anabranch::map_view& map) {
        CHECK(map.last_writer<line>("first").get().value() == line{"tea", 2, 399});
        const auto any = map.multi_value<line>("any").get().value();
        REQUIRE(any.size() == 1);
        CHECK(any[0].value == line{"mug", 1, 700});
        CHECK_FALSE(map.last_writer<line>("none").get().value());
        CHECK(map.last_writer<line>("text").get().error().code == errc::undecodable);
    }));
    // What cannot be serialised throws, and nothing is committed.
    CHECK_THROWS_AS(shop.commit([](anabranch::transaction& tx) {
        tx.counter("count").add(1);
        tx.last_writer<nested>("deep").set(nested_in_itself(1000));
    }),
                    cereal::Exception);
    CHECK(shop.read([](const anabranch::map_view& map) { return map.counter("count").value(); }).value() == 0);
    CHECK(shop.progress().front().sequence == 2);
}
