#include "crdt/folding.hpp"

#include <algorithm>

#include "support/catch.hpp"
#include "support/catch_property.hpp"

namespace anabranch::test {
namespace {

using namespace crdt;

constexpr origin ada{0}, bob{1}, eve{2};

struct known_replicas {
    origin_table table;
    known_replicas() {
        for (std::uint8_t i = 0; i < 3; ++i) {
            replica_id id;
            id.value.fill(static_cast<std::uint8_t>(i + 1));
            table.intern(id);
        }
    }
    auto number_of() const {
        return [this](const replica_id& id) { return table.find(id); };
    }
};

std::vector<dot_range> ranges() { return {{ada, 100, 300}, {bob, 1, 50}}; }

timestamp time_of(const dot& d) { return {d.sequence * 1000 + static_cast<std::uint64_t>(d.writer)}; }

entries_row::entry entry_of(const dot& d, std::string value) { return {d, time_of(d), std::move(value)}; }

/// What a random fold may hold: each origin's adds lie in its range, coverage before them or outside.
changes any_changes() {
    const auto below = [](std::uint64_t n) { return *rc::gen::inRange<std::uint64_t>(0, n); };
    const auto any_dot = [&] { return below(2) == 0 ? dot{ada, 100 + below(201)} : dot{bob, 1 + below(50)}; };
    std::map<std::string, delta> rows;
    for (auto n = below(30); n > 0; --n) {
        std::string key = "map" + std::string("\0\1p", 3) + std::to_string(below(12));
        if (below(4) > 0) key += std::string("\0\1", 2) + "p" + std::to_string(below(3)) + std::string("\0\1c", 3);
        const auto d = any_dot();
        delta change{{}, bottom(static_cast<row_kind>(1 + below(5)))};
        if (below(3) == 0) change.covers.join(dot{eve, 1 + below(9)});
        if (below(3) == 0) change.covers.join(dot{ada, 1 + below(99)});
        if (below(3) == 0 && d.sequence > 1 && d.writer == bob) change.covers.join(dot{bob, d.sequence - 1});
        if (auto* c = std::get_if<counter_row>(&change.change)) {
            c->totals.push_back({d.writer, 0, below(d.sequence), d.sequence, static_cast<std::int64_t>(below(1000)) - 500});
            if (below(3) == 0) c->resets.push_back({eve, 0, 1 + below(9), 7});
        } else if (auto* e = std::get_if<entries_row>(&change.change)) {
            e->entries.push_back(entry_of(d, std::string(static_cast<std::size_t>(below(40)), 'v')));
        } else if (auto* s = std::get_if<dots_row>(&change.change)) {
            if (below(3) > 0) s->adds.push_back(d);
        } else if (auto* r = std::get_if<removals_row>(&change.change)) {
            if (below(2) > 0) r->adds.push_back({d, vector_of({eve, 1 + below(9)})});
            if (below(2) > 0) r->removals.join(any_dot());
        } else if (auto* g = std::get_if<escrow_row>(&change.change)) {
            change.covers = {};
            g->generations.push_back({{eve, 1 + below(9)}, {}, {{ada, 1, 1 + below(99)}}});
            const auto amount = [&] { return static_cast<std::int64_t>(below(1000)) - 500; };
            const auto to = d.writer == ada ? bob : ada;
            g->generations[0].accounts.push_back({d.writer, 1, d.sequence, d.sequence, amount(), amount(), 3, {{to, 7}}});
        }
        rows[key] = std::move(change);
    }
    changes c;
    for (auto& [key, change] : rows) c.rows.push_back({key, std::move(change)});
    if (below(2) == 0) c.removals.push_back({"map", vector_of({ada, 120})});
    return c;
}

}  // namespace

TEST_CASE("a fold is what it was before it was encoded") {
    const known_replicas replicas;
    check_property("round trip", [&] {
        const auto c = any_changes();
        const auto decoded = decode_fold(encode_fold(c, ranges(), replicas.table), ranges(), replicas.number_of());
        RC_ASSERT(decoded.has_value());
        RC_ASSERT(decoded->removals == c.removals);
        RC_ASSERT(decoded->rows.size() == c.rows.size());
        for (std::size_t i = 0; i < c.rows.size(); ++i) {
            RC_ASSERT(decoded->rows[i].key == c.rows[i].key);
            RC_ASSERT(decoded->rows[i].change.change == c.rows[i].change.change);
            // Coverage inside a range may reach further, up to what the origin itself has written there.
            const auto& before = c.rows[i].change.covers;
            const auto& after = decoded->rows[i].change.covers;
            RC_ASSERT(after.covers(before));
            for (const auto& [writer, sequence] : after) {
                if (sequence == before.at(writer)) continue;
                RC_ASSERT(writer == bob && before.at(bob) > 0);
            }
        }
    });
}

TEST_CASE("a fold that is cut off or altered is refused or stays within its ranges") {
    const known_replicas replicas;
    check_property("altered bytes", [&] {
        auto bytes = encode_fold(any_changes(), ranges(), replicas.table);
        const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
        if (*rc::gen::arbitrary<bool>()) {
            bytes.resize(at);
            RC_ASSERT(!decode_fold(bytes, ranges(), replicas.number_of()));
            return;
        }
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << *rc::gen::inRange(0, 8)));
        const auto decoded = decode_fold(bytes, ranges(), replicas.number_of());
        if (!decoded) return;
        for (const auto& r : decoded->rows) {
            const auto* entries = std::get_if<entries_row>(&r.change.change);
            if (entries == nullptr) continue;
            RC_ASSERT(std::ranges::all_of(entries->entries, [&](const auto& e) {
                return std::ranges::any_of(ranges(), [&](const auto& range) {
                    return range.writer == e.id.writer && range.holds(e.id.sequence);
                });
            }));
        }
    });
}

