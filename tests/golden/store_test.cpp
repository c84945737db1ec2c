// Everything that a store keeps in its engine, key by key: written now as in the file, and opened from it.
#include <anabranch/store.hpp>
#include <iostream>

#include "golden/golden.hpp"
#include "storage/memory/memory_engine.hpp"
#include "support/borrowed_engine.hpp"
#include "support/catch.hpp"
#include "support/simulated_host.hpp"

using namespace anabranch;
using storage::space;

namespace {

constexpr std::pair<space, const char*> spaces[] = {{space::meta, "meta"}, {space::rows, "rows"}, {space::log, "log"}};

store open(const std::shared_ptr<storage::engine>& engine) {
    store_options o;
    o.env.now = [] { return std::chrono::milliseconds{1'700'000'000'000}; };
    o.env.random = [] { return 0x0706'0504'0302'0100ULL; };
    return store::on(std::make_unique<test::borrowed_engine>(engine), o).value();
}

using lines = std::vector<std::vector<std::string>>;

lines dump(const storage::engine& engine) {
    lines all;
    for (const auto& [where, name] : spaces) {
        for (auto cursor = engine.scan(where, {}); cursor->valid(); cursor->next()) {
            all.push_back({name, test::to_hex(cursor->key()), ":"});
            if (!cursor->value().empty()) all.back().push_back(test::to_hex(cursor->value()));
        }
    }
    return all;
}

std::string text_of(const lines& all) {
    std::string text;
    for (const auto& line : all) {
        for (const auto& word : line) text += word + ' ';
        text += '\n';
    }
    return text;
}

}  // namespace

TEST_CASE("what a store writes is as in the file") {
    const std::shared_ptr<storage::engine> engine = storage::open_memory();
    {
        auto s = open(engine);
        REQUIRE(s.bucket("empty"));
        auto b = s.create_bucket("shop").value();
        REQUIRE(b.commit([](transaction& tx) {
            tx.counter("count").add(5);
            tx.last_writer<std::string>("name").set("tea");
            tx.multi_value<std::int64_t>("price").set(399);
            tx.enable_wins_flag("on").enable();
            tx.disable_wins_flag("off").enable();
            tx.map("map").add_wins_set("adds").add("x");
            tx.map("map").remove_wins_set("removals").add(std::string_view("zero\0", 5));
            tx.bounded_counter("stock").add(7);
        }));
        REQUIRE(b.commit([](transaction& tx) {
            tx.map("map").clear();
            tx.counter("count").reset();
            tx.disable_wins_flag("off").disable();
            CHECK(tx.bounded_counter("stock").spend(2) == 5);
        }));
        REQUIRE(s.accept_until({0x1234}));
    }
    const auto written = dump(*engine);
    if (test::is_printing()) std::cout << "-- store.hex\n" << text_of(written);
    CHECK(text_of(written) == text_of(test::golden_lines("store")));
}

TEST_CASE("what is in the file opens as what was written") {
    const std::shared_ptr<storage::engine> engine = storage::open_memory();
    storage::batch batch;
    for (const auto& line : test::golden_lines("store")) {
        REQUIRE(line.size() >= 3);
        for (const auto& [where, name] : spaces) {
            if (name == line[0]) batch.put(where, test::from_hex(line[1]), line.size() > 3 ? test::from_hex(line[3]) : "");
        }
    }
    REQUIRE(engine->write(batch));
    auto s = open(engine);
    CHECK(to_string(s.id()) == "00010203040506070001020304050607.1");
    CHECK(s.buckets() == std::vector<std::string>{"empty", "shop"});
    auto b = s.bucket("shop").value();
    REQUIRE(b.progress().size() == 1);
    CHECK(b.progress().front().sequence == 3);
    CHECK(b.is_member());
    CHECK(b.authority() == s.id());
    REQUIRE(b.read([](const map_view& m) {
        CHECK(m.counter("count").value() == 0);
        CHECK(m.last_writer<std::string>("name").get().value() == "tea");
        CHECK(m.multi_value<std::int64_t>("price").get().value().at(0).value == 399);
        CHECK(m.enable_wins_flag("on").value() == true);
        CHECK(m.disable_wins_flag("off").value() == false);
        CHECK_FALSE(m.map("map").exists().value());
        CHECK(m.bounded_counter("stock").value() == 5);
    }));
    // The rows may be lost: the log has it all.
    const auto digest = b.digest().value();
    for (const auto* without : {"rows", "watermark"}) {
        const std::shared_ptr<storage::engine> other = storage::open_memory();
        storage::batch log;
        for (const auto& line : test::golden_lines("store")) {
            if (line[0] == "rows" && without == std::string("rows")) continue;
            if (line[0] == "meta" && line[1].starts_with("77")) continue;
            for (const auto& [where, name] : spaces) {
                if (name == line[0]) log.put(where, test::from_hex(line[1]), line.size() > 3 ? test::from_hex(line[3]) : "");
            }
        }
        REQUIRE(other->write(log));
        CHECK(open(other).bucket("shop").value().digest().value() == digest);
    }
}

TEST_CASE("what a store keeps of requests is as in the file, and opens as what was written") {
    const request mirrored{.tenant = "t", .principal = "p", .key = "k", .issued = std::chrono::milliseconds{1'700'000'000'000}, .role = request_role::mirror};
    const auto engine = std::shared_ptr<storage::engine>(storage::open_memory());
    {
        auto b = open(engine).create_bucket("shop").value();
        REQUIRE(b.commit(mirrored, [](transaction& tx) -> result<std::string> {
            tx.counter("count").add(5);
            return "added";
        }));
        // Confirms it.
        auto primary = mirrored;
        primary.role = request_role::primary;
        REQUIRE(b.commit(primary, [](transaction& tx) { return tx.refuse("not run"); }));
    }
    const auto written = dump(*engine);
    if (test::is_printing()) std::cout << "-- store_requests.hex\n" << text_of(written);
    CHECK(text_of(written) == text_of(test::golden_lines("store_requests")));

    const auto again = std::shared_ptr<storage::engine>(storage::open_memory());
    storage::batch batch;
    for (const auto& line : test::golden_lines("store_requests")) {
        for (const auto& [where, name] : spaces) {
            if (name == line.at(0)) batch.put(where, test::from_hex(line.at(1)), line.size() > 3 ? test::from_hex(line[3]) : "");
        }
    }
    REQUIRE(again->write(batch));
    auto b = open(again).bucket("shop").value();
    CHECK(b.find(mirrored).value()->result == "added");
    CHECK(b.unconfirmed().value().empty());
    CHECK(b.superseded().value().empty());
}

TEST_CASE("tokens are as in the file, and are read from it") {
    const std::shared_ptr<storage::engine> engine = storage::open_memory();
    auto s = open(engine);
    auto b = s.create_bucket("shop").value();
    REQUIRE(b.commit([](transaction& tx) { tx.counter("count").add(1); }));
    session_token session;
    session.add({s.id(), 300});
    test::check_golden("token_session", b.seal(session).value());
    CHECK(b.unseal(test::golden("token_session")) == session);
    const auto feed = b.watch().value();
    test::check_golden("token_feed", feed.token().value());
    CHECK(b.resume(test::golden("token_feed")));
}

TEST_CASE("what tells data from a copy of them is as in the file, beside the data and on the host") {
    const auto engine = std::shared_ptr<storage::engine>(storage::open_memory());
    const auto host = std::make_shared<test::simulated_host>();
    store_options o;
    o.env.now = [] { return std::chrono::milliseconds{1'700'000'000'000}; };
    o.env.random = [n = std::uint64_t{0x0706'0504'0302'0100}]() mutable { return n += 0x1010'1010'1010'1010; };
    const auto reopen = [&] {
        return store::on(std::make_unique<test::borrowed_engine>(engine), std::make_unique<test::simulated_host_files>(host), o).value().id();
    };
    const auto id = reopen();
    storage::batch restored;
    restored.put(space::meta, "restored", "");
    REQUIRE(engine->write(restored));
    auto written = dump(*engine);
    REQUIRE(reopen() > id);
    for (auto& line : dump(*engine)) written.push_back(std::move(line));
    for (const auto& [name, content] : host->files) written.push_back({"host", test::to_hex(name), ":", test::to_hex(content)});
    if (test::is_printing()) std::cout << "-- store_host.hex\n" << text_of(written);
    CHECK(text_of(written) == text_of(test::golden_lines("store_host")));
}
