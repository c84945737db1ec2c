// Sessions as a driver runs them, and the bytes between them.
#include <algorithm>
#include <cstdio>

#include "codec/archive.hpp"
#include "codec/compression.hpp"
#include "oplog/chunk.hpp"
#include "simulation/world.hpp"
#include "store/bucket_state.hpp"

namespace anabranch::simulation {
namespace {

constexpr std::size_t chunk_sizes[] = {1, 60, 200, 500, 4096, 256 * 1024};
constexpr std::size_t windows[] = {1, 100, 1000, 4 * 1024 * 1024};
constexpr std::size_t fold_sizes[] = {1, 1, 200, 8 * 1024 * 1024};
constexpr std::uint64_t fold_limits[] = {0, 1, 3, 32, UINT64_MAX};
constexpr std::uint64_t rates[] = {0, 1'000, 5'000, 20'000, 1'000'000};  // bytes a second
constexpr std::uint64_t bursts[] = {1, 500, 3'000, 20'000};

std::optional<oplog::chunk> unpack(const sync::records& m) {
    if (m.raw_size == 0) return codec::decode<oplog::chunk>(m.body);
    const auto raw = codec::decompress(m.body, m.raw_size);
    return raw ? codec::decode<oplog::chunk>(*raw) : std::nullopt;
}

}  // namespace

void world::draw_metering(session_options& options) {
    const auto draw = [&] {
        byte_budget b;
        // In the end there is more room: what members write for each other as time goes on would never have crossed.
        b.bytes = metering_.pick(rates) * (is_healing_ ? 100 : 1);
        b.burst = metering_.pick(bursts);
        if (metering_.chance(30)) b.reserve = metering_.below(static_cast<std::size_t>(b.burst));
        if (metering_.chance(30)) b.left = metering_.between(-500, 500);
        return b;
    };
    options.send_budget = draw();
    if (metering_.chance(50)) options.receive_budget = draw();
    for (const auto* name : bucket_names) {
        if (metering_.chance(70)) options.priorities.push_back({name, static_cast<std::int32_t>(metering_.between(-1, 1))});
    }
}

void world::begin_metering(connection& c, std::size_t side) {
    auto& e = c.ends[side];
    const auto& own = e.options.send_budget;
    if (!e.own_meter && own.bytes > 0) e.own_meter = meter{own, static_cast<double>(std::min(own.left, static_cast<std::int64_t>(own.burst))), e.told};
    if (e.asked_meter || e.machine->progress().asked_budget_left == INT64_MAX) return;
    counts_.count(covered::budgets_asked_for);
    // It may have heard of it some time ago.
    const auto& asked = c.ends[1 - side].options.receive_budget;
    e.asked_meter = meter{asked, static_cast<double>(asked.burst), e.told};
}

/// Nothing that can wait is sent without room for it. What is taken from a session now it may have made at any time since it was
/// taken from before: so all that has come in since then may have been there, beside what fits.
void world::check_meters(endpoint& e, const sync::message& m) {
    std::string bytes;
    sync::append_message(bytes, m);
    const bool can_wait = std::holds_alternative<sync::records>(m) || std::holds_alternative<sync::state_piece>(m);
    for (auto* by : {&e.own_meter, &e.asked_meter}) {
        if (!*by) continue;
        ++checks_;
        if (can_wait && (*by)->left < 0.5) violate("replica " + std::to_string(e.replica) + " sends more than its budget allows");
        (*by)->left -= static_cast<double>(bytes.size());
    }
}

void world::connect(std::size_t over, bool is_generous) {
    auto& c = connections_.emplace_back();
    c.over = over;
    counts_.count(covered::connections);
    for (std::size_t side = 0; side < 2; ++side) {
        auto& e = c.ends[side];
        e.replica = links_[over].ends[side];
        if (!is_generous) {
            e.options.chunk_bytes = chance_.pick(chunk_sizes);
            e.options.window_bytes = chance_.pick(windows);
            e.options.fold_bytes = chance_.pick(fold_sizes);
        }
        if (folds_most_) e.options.fold_bytes = chance_.pick(fold_sizes);
        e.options.fold_above = folds_most_ ? chance_.below(2) : chance_.pick(fold_limits);
        e.options.adverts = adverts_;
        if (is_metered_) draw_metering(e.options);
        e.options.audit = draw_audit_interval();
        const auto& other = *replicas_[links_[over].ends[1 - side]];
        for (std::size_t b = 0; b < buckets_; ++b)
            e.was_admitted[b] = other.shares[b].handle && other.shares[b].handle->state()->roster().find(*replicas_[e.replica]->id) != nullptr;
        e.told = now_;
        e.machine.emplace(*replicas_[e.replica]->open, e.options, steady_time{now_});
    }
    trace("connect", {{"between", c.ends[0].replica},
                      {"and", c.ends[1].replica},
                      {"chunk", c.ends[0].options.chunk_bytes},
                      {"chunk", c.ends[1].options.chunk_bytes},
                      {"window", c.ends[0].options.window_bytes},
                      {"window", c.ends[1].options.window_bytes}});
    transmit(c, 0);
    transmit(c, 1);
}

/// The driver sends what there is, when its last write is done.
void world::transmit(connection& c, std::size_t side) {
    auto& e = c.ends[side];
    if (c.is_broken || e.is_writing || replicas_[e.replica]->storage->is_dead()) return;
    const auto bytes = e.machine->take_output();
    if (bytes.empty()) return;
    for (auto* by : {&e.own_meter, &e.asked_meter}) {
        if (!*by) continue;
        auto& m = **by;
        m.left = std::min(m.left, static_cast<double>(m.by.burst)) + static_cast<double>(e.told - m.at) * static_cast<double>(m.by.bytes) / 1'000;
        m.at = e.told;
    }
    inspect(c, side, bytes);
    begin_metering(c, side);
    e.wire += bytes;
    e.is_writing = true;
}

/// Nothing is sent, advertised or acknowledged that a loss of power could take back.
void world::inspect(connection& c, std::size_t side, std::string_view bytes) {
    auto& e = c.ends[side];
    const auto& r = *replicas_[e.replica];
    const auto& receiver = *replicas_[c.ends[1 - side].replica];
    const auto bucket_of = [&](const std::string& name) {
        for (std::size_t b = 0; b < buckets_; ++b) {
            if (name == bucket_names[b]) return b;
        }
        violate("a message is about an unknown bucket");
    };
    const auto origin_of = [&](const replica_id& id) {
        for (const auto& other : replicas_) {
            if (other->id == id) return other->index;
        }
        violate("a message is about an unknown replica");
    };
    const auto check = [&](const char* what, std::size_t b, std::size_t o, std::uint64_t sequence) {
        ++checks_;
        // What was told before it was relieved of what does not count may have waited for its turn; the session ends soon.
        if (sequence > r.shares[b].durable[o] && sequence > r.shares[b].before_relief[o]) {
            violate("replica " + std::to_string(r.index) + ' ' + what + " transaction " +
                    std::to_string(sequence) + " of replica " + std::to_string(o) +
                    ", which is not on its disk");
        }
    };
    e.inspector.feed(bytes);
    while (true) {
        auto next = e.inspector.next();
        if (!next) violate("a session sends what its peer cannot read: " + next.error().message);
        if (!*next) break;
        check_meters(e, **next);
        if (const auto* hello = std::get_if<sync::greeting>(&**next)) {
            e.greeted_state = hello->state;
            if (c.ends[1 - side].greeted_state == hello->state) counts_.count(covered::greetings_equal);
        } else if (const auto* m = std::get_if<sync::have>(&**next)) {
            if (m->epoch > 0) counts_.count(covered::streams_begun_anew);
            const auto b = bucket_of(m->bucket);
            for (const auto& entry : m->known)
                check("advertises", b, origin_of(entry.origin), entry.sequence);
        } else if (const auto* told = std::get_if<sync::adverts>(&**next)) {
            counts_.count(covered::adverts_messages);
            const auto b = bucket_of(told->bucket);
            for (const auto& advert : told->members) {
                const auto& member = *replicas_[origin_of(told->replicas[advert.member])];
                if (member.index != r.index) counts_.count(covered::adverts_relayed);
                for (const auto& entry : advert.known) {
                    // What it has said it had may not have counted.
                    if (member.shares[b].before_relief != cut{}) continue;
                    if (entry.sequence > member.shares[b].durable[origin_of(told->replicas[entry.place])])
                        violate("an advert by replica " + std::to_string(r.index) + " says that replica " + std::to_string(member.index) +
                                " has transaction " + std::to_string(entry.sequence) + " of replica " +
                                std::to_string(origin_of(told->replicas[entry.place])) + ", and it has " +
                                to_string(member.shares[b].durable) + " on disk");
                }
            }
        } else if (const auto* a = std::get_if<sync::acknowledgement>(&**next)) {
            const auto b = bucket_of(a->bucket);
            for (const auto& entry : a->known)
                check("acknowledges", b, origin_of(entry.origin), entry.sequence);
        } else if (const auto* state = std::get_if<sync::state_piece>(&**next)) {
            note_state(bucket_of(state->bucket), *replicas_[c.ends[1 - side].replica], *state);
        } else if (const auto* sent = std::get_if<sync::records>(&**next)) {
            counts_.count(covered::records_messages);
            if (sent->raw_size > 0) counts_.count(covered::compressed_messages);
            if (sent->body.size() > limits::frame) counts_.count(covered::multi_frame_messages);
            const auto b = bucket_of(sent->bucket);
            const auto chunk = unpack(*sent);
            if (!chunk) violate("a session sends records that cannot be decoded");
            counts_.count(covered::abbreviated_chunks, chunk->twins.empty() ? 0 : 1);
            if (chunk->folded) {
                counts_.count(covered::folds_sent);
                counts_.count(covered::folds_of_several_origins, chunk->ranges.size() > 1);
            }
            for (const auto& range : chunk->ranges) {
                const auto o = origin_of(range.origin);
                check("sends", b, o, range.last);
                if (o != r.index) counts_.count(covered::relayed);
                const auto has = receiver.shares[b].has[o];
                if (has >= range.first)
                    counts_.count(covered::duplicates_sent, std::min(has, range.last) - range.first + 1);
            }
        }
    }
}

void world::observe_arrival(replica& r, const replica& source) {
    for (std::size_t b = 0; b < buckets_; ++b) {
        auto& s = r.shares[b];
        if (!s.handle) continue;
        const auto allowed = joined(s.has, source.shares[b].durable);
        if (r.storage->is_dead()) {
            s.may_have = allowed;
        } else {
            observe(r, b, allowed);
        }
    }
}

void world::deliver(connection& c, std::size_t from, std::size_t bytes) {
    auto& source = c.ends[from];
    auto& to = c.ends[1 - from];
    auto& r = *replicas_[to.replica];
    if (c.is_broken || r.storage->is_dead()) return;
    trace("deliver", {{"from", source.replica}, {"to", to.replica}, {"bytes", bytes}});
    const auto piece = source.wire.substr(0, bytes);
    source.wire.erase(0, bytes);
    if (source.wire.empty()) source.is_writing = false;

    const auto before = r.storage->last_log_write();
    const auto held_before = to.machine->held();
    to.told = now_;
    to.machine->receive(piece, steady_time{now_});
    observe_arrival(r, *replicas_[source.replica]);
    if (r.storage->is_dead()) return;
    for (std::size_t b = 0; b < buckets_; ++b) check_arriving(r, b);
    if (r.storage->last_log_write() != before) wake(r);
    const auto holds = to.machine->progress().holds;
    if (holds > to.seen_holds) {
        counts_.count(covered::holds, holds - to.seen_holds);
        trace("held", {{"by", to.replica}});
        for (const auto& now : to.machine->held()) {
            const auto is_same = [&](const held_transaction& h) {
                return h.bucket == now.bucket && h.id == now.id;
            };
            if (buckets_ == 1 && std::ranges::any_of(held_before, is_same)) {
                violate("a transaction that is held was sent again");
            }
        }
    }
    to.seen_holds = holds;
    if (judge_failure(c, 1 - from)) return;
    transmit(c, 1 - from);
    if (!replicas_[source.replica]->storage->is_dead()) transmit(c, from);
}

void world::poll(connection& c, std::size_t side) {
    auto& e = c.ends[side];
    auto& r = *replicas_[e.replica];
    if (c.is_broken || r.storage->is_dead()) return;
    e.is_poll_due = false;
    const bool had_held = !e.machine->held().empty();
    e.told = now_;
    e.machine->poll(steady_time{now_});
    if (had_held && e.machine->held().empty()) {
        counts_.count(r.accepted.value > 0 ? covered::held_accepted : covered::held_released_by_clock);
    }
    if (judge_failure(c, side)) {
        // Before it ended the replica may have let the other one in.
        if (!r.storage->is_dead()) observe(r);
        return;
    }
    transmit(c, side);
    if (e.machine->in_sync() && buckets_ == 1 && r.shares[0].handle) {
        const auto& peer = *replicas_[c.ends[1 - side].replica];
        ++checks_;
        for (const auto& entry : r.shares[0].handle->durable_progress()) {
            const auto origin =
                std::ranges::find_if(replicas_, [&](const auto& x) { return x->id == entry.origin; });
            // Of what does not count it may have been relieved by another.
            if (entry.sequence > peer.shares[0].durable[(*origin)->index] && peer.shares[0].before_relief == cut{})
                violate("a session is in sync, and its peer lacks something");
        }
    }
    if (e.machine->progress().budget_wait.count() > 0) counts_.count(covered::budgets_exhausted);
    if (e.wire.empty() && e.machine->progress().transactions_to_send > 0)
        counts_.count(covered::full_windows);
    observe(r);
}

/// What a retired replica wrote counts up to the last that a member had. Who comes late may have taken more before it was
/// let in, and may have been let in by the retired one. Without such, nobody has more.
bool world::has_what_does_not_count(std::size_t who, std::size_t b, const crdt::roster& roster) const {
    if (std::ranges::none_of(replicas_, [&](const auto& r) { return r->shares[b].comes_late; })) return false;
    return std::ranges::any_of(roster.members, [&](const auto& entry) {
        return entry.second.at == crdt::roster::stage::retired && replicas_[who]->shares[b].has[index_of(entry.first)] > entry.second.last;
    });
}

/// One of the two has left a bucket or is being retired: the others do not wait for it any more. Or it was no member for the
/// other when they met.
bool world::is_outsider(const connection& c) const {
    for (std::size_t b = 0; b < buckets_ && is_anybody_retired(); ++b) {
        for (std::size_t side = 0; side < 2; ++side) {
            const auto& other = replicas_[c.ends[1 - side].replica]->shares[b];
            if (!other.handle) continue;
            const auto roster = other.handle->state()->roster();
            if (!c.ends[side].was_admitted[b] || has_what_does_not_count(c.ends[side].replica, b, roster)) return true;
        }
    }
    return std::ranges::any_of(c.ends, [&](const endpoint& e) {
        return std::ranges::any_of(replicas_[e.replica]->shares,
                                   [](const share& s) { return s.has_left || s.is_retired; });
    });
}

bool world::is_from_disk(errc code) const {
    return storage_has_failed_ && (code == errc::storage_failure || code == errc::storage_full);
}

oplog::portion world::draw_portion() {
    return {chance_.pick(chunk_sizes), chance_.pick(fold_sizes), folds_most_ ? chance_.below(2) : chance_.pick(fold_limits)};
}

/// A session may end for time, or for a disk that failed; for nothing else.
bool world::judge_failure(connection& c, std::size_t side) {
    const auto& failure = c.ends[side].machine->failure();
    if (!failure) return false;
    trace("session failed",
          {{"replica", c.ends[side].replica}, {"code", static_cast<std::uint64_t>(failure->code)}});
    if (options_.is_traced) std::printf("%21s%s\n", "", failure->message.c_str());
    const auto code = failure->code;
    if (code == errc::timed_out) {
        counts_.count(covered::sessions_timed_out);
    } else if ((code == errc::retired || code == errc::behind_cut) && (c.is_outdated || is_outsider(c))) {
        counts_.count(covered::sessions_of_outsiders);
    } else if (code == errc::closed && is_anybody_retired()) {
        counts_.count(covered::sessions_of_outsiders);  // who comes back does so under another name
    } else if (code == errc::unsupported_protocol && std::ranges::any_of(c.ends, [&](const endpoint& e) { return replicas_[e.replica]->is_old; })) {
        counts_.count(covered::states_not_whole);
    } else if (code == errc::refused && !is_healing_) {
        counts_.count(covered::states_from_the_future);
    } else if (!is_from_disk(code)) {
        violate("a session of replica " + std::to_string(c.ends[side].replica) +
                " failed: " + failure->message);
    }
    transmit(c, side);
    break_up(c, chance_.chance(50));
    return true;
}

void world::break_up(connection& c, bool some_arrives) {
    if (c.is_broken) return;
    counts_.count(covered::connections_broken);
    for (std::size_t side = 0; side < 2 && some_arrives; ++side) {
        const auto there = c.ends[side].wire.size();
        if (there > 0 && !c.is_broken) deliver(c, side, 1 + chance_.below(there));
    }
    c.is_broken = true;
    counts_.count(covered::bytes_lost, c.ends[0].wire.size() + c.ends[1].wire.size());
}

void world::sync(replica& r) {
    std::array<cut, most_buckets> before{};
    std::array<bool, most_buckets> had_duties{};
    for (std::size_t b = 0; b < buckets_; ++b) {
        before[b] = r.shares[b].has;
        had_duties[b] = r.shares[b].handle && r.shares[b].handle->state()->has_duties();
    }
    const auto done = r.open->sync();
    trace("sync", {{"replica", r.index}, {"ok", done.has_value()}});
    if (r.storage->is_dead()) return;
    counts_.count(done ? covered::store_syncs : covered::failed_syncs);
    if (!done && !r.storage->is_full()) violate("a sync failed: " + done.error().message);
    observe(r);
    for (std::size_t b = 0; b < buckets_ && done; ++b) {
        const auto& s = r.shares[b];
        if (!s.handle) continue;
        if (!covers(s.durable, before[b])) violate("after a sync something is not on disk");
        cut called{};
        for (const auto& entry : s.handle->durable_progress()) called[index_of(entry.origin)] = entry.sequence;
        if (!covers(called, before[b])) violate("after a sync something is not called durable");
        if (had_duties[b] && !s.handle->state()->has_duties() && !r.storage->is_full()) check_all_cut(r, b);
    }
    wake(r);
}

/// Its sessions hear that something has changed, now or later.
void world::wake(const replica& r) {
    for (auto& c : connections_) {
        for (std::size_t side = 0; side < 2; ++side) {
            if (c.ends[side].replica != r.index || c.is_broken) continue;
            c.ends[side].is_poll_due = true;
            if (chance_.chance(50)) poll(c, side);
        }
    }
}

}  // namespace anabranch::simulation
