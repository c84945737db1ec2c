// Every storage engine compared with std::map, on random histories with fixed seeds.
#include <array>
#include <map>
#include <random>

#include "storage/engines.hpp"

using namespace anabranch;
using namespace anabranch::test;

namespace {

using sorted = std::map<std::string, std::string, std::less<>>;
using model = std::array<sorted, storage::space_count>;

std::size_t index(space where) { return static_cast<std::size_t>(where); }

void apply(model& to, const batch& changes) {
    for (const auto& c : changes.changes()) {
        sorted& into = to[index(c.where)];
        switch (c.what) {
            case batch::kind::put:
                into[c.key] = c.value;
                break;
            case batch::kind::erase:
                into.erase(c.key);
                break;
            case batch::kind::erase_range:
                if (c.key < c.value) into.erase(into.lower_bound(c.key), into.lower_bound(c.value));
                break;
        }
    }
}

/// Draws keys that collide, share prefixes of all lengths and hold the extreme bytes.
class history {
  public:
    history(unsigned seed, unsigned long wide) : random_(seed), wide_(wide) {}

    unsigned long below(unsigned long bound) { return random_() % bound; }

    std::string key() {
        static const std::string alphabet("\x00\x01\x7f\x80\xff", 5);
        if (below(2) == 0) {  // few short ones
            std::string bytes;
            for (auto length = below(5); length > 0; --length) bytes += alphabet[below(alphabet.size())];
            return bytes;
        }
        std::string number = std::to_string(below(wide_));
        return (below(2) == 0 ? "a prefix longer than eight/" : "other/") +
               std::string(6 - number.size(), '0') + number;
    }

    batch changes(unsigned long size) {
        batch b;
        for (auto left = 1 + below(size); left > 0; --left) {
            const space where = all_spaces[below(3)];
            const auto what = below(100);
            std::string first = key();  // one draw a statement: arguments have no order
            if (what < 70) {
                const auto length = below(40);
                b.put(where, std::move(first), std::string(length, static_cast<char>('a' + below(26))));
            } else if (what < 95) {
                b.erase(where, std::move(first));
            } else {
                std::string to = below(2) == 0 ? key() : first + std::string(1 + below(2), '\xff');
                b.erase_range(where, std::move(first), std::move(to));
            }
        }
        return b;
    }

  private:
    std::mt19937 random_;
    unsigned long wide_;
};

// Comparisons are counted, not asserted one by one: Catch2 would take most of the time.
class comparison {
  public:
    explicit comparison(const storage::engine& e) : engine_(e) {}

    void whole(const model& expected, const storage::snapshot* at) {
        for (const space where : all_spaces) {
            const sorted& m = expected[index(where)];
            same(std::equal(m.begin(), m.end(), everything(engine_, where, at).begin(),
                            [](const auto& a, const auto& b) {
                                return a.first == b.first && a.second == b.second;
                            }) &&
                 everything(engine_, where, at).size() == m.size());
        }
    }

    void around(const model& expected, space where, const std::string& key, const storage::snapshot* at) {
        const sorted& m = expected[index(where)];
        const auto value = engine_.get(where, key, at).value();
        const auto found = m.find(key);
        same(found == m.end() ? !value : value == found->second);

        const auto cursor = engine_.scan(where, key, at);
        auto walk = m.lower_bound(key);
        for (int i = 0; i < 4 && walk != m.end(); ++i, ++walk) {
            same(cursor->valid() && cursor->key() == walk->first && cursor->value() == walk->second);
            cursor->next();
        }
        if (walk == m.end()) same(!cursor->valid());

        if (at) return;
        const auto last = engine_.last(where, key).value();
        const auto above = m.upper_bound(key);
        same(above == m.begin() ? !last : last && last->first == std::prev(above)->first);
    }

    void same(bool yes) { differences_ += yes ? 0 : 1; }
    int differences() const { return differences_; }

