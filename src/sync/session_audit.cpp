// Whether both hold the same rows, and taking the peer's where they do not: docs/audit.md
#include <utility>

#include "sync/positions.hpp"
#include "sync/session.hpp"

namespace anabranch::sync {
namespace {

/// Reading all rows takes its time. After so many times what a silent peer has, what waits for an answer is let go.
constexpr int patience = 20;

}  // namespace

/// Not while there is much that would have to be left out.
void session::begin_audit(const std::string& bucket, stream& s) {
    const auto is_over = [&](steady_time since) { return now_ - since >= patience * options_.timeout; };
    if (s.auditing && is_over(s.auditing_at)) s.auditing.reset();
    if (s.answering && is_over(s.answering_at)) s.answering.reset();
    if (s.auditing || !s.is_remote || !s.is_told || s.held || s.taking || s.taken || s.is_behind || s.behind == s.epoch) return;
    if (!is_giving(s) || !is_taking(s)) return;
    if (!is_ready_ || s.cannot_send || s.cannot_receive || local_.needs_state(bucket) || !covers(s.peer_durable, s.goal) || !covers(s.durable, s.goal)) return;
    auto begun = local_.begin_audit(bucket, *peer_, options_.audit);
    // What does not go now is tried again.
    if (!begun || !*begun) return;
    s.auditing = std::move(*begun);
    s.auditing_at = now_;
    ++s.audit_number;
}

void session::pump_audit(const std::string& bucket, stream& s) {
    if (failure_ || output_.size() >= options_.chunk_bytes || budget_wait(priority_of(bucket)).count() > 0) return;
    if (s.auditing) {
        const auto asked = s.auditing->next(options_.chunk_bytes);
        if (asked && *asked) send(audit{bucket, s.audit_number, **asked});
        if ((asked && *asked) || s.auditing->is_busy()) s.auditing_at = now_;
        if (!asked) s.auditing.reset();
    }
    if (s.answering) {
        const auto answered = s.answering->next(options_.chunk_bytes);
        // Empty: it cannot be done.
        if (!answered || *answered) send(audit_answer{bucket, s.answered_number, answered ? **answered : std::string()});
        if ((answered && *answered) || s.answering->is_busy()) s.answering_at = now_;
        if (!answered || s.answering->is_done()) s.answering.reset();
    }
}

void session::handle(const audit& m) {
    const auto it = streams_.find(m.bucket);
    if (it == streams_.end() || !it->second.is_remote || !it->second.is_told) return end({errc::malformed, "an audit of a bucket that is not shared"});
    auto& s = it->second;
    if (!s.answering || m.number != s.answered_number) {
        // Of one that has been given up here.
        if (m.number <= s.answered_number) return;
        s.answering = local_.answer_audit(m.bucket, *peer_);
        s.answered_number = m.number;
    }
    s.answering_at = now_;
    const auto taken = s.answering->ask(m.body);
    if (taken) return;
    if (taken.error().code == errc::malformed) return end(taken.error());
    s.answering.reset();
    send(audit_answer{m.bucket, m.number, {}});
}

void session::handle(const audit_answer& m) {
    const auto it = streams_.find(m.bucket);
    if (it == streams_.end() || !it->second.is_remote) return end({errc::malformed, "an answer about a bucket that is not shared"});
    auto& s = it->second;
    if (m.number > s.audit_number) return end({errc::malformed, "an answer that nobody has asked for"});
    if (!s.auditing || m.number != s.audit_number) return;
    s.auditing_at = now_;
    const auto taken = m.body.empty() ? result<void>{} : s.auditing->take(m.body);
    if (!taken && taken.error().code == errc::malformed) return end(taken.error());
    if (!taken || m.body.empty() || s.auditing->is_done()) s.auditing.reset();
}

/// Rows here are to be replaced by the peer's, though its log would reach back.
void session::ask_for_rows(const std::string& bucket, stream& s) {
    if (!s.is_remote || !s.is_told || s.held || s.taking || s.taken || s.cannot_receive || s.behind == s.epoch) return;
    if (!is_taking(s) || s.peer_durable.empty() || now_ < s.next_state) return;
    if (!covers(s.durable, s.peer_durable) || !local_.wants_rows(bucket, *peer_) || !covers(known_of_peer(s), local_.floor(bucket))) return;
    begin_taking(bucket, s);
}

}  // namespace anabranch::sync
