// Builds that speak a frozen version of the protocol, against this one. What fails here fails in a fleet of which a part has
// been upgraded: a change of what is written or read needs a new version, and the old one beside it.
#include <anabranch/session.hpp>

#include "codec/compression.hpp"
#include "crdt/roster.hpp"
#include "frozen/version_1.hpp"
#include "store/bucket_state.hpp"
#include "support/catch.hpp"
#include "sync/message.hpp"

using namespace anabranch;
namespace v1 = anabranch::test::version_1;

namespace {

using namespace std::string_literals;

constexpr std::int64_t noon_ms = 1'700'000'000'000;
/// Of a frozen peer's n-th transaction.
constexpr std::uint64_t time_of(std::uint64_t n) { return static_cast<std::uint64_t>(noon_ms) << 16 | n; }

v1::replica frozen_replica(std::uint8_t first) {
    v1::replica r;
    for (std::uint8_t i = 0; i < 16; ++i) r.value[i] = static_cast<std::uint8_t>(first + i);
    r.incarnation = 300;
    return r;
}
v1::id128 hash(std::uint8_t first) { return frozen_replica(first).value; }
replica_id here(const v1::replica& r) {
    replica_id id;
    id.value = r.value;
    id.incarnation = static_cast<std::uint32_t>(r.incarnation);
    return id;
}
v1::replica there(const replica_id& id) { return {id.value, id.incarnation}; }

store current_store() {
    auto draws = std::make_shared<std::uint64_t>(0);
    store_options o;
    o.env.now = [] { return std::chrono::milliseconds{noon_ms}; };
    o.env.random = [draws] { return ++*draws * 0x9e37'79b9'7f4a'7c15; };
    return store::in_memory(o).value();
}

// Paths of fields.
std::string path(const std::string& name, char type) { return name + "\0\1"s + type; }

/// What the frozen build has written in a bucket, one transaction after the other.
struct frozen_log {
    v1::replica self;
    std::vector<std::string> records{};
    std::vector<v1::id128> heads{};

    const v1::id128& head() const { return heads.back(); }
    void add(std::string record) {
        heads.push_back(v1::chain_next(heads.empty() ? v1::chain_start("shop", self) : heads.back(), record));
        records.push_back(std::move(record));
    }
    std::uint64_t next_time() const { return time_of(records.size() + 1); }
    void add_plain(const std::vector<std::string>& removals, const std::vector<std::string>& rows, const std::string& roster = {}) {
        add(v1::plain_record(next_time(), {}, v1::changes(removals, rows, roster)));
    }
};

/// The total of the record's own writer, which begins with the first of its transactions.
std::string counter_change(std::uint64_t uses_of_requests, std::uint64_t at, std::int64_t sum) {
    return v1::sequence({v1::number(0) + v1::number(uses_of_requests) + v1::number(0) + v1::number(at) + v1::signed_number(sum)}) + v1::sequence({});
}

frozen_log write_log(const v1::replica& self, const v1::replica& other) {
    frozen_log log{self};
    auto members = std::vector{self, other};
    if (other.value < self.value) std::swap(members[0], members[1]);
    log.add_plain({}, {}, v1::founding(self, hash(0x70), members));
    log.add_plain({}, {v1::row(path("c", 'c'), 1, {}, counter_change(0, 2, 5))});
    const auto tea = v1::sequence({v1::own_dot() + v1::number(0) + v1::text("tea")});
    log.add_plain({}, {v1::row(path("gone", 'p') + path("l", 'l'), 2, {}, tea), v1::row(path("l", 'l'), 2, {}, tea)});
    log.add_plain({}, {v1::row(path("e", 'e'), 3, {}, v1::sequence({v1::own_dot()}))});
    // A removal, and an addition that has seen it.
    log.add_plain({}, {v1::row(path("r", 'r') + path("x", '.'), 4, {}, v1::sequence({}) + v1::sequence({v1::own_dot()}))});
    log.add_plain({}, {v1::row(path("r", 'r') + path("x", '.'), 4, {}, v1::sequence({v1::own_dot() + v1::sequence({v1::own_dot(1)})}) + v1::sequence({}))});
    const auto account = v1::number(0) + v1::number(1) + v1::number(7) + v1::number(7) + v1::signed_number(10) + v1::signed_number(3) +
                         v1::signed_number(0) + v1::sequence({});
    log.add_plain({}, {v1::row(path("b", 'b'), 5, {}, v1::sequence({v1::own_dot() + v1::sequence({account}) + v1::sequence({})}))});
    // Another text over the first one, and a map that goes.
    const auto milk = v1::sequence({v1::own_dot() + v1::number(0) + v1::text("milk")});
    log.add_plain({v1::removal(path("gone", 'p'), {v1::own_dot(1)})}, {v1::row(path("l", 'l'), 2, {v1::own_dot(5)}, milk)});
    // A request: two more of the counter.
    const auto tally = v1::number(0) + v1::own_dot() + v1::number(1) + v1::signed_number(2) + v1::signed_number(0) + v1::signed_number(0) + v1::byte(0);
    const auto payload = v1::byte(1) + v1::byte(1) + v1::none() + v1::sequence({tally}) + v1::sequence({}) + v1::sequence({}) +
                         v1::sequence({v1::byte(1) + v1::text(v1::sequence({}) + counter_change(1, 9, 7))});
    const auto identity = request{.tenant = "t", .principal = "p", .key = "k"}.identity();
    const auto common = v1::id(identity) + v1::number(static_cast<std::uint64_t>(noon_ms)) + v1::id(hash(0x50)) + v1::text("done") +
                        v1::text(path("c", 'c')) + v1::text("");
    log.add(v1::execution_record(log.next_time(), {}, payload, common));
    return log;
}

/// More additions to the counter, as a fold.
std::string fold_of(const frozen_log& log, std::uint64_t first, std::uint64_t last, std::int64_t sum) {
    v1::column root;
    auto& keys = root.field(0);
    keys.field(0).numbers = {0};
    keys.field(1).numbers = {1};
    keys.field(2).numbers = {0};
    keys.field(2).field(0).numbers = {0};
    keys.field(2).field(1).add_text("c");
    keys.field(2).field(2).numbers = {1U + 'c'};
    root.field(1).numbers = {1};
    root.field(2).numbers = {0};
    root.field(3).field(0).numbers = {0};
    auto& change = root.field(6).field(0);
    change.field(0).numbers = {1};
    auto& total = change.field(0).field(0);
    total.field(0).numbers = {0};
    total.field(1).numbers = {1};
    total.field(2).numbers = {last};  // as far before the range's end as it can be
    total.field(3).numbers = {0};
    total.field(4).numbers = {static_cast<std::uint64_t>(sum) << 1};
    change.field(1).numbers = {0};
    const auto body = v1::number(0) + v1::fold_body({}, v1::sequence({}), v1::no_roster(), 1, root);
    return v1::folded_chunk({{log.self, first, last, log.head()}}, time_of(first), time_of(last), {time_of(last)}, body, {});
}

/// The wire between a frozen peer and a session of this build.
struct wire {
    explicit wire(const store& s, session_options options = {}) : local(s), machine(s, options, steady_time{0}) {}

    /// What this build says now, after it has synced.
    std::vector<v1::read_frame> hear() {
        std::vector<v1::read_frame> all;
        for (int i = 0; i < 4; ++i) {
            REQUIRE(local.sync());
            machine.poll(steady_time{0});
            rest += machine.take_output();
            for (auto& f : v1::take_frames(rest)) all.push_back(std::move(f));
        }
        CHECK_FALSE(machine.failure());
        return all;
    }
    void say(const std::string& bytes) {
        machine.receive(bytes, steady_time{0});
        if (machine.failure()) FAIL(machine.failure()->message);
    }

    store local;
    session machine;
    std::string rest;
};

std::vector<std::string> of_type(const std::vector<v1::read_frame>& all, std::uint8_t type) {
    std::vector<std::string> found;
    for (const auto& f : all) {
        if (f.type == type) found.push_back(f.payload);
    }
    return found;
}

/// All that the other side has sent as records.
std::vector<v1::read_chunk> chunks_in(const std::vector<v1::read_frame>& all) {
    std::vector<v1::read_chunk> chunks;
    for (const auto& payload : of_type(all, 4)) {
        const auto m = v1::decode_records(payload);
        REQUIRE(m);
        CHECK(m->bucket == "shop");
        const auto raw = m->raw_size == 0 ? m->body : codec::decompress(m->body, static_cast<std::size_t>(m->raw_size)).value();
        const auto chunk = v1::decode_chunk(raw);
        REQUIRE(chunk);
        chunks.push_back(*chunk);
    }
    return chunks;
}

std::string encoded(const sync::message& m) {
    std::string bytes;
    sync::append_message(bytes, m);
    return bytes;
}

}  // namespace

TEST_CASE("this file's other half is frozen") {
    // Of every message: what this build writes is what version 1 writes, and what version 1 writes it reads.
    const auto ada = frozen_replica(0x10), bob = frozen_replica(0x20);
    const std::vector<std::pair<std::string, sync::message>> all{
        {v1::greeting(ada, hash(0x80)), sync::greeting{1, 1, here(ada), hash(0x80)}},
        {v1::have{"shop", 2, 500, 3, 300, true, false, bob, {{ada, 5, hash(0x80)}}}.bytes(),
         sync::have{"shop", 2, {500}, 3, 300, true, false, here(bob), {{here(ada), 5, hash(0x80)}}}},
        {v1::ready(), sync::ready{}},
        {v1::records("shop", 2, 300, "body"), sync::records{"shop", 2, 300, "body"}},
        {v1::acknowledgement("shop", {{ada, 5}, {bob, 1'000}}), sync::acknowledgement{"shop", {{here(ada), 5}, {here(bob), 1'000}}}},
        {v1::heartbeat(), sync::heartbeat{}},
        {v1::goodbye(13, "why"), sync::goodbye{13, "why"}},
        {v1::adverts("shop", {bob, ada}, {{0, {{0, 1'000}, {1, 5}}}, {1, {}}}),
         sync::adverts{"shop", {here(bob), here(ada)}, {{0, {{0, 1'000}, {1, 5}}}, {1, {}}}}},
        {v1::parting("shop", true, 25, "why"), sync::parting{"shop", true, 25, "why"}},
        {v1::executions("shop", bob, {{300, {1, 2}}, {1, {9}}}), sync::executions{"shop", {{here(bob), {{300, {1, 2}}, {1, {9}}}}}}},
        {v1::behind("shop", 300), sync::behind{"shop", 300}},
        {v1::walk("shop", 300, "request"), sync::walk{"shop", 300, "request"}},
        {v1::state_piece("shop", 2, 300, "body"), sync::state_piece{"shop", 2, 300, "body"}},
        {v1::piece_taken("shop", 300), sync::piece_taken{"shop", 300}},
        {v1::wishes(2'000, 1'000, 65'536, 300, -5, {{"catalogue", -1}, {"stock", 300}}),
         sync::wishes{2'000, 1'000, 65'536, 300, -5, {{"catalogue", -1}, {"stock", 300}}}},
        {v1::waiting(), sync::waiting{}},
        {v1::audit("shop", 300, "question"), sync::audit{"shop", 300, "question"}},
        {v1::audit_answer("shop", 300, "answer"), sync::audit_answer{"shop", 300, "answer"}}};
    sync::message_reader reader;
    for (const auto& [frozen, m] : all) {
        CHECK(encoded(m) == frozen);
        reader.feed(frozen);
        const auto read = reader.next();
        REQUIRE(read);
        REQUIRE(*read);
        CHECK(encoded(**read) == frozen);
    }
    CHECK(reader.agreed() == 1);
    CHECK(sync::spoken_versions.oldest == 1);
}

TEST_CASE("a peer of version 1 and this build come to have the same") {
    const auto old = frozen_replica(0x10);
    auto current = current_store();
    auto mine = current.bucket("shop").value();
    auto log = write_log(old, there(current.id()));

    wire w(current);
    w.say(v1::greeting(old, hash(0x60)));
    const auto heard = w.hear();
    REQUIRE(of_type(heard, 1).size() == 1);
    const auto greeted = v1::decode_greeting(of_type(heard, 1).front());
    REQUIRE(greeted);
    CHECK(greeted->oldest <= 1);
    CHECK(greeted->newest >= 1);
    CHECK(greeted->self == there(current.id()));
    REQUIRE(of_type(heard, 2).size() == 1);
    const auto asked = v1::decode_have(of_type(heard, 2).front());
    REQUIRE(asked);
    CHECK(asked->bucket == "shop");
    CHECK(asked->role == 2);
    CHECK(asked->known.empty());
    CHECK(of_type(heard, 3).size() == 1);

    // Records, one by one.
    w.say(v1::have{"shop", 0, UINT64_MAX, 3, 0, false, true, old, {{old, log.records.size(), log.head()}}}.bytes() + v1::ready());
    std::vector<std::pair<std::uint64_t, std::string>> entries;
    for (const auto& r : log.records) entries.emplace_back(0, r);
    const auto sent = log.records.size();
    w.say(v1::records("shop", 0, 0, v1::chunk({{old, 1, sent, log.head()}}, entries)));
    const auto acknowledged = of_type(w.hear(), 5);
    REQUIRE_FALSE(acknowledged.empty());
    CHECK(v1::frame(5, acknowledged.back()) == v1::acknowledgement("shop", {{old, sent}}));
    CHECK(mine.is_member());
    const auto shown = mine.read([&](const map_view& m) {
        CHECK(m.counter("c").value() == 7);
        CHECK(m.last_writer<std::string>("l").get().value() == "milk");
        CHECK(m.enable_wins_flag("e").value() == true);
        CHECK(m.remove_wins_set("r").contains("x") == true);
        CHECK(m.bounded_counter("b").value() == 10);
        CHECK(m.bounded_counter("b").bound() == 3);
        CHECK(m.map("gone").exists() == false);
    });
    REQUIRE(shown);
    const auto known = mine.find(request{.tenant = "t", .principal = "p", .key = "k"});
    REQUIRE(known);
    REQUIRE(*known);
    CHECK((*known)->result == "done");

    // A fold.
    for (int i = 0; i < 3; ++i) log.add_plain({}, {v1::row(path("c", 'c'), 1, {}, counter_change(1, log.records.size() + 1, 8 + i))});
    w.say(v1::records("shop", 0, 0, fold_of(log, sent + 1, sent + 3, 10)));
    (void)w.hear();
    CHECK(mine.read([](const map_view& m) { return m.counter("c").value(); }).value() == 10);

    // What is written here reads there.
    REQUIRE(mine.commit([](transaction& tx) { tx.counter("c").add(7); }));
    bool is_found = false;
    auto head = v1::chain_start("shop", there(current.id()));
    std::uint64_t next = 1;
    for (const auto& chunk : chunks_in(w.hear())) {
        CHECK_FALSE(chunk.folded);
        REQUIRE(chunk.ranges.size() == 1);
        CHECK(chunk.ranges[0].origin == there(current.id()));
        CHECK(chunk.ranges[0].first == next);
        for (const auto& [place, record] : chunk.entries) {
            CHECK(place == 0);
            head = v1::chain_next(head, record);
            v1::reader in(record);
            REQUIRE(in.byte() == 1);
            const auto at = in.fixed64();
            is_found = is_found || record == v1::plain_record(at, {}, v1::changes({}, {v1::row(path("c", 'c'), 1, {}, counter_change(0, next, 7))}));
            ++next;
        }
        CHECK(chunk.ranges[0].head == head);
    }
    CHECK(is_found);
    w.say(v1::acknowledgement("shop", {{there(current.id()), next - 1}}) + v1::heartbeat());
    (void)w.hear();
    CHECK(w.machine.in_sync());
    // Both name the same heads.
    const auto all = mine.durable_progress();
    REQUIRE(all.size() == 2);
    for (const auto& p : all) CHECK(p.head == (there(p.origin) == old ? log.head() : head));
}

TEST_CASE("a peer of version 1 that is far behind gets a fold that it can read") {
    const auto old = frozen_replica(0x10);
    auto current = current_store();
    auto mine = current.create_bucket("shop").value();
    for (const auto* text : {"tea", "milk", ""}) {
        REQUIRE(mine.commit([&](transaction& tx) {
            tx.counter("c").add(1);
            if (*text != '\0') tx.last_writer<std::string>("l").set(text);
        }));
    }
    session_options options;
    options.fold_above = 2;
    wire w(current, options);
    w.say(v1::greeting(old, hash(0x60)));
    (void)w.hear();
    w.say(v1::have{"shop", 0, UINT64_MAX, 1, 1'000'000, false, true, {}, {}}.bytes() + v1::ready());
    const auto chunks = chunks_in(w.hear());
    REQUIRE(chunks.size() == 1);
    REQUIRE(chunks.front().folded);
    const auto& fold = *chunks.front().folded;
    const auto self = there(current.id());
    REQUIRE(chunks.front().ranges.size() == 1);
    CHECK(chunks.front().ranges[0].origin == self);
    CHECK(chunks.front().ranges[0].first == 1);
    const auto last = chunks.front().ranges[0].last;
    CHECK(last >= 4);
    CHECK(chunks.front().ranges[0].head == mine.durable_progress().front().head);
    CHECK(fold.asides.empty());
    REQUIRE(fold.ends.size() == 1);
    CHECK(fold.ends[0] == fold.greatest);

    v1::reader body(fold.body);
    const auto size = static_cast<std::size_t>(body.number());
    const std::string rest(body.rest());
    const auto raw = size == 0 ? rest : codec::decompress(rest, size).value();
    const auto written = mine.read([](const map_view& m) { return m.contenders("l", field_type::last_writer); }).value();
    REQUIRE(written.size() == 1);
    const auto at = written.front().at->value;

    v1::column root;
    auto& keys = root.field(0);
    keys.field(0).numbers = {0, 0};
    keys.field(1).numbers = {1, 1};
    keys.field(2).numbers = {0, 0};
    keys.field(2).field(0).numbers = {0, 0};
    keys.field(2).field(1).add_text("c");
    keys.field(2).field(1).add_text("l");
    keys.field(2).field(2).numbers = {1U + 'c', 1U + 'l'};
    root.field(1).numbers = {1, 2};
    root.field(2).numbers = {0, 1};
    root.field(2).field(0).numbers = {0};
    root.field(3).field(0).numbers = {0, 0};
    root.field(4).field(0).numbers = {at - fold.least};
    auto& counter = root.field(6).field(0);
    counter.field(0).numbers = {1};
    auto& total = counter.field(0).field(0);
    total.field(0).numbers = {0};
    total.field(1).numbers = {0};
    total.field(2).numbers = {last};
    total.field(3).numbers = {last - 4};
    total.field(4).numbers = {6};
    counter.field(1).numbers = {0};
    auto& entries = root.field(7).field(0);
    entries.field(0).numbers = {1};
    auto& entry = entries.field(0).field(0);
    entry.field(0).field(0).numbers = {0};
    entry.field(0).field(1).numbers = {last - 3};
    entry.field(1).numbers = {};
    entry.field(2).add_text("milk");
    const auto roster = mine.state()->roster();
    CHECK(raw == v1::fold_body({}, v1::sequence({}), v1::founding(self, roster.seal, {self}), 2, root));
}
