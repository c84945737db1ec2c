// The state as a whole, for who is behind the cut: docs/reconciliation.md
#include <algorithm>
#include <utility>

#include "sync/body.hpp"
#include "sync/positions.hpp"
#include "sync/session.hpp"

namespace anabranch::sync {

/// One piece, if there is one now.
void session::pump_state(const std::string& bucket, stream& s, std::int32_t priority) {
    auto piece = s.walk->next(portion(priority));
    if (!piece) return part(bucket, s, true, piece.error());
    if (!*piece) return;
    const auto before = output_.size();
    state_piece m{bucket, s.peer_epoch, 0, std::move(**piece)};
    compress(m);
    send(m);
    s.pieces_in_flight.push_back(output_.size() - before);
    s.in_flight_bytes += s.pieces_in_flight.back();
    s.is_piece_waiting = true;
    // Its snapshot keeps what is deleted meanwhile.
    if (s.walk->is_done()) s.walk.reset();
}

void session::handle(const behind& m) {
    const auto it = streams_.find(m.bucket);
    if (it == streams_.end() || !it->second.is_told) return end({errc::malformed, "the log of a bucket that is not shared"});
    if (m.epoch != it->second.epoch) return;
    it->second.behind = m.epoch;
    if (!it->second.behind_since) it->second.behind_since = now_;
    ask_for_state(m.bucket, it->second);
}

/// On its disk, as far as it has been heard.
positions session::known_of_peer(const stream& s) const {
    auto has = s.peer_durable;
    if (const auto told = s.advertised_members.find(*peer_); told != s.advertised_members.end()) {
        for (const auto& [id, sequence] : told->second) raise(has, id, sequence);
    }
    return has;
}

void session::ask_for_state(const std::string& bucket, stream& s) {
    if (s.taking || s.taken || s.cannot_receive || !is_taking(s) || now_ < s.next_state) return;
    const bool needs_state = s.is_told && s.is_remote && local_.needs_state(bucket);
    if (s.behind != s.epoch && !needs_state) return;
    // Others have brought what the peer has not been told of: perhaps it is not behind.
    const auto is_news = [&](const auto& entry) { return entry.first != local_.id() && entry.second > at(s.told, entry.first); };
    if (!needs_state && std::ranges::any_of(s.durable, is_news)) return begin_anew(bucket, s, s.ceiling);
    // Each has cut what the other lacks, as far as is known. Others may help; when they do not the peer's state is looked at: it may
    // be that what has been cut here does not count.
    const bool is_reached = covers(known_of_peer(s), local_.floor(bucket));
    // (Holders of a part have cut nothing: who offers a state to one knows what that has.)
    if (is_giving(s) && !needs_state && !is_reached && now_ - *s.behind_since < options_.timeout) return;
    begin_taking(bucket, s);
}

void session::begin_taking(const std::string& bucket, stream& s) {
    // What only this log has and the peer lacks is applied on top of the peer's state.
    const auto has = known_of_peer(s);
    auto sink = local_.take_state(bucket, *peer_, has);
    if (!sink) return part(bucket, s, false, sink.error());
    if (!*sink) return;  // not now
    s.taking = std::move(*sink);
    s.piece_at = s.taking_since = now_;
    if (!is_giving(s)) s.next_state = now_ + options_.part_interval;
    s.taken_bytes = 0;
    send(walk{bucket, s.epoch, s.taking->request()});
}

void session::handle(const walk& m) {
    const auto it = streams_.find(m.bucket);
    if (it == streams_.end() || !it->second.is_remote || !it->second.is_local) return end({errc::malformed, "a walk in a bucket that is not shared"});
    auto& s = it->second;
    if (m.epoch != s.peer_epoch) return;
    if (s.walk || !s.pieces_in_flight.empty()) return end({errc::malformed, "a walk in the middle of another"});
    // Also where it was not offered: what it has it may not be able to keep. Until it begins anew it gets nothing else.
    s.is_behind = true;
    auto source = local_.read_state(m.bucket, m.request);
    if (!source && source.error().code == errc::malformed) return end(source.error());
    if (!source) return part(m.bucket, s, true, source.error());
    s.walk = std::move(*source);
}

void session::handle(const state_piece& m) {
    const auto it = streams_.find(m.bucket);
    if (it == streams_.end()) return end({errc::malformed, "the state of a bucket that is not shared"});
    auto& s = it->second;
    if (s.epoch != m.epoch || s.cannot_receive) return;
    if (!s.taking) return end({errc::malformed, "a state that was not asked for"});
    const auto raw = decompress(m);
    if (!raw) return end(raw.error());
    s.piece_at = now_;
    send(piece_taken{m.bucket, s.epoch});
    const auto rows_before = s.taking->rows();
    auto taken = s.taking->take(*raw);
    s.taken_bytes += m.body.size();
    progress_.rows_received += s.taking->rows() - rows_before;
    if (taken && !*taken) return;
    s.taking.reset();
    if (taken) {
        // It begins anew from there, once all of it is on disk.
        s.behind_since.reset();
        s.taken = std::move(*taken);
        for (const auto& [id, sequence] : *s.taken) {
            raise(s.peer_durable, id, sequence);
            raise(s.sent, id, sequence);
        }
    } else if (taken.error().code == errc::malformed || taken.error().code == errc::diverged || taken.error().code == errc::foreign_bucket) {
        end(taken.error());
    } else {
        part(m.bucket, s, false, taken.error());
    }
}

void session::handle(const piece_taken& m) {
    const auto it = streams_.find(m.bucket);
    if (it == streams_.end() || !it->second.is_remote) return end({errc::malformed, "a piece of a bucket that is not shared"});
    auto& s = it->second;
    if (m.epoch != s.peer_epoch) return;
    if (s.pieces_in_flight.empty()) return end({errc::malformed, "a piece that was not sent"});
    s.in_flight_bytes -= s.pieces_in_flight.front();
    s.pieces_in_flight.pop_front();
    s.unanswered_since.reset();
}

/// A state that is sent keeps its snapshot: not for who takes nothing of it. What the link has not taken yet cannot have been answered, and
/// answers do not overtake a long message that is on its way.
void session::look_for_answers(const std::string& bucket, stream& s) {
    if (!s.walk || s.pieces_in_flight.empty() || s.is_piece_waiting) return;
    if (!s.unanswered_since) s.unanswered_since = now_;
    const auto silence = now_ - std::max(*s.unanswered_since, last_part_);
    if (silence < options_.timeout) return;
    s.walk.reset();
    part(bucket, s, true, {errc::timed_out, "bucket \"" + bucket + "\": the peer has taken no piece of this replica's state for " + std::to_string(silence.count()) + " ms"});
}

}  // namespace anabranch::sync
