#include <map>
#include <set>

#include "codec/archive.hpp"
#include "oplog/chunk.hpp"
#include "support/catch_property.hpp"

using namespace anabranch;
using namespace anabranch::oplog;

namespace {

replica_id replica(std::uint8_t n) {
    replica_id id;
    id.value[0] = n;
    id.incarnation = 1;
    return id;
}

std::string body(std::uint64_t at, std::string_view payload = "x") { return encode_record({{at}, {}, payload}); }

struct memory_stream final : record_stream {
    memory_stream(replica_id writer, std::vector<std::string> all, std::uint64_t begin = 1)
        : id(writer), bodies(std::move(all)), first(begin) {
        move_head();
    }
    bool valid() const override { return at < bodies.size() && (at < broken_at); }
    const replica_id& origin() const override { return id; }
    std::uint64_t sequence() const override { return first + at; }
    std::string_view body() const override { return bodies[at]; }
    const hash128& head() const override { return chain; }
    void next() override {
        ++at;
        move_head();
    }
    result<void> status() const override {
        if (at >= broken_at) return fail(errc::corrupt, "broken");
        return {};
    }
    void move_head() {
        if (at < bodies.size()) chain = chain_next(chain, bodies[at]);
    }

    replica_id id;
    std::vector<std::string> bodies;
    std::uint64_t first;
    std::size_t at = 0;
    std::size_t broken_at = SIZE_MAX;
    hash128 chain{};
};

merged_stream merge(std::vector<std::unique_ptr<record_stream>> streams) { return merged_stream(std::move(streams)); }

template <class... Stream>
merged_stream merge_all(Stream... stream) {
    std::vector<std::unique_ptr<record_stream>> streams;
    (streams.push_back(std::make_unique<memory_stream>(std::move(stream))), ...);
    return merge(std::move(streams));
}

chunk sound() {
    return {{{replica(1), 4, 5, {}}, {replica(2), 1, 1, {}}}, {{0, body(10)}, {1, body(10)}, {0, body(11)}}, {}};
}

}  // namespace

TEST_CASE("a record comes back, and refers to the bytes it came from") {
    const auto bytes = encode_record({{77}, {replica(1), replica(2)}, "payload"});
    const auto r = decode_record(bytes);
    REQUIRE(r);
    CHECK(r->at == timestamp{77});
    CHECK(r->mentioned == std::vector{replica(1), replica(2)});
    CHECK(r->payload == "payload");
    CHECK(r->payload.data() + r->payload.size() == bytes.data() + bytes.size());
    CHECK(record_time(bytes) == timestamp{77});
}

TEST_CASE("a record of another version, or cut short, is none") {
    auto bytes = encode_record({{77}, {replica(1)}, ""});
    CHECK(decode_record(bytes));
    for (std::size_t n = 0; n < bytes.size(); ++n) CHECK_FALSE(decode_record(bytes.substr(0, n)));
    CHECK(record_time(bytes.substr(0, 8)) == timestamp{0});
    CHECK_FALSE(is_execution(bytes));
    bytes[0] = 2;
    CHECK(is_execution(bytes));
    CHECK(decode_record(bytes)->kind == record_kind::execution);
    for (const int none : {0, 3, 64, 255}) {
        bytes[0] = static_cast<char>(none);
        CHECK_FALSE(decode_record(bytes));
    }
}

TEST_CASE("of a record of a later kind only what all kinds have is read") {
    auto bytes = encode_record({{77}, {replica(1)}, "whatever it is"});
    bytes[0] = 63;
    const auto r = decode_record(bytes);
    REQUIRE(r);
    CHECK(r->is_unread);
    CHECK(r->kind == greatest_record_kind);
    CHECK(r->at == timestamp{77});
    CHECK(r->mentioned == std::vector{replica(1)});
    CHECK(r->payload == "whatever it is");
    for (std::size_t n = 0; n < bytes.size() - r->payload.size(); ++n) CHECK_FALSE(decode_record(bytes.substr(0, n)));

    const auto execution = encode_record({{77}, {}, "payload", record_kind::execution, "common"});
    CHECK_FALSE(decode_record(execution)->is_unread);
    const auto to_an_earlier_build = decode_record(execution, bit_of(record_kind::plain));
    REQUIRE(to_an_earlier_build);
    CHECK(to_an_earlier_build->is_unread);
    CHECK(to_an_earlier_build->common.empty());
}

TEST_CASE("chains differ by bucket, by replica, and by every record") {
    std::set<hash128> heads{chain_start("a", replica(1)), chain_start("b", replica(1)), chain_start("a", replica(2))};
    CHECK(heads.size() == 3);
    const auto start = chain_start("a", replica(1));
    CHECK(chain_next(start, body(1)) == chain_next(start, body(1)));
    CHECK(chain_next(start, body(1)) != chain_next(start, body(2)));
    CHECK(chain_next(chain_next(start, body(1)), body(2)) != chain_next(chain_next(start, body(2)), body(1)));
}

