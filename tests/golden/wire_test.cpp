#include <anabranch/cereal.hpp>

#include <cereal/types/map.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>

#include "codec/archive.hpp"
#include "codec/compression.hpp"
#include "crdt/folding.hpp"
#include "golden/golden.hpp"
#include "oplog/chunk.hpp"
#include "store/audit.hpp"
#include "store/walk.hpp"
#include "support/catch.hpp"
#include "sync/message.hpp"

using namespace anabranch;
using test::check_golden;
using test::golden;

namespace {

replica_id replica(std::uint8_t first, std::uint64_t incarnation) {
    replica_id id;
    for (std::uint8_t i = 0; i < 16; ++i) id.value[i] = static_cast<std::uint8_t>(first + i);
    id.incarnation = incarnation;
    return id;
}
hash128 hash(std::uint8_t first) { return replica(first, 0).value; }

const replica_id ada = replica(0x10, 1);
const replica_id bob = replica(0x20, 300);
constexpr origin own{0};
constexpr origin other{1};
constexpr timestamp noon{0x0199'0000'0000'0007};

version_vector vector_of(std::initializer_list<dot> dots) {
    version_vector v;
    for (const auto& d : dots) v.join(d);
    return v;
}

/// The same for what is no message.
template <class T>
void check_both_ways(const std::string& name, const T& value) {
    check_golden(name, codec::encode(value));
    if (test::is_printing()) return;
    const auto read = codec::decode<T>(golden(name));
    REQUIRE(read);
    CHECK(codec::encode(*read) == golden(name));
}

/// Both directions: written as in the file, and read from it as what was written.
void check_message(const std::string& name, const sync::message& m) {
    std::string bytes;
    sync::append_message(bytes, m);
    check_golden(name, bytes);
    if (test::is_printing()) return;
    sync::message_reader reader;
    if (name != "message_greeting") {
        std::string greeting;
        sync::append_message(greeting, sync::greeting{});
        reader.feed(greeting);
        REQUIRE(reader.next().value());
    }
    reader.feed(golden(name));
    const auto read = reader.next();
    REQUIRE(read);
    REQUIRE(*read);
    CHECK((*read)->index() == m.index());
    std::string again;
    sync::append_message(again, **read);
    CHECK(again == bytes);
    CHECK_FALSE(reader.next().value());
}

template <class T>
void check_structure(const std::string& name, const T& value) {
    check_golden(name, codec::encode(value));
    CHECK(codec::decode<T>(golden(name)) == value);
}

void check_row(const std::string& name, const crdt::row& row) {
    check_golden(name, crdt::encode_row(row));
    CHECK(crdt::decode_row(golden(name)) == row);
}

crdt::row counter_example() {
    crdt::counter_row r;
    r.totals.push_back({own, 0, 2, 9, -5});
    r.totals.push_back({other, 0, 0, 300, 1'000});
    r.resets.push_back({other, 0, 4, 64});
    return r;
}
crdt::row entries_example() {
    return crdt::entries_row{{{{own, 9}, noon, "tea"}, {{other, 300}, {1}, ""}}};
}
crdt::row dots_example() { return crdt::dots_row{{{own, 9}, {other, 300}}}; }
crdt::row removals_example() {
    return crdt::removals_row{{{{own, 9}, vector_of({{own, 3}, {other, 7}})}}, vector_of({{own, 3}, {other, 7}})};
}

crdt::row counter_in_doubt() {
    auto r = std::get<crdt::counter_row>(counter_example());
    r.totals[0].adds = 3;
    r.doubt.edit().corrections.push_back({{}, own, {1, -7, 0}, {1, 2, 0}, 5, 0, 6, 9});
    r.doubt.edit().removals.push_back({{other, 40}, {{own, 2, 7, 4}}});
    return r;
}

crdt::row entries_in_doubt() {
    auto r = std::get<crdt::entries_row>(entries_example());
    r.doubt.edit().push_back({{own, 9}, {{own, 9}, {other, 7}}, {}, vector_of({{other, 3}}), false});
    return r;
}

crdt::execution execution_example() {
    return {hash(0x40), 1'700'000'000'000, request_role::mirror, request_outcome::committed, hash(0x50), dot{other, 7}, "done",
            {{2, {}, 1, -5, 0}, {3, {other, 4}, 1, 2, 0}}};
}

crdt::row escrow_example() {
    return crdt::escrow_row{{{{own, 3}, {{own, 2, 9, 8, -5, 2, 4, {{other, 300}}}, {other, 3, 300, 7, 1'000, 0, 0, {}}}, {{other, 3, 7}}}}};
}

crdt::changes changes_example() {
    return {{{std::string("map\0\1p", 6), vector_of({{own, 8}, {other, 299}})}},
            {{"counter", {{}, counter_example()}},
             {"entries", {vector_of({{own, 8}}), entries_example()}},
             {"dots", {vector_of({{other, 2}}), dots_example()}},
             {"removals", {{}, removals_example()}},
             {"escrow", {{}, escrow_example()}}},
            {}};
}

crdt::roster roster_example() {
    using stage = crdt::roster::stage;
    crdt::roster r;
    r.founder = ada;
    r.authority = {2, bob};
    r.seal = hash(0x80);
    r.members[ada] = {stage::retiring, 0, 1, {}, {{bob, {{2, bob}, 300}}}};
    r.members[bob] = {stage::joined, 0, 0, {}, {}, 2000, 1000, 300};
    r.members[replica(0x30, 1)] = {stage::retired, 7, 0, bob, {}};
    return r;
}

struct order_line {
    std::string product;
    std::uint32_t quantity = 0;
    std::int64_t cents = 0;
    std::optional<double> discount;
    std::map<std::string, std::vector<std::int32_t>> extras;
    bool gift = false;

    bool operator==(const order_line&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(product, quantity, cents, discount, extras, gift);
    }
};

}  // namespace

TEST_CASE("messages") {
    check_message("message_greeting", sync::greeting{1, 1, ada, hash(0x80)});
    check_message("message_have", sync::have{"shop", 2, {UINT64_MAX}, 3, 300, true, false, ada, {{ada, 5, hash(0x80)}, {bob, 1'000, hash(0x90)}}});
    check_message("message_ready", sync::ready{});
    check_message("message_records", sync::records{"shop", 2, 300, "body"});
    check_message("message_acknowledgement", sync::acknowledgement{"shop", {{ada, 5}, {bob, 1'000}}});
    check_message("message_heartbeat", sync::heartbeat{});
    check_message("message_goodbye", sync::goodbye{static_cast<std::uint32_t>(errc::malformed), "why"});
    check_message("message_adverts", sync::adverts{"shop", {bob, ada}, {{0, {{0, 1'000}, {1, 5}}}, {1, {}}}});
    check_message("message_executions", sync::executions{"shop", {{bob, {{300, {1, 2, 3, 4, 5, 6, 7, 8}}, {1, {9}}}}}});
    check_message("message_behind", sync::behind{"shop", 300});
    check_message("message_walk", sync::walk{"shop", 300, "request"});
    check_message("message_state_piece", sync::state_piece{"shop", 2, 300, "body"});
    check_message("message_piece_taken", sync::piece_taken{"shop", 300});
    check_message("message_wishes", sync::wishes{2'000, 1'000, 65'536, 300, -5, {{"catalogue", -1}, {"stock", 300}}});
    check_message("message_waiting", sync::waiting{});
    check_message("message_audit", sync::audit{"shop", 300, "question"});
    check_message("message_audit_answer", sync::audit_answer{"shop", 300, "answer"});
    check_message("message_parting", sync::parting{"shop", true, static_cast<std::uint32_t>(errc::behind_cut), "why"});
}

TEST_CASE("the header of a frame that others follow") {
    std::string bytes;
    sync::append_message(bytes, sync::records{"shop", 0, 0, std::string(limits::frame, 'x')});
    check_golden("frame_first_of_two", bytes.substr(0, 5));
    check_golden("frame_last_of_two", bytes.substr(5 + limits::frame, 5));
}

TEST_CASE("a walk") {
    check_both_ways("walk_request", detail::walk_request{{{ada, 5}, {bob, 1'000}}, 300, {"touched"}, detail::walk_request::broken_off{7, 8, "path"}, {}});
    const detail::part only({store_keys::segment("map", 'p')});
    check_both_ways("walk_request_of_a_part", detail::walk_request{{{ada, 5}}, 300, {}, {}, only});
    detail::walk_begin begin;
    begin.reflects = {{ada, {5, hash(0x80), {0x1234}}}};
    begin.stable[ada] = 4;
    begin.forgotten = 300;
    begin.members.founder = ada;
    begin.members.seal = hash(0x90);
    begin.is_whole = true;
    begin.goes_on = false;
    begin.source = 7;
    begin.at = 8;
    begin.rows = 300;
    check_both_ways("walk_piece", detail::walk_piece{begin, {ada}, {{"map", "map/a", {{"/b", "row"}}}}, true, {{hash(0xa0), "known"}}, {{ada, 5, "value"}}, true});
}

TEST_CASE("an audit") {
    check_both_ways("audit_question", detail::audit_question{detail::audit_question::opening{{{ada, 5}, {bob, 1'000}}, {{"from", ""}}}, {"item"},
                                                             {{"from", "to", 300, hash(0x80)}}, {{"path", {{ada, {hash(0x90), 300}}}}}, true, false});
    check_both_ways("audit_answer", detail::audit_answer{detail::audit_answer::opening{{{ada, 5}}, {"item"}}, 300,
                                                         {{2, true, {{"path", hash(0x80)}}, "upto"}}, {{"path", {{bob, {hash(0x90), 300}}}}}});
}

TEST_CASE("what audits have found") {
    detail::audit_book book;
    const std::chrono::milliseconds day{86'400'000};
    CHECK_FALSE(book.due(bob, 300, day));
    book.begun(bob, 500);
    detail::audit_scope scope{{{"", ""}}, true, 0};
    book.note({bob, ada, 1'000, scope, 2, true, {{"path", {hash(0x80), {}}}}, {}});
    book.hear("path", {{ada, {hash(0xa0), 999}}, {replica(0x30, 1), {hash(0x80), 2}}}, 1'000);
    CHECK(book.choose(bob, ada));
    check_both_ways("audit_book", book);
}

TEST_CASE("errors keep their numbers") {
    // They cross the wire in goodbyes and partings.
    CHECK(static_cast<int>(errc::invalid_argument) == 1);
    CHECK(static_cast<int>(errc::corrupt) == 9);
    CHECK(static_cast<int>(errc::malformed) == 13);
    CHECK(static_cast<int>(errc::unsupported_protocol) == 14);
    CHECK(static_cast<int>(errc::diverged) == 15);
    CHECK(static_cast<int>(errc::self_connection) == 16);
    CHECK(static_cast<int>(errc::timed_out) == 17);
    CHECK(static_cast<int>(errc::refused) == 20);
    CHECK(static_cast<int>(errc::not_a_member) == 21);
    CHECK(static_cast<int>(errc::not_the_authority) == 22);
    CHECK(static_cast<int>(errc::retired) == 23);
    CHECK(static_cast<int>(errc::foreign_bucket) == 24);
    CHECK(static_cast<int>(errc::behind_cut) == 25);
    CHECK(static_cast<int>(errc::insufficient_rights) == 26);
    CHECK(static_cast<int>(errc::invalid_token) == 27);
    CHECK(static_cast<int>(errc::not_held) == 32);
}

TEST_CASE("a chunk") {
    check_structure("chunk", oplog::chunk{{{ada, 4, 5, hash(0x80)}, {bob, 1, 1, hash(0x90)}}, {{0, "four"}, {1, "one"}, {0, "five"}}, {}});
    check_structure("chunk_folded", oplog::chunk{{{ada, 4, 5, hash(0x80)}, {bob, 1, 1, hash(0x90)}}, {},
                                                 oplog::chunk::fold{{100}, {300}, {{200}, {250}}, "folded"}});
    check_structure("chunk_with_twins", oplog::chunk{{{ada, 4, 4, hash(0x80)}}, {{0, "four"}}, {}, {bob}});
}

TEST_CASE("a record, and its chain") {
    const auto bytes = oplog::encode_record({noon, {bob}, "payload"});
    check_golden("record", bytes);
    const auto file = golden("record");
    const auto read = oplog::decode_record(file);
    REQUIRE(read);
    CHECK(read->at == noon);
    CHECK(read->mentioned == std::vector{bob});
    CHECK(read->payload == "payload");

    const auto execution = oplog::encode_record({noon, {bob}, "payload", oplog::record_kind::execution, "common"});
    check_golden("record_of_execution", execution);
    CHECK(oplog::decode_record(golden("record_of_execution"))->common == "common");
    const auto abbreviated = oplog::abbreviate(execution, {2, 300});
    check_golden("record_abbreviated", abbreviated);
    CHECK(oplog::twin_of(golden("record_abbreviated")) == oplog::twin{2, 300});
    CHECK(oplog::expand(golden("record_abbreviated"), "common") == execution);
    CHECK_FALSE(oplog::decode_record(abbreviated));
    CHECK_FALSE(oplog::twin_of(execution));

    const auto start = oplog::chain_start("shop", ada);
    const auto next = oplog::chain_next(start, bytes);
    std::string heads(start.begin(), start.end());
    heads.append(next.begin(), next.end());
    check_golden("chain", heads);
}

TEST_CASE("what a transaction does to rows of every kind") {
    std::vector<origin> mentioned;
    check_golden("changes", crdt::encode_changes(changes_example(), {{own, 9}, noon}, mentioned));
    CHECK(mentioned == std::vector{other});
    CHECK(crdt::decode_changes(golden("changes"), {{own, 9}, noon}, mentioned) == changes_example());
}

TEST_CASE("a fold, without its compression") {
    origin_table origins;
    origins.intern(ada);
    origins.intern(bob);
    const std::vector<crdt::dot_range> ranges{{own, 4, 9}};
    const crdt::changes fold{{},
                             {{std::string("a\0\1c", 4), {{}, crdt::counter_row{{{own, 0, 1, 8, -3}}, {}}}},
                              {std::string("b\0\1l", 4), {vector_of({other, 2}), crdt::entries_row{{{{own, 9}, {300}, "tea"}}}}}},
                             {}};
    const auto bytes = crdt::encode_fold(fold, ranges, origins, {100});
    codec::input in(bytes);
    const auto size = static_cast<std::size_t>(in.varint());
    const auto raw = codec::decompress(in.rest(), size);
    REQUIRE(raw);
    check_golden("fold", '\0' + *raw);
    const auto number_of = [&](const replica_id& id) { return origins.find(id); };
    CHECK(crdt::decode_fold(golden("fold"), ranges, number_of, {100}) == fold);
}

TEST_CASE("what makes a transaction the execution of a request") {
    std::vector<origin> mentioned;
    const auto bytes = crdt::encode_execution(execution_example(), changes_example(), {{own, 9}, noon}, mentioned);
    check_golden("execution", bytes.payload);
    check_golden("execution_common", bytes.common);
    CHECK(mentioned == std::vector<origin>{other});
    const auto payload = golden("execution");
    const auto common = golden("execution_common");
    const auto whole = crdt::decode_execution(payload, common, {{own, 9}, noon}, mentioned);
    REQUIRE(whole);
    CHECK(whole->request == execution_example());
    CHECK(whole->changed == changes_example());
    CHECK(crdt::identity_in(common) == execution_example().identity);
    for (std::size_t n = 0; n < payload.size(); ++n) CHECK_FALSE(crdt::decode_execution(payload.substr(0, n), common, {{own, 9}, noon}, mentioned));
    for (std::size_t n = 0; n < common.size(); ++n) CHECK_FALSE(crdt::decode_execution(payload, common.substr(0, n), {{own, 9}, noon}, mentioned));
}

TEST_CASE("what a transaction does to the members") {
    std::vector<origin> mentioned;
    const crdt::changes change{{}, {}, roster_example()};
    check_golden("roster_change", crdt::encode_changes(change, {{own, 9}, noon}, mentioned));
    CHECK(mentioned.empty());  // they are written whole
    CHECK(crdt::decode_changes(golden("roster_change"), {{own, 9}, noon}, mentioned) == change);
}

TEST_CASE("rows of every kind as they are stored") {
    check_row("row_counter", counter_example());
    check_row("row_entries", entries_example());
    check_row("row_dots", dots_example());
    check_row("row_removals", removals_example());
    check_row("row_escrow", escrow_example());
    check_row("row_counter_in_doubt", counter_in_doubt());
    check_row("row_entries_in_doubt", entries_in_doubt());
}

TEST_CASE("fingerprints of rows of every kind") {
    origin_table origins;
    origins.intern(ada);
    origins.intern(bob);
    std::string prints;
    for (const auto& row : {counter_example(), entries_example(), dots_example(), removals_example(), escrow_example()}) {
        const auto print = crdt::fingerprint("path", row, origins);
        prints.append(print.begin(), print.end());
    }
    check_golden("fingerprints", prints);
}

TEST_CASE("a user's struct") {
    const order_line line{"tea", 300, -399, 0.5, {{"bags", {1, -1, 64}}, {"cups", {}}}, true};
    check_golden("cereal_struct", value_codec<order_line>::encode(line));
    CHECK(value_codec<order_line>::decode(golden("cereal_struct")) == line);
}

TEST_CASE("numbers and text in registers") {
    check_golden("value_int64", value_codec<std::int64_t>::encode(-2));
    CHECK(value_codec<std::int64_t>::decode(golden("value_int64")) == -2);
    check_golden("value_double", value_codec<double>::encode(-0.5));
    CHECK(value_codec<double>::decode(golden("value_double")) == -0.5);
    check_golden("value_string", value_codec<std::string>::encode("tea"));
    CHECK(value_codec<std::string>::decode(golden("value_string")) == "tea");
}