  private:
    const storage::engine& engine_;
    int differences_ = 0;
};

struct moment {
    std::unique_ptr<storage::snapshot> at;
    model then;
};

struct walk {
    std::unique_ptr<storage::cursor> cursor;
    sorted then;
    std::string next;
};

/// Number of differences between the engine and the model.
int run(storage::engine& e, unsigned seed, int steps, unsigned long wide, unsigned long batch_size) {
    history random(seed, wide);
    model now;
    std::vector<moment> moments;
    std::vector<walk> walks;
    comparison compare(e);
    for (int step = 0; step < steps; ++step) {
        const batch b = random.changes(batch_size);
        apply(now, b);
        compare.same(e.write(b).has_value());

        const space probed = all_spaces[random.below(3)];
        const std::string probe = random.key();
        compare.around(now, probed, probe, nullptr);
        if (random.below(8) == 0 && moments.size() < 4) moments.push_back({e.take_snapshot(), now});
        if (!moments.empty()) {
            const auto chosen = random.below(moments.size());
            const moment& m = moments[chosen];
            compare.around(m.then, probed, probe, m.at.get());
            if (random.below(16) == 0) {
                compare.whole(m.then, m.at.get());
                moments.erase(moments.begin() + static_cast<std::ptrdiff_t>(chosen));
            }
        }
        if (random.below(8) == 0 && walks.size() < 4) {
            const space where = all_spaces[random.below(3)];
            walks.push_back({e.scan(where, ""), now[index(where)], ""});
        }
        for (auto w = walks.begin(); w != walks.end();) {
            const auto expected = w->then.lower_bound(w->next);
            if (expected == w->then.end()) {
                compare.same(!w->cursor->valid());
                w = walks.erase(w);
                continue;
            }
            compare.same(w->cursor->valid() && w->cursor->key() == expected->first &&
                         w->cursor->value() == expected->second);
            w->next = expected->first + '\0';
            if (random.below(4) == 0) {
                w->next = random.key();
                w->cursor->seek(w->next);
            } else {
                w->cursor->next();
            }
            ++w;
        }
        if (step % 100 == 0) compare.whole(now, nullptr);
    }
    for (const moment& m : moments) compare.whole(m.then, m.at.get());
    compare.whole(now, nullptr);
    return compare.differences();
}

}  // namespace

TEST_CASE("the memory engine behaves like a map", "[storage]") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        INFO("seed " << seed);
        CHECK(run(*memory_kind().engine, seed, 400, 60, 20) == 0);
    }
    for (unsigned seed = 101; seed <= 104; ++seed) {
        INFO("seed " << seed);
        CHECK(run(*memory_kind().engine, seed, 300, 50000, 1000) == 0);  // trees of three levels
    }
}

TEST_CASE("the RocksDB engine behaves like a map", "[storage]") {
    for (unsigned seed = 201; seed <= 204; ++seed) {
        INFO("seed " << seed);
        CHECK(run(*rocksdb_kind().engine, seed, 200, 60, 20) == 0);
    }
}

TEST_CASE("the crashable engine behaves like a map", "[storage]") {
    CHECK(run(*crashable_kind().engine, 301, 400, 60, 20) == 0);
}

TEST_CASE("the memory engine holds keys put in any order, and none after ranges went", "[storage]") {
    constexpr unsigned long count = 20000;
    const std::string order = GENERATE("ascending", "descending", "scattered");
    INFO(order);
    memory_kind kind;
    storage::engine& e = *kind.engine;
    sorted expected;
    for (unsigned long i = 0; i < count; ++i) {
        const unsigned long n = order == "ascending"    ? i
                                : order == "descending" ? count - i
                                                        : i * 7919 % count;
        const std::string key = "row/" + std::to_string(1000000 + n);
        put(e, space::rows, key, std::to_string(i));
        expected[key] = std::to_string(i);
    }
    const auto full = e.take_snapshot();
    CHECK((everything(e, space::rows) == entries(expected.begin(), expected.end())));

    auto remaining = expected;
    std::mt19937 random(7);
    while (!remaining.empty()) {
        const unsigned long from = 1000000 + random() % count;
        const unsigned long to = from + random() % 500;
        batch cut;
        cut.erase_range(space::rows, "row/" + std::to_string(from), "row/" + std::to_string(to));
        cut.erase(space::rows, std::string(remaining.begin()->first));
        ok(e.write(cut));
        remaining.erase(remaining.lower_bound("row/" + std::to_string(from)),
                        remaining.lower_bound("row/" + std::to_string(to)));
        remaining.erase(cut.changes()[1].key);
        if (random() % 64 == 0) {
            CHECK((everything(e, space::rows) == entries(remaining.begin(), remaining.end())));
        }
    }
    CHECK(everything(e, space::rows).empty());
    CHECK((everything(e, space::rows, full.get()) == entries(expected.begin(), expected.end())));
    put(e, space::rows, "again", "");
    CHECK(everything(e, space::rows).size() == 1);
}