TEST_CASE("a chunk is sound if its ranges hold what they say, in order of time") {
    CHECK(is_sound(sound()));
    CHECK(is_sound({}));
    const auto broken = [](auto change) {
        auto c = sound();
        change(c);
        return !is_sound(c);
    };
    CHECK(broken([](chunk& c) { c.ranges[0].first = 0; }));
    CHECK(broken([](chunk& c) { c.ranges[0].last = 6; }));
    CHECK(broken([](chunk& c) { c.ranges[0].last = 3; }));
    CHECK(broken([](chunk& c) { c.ranges[1].last = UINT64_MAX; }));
    CHECK(broken([](chunk& c) { c.entries[0].range = 2; }));
    CHECK(broken([](chunk& c) { c.entries.pop_back(); }));
    CHECK(broken([](chunk& c) { c.entries.push_back({1, body(12)}); }));
    CHECK(broken([](chunk& c) { std::swap(c.entries[0], c.entries[2]); }));
    CHECK(broken([](chunk& c) { c.ranges.push_back({replica(3), 1, 1, {}}); }));
    // One origin twice would let a peer send two records for one dot.
    CHECK(broken([](chunk& c) { c.ranges[1].origin = c.ranges[0].origin; }));
}

TEST_CASE("a chunk comes back") {
    const auto c = sound();
    CHECK(codec::decode<chunk>(codec::encode(c)) == c);
}

TEST_CASE("streams merge by time, then by replica") {
    auto m = merge_all(memory_stream(replica(2), {body(1), body(5), body(5)}), memory_stream(replica(1), {body(5), body(6)}),
                       memory_stream(replica(3), {}));
    std::vector<std::pair<std::uint8_t, std::uint64_t>> order;
    for (; m.top() != nullptr; m.next()) order.emplace_back(m.top()->origin().value[0], m.top()->sequence());
    CHECK(order == std::vector<std::pair<std::uint8_t, std::uint64_t>>{{2, 1}, {1, 1}, {2, 2}, {2, 3}, {1, 2}});
    CHECK(m.status());
}

TEST_CASE("a broken stream ends the merge: what comes later might depend on what is missing") {
    memory_stream broken(replica(1), {body(1), body(2)});
    broken.broken_at = 1;
    auto m = merge_all(broken, memory_stream(replica(2), {body(3)}));
    REQUIRE(m.top() != nullptr);
    m.next();
    CHECK(m.top() == nullptr);
    CHECK(m.status().error().code == errc::corrupt);
    auto again = merge_all(broken, memory_stream(replica(2), {body(3)}));
    CHECK_FALSE(collect(again, {UINT64_MAX}, 1'000));
}

TEST_CASE("a chunk ends at its size, but takes one record at least, and none at the ceiling") {
    const auto streams = [] {
        return merge_all(memory_stream(replica(1), {body(1), body(3), body(5)}, 8), memory_stream(replica(2), {body(2), body(4)}));
    };
    const auto size = body(1).size();
    auto all = streams();
    const auto c = collect(all, {UINT64_MAX}, 1'000'000).value();
    CHECK(is_sound(c));
    REQUIRE(c.ranges.size() == 2);
    CHECK(c.ranges[0].first == 8);
    CHECK(c.ranges[0].last == 10);
    CHECK(c.ranges[1].last == 2);
    CHECK(c.entries.size() == 5);

    auto pieces = streams();
    CHECK(collect(pieces, {UINT64_MAX}, 0).value().entries.size() == 1);
    const auto two = collect(pieces, {UINT64_MAX}, 2 * size).value();
    CHECK(two.entries.size() == 2);
    CHECK(is_sound(two));
    CHECK(two.ranges[0].head != hash128{});
    CHECK(collect(pieces, {4}, 1'000).value().empty());
    CHECK(collect(pieces, {5}, 1'000).value().entries.size() == 1);
    CHECK(collect(pieces, {UINT64_MAX}, 1'000).value().entries.size() == 1);
    CHECK(collect(pieces, {UINT64_MAX}, 1'000).value().empty());
}

TEST_CASE("however streams are cut into chunks, the same records come in the same order") {
    test::check_property("chunks", [](const std::vector<std::vector<std::uint8_t>>& gaps, std::uint8_t limit) {
        const auto streams = [&] {
            std::vector<std::unique_ptr<record_stream>> all;
            for (std::size_t i = 0; i < std::min<std::size_t>(gaps.size(), 200); ++i) {
                std::vector<std::string> bodies;
                std::uint64_t at = 0;
                for (const auto gap : gaps[i]) bodies.push_back(body(at += 1U + gap, std::to_string(i)));
                all.push_back(std::make_unique<memory_stream>(replica(static_cast<std::uint8_t>(i)), bodies));
            }
            return merge(std::move(all));
        };
        auto whole = streams();
        const auto one = collect(whole, {UINT64_MAX}, SIZE_MAX).value();
        RC_ASSERT(is_sound(one));
        std::vector<std::string> in_order;
        for (const auto& e : one.entries) in_order.push_back(e.body);
        auto cut = streams();
        std::vector<std::string> in_pieces;
        for (auto c = collect(cut, {UINT64_MAX}, limit).value(); !c.empty(); c = collect(cut, {UINT64_MAX}, limit).value()) {
            RC_ASSERT(is_sound(c));
            for (const auto& e : c.entries) in_pieces.push_back(e.body);
        }
        RC_ASSERT(in_pieces == in_order);
    });
}
