// What every storage engine promises, by example.
#include <atomic>
#include <thread>

#include "storage/engines.hpp"

using namespace anabranch;
using namespace anabranch::test;
using namespace std::string_literals;

#define ENGINES memory_kind, rocksdb_kind, crashable_kind

TEMPLATE_TEST_CASE("an engine returns what was put last", "[storage]", ENGINES) {
    TestType kind;
    storage::engine& e = *kind.engine;
    CHECK_FALSE(get(e, space::rows, "k"));
    put(e, space::rows, "k", "1");
    CHECK(get(e, space::rows, "k") == "1");
    put(e, space::rows, "k", "2");
    CHECK(get(e, space::rows, "k") == "2");
    put(e, space::rows, "k", "another length");
    CHECK(get(e, space::rows, "k") == "another length");
    put(e, space::rows, "k", "");
    CHECK(get(e, space::rows, "k") == "");
    CHECK_FALSE(get(e, space::rows, "k\0"s));
    CHECK_FALSE(get(e, space::rows, ""));
    batch b;
    b.erase(space::rows, "k");
    b.erase(space::rows, "was never there");
    ok(e.write(b));
    CHECK_FALSE(get(e, space::rows, "k"));
    ok(e.write(b));
    ok(e.write(batch{}));
    ok(e.sync());
    CHECK(everything(e, space::rows).empty());
}

TEMPLATE_TEST_CASE("spaces are apart", "[storage]", ENGINES) {
    TestType kind;
    storage::engine& e = *kind.engine;
    batch b;
    b.put(space::meta, "k", "meta");
    b.put(space::rows, "k", "rows");
    b.put(space::log, "k", "log");
    ok(e.write(b));
    CHECK(get(e, space::meta, "k") == "meta");
    CHECK(get(e, space::rows, "k") == "rows");
    CHECK(get(e, space::log, "k") == "log");
    batch cut;
    cut.erase_range(space::log, "", "z");
    ok(e.write(cut));
    CHECK(everything(e, space::meta) == entries{{"k", "meta"}});
    CHECK(everything(e, space::rows) == entries{{"k", "rows"}});
    CHECK(everything(e, space::log).empty());
}

TEMPLATE_TEST_CASE("keys are any bytes, ordered as unsigned ones", "[storage]", ENGINES) {
    TestType kind;
    storage::engine& e = *kind.engine;
    const std::vector<std::string> keys = {""s,
                                           "\0"s,
                                           "\0\0"s,
                                           "\0\0\0\0\0\0\0\0\0"s,
                                           "\0\xff"s,
                                           "\x01"s,
                                           "\x7f"s,
                                           "\x80"s,
                                           "prefix-8"s,
                                           "prefix-8\0"s,
                                           "prefix-8\0\x01"s,
                                           "prefix-8\xff"s,
                                           "prefix-9"s,
                                           "\xfe\xff"s,
                                           "\xff"s,
                                           "\xff\0"s,
                                           "\xff\xff"s,
                                           std::string(1000, '\xff')};
    auto sorted = keys;
    std::sort(sorted.begin(), sorted.end());  // std::string compares unsigned
    for (const auto& key : keys) put(e, space::rows, key, "v" + key);
    entries expected;
    for (const auto& key : sorted) {
        expected.emplace_back(key, "v" + key);
        CHECK(get(e, space::rows, key) == "v" + key);
        CHECK(ok(e.last(space::rows, key)) == expected.back());
        CHECK(e.scan(space::rows, key)->key() == key);
    }
    CHECK(everything(e, space::rows) == expected);
}

TEMPLATE_TEST_CASE("long keys and values come back whole", "[storage]", ENGINES) {
    TestType kind;
    const std::string key(8 * 1024, 'k');
    std::string value(9 * 1024 * 1024, 'v');
    value.front() = 'a';
    value.back() = 'z';
    put(*kind.engine, space::rows, key, value);
    CHECK((get(*kind.engine, space::rows, key) == value));
    CHECK((kind.engine->scan(space::rows, "k")->value() == value));
}

TEMPLATE_TEST_CASE("a batch applies in its order", "[storage]", ENGINES) {
    TestType kind;
    storage::engine& e = *kind.engine;
    put(e, space::rows, "old", "0");
    batch b;
    b.put(space::rows, "a", "1");
    b.erase(space::rows, "a");
    b.erase(space::rows, "b");
    b.put(space::rows, "b", "1");
    b.put(space::rows, "c", "1");
    b.put(space::rows, "c", "2");
    b.put(space::rows, "m1", "gone");
    b.erase_range(space::rows, "m", "q");
    b.put(space::rows, "m2", "stays");
    b.erase_range(space::rows, "old", "old\0"s);
    ok(e.write(b));
    CHECK(everything(e, space::rows) == entries{{"b", "1"}, {"c", "2"}, {"m2", "stays"}});
}

