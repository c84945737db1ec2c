// The journal of changed rows: what has changed since a vector, and hardly more.
#include <algorithm>
#include <map>
#include <set>

#include "store/journal.hpp"
#include "store/stores.hpp"
#include "support/catch_property.hpp"

using namespace anabranch;
using detail::change_journal;

namespace {

constexpr store_keys::bucket_number number{7};
constexpr origin someone{0};

version_vector upto(std::uint64_t sequence) { return vector_of(dot{someone, sequence}); }

std::vector<std::string> read(const storage::engine& engine, const change_journal::entries& of, std::vector<std::string> also = {}) {
    std::vector<std::string> all;
    change_journal::reader items(engine, number, nullptr, of, std::move(also));
    for (; items.valid(); items.next()) all.emplace_back(items.item());
    REQUIRE(items.status());
    return all;
}

void add(storage::engine& engine, change_journal& to, const std::vector<std::string>& items, version_vector after) {
    storage::batch batch;
    auto writer = to.write([&](std::string key, std::string value) -> result<void> {
        batch.put(storage::space::rows, std::move(key), std::move(value));
        return {};
    });
    for (const auto& item : items) REQUIRE(writer.add(item));
    change_journal::entries news{writer.finish(std::move(after)).value()};
    to.add(batch, news);
    REQUIRE(engine.write(batch));
    to.added(news);
}

std::string path(std::uint64_t i) { return "row/" + std::to_string(1'000'000 + i); }

}  // namespace

TEST_CASE("the journal says what has changed since a vector, and little more, however it has been merged") {
    test::check_property("changed since", [](std::uint64_t seed) {
        const auto engine = test::watched_engine(std::make_shared<test::engine_use>());
        constexpr std::size_t step = 8;
        auto journal = std::make_unique<change_journal>(*engine, number, step, UINT64_MAX);
        std::vector<std::vector<std::string>> changed;  // by sequence
        auto state = seed;
        const auto next = [&](std::uint64_t below) {
            state = state * 6364136223846793005U + 1442695040888963407U;
            return (state >> 33) % below;
        };
        const auto rows = 10 + next(2'000);
        for (int i = 0; i < 300; ++i) {
            std::set<std::string> items;
            for (auto n = 1 + next(12); n > 0; --n) items.insert(path(next(rows)));
            changed.emplace_back(items.begin(), items.end());
            add(*engine, *journal, changed.back(), upto(changed.size()));
            if (next(3) == 0) REQUIRE(journal->merge());
            if (next(40) == 0) {
                // It is the same after the store has been opened again.
                journal = std::make_unique<change_journal>(*engine, number, step, UINT64_MAX);
                REQUIRE(journal->load());
            }
        }
        REQUIRE(journal->merge());
        const auto entries = journal->snapshot().first;
        CHECK(entries.size() < 150);
        std::set<std::string> truth;
        for (auto seen = changed.size(); seen-- > 0;) {
            std::size_t items = 0;
            truth.insert(changed[seen].begin(), changed[seen].end());
            for (auto later = seen; later < changed.size(); ++later) items += changed[later].size();
            const auto found = read(*engine, changed_since(entries, upto(seen)));
            CHECK(std::ranges::includes(found, truth));
            CHECK(found.size() <= truth.size() + std::max<std::size_t>(step, items / 2) + 12);
        }
        CHECK(read(*engine, changed_since(entries, upto(changed.size()))).empty());
    });
}

TEST_CASE("merging leaves nothing of what it has merged") {
    const auto engine = test::watched_engine(std::make_shared<test::engine_use>());
    change_journal journal(*engine, number, 4, UINT64_MAX);
    for (std::uint64_t i = 1; i <= 500; ++i) {
        add(*engine, journal, {path(i % 10)}, upto(i));
        REQUIRE(journal.merge());
    }
    std::size_t keys = 0;
    for (auto at = engine->scan(storage::space::rows, {}, nullptr); at->valid(); at->next()) ++keys;
    CHECK(keys == 2 * journal.snapshot().first.size());
    CHECK(keys < 200);
}

TEST_CASE("what stands below an item of the journal is in it") {
    const auto engine = test::watched_engine(std::make_shared<test::engine_use>());
    change_journal journal(*engine, number, 4, UINT64_MAX);
    add(*engine, journal, {"a/1", "b", "b/2"}, upto(1));
    add(*engine, journal, {"a", "c/1"}, upto(2));
    const auto all = journal.snapshot().first;
    CHECK(read(*engine, all) == std::vector<std::string>{"a", "b", "c/1"});
    CHECK(read(*engine, all, {"c", "d"}) == std::vector<std::string>{"a", "b", "c", "d"});
    CHECK(read(*engine, all, {""}) == std::vector<std::string>{""});
    CHECK(read(*engine, changed_after(all, 1)) == std::vector<std::string>{"a", "c/1"});
}

TEST_CASE("a gap in the journal is an error, and not taken for nothing") {
    const auto engine = test::watched_engine(std::make_shared<test::engine_use>());
    change_journal journal(*engine, number, 4, UINT64_MAX);
    add(*engine, journal, {"a", "b"}, upto(1));
    const auto all = journal.snapshot().first;
    storage::batch batch;
    const auto key = store_keys::journal_piece(number, all.front().pieces_at, 0);
    SECTION("without a piece") { batch.erase(storage::space::rows, key); }
    SECTION("with one cut short") { batch.put(storage::space::rows, key, std::string("\0\5a", 3)); }
    SECTION("with one of rubbish") { batch.put(storage::space::rows, key, "\x7f\x01"); }
    REQUIRE(engine->write(batch));
    change_journal::reader items(*engine, number, nullptr, all, {});
    CHECK_FALSE(items.valid());
    REQUIRE_FALSE(items.status());
    CHECK(items.status().error().code == errc::corrupt);
}

TEST_CASE("the journal forgets what is oldest, and remembers that there was something") {
    const auto engine = test::watched_engine(std::make_shared<test::engine_use>());
    change_journal journal(*engine, number, 4, 100);
    for (std::uint64_t i = 1; i <= 1'000; ++i) {
        add(*engine, journal, {path(i)}, upto(i));
        REQUIRE(journal.merge());
        const auto all = journal.snapshot().first;
        CHECK(read(*engine, all).size() <= 100);
        CHECK(changed_since(all, {}).size() == all.size());
        if (i > 75) CHECK(read(*engine, changed_since(all, upto(i - 60))).size() >= 60);
    }
}

TEST_CASE("pieces that a crash has left without their entry are erased") {
    const auto engine = test::watched_engine(std::make_shared<test::engine_use>());
    change_journal journal(*engine, number, 4, UINT64_MAX);
    add(*engine, journal, {"a"}, upto(1));
    auto lost = journal.write([&](std::string key, std::string value) -> result<void> {
        storage::batch batch;
        batch.put(storage::space::rows, std::move(key), std::move(value));
        return engine->write(batch);
    });
    REQUIRE(lost.add("b"));
    REQUIRE(lost.finish(upto(2)));
    add(*engine, journal, {"c"}, upto(3));
    change_journal again(*engine, number, 4, UINT64_MAX);
    REQUIRE(again.load());
    std::size_t keys = 0;
    for (auto at = engine->scan(storage::space::rows, {}, nullptr); at->valid(); at->next()) ++keys;
    CHECK(keys == 4);
    CHECK(read(*engine, again.snapshot().first) == std::vector<std::string>{"a", "c"});
}
