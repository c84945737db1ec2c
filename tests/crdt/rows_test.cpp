#include <limits>
#include <random>

#include "codec/archive.hpp"
#include "crdt/changes.hpp"
#include "crdt/edit.hpp"
#include "support/catch_property.hpp"

using namespace anabranch;
using namespace anabranch::crdt;

namespace {

constexpr origin ada{0};
constexpr origin bob{1};
const stamp of_ada{{ada, 9}, {1'000}};
const stamp of_bob{{bob, 9}, {1'000}};
constexpr auto most = std::numeric_limits<std::int64_t>::max();
constexpr auto least = std::numeric_limits<std::int64_t>::min();

// Of plain transactions.
struct plain_total {
    origin writer;
    std::uint64_t start, sequence;
    std::int64_t sum;
    operator counter_row::total() const { return {writer, 0, start, sequence, sum}; }
};
struct plain_reset {
    origin writer;
    std::uint64_t sequence;
    std::int64_t sum;
    operator counter_row::reset() const { return {writer, 0, sequence, sum}; }
};

row counter(std::initializer_list<plain_total> totals, std::initializer_list<plain_reset> resets = {}) {
    counter_row r;
    r.totals.assign(totals.begin(), totals.end());
    r.resets.assign(resets.begin(), resets.end());
    return r;
}

std::optional<std::int64_t> value(const row& r) { return counter_value(std::get<counter_row>(r)); }

version_vector vector_of(std::initializer_list<dot> dots) {
    version_vector v;
    for (const auto& d : dots) v.join(d);
    return v;
}

/// Rows and changes as any transaction may have made them, from any numbers.
class builder {
  public:
    explicit builder(std::uint64_t seed) : random_(seed) {}

    std::uint64_t up_to(std::uint64_t n) { return random_() % (n + 1); }
    std::uint64_t number() { return random_() >> up_to(63); }
    dot any_dot() { return {origin{static_cast<std::uint32_t>(up_to(3))}, 1 + number() / 2}; }
    std::string text() { return std::string(up_to(20), static_cast<char>(random_())); }
    version_vector any_vector() {
        version_vector v;
        for (auto n = up_to(3); n > 0; --n) v.join(any_dot());
        return v;
    }
    row any_row() {
        switch (up_to(4)) {
            case 0: {
                counter_row r;
                for (std::uint32_t w = 0; w < up_to(3); ++w) {
                    const auto start = number() / 2;
                    r.totals.push_back({origin{w}, static_cast<std::uint32_t>(up_to(2)), start, start + 1 + number() / 2, static_cast<std::int64_t>(random_())});
                }
                for (std::uint32_t w = 0; w < up_to(3); ++w) r.resets.push_back({origin{w}, static_cast<std::uint32_t>(up_to(2)), number(), static_cast<std::int64_t>(random_())});
                return r;
            }
            case 1: {
                entries_row r;
                for (std::uint32_t w = 0; w < up_to(3); ++w) r.entries.push_back({{origin{w}, number()}, {number()}, text()});
                return r;
            }
            case 2: {
                dots_row r;
                for (std::uint32_t w = 0; w < up_to(4); ++w) r.adds.push_back({origin{w}, number()});
                return r;
            }
            case 3: {
                escrow_row r;
                for (std::uint32_t w = 0; w < up_to(3); ++w) {
                    auto& g = r.generations.emplace_back(escrow_row::generation{{origin{w}, 1 + number() / 2}, {}, {}});
                    for (std::uint32_t v = 0; v < up_to(3); ++v) g.removed.push_back({origin{v}, static_cast<std::uint32_t>(up_to(9)), number()});
                    for (std::uint32_t v = 0; v < up_to(3); ++v) {
                        const auto sequence = number();
                        auto& a = g.accounts.emplace_back();
                        const auto touched = up_to(sequence % 1000);
                        a = {origin{v}, touched > 0 ? 1U + static_cast<std::uint32_t>(up_to(5)) : 0U, sequence, touched, static_cast<std::int64_t>(random_()), static_cast<std::int64_t>(random_()), static_cast<std::int64_t>(up_to(9)), {}};
                        for (std::uint32_t to = 0; to < up_to(3); ++to) {
                            if (to != v) a.sent.push_back({origin{to}, static_cast<std::int64_t>(1 + up_to(99))});
                        }
                    }
                }
                return r;
            }
            default: {
                removals_row r;
                for (std::uint32_t w = 0; w < up_to(3); ++w) r.adds.push_back({{origin{w}, number()}, any_vector()});
                r.removals = any_vector();
                return r;
            }
        }
    }
    replica_id any_replica() {
        replica_id id;
        id.value[0] = static_cast<std::uint8_t>(up_to(2));
        id.incarnation = static_cast<std::uint32_t>(up_to(1));
        return id;
    }
    /// Of few replicas and small numbers, so that two of them say something of the same member.
    roster any_roster() {
        roster r;
        if (up_to(1) == 0) r.authority = {1 + up_to(2), any_replica()};
        for (auto n = up_to(3); n > 0; --n) {
            auto& m = r.members[any_replica()];
            m = {static_cast<roster::stage>(1 + up_to(3)), up_to(5), up_to(3), {}, {}};
            if (m.at >= roster::stage::left && up_to(1) == 0) m.heir = any_replica();
            for (auto k = up_to(2); k > 0; --k) m.reports[any_replica()] = {{up_to(2), any_replica()}, up_to(5)};
        }
        return r;
    }
    changes any_changes() {
        changes c;
        for (auto n = up_to(2); n > 0; --n) c.removals.push_back({text(), any_vector()});
        for (auto n = up_to(3); n > 0; --n) c.rows.push_back({text(), {any_vector(), any_row()}});
        if (up_to(2) == 0) c.members = any_roster();
        return c;
    }
    std::string mangled(std::string bytes) {
        for (auto n = 1 + up_to(3); n > 0; --n) {
            if (bytes.empty()) return "x";
            const auto at = up_to(bytes.size() - 1);
            switch (up_to(2)) {
                case 0: bytes[at] = static_cast<char>(random_()); break;
                case 1: bytes.erase(at, 1 + up_to(2)); break;
                default: bytes.insert(at, 1 + up_to(9), static_cast<char>(up_to(1) == 0 ? 0xff : random_())); break;
            }
        }
        return bytes;
    }

  private:
    std::mt19937_64 random_;
};

}  // namespace

TEST_CASE("a counter sums the origins' totals without what was reset") {
    CHECK(value(counter({})) == 0);
    CHECK(value(counter({{ada, 0, 3, 10}, {bob, 0, 1, -4}})) == 6);
    CHECK(value(counter({{ada, 0, 3, 10}}, {{ada, 2, 7}})) == 3);
    CHECK(value(counter({{ada, 0, 3, 10}}, {{ada, 3, 10}})) == 0);
    CHECK(value(counter({{ada, 3, 5, 2}}, {{ada, 3, 10}})) == 2);
    CHECK_FALSE(is_live(counter({{ada, 0, 3, 10}}, {{ada, 3, 10}})));
    CHECK(is_live(counter({{ada, 0, 3, 0}})));
}

TEST_CASE("a counter's sum may pass through what int64 cannot hold, and not end there") {
    CHECK(value(counter({{ada, 0, 1, most}, {bob, 0, 1, most}, {origin{2}, 0, 1, least}})) == most - 1);
    CHECK_FALSE(value(counter({{ada, 0, 1, most}, {bob, 0, 1, 1}})));
    CHECK_FALSE(value(counter({{ada, 0, 1, least}, {bob, 0, 1, -1}})));
}

TEST_CASE("an addition that would overflow is refused and changes nothing") {
    edit e(counter({{ada, 0, 1, most}}));
    CHECK_FALSE(e.add({ada, 2}, 1, 1));
    CHECK(e.change().empty());
    CHECK(e.add({ada, 2}, least, 1));
    CHECK(value(e.now()) == -1);
    // Another writer has a total of its own.
    edit other(counter({{ada, 0, 1, most}}));
    CHECK(other.add({bob, 1}, 1, 0));
    CHECK_FALSE(value(other.now()));
}

TEST_CASE("a writer begins a new total only when all of the old one was reset") {
    edit partly(counter({{ada, 0, 3, 10}}, {{ada, 2, 7}}));
    REQUIRE(partly.add({ada, 4}, 1, 0));
    CHECK(std::get<counter_row>(partly.change().change).totals[0] == counter_row::total{ada, 0, 0, 4, 11});
    CHECK(value(partly.now()) == 4);
    edit wholly(counter({{ada, 0, 3, 10}}, {{ada, 3, 10}}));
    REQUIRE(wholly.add({ada, 4}, 1, 0));
    CHECK(wholly.now() == counter({{ada, 3, 4, 1}}));
}

TEST_CASE("kinds do not mix") {
    row r = counter({{ada, 0, 1, 1}});
    const auto before = r;
    CHECK_FALSE(join(r, {{}, dots_row{{{ada, 1}}}}, {}));
    CHECK(r == before);
    CHECK(known_kinds{}.holds(row_kind::escrow));
    CHECK_FALSE(known_kinds{}.holds(row_kind{0}));
    CHECK_FALSE(known_kinds{}.holds(row_kind{6}));
    for (const auto kind : {row_kind::counter, row_kind::entries, row_kind::dots, row_kind::removals, row_kind::escrow}) {
        CHECK(kind_of(bottom(kind)) == kind);
        CHECK(is_bottom(bottom(kind)));
        CHECK_FALSE(is_live(bottom(kind)));
    }
}

TEST_CASE("an entry whose dot is known and absent stays away") {
    row r = dots_row{};
    join(r, {{}, dots_row{{{ada, 1}}}}, vector_of({{ada, 1}}));
    CHECK(is_bottom(r));
    join(r, {{}, dots_row{{{ada, 2}}}}, vector_of({{ada, 1}}));
    CHECK(r == row(dots_row{{{ada, 2}}}));
}

TEST_CASE("what is known and forgotten does not come back with a late fold") {
    row c = counter({});
    join(c, {{}, counter({{ada, 0, 3, 10}})}, vector_of({{ada, 3}}));
    CHECK(is_bottom(c));
    row e = escrow_row{};
    const escrow_row late{{{{ada, 1}, {{ada, 1, 2, 2, 5, 0, 0, {}}}, {}}}};
    join(e, {{}, late}, vector_of({{ada, 2}}));
    CHECK(is_bottom(e));
    join(e, {{}, late}, {});
    CHECK(e == row(late));
}

TEST_CASE("clearing a prefix takes additions, and no removal") {
    row r = removals_row{{{{ada, 1}, {}}, {{bob, 5}, {}}}, vector_of({{ada, 9}})};
    CHECK(cover(r, vector_of({{ada, 3}, {bob, 4}})));
    CHECK(r == row(removals_row{{{{bob, 5}, {}}}, vector_of({{ada, 9}})}));
    CHECK_FALSE(cover(r, vector_of({{ada, 3}})));
    row c = counter({{ada, 0, 1, 1}});
    CHECK_FALSE(cover(c, vector_of({{ada, 3}})));
}

TEST_CASE("what is spent is left over, and goes") {
    const auto pruned = [](row r, const version_vector& stable) {
        REQUIRE(has_leftovers(r));
        prune(r, stable);
        CHECK_FALSE(has_leftovers(r));
        return r;
    };
    const auto all = vector_of({{ada, 9}, {bob, 9}});
    CHECK(pruned(counter({{ada, 0, 3, 10}, {bob, 0, 1, 2}}, {{ada, 3, 10}}), all) == counter({{bob, 0, 1, 2}}));
    CHECK(is_bottom(pruned(counter({{ada, 0, 3, 10}}, {{ada, 3, 10}}), all)));
    CHECK(is_bottom(pruned(removals_row{{}, vector_of({{ada, 3}})}, all)));
    // What an addition has seen counts against removals only.
    CHECK(pruned(removals_row{{{{ada, 4}, vector_of({{ada, 3}})}}, vector_of({{ada, 3}})}, all) ==
          row(removals_row{{{{ada, 4}, {}}}, {}}));

    // The rest of a total still counts, and so does what was taken from it.
    auto half = counter({{ada, 0, 3, 10}}, {{ada, 2, 7}});
    CHECK_FALSE(has_leftovers(half));
    prune(half, all);
    CHECK(half == counter({{ada, 0, 3, 10}}, {{ada, 2, 7}}));
    CHECK_FALSE(has_leftovers(dots_row{{{ada, 1}}}));
    CHECK_FALSE(has_leftovers(entries_row{{{{ada, 1}, {}, "x"}}}));

    const escrow_row::generation dead{{ada, 1}, {{ada, 1, 2, 2, 5, 0, 0, {}}}, {{ada, 1, 2}}};
    const escrow_row::generation live{{bob, 1}, {{bob, 2, 2, 2, 5, 0, 0, {}}}, {{bob, 1, 1}}};
    CHECK(pruned(escrow_row{{dead, live}}, all) == row(escrow_row{{live}}));
    CHECK_FALSE(has_leftovers(escrow_row{{live}}));
}

TEST_CASE("fingerprints are of what is live") {
    origin_table origins;
    replica_id one;
    replica_id two;
    two.value[0] = 1;
    origins.intern(one);
    origins.intern(two);
    const auto print = [&](const row& r, std::string_view key = "k") { return fingerprint(key, r, origins); };
    CHECK(print(dots_row{}) == hash128{});
    CHECK(print(counter({{ada, 0, 1, 1}}, {{ada, 1, 1}})) == hash128{});
    CHECK(print(removals_row{{}, vector_of({{ada, 1}})}) == hash128{});
    CHECK(print(counter({{ada, 0, 1, 1}})) != print(counter({{bob, 0, 1, 1}})));  // the same value
    CHECK(print(counter({{ada, 0, 1, 1}})) != print(counter({{ada, 0, 1, 1}}), "l"));
    CHECK(print(counter({{ada, 0, 2, 5}}, {{ada, 1, 4}})) == print(counter({{ada, 1, 2, 1}})));
    const auto escrow = [](std::int64_t value, std::vector<escrow_row::seen_uses> removed) {
        return escrow_row{{{{ada, 1}, {{ada, 1, 1, 1, value, 0, 0, {}}}, std::move(removed)}}};
    };
    CHECK(print(escrow(1, {{ada, 1, 1}})) == hash128{});
    CHECK(print(escrow(1, {})) != print(escrow(2, {})));
    CHECK(print(escrow(1, {})) == print(escrow(1, {{bob, 1, 1}})));
    CHECK(print(removals_row{{{{ada, 2}, vector_of({{bob, 1}})}}, vector_of({{bob, 1}})}) == print(removals_row{{{{ada, 2}, {}}}, {}}));

    // The other way of numbering replicas gives the same.
    origin_table other;
    other.intern(two);
    other.intern(one);
    CHECK(fingerprint("k", dots_row{{{ada, 1}, {bob, 2}}}, origins) == fingerprint("k", dots_row{{{ada, 2}, {bob, 1}}}, other));

    // Sums forget the order and carry over all bytes.
    const auto a = print(dots_row{{{ada, 1}}});
    const auto b = print(dots_row{{{ada, 2}}});
    hash128 ab{};
    hash128 ba{};
    add_fingerprint(ab, a);
    add_fingerprint(ab, b);
    add_fingerprint(ba, b);
    add_fingerprint(ba, a);
    CHECK(ab == ba);
    hash128 full;
    full.fill(0xff);
    hash128 one_more{};
    one_more[0] = 1;
    add_fingerprint(full, one_more);
    CHECK(full == hash128{});
}

TEST_CASE("the latest entry is the greatest by time, then replica, then sequence") {
    origin_table origins;
    replica_id high;
    high.value[0] = 9;
    origins.intern(high);
    origins.intern({});
    entries_row r;
    r.entries = {{{ada, 1}, {5}, "high"}, {{ada, 2}, {5}, "high again"}, {{bob, 1}, {5}, "low"}, {{bob, 7}, {6}, "late"}};
    std::vector<std::string> order;
    for (const auto* e : latest_first(r, origins)) order.push_back(e->value);
    CHECK(order == std::vector<std::string>{"late", "high again", "high", "low"});
}

TEST_CASE("any row comes back from its bytes") {
    test::check_property("rows", [](std::uint64_t seed) {
        const auto r = builder(seed).any_row();
        RC_ASSERT(decode_row(encode_row(r)) == r);
        RC_ASSERT(!decode_row(encode_row(r) + '\0'));
    });
}

TEST_CASE("any changes come back from their payload") {
    test::check_property("changes", [](std::uint64_t seed) {
        const auto c = builder(seed).any_changes();
        std::vector<origin> mentioned;
        const auto payload = encode_changes(c, of_bob, mentioned);
        RC_ASSERT(std::ranges::find(mentioned, bob) == mentioned.end());
        RC_ASSERT(decode_changes(payload, of_bob, mentioned) == c);
        // What it says of members stands at the end, and may be missing: cut off there it is other changes.
        auto of_rows = c;
        of_rows.members = {};
        const auto rows_end = encode_changes(of_rows, of_bob, mentioned).size();
        for (std::size_t n = 0; n < payload.size(); ++n) {
            if (n != rows_end) RC_ASSERT(!decode_changes(payload.substr(0, n), of_bob, mentioned));
        }
        RC_ASSERT(!decode_changes(payload + '\0', of_bob, mentioned));
        // A replica that the record does not mention.
        if (!mentioned.empty()) {
            mentioned.pop_back();
            RC_ASSERT(!decode_changes(payload, of_bob, mentioned));
        }
    });
}

TEST_CASE("mangled rows and payloads never crash") {
    test::check_property("mangled", [](std::uint64_t seed) {
        builder b(seed);
        for (int i = 0; i < 20; ++i) {
            (void)decode_row(b.mangled(encode_row(b.any_row())));
            std::vector<origin> mentioned;
            const auto payload = encode_changes(b.any_changes(), of_ada, mentioned);
            if (const auto c = decode_changes(b.mangled(payload), of_ada, mentioned)) {
                (void)is_own_work(*c, {ada, 1});
                for (const auto& r : c->rows) {
                    row state = bottom(kind_of(r.change.change));
                    join(state, r.change, {});
                    (void)is_live(state);
                }
            }
        }
    });
}

TEST_CASE("changes of a later kind of row are stepped over") {
    std::string payload;
    codec::output out(payload);
    out(std::vector<prefix_removal>{});
    out.varint(2);
    out(std::string("new"), std::uint8_t{58}, std::string("whatever"));
    std::vector<origin> mentioned;
    const changes known{{}, {{"old", {{}, dots_row{{{ada, 1}}}}}}, {}};
    out.raw(encode_changes(known, of_ada, mentioned).substr(2));
    auto left = known;
    left.unknown = bit_of(row_kind{58});
    CHECK(decode_changes(payload, of_ada, mentioned) == left);
    // There is no kind beyond that.
    payload[payload.find("new") + 3] = 59;
    CHECK_FALSE(decode_changes(payload, of_ada, mentioned));
}

TEST_CASE("payloads that break a row's form are refused") {
    std::vector<origin> mentioned{bob};
    const auto refused = [&](const row& r) {
        return !decode_changes(encode_changes({{}, {{"k", {{}, r}}}, {}}, of_ada, mentioned), of_ada, mentioned);
    };
    CHECK(refused(counter({{ada, 0, 1, 1}, {ada, 1, 2, 1}})));  // two totals of one writer
    CHECK(refused(counter({{ada, 2, 2, 1}})));                  // nothing between start and sequence
    CHECK(refused(counter({}, {{ada, 1, 1}, {ada, 2, 1}})));
    CHECK(refused(dots_row{{{ada, 1}, {ada, 1}}}));
    CHECK(refused(entries_row{{{{ada, 1}, {}, "a"}, {{ada, 1}, {}, "b"}}}));
    CHECK_FALSE(refused(dots_row{{{bob, 1}, {ada, 1}}}));  // another order of replicas is fine
    const auto account = [](std::uint64_t touched, std::int64_t wanted, std::vector<escrow_row::transfer> sent) {
        return escrow_row{{{{bob, 1}, {{ada, 1, 3, touched, 0, 0, wanted, std::move(sent)}}, {}}}};
    };
    CHECK_FALSE(refused(account(3, 0, {{bob, 1}})));
    CHECK(refused(account(4, 0, {})));                      // used later than it says
    CHECK(refused(account(3, -1, {})));
    CHECK(refused(account(3, 0, {{bob, 0}})));              // takes rights from another
    CHECK(refused(account(3, 0, {{ada, 1}})));
    CHECK(refused(account(3, 0, {{bob, 1}, {bob, 2}})));
    CHECK(refused(escrow_row{{{{ada, 0}, {}, {}}}}));
    CHECK(refused(escrow_row{{{{ada, 1}, {}, {}}, {{ada, 1}, {}, {}}}}));
}

TEST_CASE("a transaction speaks for itself only") {
    const dot me{ada, 3};
    const auto own = [&](const delta& d) { return is_own_work({{}, {{"k", d}}, {}}, me); };
    CHECK(own({{}, dots_row{{me}}}));
    CHECK_FALSE(own({{}, dots_row{{{ada, 2}}}}));
    CHECK_FALSE(own({{}, dots_row{{{bob, 3}}}}));
    CHECK_FALSE(own({vector_of({me}), dots_row{}}));
    CHECK(own({vector_of({{ada, 2}, {bob, 99}}), dots_row{}}));
    CHECK(own({{}, counter({{ada, 0, 3, 1}}, {{bob, 7, 2}})}));
    CHECK_FALSE(own({{}, counter({{bob, 0, 3, 1}})}));
    CHECK_FALSE(own({{}, entries_row{{{{ada, 4}, {}, ""}}}}));
    CHECK(own({{}, removals_row{{{me, vector_of({{bob, 1}})}}, vector_of({me})}}));
    CHECK_FALSE(own({{}, removals_row{{}, vector_of({{bob, 3}})}}));
    CHECK(own({{}, escrow_row{{{{bob, 1}, {{ada, 1, 3, 3, 1, 0, 0, {}}}, {{bob, 1, 9}}}}}}));
    CHECK_FALSE(own({{}, escrow_row{{{{ada, 3}, {{bob, 1, 3, 3, 1, 0, 0, {}}}, {}}}}}));
    CHECK_FALSE(own({vector_of({{bob, 1}}), escrow_row{{{{bob, 1}, {{ada, 1, 3, 3, 1, 0, 0, {}}}, {}}}}}));  // it would count in folds only
    CHECK_FALSE(is_own_work({{{"p", vector_of({me})}}, {}, {}}, me));
    CHECK(is_own_work({{{"p", vector_of({{ada, 2}})}}, {}, {}}, me));
}
