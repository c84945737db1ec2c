#include "sync/session.hpp"

#include <algorithm>
#include <memory>

#include "base/hash.hpp"
#include "codec/archive.hpp"
#include "sync/body.hpp"
#include "sync/positions.hpp"

namespace anabranch::sync {
namespace {

constexpr timestamp no_ceiling{UINT64_MAX};
constexpr std::size_t longest_reason = 1024;

errc to_errc(std::uint32_t code) {
    return code >= 1 && code <= static_cast<std::uint32_t>(errc::not_held) ? static_cast<errc>(code) : errc::malformed;
}

positions to_positions(const frontier& f) {
    positions p;
    for (const auto& entry : f) p[entry.origin] = entry.sequence;
    return p;
}

/// What a session does depends on it.
bool is_role_news(role told, role now) { return (told == role::reader && now == role::joining) || (told == role::part) != (now == role::part); }

records pack(const std::string& bucket, std::uint64_t epoch, const oplog::chunk& chunk) {
    records m{bucket, epoch, 0, codec::encode(chunk)};
    // A fold is compressed already.
    if (!chunk.folded || !chunk.folded->asides.empty()) compress(m);
    return m;
}

result<oplog::chunk> unpack(const records& m) {
    const auto raw = decompress(m);
    if (!raw) return fail(raw.error());
    auto chunk = codec::decode<oplog::chunk>(*raw);
    if (!chunk || !oplog::is_sound(*chunk)) return fail(errc::malformed, "records of bucket \"" + m.bucket + "\" cannot be decoded");
    return std::move(*chunk);
}

}  // namespace

session::session(local_replica& local, session_options options, steady_time now, protocol_versions spoken)
    : local_(local),
      options_(std::move(options)),
      reader_(spoken),
      budget_(options_.send_budget, now),
      receive_budget_(options_.receive_budget, now),
      last_sent_(now),
      last_received_(now),
      now_(now) {
    options_.chunk_bytes = std::max<std::size_t>(options_.chunk_bytes, 1);
    options_.window_bytes = std::max<std::size_t>(options_.window_bytes, 1);
    // Who asks for the greatest time there is means no limit; it is added to others.
    constexpr std::chrono::milliseconds year = std::chrono::hours{24 * 365};
    options_.heartbeat = std::min(options_.heartbeat, year);
    options_.adverts = std::min(options_.adverts, year);
    options_.timeout = std::min(options_.timeout, year);
    id_ = local_.id();
    next_adverts_ = now + options_.adverts;
    for (const auto& p : options_.priorities) priorities_[p.bucket] = p.priority;
    options_.audit = std::min(options_.audit, year);
    options_.part_interval = std::min(options_.part_interval, year);
    greeted_state_ = fingerprint_state();
    send(greeting{spoken.oldest, spoken.newest, id_, greeted_state_});
}

/// Also takes what it fingerprints as this side's starting point.
hash128 session::fingerprint_state() {
    std::string bytes;
    codec::output out(bytes);
    for (const auto& name : local_.buckets()) {
        auto& s = streams_[name];
        s.is_local = true;
        out(name, refresh(name, s));
        // Who wants to be let in has something to say to everybody; and who holds a part only, or cannot read all of it, must not be taken
        // for one who has and can.
        const auto as = local_.role_in(name);
        if (as == role::joining || as == role::part || local_.holds_unread(name)) out(local_.id());
    }
    return sha256_128({bytes});
}

frontier session::refresh(const std::string& bucket, stream& s) {
    // The revision first: what changes in between is looked at again.
    s.revision = local_.revision(bucket);
    auto f = local_.durable(bucket);
    s.durable = to_positions(f);
    return f;
}

/// What the peer has been told is still here; else it would send what does not fit to what is. False: the session has ended.
bool session::refresh_told() {
    for (auto& [bucket, s] : streams_) {
        if (!s.is_told || s.revision == local_.revision(bucket)) continue;
        const auto told = s.durable;
        refresh(bucket, s);
        if (covers(s.durable, told)) continue;
        end({errc::retired, "bucket \"" + bucket + "\": what did not count of what has been told is here no more"});
        return false;
    }
    return true;
}

// --- in --------------------------------------------------------------------------------------------------

void session::receive(std::string_view bytes, steady_time now) {
    if (failure_) return;
    pass_time(now);
    last_received_ = now_;
    progress_.bytes_received += bytes.size();
    receive_budget_.spend(bytes.size());
    if (!refresh_told()) return;
    reader_.feed(bytes);
    bool is_part = true;
    while (!failure_) {
        auto next = reader_.next();
        if (!next) return end(next.error());
        if (!*next) break;
        is_part = false;
        if (!peer_ && !std::holds_alternative<greeting>(**next)) return end({errc::malformed, "no greeting"});
        std::visit([&](const auto& m) { handle(m); }, **next);
    }
    if (failure_) return;
    if (is_part) last_part_ = now_;
    look_for_progress();
    pump_all();
    count_remaining();
}

void session::handle(const greeting& m) {
    if (m.id == local_.id()) {
        return end({errc::self_connection, "the peer is this replica itself, or a copy of its directory"});
    }
    peer_ = m.id;
    wish();
    if (m.state == greeted_state_) {
        // Both hold the same, as it was when they greeted.
        for (auto& [bucket, s] : streams_) {
            s.is_told = s.is_remote = true;
            s.advertised = s.peer_durable = s.sent = s.durable;
            note_advert(s, local_.id(), s.durable);
            hear_advert(bucket, s, m.id, s.durable);
        }
        is_ready_ = true;
        return;
    }
    for (auto& [bucket, s] : streams_) tell(bucket, s);
    send(ready{});
}

void session::handle(const have& m) {
    auto it = streams_.find(m.bucket);
    if (it == streams_.end()) {
        if (m.bucket.empty() || m.bucket.size() > limits::bucket_name || streams_.size() == limits::buckets) {
            return end({errc::malformed, "too many buckets, or one with an impossible name"});
        }
        it = streams_.try_emplace(m.bucket).first;
    }
    if (m.known.size() > limits::origins) return end({errc::malformed, "too many replicas in one bucket"});
    auto& s = it->second;
    if (s.is_remote && m.epoch <= s.peer_epoch) return end({errc::malformed, "an epoch went back"});
    if (s.is_local) {
        const auto founder = local_.founder(m.bucket);
        if (founder && m.founder && *founder != *m.founder) {
            return end({errc::foreign_bucket, "bucket \"" + m.bucket + "\" was created by replica " + to_string(*founder) +
                                                  " here and by " + to_string(*m.founder) + " there: two buckets of one name"});
        }
        if (auto compared = local_.compare(m.bucket, m.known); !compared) return end(compared.error());
    }
    const bool is_first = !s.is_remote;
    s.is_remote = true;
    s.peer_epoch = m.epoch;
    s.peer_ceiling = m.ceiling;
    s.peer_role = static_cast<role>(m.role);
    s.peer_fold_bytes = m.fold_bytes;
    s.peer_takes_abbreviated = m.takes_abbreviated;
    s.awaits_executions = m.lists_executions && !s.has_heard_executions;
    s.peer_durable = to_positions(m.known);
    s.cannot_send.reset();
    // A replica has all that it ever told others, unless it has been restored from a backup.
    s.is_peer_restored = at(s.durable, *peer_) > at(s.peer_durable, *peer_);
    // What others have says nothing of what members have.
    if (s.peer_role == role::member) hear_advert(m.bucket, s, *peer_, s.peer_durable);
    if (is_first) {
        s.goal.clear();
        // The state of one who has less than a holder of a part cannot take the place of what that one has.
        if (is_giving(s) && (is_taking(s) || (s.is_local && local_.has_durable(m.bucket, s.peer_durable)))) s.goal = s.durable;
        if (is_taking(s) && (is_giving(s) || covers(s.peer_durable, s.durable))) {
            for (const auto& [id, sequence] : s.peer_durable) raise(s.goal, id, sequence);
        }
    }
    if (s.is_local && s.takes_folds && is_giving(s) && is_taking(s) && missing(s.durable, s.peer_durable) > options_.fold_above) local_.begin_fold(m.bucket);
    s.sent = s.peer_durable;
    s.in_flight.clear();
    s.in_flight_bytes = 0;
    s.is_behind = false;
    s.walk.reset();
    s.pieces_in_flight.clear();
    s.unanswered_since.reset();
}

void session::handle(const ready&) { is_ready_ = true; }

void session::handle(const records& m) {
    const auto it = streams_.find(m.bucket);
    if (it == streams_.end() || !it->second.is_told || !it->second.is_remote) {
        return end({errc::malformed, "records of a bucket that is not shared"});
    }
    auto& s = it->second;
    // Sent before the peer knew that the stream has to begin anew.
    if (m.epoch != s.epoch || s.cannot_receive) return;
    auto chunk = unpack(m);
    if (!chunk) return end(chunk.error());
    const bool is_abbreviated = !chunk->twins.empty();
    const auto expanded = local_.expand(m.bucket, *chunk);
    if (!expanded) return end(expanded.error());
    auto applied = *expanded ? local_.apply(m.bucket, *chunk, *peer_) : oplog::applied{};
    const bool is_wrong = !*expanded || (!applied && (applied.error().code == errc::diverged || applied.error().code == errc::malformed));
    // It refers to what has been cut away since, or was not alike after all: once more, then, and all of it.
    if (is_abbreviated && is_wrong && std::exchange(s.takes_abbreviated, false)) return begin_anew(m.bucket, s, s.ceiling);
    if (!*expanded) return end({errc::malformed, "executions in bucket \"" + m.bucket + "\" are like others that are not here"});
    if (!applied && applied.error().code == errc::retired) {
        return part(m.bucket, s, false, applied.error());
    }
    if (!applied) return end(applied.error());
    progress_.transactions_received += applied->transactions;
    // The peer sends only what it has on disk.
    for (const auto& range : chunk->ranges) {
        raise(s.peer_durable, range.origin, range.last);
        raise(s.sent, range.origin, range.last);
        // Who sends it does not know that it is here: what has gone there may have been passed over.
        if (const auto told = s.advertised.find(range.origin); told != s.advertised.end()) told->second = std::min(told->second, range.first - 1);
    }
    if (applied->held) {
        // A fold may hold others that need not wait: record by record, then. Where the peer has nothing but the fold, they do.
        if (applied->held->fold_from && std::exchange(s.takes_folds, false)) return begin_anew(m.bucket, s, s.ceiling);
        // Nothing after it may be taken before it. Earlier transactions may: they do not depend on it.
        s.held = held_transaction{m.bucket, applied->held->id, applied->held->at};
        ++progress_.holds;
        begin_anew(m.bucket, s, applied->held->fold_from.value_or(applied->held->at));
    }
}

void session::handle(const executions& m) {
    const auto it = streams_.find(m.bucket);
    if (it == streams_.end() || !it->second.is_remote || std::exchange(it->second.has_heard_executions, true)) {
        return end({errc::malformed, "executions of a bucket that is not shared, or again"});
    }
    std::vector<oplog::listed_execution> all;
    for (const auto& lane : m.lanes) {
        std::uint64_t sequence = 0;
        for (const auto& entry : lane.entries) {
            sequence += entry.sequence;
            all.push_back({entry.digest, {lane.origin, sequence}});
        }
    }
    if (all.size() > limits::listed_executions) return end({errc::malformed, "too many executions"});
    std::ranges::sort(all, {}, &oplog::listed_execution::digest);
    it->second.executions = std::move(all);
    it->second.awaits_executions = false;
}

void session::handle(const acknowledgement& m) {
    const auto it = streams_.find(m.bucket);
    if (it == streams_.end() || !it->second.is_remote) return end({errc::malformed, "an acknowledgement for a bucket that is not shared"});
    auto& s = it->second;
    for (const auto& entry : m.known) {
        raise(s.peer_durable, entry.origin, entry.sequence);
        raise(s.sent, entry.origin, entry.sequence);
    }
    while (!s.in_flight.empty() && covers(s.peer_durable, s.in_flight.front().ends)) {
        s.in_flight_bytes -= s.in_flight.front().bytes;
        s.in_flight.pop_front();
    }
}

void session::handle(const adverts& m) {
    const auto it = streams_.find(m.bucket);
    if (it == streams_.end() || !it->second.is_remote) return end({errc::malformed, "adverts for a bucket that is not shared"});
    for (const auto& advert : m.members) {
        positions known;
        bool is_sound = advert.member < m.replicas.size();
        for (const auto& entry : advert.known) {
            is_sound = is_sound && entry.place < m.replicas.size();
            if (is_sound) known[m.replicas[entry.place]] = entry.sequence;
        }
        if (!is_sound) return end({errc::malformed, "adverts that name replicas which they do not list"});
        hear_advert(m.bucket, it->second, m.replicas[advert.member], known);
    }
}

void session::handle(const heartbeat&) {}

void session::handle(const goodbye& m) {
    failure_ = error{to_errc(m.code), "the peer ended the session: " + m.reason.substr(0, longest_reason)};
}

void session::handle(const parting& m) {
    const auto it = streams_.find(m.bucket);
    if (it == streams_.end()) return end({errc::malformed, "parting from a bucket that is not shared"});
    if (m.is_sending) it->second.taking.reset();
    if (!m.is_sending) it->second.walk.reset();
    auto& mine = m.is_sending ? it->second.cannot_receive : it->second.cannot_send;
    if (!mine) mine = error{to_errc(m.code), "the peer says: " + m.reason.substr(0, longest_reason)};
}

// --- out -------------------------------------------------------------------------------------------------

void session::send(const message& m) {
    const auto before = output_.size();
    append_message(output_, m);
    budget_.spend(output_.size() - before);
    asked_budget_.spend(output_.size() - before);
    last_sent_ = now_;
}

void session::end(error why) {
    send(goodbye{static_cast<std::uint32_t>(why.code), why.message.substr(0, longest_reason)});
    failure_ = std::move(why);
}

void session::part(const std::string& bucket, stream& s, bool is_sending, error why) {
    auto& mine = is_sending ? s.cannot_send : s.cannot_receive;
    if (mine) return;
    send(parting{bucket, is_sending, static_cast<std::uint32_t>(why.code), why.message.substr(0, longest_reason)});
    mine = std::move(why);
}

std::string session::take_output() {
    auto out = std::exchange(output_, {});
    progress_.bytes_sent += out.size();
    for (auto& [bucket, s] : streams_) {
        if (std::exchange(s.is_piece_waiting, false)) s.unanswered_since.reset();
    }
    if (!failure_) pump_all();
    return out;
}

/// What the last sessions did not bring to an end is asked for in smaller pieces: a link that is cut again and again is
/// not to carry the same large fold again and again.
std::uint64_t session::fold_bytes(const std::string& bucket, const stream& s) const {
    if (!s.takes_folds) return 0;
    constexpr std::uint64_t least = 4096;
    const auto shift = std::min<std::uint64_t>(local_.unfinished_folds(bucket), 32);
    return std::max<std::uint64_t>(options_.fold_bytes >> shift, std::min<std::uint64_t>(least, options_.fold_bytes));
}

void session::tell(const std::string& bucket, stream& s) {
    const auto known = refresh(bucket, s);
    s.told_role = local_.role_in(bucket);
    s.lists_executions = s.lists_executions || local_.has_executions(bucket);
    send(have{bucket, s.epoch, s.ceiling, static_cast<std::uint8_t>(s.told_role), fold_bytes(bucket, s), s.lists_executions, s.takes_abbreviated,
              local_.founder(bucket), known});
    s.is_told = true;
    s.told = s.durable;
    note_advert(s, local_.id(), s.durable);
    s.advertised = s.durable;
}

void session::begin_anew(const std::string& bucket, stream& s, timestamp ceiling) {
    ++s.epoch;
    s.ceiling = ceiling;
    s.taking.reset();
    tell(bucket, s);
}

void session::acknowledge(const std::string& bucket, stream& s) {
    acknowledgement m{bucket, {}};
    for (const auto& [id, sequence] : s.durable) {
        // What the peer lacks it learns by getting it.
        const auto both = std::min(sequence, at(s.peer_durable, id));
        if (both <= at(s.advertised, id)) continue;
        s.advertised[id] = both;
        m.known.push_back({id, both});
    }
    if (!m.known.empty()) send(m);
}

void session::pump_all() {
    take_turns();
    for (auto& [bucket, s] : streams_) pump_audit(bucket, s);
    end_if_parted();
}

/// Not before all that can be exchanged has been, in other buckets and the other way: what the one who was away has
/// written is not to be lost.
void session::end_if_parted() {
    if (failure_) return;
    std::optional<error> why;
    for (const auto& [bucket, s] : streams_) {
        if (!s.is_local || !s.is_remote) continue;
        if (!s.cannot_receive && (s.taking || s.taken || !has_all(s))) return;
        if (!s.cannot_send && (s.is_behind || (!local_.needs_state(bucket) && !has_given_all(s)))) return;
        if (s.cannot_receive) why = s.cannot_receive;
        if (s.cannot_send) why = s.cannot_send;
    }
    if (why) end(*why);
}

void session::list(const std::string& bucket, stream& s) {
    executions m{bucket, {}};
    std::uint64_t last = 0;
    for (const auto& x : local_.list_executions(bucket, s.peer_durable)) {
        if (m.lanes.empty() || m.lanes.back().origin != x.id.origin) {
            m.lanes.push_back({x.id.origin, {}});
            last = 0;
        }
        m.lanes.back().entries.push_back({x.id.sequence - last, x.digest});
        last = x.id.sequence;
    }
    send(m);
}

/// One message, if there is something to send now.
void session::pump(const std::string& bucket, stream& s, std::int32_t priority) {
    if (s.lists_executions && !std::exchange(s.has_listed, true)) return list(bucket, s);
    if (s.walk) return pump_state(bucket, s, priority);
    if (!is_taking(s)) return offer_state(bucket, s);
    const auto record_bytes = portion(priority);
    const bool is_limited = budget_.is_limited() || asked_budget_.is_limited();
    auto fold_bytes = static_cast<std::size_t>(std::min<std::uint64_t>(options_.fold_bytes, s.peer_fold_bytes));
    if (is_limited) fold_bytes = std::min(fold_bytes, record_bytes);
    const oplog::portion size{record_bytes, fold_bytes, fold_bytes > 0 ? options_.fold_above : UINT64_MAX};
    auto chunk = local_.read(bucket, s.sent, s.peer_ceiling, size);
    if (!chunk && chunk.error().code == errc::behind_cut) {
        if (catch_up_with_adverts(bucket, s)) {
            if (has_to_send(bucket, s)) pump(bucket, s, priority);
            return;
        }
        return offer_state(bucket, s);
    }
    if (!chunk) return end(chunk.error());
    if (chunk->empty()) return;  // the rest is above the ceiling
    if (s.peer_takes_abbreviated) {
        const auto done = local_.abbreviate(bucket, *chunk, s.executions, s.peer_durable);
        if (!done) return end(done.error());
    }
    const auto before = output_.size();
    send(pack(bucket, s.peer_epoch, *chunk));
    stream::flight sent{{}, output_.size() - before};
    for (const auto& range : chunk->ranges) {
        raise(s.sent, range.origin, range.last);
        raise(s.advertised, range.origin, range.last);  // who gets it from here knows that it is here
        raise(sent.ends, range.origin, range.last);
    }
    s.in_flight_bytes += sent.bytes;
    s.in_flight.push_back(std::move(sent));
    progress_.transactions_sent += chunk->transactions();
}

void session::offer_state(const std::string& bucket, stream& s) {
    s.is_behind = true;
    send(behind{bucket, s.peer_epoch});
}

// --- time and local progress -----------------------------------------------------------------------------

void session::poll(steady_time now) {
    if (failure_) return;
    pass_time(now);
    if (now_ - last_received_ >= options_.timeout) {
        return end({errc::timed_out, "nothing heard for " + std::to_string((now_ - last_received_).count()) + " ms"});
    }
    look_for_progress();
    pump_all();
    say_waiting();
    if (now_ - last_sent_ >= options_.heartbeat) send(heartbeat{});
    count_remaining();
}

void session::look_for_progress() {
    if (!peer_ || failure_) return;
    // The peer knows it, and lets it in, under the name with which it has greeted. But what they have met for is not put off.
    if (local_.id() != id_ && have_both_all()) return end({errc::closed, "this replica goes on as a new incarnation, " + to_string(local_.id())});
    if (!refresh_told()) return;
    for (const auto& name : local_.buckets()) streams_[name].is_local = true;
    for (auto& [bucket, s] : streams_) {
        if (!s.is_local) continue;
        if (!s.is_told) {
            // Created here meanwhile.
            tell(bucket, s);
        } else if (s.held && s.held->at <= local_.horizon()) {
            s.held.reset();
            begin_anew(bucket, s, no_ceiling);
        } else if (is_role_news(s.told_role, local_.role_in(bucket))) {
            begin_anew(bucket, s, s.ceiling);
        }
        if (s.taken && covers(s.durable, *s.taken)) {
            s.taken.reset();
            begin_anew(bucket, s, s.ceiling);
        }
        if (s.taking && now_ - s.piece_at >= options_.timeout) {
            s.taking.reset();
            part(bucket, s, false, {errc::timed_out, "bucket \"" + bucket + "\": the peer has sent no piece of its state for " + std::to_string((now_ - s.piece_at).count()) + " ms"});
        }
        look_for_answers(bucket, s);
        ask_for_state(bucket, s);
        ask_for_rows(bucket, s);
        begin_audit(bucket, s);
        acknowledge(bucket, s);
        sponsor(bucket, s);
    }
    if (now_ < next_adverts_) return;
    const auto before = output_.size();
    for (auto& [bucket, s] : streams_) advertise(bucket, s);
    next_adverts_ = now_ + pause_after_adverts(output_.size() - before);
}

void session::count_remaining() {
    progress_.transactions_to_send = progress_.transactions_to_receive = 0;
    progress_.rows_to_receive = progress_.row_bytes_to_receive = 0;
    progress_.rows_time_to_receive = {};
    for (const auto& [bucket, s] : streams_) {
        const auto left = count_remaining(s);
        progress_.transactions_to_send += left.transactions_to_send;
        progress_.transactions_to_receive += left.transactions_to_receive;
        progress_.rows_to_receive += left.rows_to_receive;
        progress_.row_bytes_to_receive += left.row_bytes_to_receive;
        progress_.rows_time_to_receive += left.rows_time_to_receive;
    }
    note_budget();
    was_caught_up_ = was_caught_up_ || caught_up();
}

/// Of one bucket.
sync_progress session::count_remaining(const stream& s) const {
    sync_progress left;
    if (!s.is_local || !s.is_remote) return left;
    if (s.taking) {
        // What the peer says of it need not be true.
        constexpr std::uint64_t most = std::uint64_t{1} << 40;
        left.rows_to_receive = std::min(s.taking->rows_to_come(), most);
        const auto times = static_cast<double>(left.rows_to_receive) / static_cast<double>(std::max<std::uint64_t>(s.taking->rows(), 1));
        left.row_bytes_to_receive = static_cast<std::uint64_t>(static_cast<double>(s.taken_bytes) * times);
        const auto milliseconds = std::min(static_cast<double>((now_ - s.taking_since).count()) * times, 1e12);
        left.rows_time_to_receive = std::chrono::milliseconds{static_cast<std::int64_t>(milliseconds)};
    }
    if (is_giving(s)) left.transactions_to_send = missing(s.peer_durable, s.durable);
    if (is_taking(s)) left.transactions_to_receive = missing(s.durable, s.peer_durable);
    return left;
}

bool session::in_sync() const {
    if (!peer_ || !is_ready_ || failure_ || local_.has_undurable()) return false;
    return std::ranges::all_of(streams_, [&](const auto& entry) {
        const auto& [bucket, s] = entry;
        if (!s.is_local || !s.is_remote) return true;
        return !s.held && s.revision == local_.revision(bucket) && has_given_all(s) && has_all(s) && !lacks_paths(bucket, s);
    });
}

/// Other paths are to be held than are, and the peer can bring them.
bool session::lacks_paths(const std::string& bucket, const stream& s) const {
    if (is_giving(s) || !is_taking(s) || s.cannot_receive || s.peer_durable.empty()) return false;
    return covers(s.peer_durable, s.durable) && local_.wants_rows(bucket, *peer_);
}

bool session::caught_up() const {
    if (!have_both_all()) return false;
    // One of the two is being let in: that is part of what they have met for.
    return std::ranges::none_of(streams_, [&](const auto& entry) {
        const auto& [bucket, s] = entry;
        if (!s.is_local || !s.is_remote) return false;
        if (lacks_paths(bucket, s)) return true;
        if (s.told_role == role::joining && s.peer_role == role::member && local_.role_in(bucket) == role::joining) return true;
        return s.peer_role == role::joining && local_.role_in(bucket) == role::member && !s.has_sponsored;
    });
}

/// What either had when they met.
bool session::have_both_all() const {
    if (!peer_ || !is_ready_ || failure_) return false;
    return std::ranges::all_of(streams_, [](const auto& entry) {
        const auto& s = entry.second;
        return !s.is_local || !s.is_remote || (covers(s.peer_durable, s.goal) && covers(s.durable, s.goal));
    });
}

bool session::wants_sync() const { return !failure_ && peer_ && (local_.has_undurable() || local_.has_duties()); }

steady_time session::next_poll() const {
    auto next = std::min(last_sent_ + options_.heartbeat, last_received_ + options_.timeout);
    if (has_adverts_to_send()) next = std::min(next, next_adverts_);
    if (progress_.budget_wait.count() > 0) next = std::min(next, now_ + progress_.budget_wait);
    if (waiting_since_) next = std::min(next, *waiting_since_ + options_.heartbeat);
    // A held transaction waits for the wall clock, which this one does not know, and a state that another session takes for
    // that one's end: look now and then.
    for (const auto& [bucket, s] : streams_) {
        const bool is_to_ask = s.behind == s.epoch && !s.taking && !s.taken && !s.cannot_receive;
        if (s.held || is_to_ask) next = std::min(next, now_ + std::chrono::seconds{1});
        if (is_to_ask && s.next_state > now_) next = std::min(next, s.next_state);
    }
    const auto is_busy = [](const auto& one) { return one && one->is_busy(); };
    if (std::ranges::any_of(streams_, [&](const auto& entry) { return is_busy(entry.second.auditing) || is_busy(entry.second.answering); })) next = std::min(next, now_);
    return next;
}

session_phase session::phase() const {
    if (failure_) return session_phase::ended;
    if (!peer_) return session_phase::greeting;
    return was_caught_up_ ? session_phase::live : session_phase::catching_up;
}

std::vector<held_transaction> session::held() const {
    std::vector<held_transaction> all;
    for (const auto& [bucket, s] : streams_) {
        if (s.held) all.push_back(*s.held);
    }
    return all;
}

}  // namespace anabranch::sync