TEST_CASE("folding joins in any order, and keeps of what the ranges do not hold the coverage") {
    const auto write = [](const dot& d, const version_vector& covers) {
        return changes{{}, {{"key", {covers, entries_row{{entry_of(d, "v")}}}}}, {}};
    };
    const auto first = write({ada, 100}, {}), second = write({bob, 7}, vector_of({ada, 100}));
    for (const bool in_order : {true, false}) {
        folding all;
        all.add(in_order ? first : second);
        all.add(in_order ? second : first);
        CHECK(all.take(ranges()) == second);
    }
    folding all;
    all.add(first);
    all.add(second);
    const std::vector<dot_range> only_ada{{ada, 100, 300}};
    const auto kept = all.take(only_ada);
    REQUIRE(kept.rows.size() == 1);
    CHECK(kept.rows[0].change.covers == vector_of({ada, 100}));
    CHECK(is_bottom(kept.rows[0].change.change));
}

TEST_CASE("a fold knows how long escrow rows are, also when they grow") {
    folding all;
    escrow_row r{{{{ada, 100}, {{ada, 1, 100, 100, 1, 0, 0, {}}}, {}}}};
    all.add({{}, {{"key", {{}, r}}}, {}});
    const auto one = all.bytes();
    r.generations[0].accounts[0].sequence = 101;
    all.add({{}, {{"key", {{}, r}}}, {}});
    CHECK(all.bytes() == one);
    r.generations[0].accounts[0].sequence = 102;
    for (std::uint32_t to = 1; to <= 100; ++to) r.generations[0].accounts[0].sent.push_back({origin{to}, 1});
    all.add({{}, {{"key", {{}, r}}}, {}});
    CHECK(all.bytes() > one + 500);
}

TEST_CASE("folding takes from additions what a removal of their prefix has seen") {
    folding all;
    all.add({{}, {{"map/key", {{}, dots_row{{{ada, 100}}}}}}, {}});
    all.add({{{"map/", vector_of({ada, 100})}}, {}, {}});
    all.add({{}, {{"map/key", {{}, dots_row{{{bob, 3}}}}}, {"other", {{}, dots_row{{{ada, 101}}}}}}, {}});
    const auto c = all.take(ranges());
    REQUIRE(c.rows.size() == 2);
    CHECK(c.rows[0].change.change == row(dots_row{{{bob, 3}}}));
    CHECK(c.rows[1].change.change == row(dots_row{{{ada, 101}}}));
    CHECK(c.removals.size() == 1);
}

}  // namespace anabranch::test
