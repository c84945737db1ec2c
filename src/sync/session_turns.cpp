// Who may send next, and how much: priorities of buckets and budgets of bytes. docs/sync-protocol.md, "Turns"
#include <algorithm>
#include <set>
#include <tuple>

#include "sync/positions.hpp"
#include "sync/session.hpp"

namespace anabranch::sync {

/// Of equal priority the one that has been sent the least comes first; who had nothing to send has saved up nothing
/// (start-time fair queueing: Goyal, Vin, Cheng, SIGCOMM 1996, section 2).
struct session::turn {
    std::int32_t priority = 0;
    std::uint64_t start = 0;
    const std::string* bucket = nullptr;
    stream* of = nullptr;

    bool operator<(const turn& other) const { return std::tie(other.priority, start, *bucket) < std::tie(priority, other.start, *other.bucket); }
};

std::int32_t session::priority_of(const std::string& bucket) const {
    if (const auto asked = asked_priorities_.find(bucket); asked != asked_priorities_.end()) return asked->second;
    const auto own = priorities_.find(bucket);
    return own == priorities_.end() ? 0 : own->second;
}

bool session::has_to_send(const std::string& bucket, const stream& s) const {
    if (!s.is_local || !s.is_remote) return false;
    if (s.lists_executions && !s.has_listed) return true;
    if (s.cannot_send || s.awaits_executions) return false;
    if (s.walk) return true;
    if (!is_giving(s) || s.is_behind || covers(s.sent, s.durable) || local_.needs_state(bucket)) return false;
    return is_taking(s) || local_.has_durable(bucket, s.peer_durable);
}

/// Until there is room for something of that priority; 0: now.
steady_time session::budget_wait(std::int32_t priority) const {
    return std::max(budget_.wait(priority, options_.chunk_bytes), asked_budget_.wait(priority, options_.chunk_bytes));
}

/// Bytes that a chunk of that priority, or a piece of a state, is to have at most.
std::size_t session::portion(std::int32_t priority) const {
    const auto left = std::min(budget_.left(priority), asked_budget_.left(priority));
    return std::min(options_.chunk_bytes, static_cast<std::size_t>(std::max<std::int64_t>(left, 1)));
}

void session::take_turns() {
    progress_.budget_wait = {};
    if (failure_) return;
    std::set<turn> waiting;
    const auto queue = [&](const std::string& bucket, stream& s) {
        if (!has_to_send(bucket, s)) return;
        const auto priority = priority_of(bucket);
        waiting.insert({priority, std::max(s.served, turns_[priority]), &bucket, &s});
    };
    for (auto& [bucket, s] : streams_) queue(bucket, s);
    std::optional<std::int32_t> full;
    while (!waiting.empty() && !failure_ && output_.size() < options_.chunk_bytes) {
        const auto next = *waiting.begin();
        // What is on its way of a higher priority fills the link.
        if (full && next.priority < *full) break;
        progress_.budget_wait = budget_wait(next.priority);
        if (progress_.budget_wait.count() > 0) break;
        waiting.erase(waiting.begin());
        if (next.of->in_flight_bytes >= options_.window_bytes) {
            full = next.priority;
            continue;
        }
        const auto before = output_.size();
        pump(*next.bucket, *next.of, next.priority);
        if (output_.size() == before) continue;  // nothing that can be sent now
        turns_[next.priority] = next.start;
        next.of->served = next.start + (output_.size() - before);
        queue(*next.bucket, *next.of);
    }
    const auto is_walk = [](const turn& t) { return t.of->walk != nullptr; };
    note_waiting(progress_.budget_wait.count() > 0 || std::ranges::any_of(waiting, is_walk));
    note_budget();
}

/// The receiver of a state gives it up when no piece comes for long, and is not to when it only is not its turn; nor is who waits for
/// progress to think that there is none.
void session::note_waiting(bool has_to_wait) {
    if (!has_to_wait) {
        waiting_since_.reset();
    } else if (!waiting_since_) {
        waiting_since_ = now_;
    }
}

void session::say_waiting() {
    if (failure_ || !waiting_since_ || now_ - *waiting_since_ < options_.heartbeat) return;
    send(waiting{});
    waiting_since_ = now_;
}

void session::note_budget() {
    progress_.send_budget_left = budget_.left();
    progress_.asked_budget_left = asked_budget_.left();
    progress_.receive_budget_left = receive_budget_.left();
}

void session::pass_time(steady_time now) {
    now_ = std::max(now_, now);
    budget_.advance(now_);
    asked_budget_.advance(now_);
    receive_budget_.advance(now_);
}

/// So that adverts take a quarter of the budget at most.
steady_time session::pause_after_adverts(std::size_t bytes) const {
    return std::max({options_.adverts, budget_.time_for(4 * bytes), asked_budget_.time_for(4 * bytes)});
}

void session::wish() {
    if (!receive_budget_.is_limited() && priorities_.empty()) return;
    wishes m;
    if (receive_budget_.is_limited()) {
        const auto& b = options_.receive_budget;
        m = {b.bytes, static_cast<std::uint64_t>(std::max<std::int64_t>(b.period.count(), 1)), b.burst, b.reserve, receive_budget_.left(), {}};
    }
    for (const auto& [bucket, priority] : priorities_) {
        const bool is_possible = !bucket.empty() && bucket.size() <= limits::bucket_name;
        if (is_possible && m.priorities.size() < limits::buckets) m.priorities.push_back({bucket, priority});
    }
    send(m);
}

void session::handle(const wishes& m) {
    const auto is_impossible = [](const wishes::entry& e) { return e.bucket.empty() || e.bucket.size() > limits::bucket_name; };
    if (m.priorities.size() > limits::buckets || std::ranges::any_of(m.priorities, is_impossible)) {
        return end({errc::malformed, "wishes for too many buckets, or for one with an impossible name"});
    }
    turns_.clear();
    asked_priorities_.clear();
    for (const auto& e : m.priorities) asked_priorities_[e.bucket] = e.priority;
    const auto period = static_cast<std::int64_t>(std::min<std::uint64_t>(m.period, INT64_MAX));
    asked_budget_ = budget({m.bytes, steady_time{period}, m.burst, m.reserve, m.left}, now_);
}

/// A peer that has more to send than it may is alive.
void session::handle(const waiting&) {
    ++progress_.peer_waits;
    for (auto& [bucket, s] : streams_) s.piece_at = now_;
}

std::vector<bucket_progress> session::waiting_buckets() const {
    std::vector<bucket_progress> all;
    for (const auto& [bucket, s] : streams_) {
        const auto left = count_remaining(s);
        if (left.transactions_to_send == 0 && left.transactions_to_receive == 0 && left.rows_to_receive == 0) continue;
        all.push_back({bucket, priority_of(bucket), left.transactions_to_send, left.transactions_to_receive, left.rows_to_receive, left.row_bytes_to_receive});
    }
    std::ranges::stable_sort(all, std::ranges::greater{}, &bucket_progress::priority);
    return all;
}

}  // namespace anabranch::sync