TEMPLATE_TEST_CASE("erase_range takes its beginning and not its end", "[storage]", ENGINES) {
    TestType kind;
    storage::engine& e = *kind.engine;
    const auto after = [&](std::string from, std::string to) {
        batch b;
        for (const char* key : {"", "a", "b", "ba", "c", "d"}) b.put(space::log, key, "");
        b.erase_range(space::log, std::move(from), std::move(to));
        ok(e.write(b));
        std::string left;
        for (const auto& [key, value] : everything(e, space::log)) left += key + ",";
        return left;
    };
    CHECK(after("b", "c") == ",a,c,d,");
    CHECK(after("aa", "bz") == ",a,c,d,");
    CHECK(after("b", "b") == ",a,b,ba,c,d,");
    CHECK(after("c", "b") == ",a,b,ba,c,d,");
    CHECK(after("d", "") == ",a,b,ba,c,d,");
    CHECK(after("", "") == ",a,b,ba,c,d,");
    CHECK(after("", "a") == "a,b,ba,c,d,");
    CHECK(after("e", "z") == ",a,b,ba,c,d,");
    CHECK(after("d", "\xff") == ",a,b,ba,c,");
    CHECK(after("", "\xff") == "");
}

TEMPLATE_TEST_CASE("a cursor starts at, and seeks to, the first key not below", "[storage]", ENGINES) {
    TestType kind;
    storage::engine& e = *kind.engine;
    CHECK_FALSE(e.scan(space::rows, "")->valid());
    for (const char* key : {"b", "d", "f"}) put(e, space::rows, key, key + "!"s);
    put(e, space::log, "c", "other space");

    CHECK(rest(*e.scan(space::rows, "")) == entries{{"b", "b!"}, {"d", "d!"}, {"f", "f!"}});
    CHECK(rest(*e.scan(space::rows, "b")).size() == 3);
    CHECK(rest(*e.scan(space::rows, "b\0"s)).size() == 2);
    CHECK(rest(*e.scan(space::rows, "f")).size() == 1);
    CHECK_FALSE(e.scan(space::rows, "g")->valid());

    const auto at = e.scan(space::rows, "e");
    CHECK(at->key() == "f");
    at->seek("a");
    CHECK(at->key() == "b");
    at->seek("d");
    CHECK(at->key() == "d");
    at->next();
    CHECK(at->key() == "f");
    at->next();
    CHECK_FALSE(at->valid());
    at->seek("c");
    CHECK(at->key() == "d");
    CHECK(at->value() == "d!");
    at->seek("z");
    CHECK_FALSE(at->valid());
    ok(at->status());
}

TEMPLATE_TEST_CASE("last finds the greatest key not above", "[storage]", ENGINES) {
    TestType kind;
    storage::engine& e = *kind.engine;
    CHECK_FALSE(ok(e.last(space::log, "z")));
    for (const char* key : {"b", "d", "f"}) put(e, space::log, key, key + "!"s);
    put(e, space::rows, "c", "other space");
    const auto last = [&](std::string_view key) {
        const auto found = ok(e.last(space::log, key));
        return found ? found->first + found->second : "none";
    };
    CHECK(last("") == "none");
    CHECK(last("a\xff") == "none");
    CHECK(last("b") == "bb!");
    CHECK(last("c") == "bb!");
    CHECK(last("d") == "dd!");
    CHECK(last("d\0"s) == "dd!");
    CHECK(last("f") == "ff!");
    CHECK(last("\xff") == "ff!");
    put(e, space::log, "", "empty");
    CHECK(last("") == "empty");
    CHECK(last("a") == "empty");
}

TEMPLATE_TEST_CASE("a snapshot keeps what it saw", "[storage]", ENGINES) {
    TestType kind;
    storage::engine& e = *kind.engine;
    const auto nothing = e.take_snapshot();
    batch b;
    for (int i = 0; i < 1000; ++i) b.put(space::rows, std::to_string(i), "first");
    b.put(space::meta, "version", "1");
    ok(e.write(b));
    const auto first = e.take_snapshot();
    const auto before = everything(e, space::rows);

    batch change;
    for (int i = 0; i < 1000; i += 2) change.put(space::rows, std::to_string(i), "second");
    change.put(space::rows, "17", "a value of another length");
    change.erase_range(space::rows, "3", "5");
    change.erase(space::rows, "999");
    change.put(space::rows, "new", "");
    change.put(space::meta, "version", "2");
    ok(e.write(change));
    auto second = e.take_snapshot();
    const auto between = everything(e, space::rows);
    put(e, space::rows, "17", "third");

    CHECK(everything(e, space::rows, nothing.get()).empty());
    CHECK_FALSE(get(e, space::meta, "version", nothing.get()));
    CHECK(everything(e, space::rows, first.get()) == before);
    CHECK(everything(e, space::rows, second.get()) == between);
    CHECK(get(e, space::rows, "17", first.get()) == "first");
    CHECK(get(e, space::rows, "17", second.get()) == "a value of another length");
    CHECK(get(e, space::rows, "17") == "third");
    CHECK(get(e, space::rows, "4", first.get()) == "first");
    CHECK_FALSE(get(e, space::rows, "4", second.get()));
    CHECK(get(e, space::meta, "version", first.get()) == "1");
    CHECK(e.scan(space::rows, "new", first.get())->valid() == false);
    CHECK(e.scan(space::rows, "999", first.get())->key() == "999");

    second.reset();
    put(e, space::rows, "17", "fourth");
    CHECK(everything(e, space::rows, first.get()) == before);
}

TEMPLATE_TEST_CASE("a cursor walks the state of its beginning", "[storage]", ENGINES) {
    TestType kind;
    storage::engine& e = *kind.engine;
    batch b;
    for (int i = 100; i < 600; ++i) b.put(space::rows, std::to_string(i), "before");
    ok(e.write(b));
    const auto expected = everything(e, space::rows);

    const auto at = e.scan(space::rows, "");
    entries seen;
    for (int i = 100; at->valid(); ++i) {
        seen.emplace_back(at->key(), at->value());
        // Behind, under and before the cursor.
        batch change;
        change.erase(space::rows, std::to_string(i - 1));
        change.put(space::rows, std::to_string(i), "during");
        change.put(space::rows, std::to_string(i + 1), "after");
        change.erase(space::rows, std::to_string(i + 2));
        change.put(space::rows, std::to_string(i) + "x", "new");
        ok(e.write(change));
        at->next();
    }
    CHECK(seen == expected);
    at->seek("");
    CHECK(rest(*at) == expected);
}

TEMPLATE_TEST_CASE("readers never see half a batch while one thread writes", "[storage]", ENGINES) {
    TestType kind;
    storage::engine& e = *kind.engine;
    constexpr int rows = 200;  // several nodes, or a block
    const auto write = [&](int version) {
        batch b;
        if (version % 3 == 0) b.erase_range(space::rows, "", "\xff");
        for (int i = 0; i < rows; ++i) b.put(space::rows, "row" + std::to_string(i), std::to_string(version));
        b.put(space::log, "log" + std::to_string(1000000 + version), "");
        b.put(space::meta, "version", std::to_string(version));
        return e.write(b).has_value();
    };
    REQUIRE(write(0));

    std::atomic<bool> done = false;
    std::atomic<int> mistakes = 0;
    const auto check = [&](bool right) { mistakes += right ? 0 : 1; };
    std::vector<std::thread> readers;
    for (int reader = 0; reader < 4; ++reader) {
        readers.emplace_back([&, reader] {
            int newest = 0;
            do {
                const auto at = e.take_snapshot();
                const int version = std::stoi(e.get(space::meta, "version", at.get()).value().value());
                check(version >= newest);
                newest = version;
                int count = 0;
                const bool by_snapshot = (version + reader) % 2 == 0;
                std::string first;
                for (auto c = e.scan(space::rows, "", by_snapshot ? at.get() : nullptr); c->valid();
                     c->next()) {
                    if (count++ == 0) first = c->value();
                    check(c->value() == first);
                }
                check(count == rows);
                check(!by_snapshot || first == std::to_string(version));
                check(e.get(space::rows, "row7").value().has_value());
                const auto log = e.last(space::log, "\xff").value();
                check(log && std::stoi(log->first.substr(3)) - 1000000 >= version);
            } while (!done);
        });
    }
    for (int version = 1; version <= 120; ++version) check(write(version));
    done = true;
    for (auto& reader : readers) reader.join();
    CHECK(mistakes == 0);
    CHECK(get(e, space::rows, "row0") == "120");
}

TEMPLATE_TEST_CASE("batches of several threads do not mix", "[storage]", ENGINES) {
    TestType kind;
    storage::engine& e = *kind.engine;
    std::vector<std::thread> writers;
    std::atomic<int> failures = 0;
    for (int writer = 0; writer < 4; ++writer) {
        writers.emplace_back([&, writer] {
            for (int i = 0; i < 200; ++i) {
                batch b;
                for (int row = 0; row < 10; ++row)
                    b.put(space::rows, std::to_string(row), std::to_string(writer));
                b.put(space::log, std::to_string(writer) + "/" + std::to_string(i), "");
                if (!e.write(b)) ++failures;
                if (i % 50 == 0 && !e.sync()) ++failures;
            }
        });
    }
    for (auto& writer : writers) writer.join();
    CHECK(failures == 0);
    CHECK(everything(e, space::log).size() == 800);
    const auto rows = everything(e, space::rows);
    CHECK(rows.size() == 10);
    for (const auto& row : rows) CHECK(row.second == rows[0].second);
}
