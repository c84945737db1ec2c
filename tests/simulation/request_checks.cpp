// What becomes of requests: which execution counts, what clients are told, and when all of it is forgotten.
#include <algorithm>

#include "simulation/world.hpp"
#include "store/bucket_state.hpp"

namespace anabranch::simulation {

/// The requests of which an execution is here that are not forgotten.
std::vector<std::size_t> world::remembered(const replica& r, std::size_t b) const {
    std::vector<std::size_t> found;
    const auto& s = r.shares[b];
    for (std::size_t number = 0; number < requests_.size(); ++number) {
        const bool is_here = requests_[number].bucket == b && !histories_[b].executions_of(number, s.has).empty();
        if (is_here && !s.fixed.contains(number)) found.push_back(number);
    }
    return found;
}

/// What any execution of its request is about: as it arrives another one may begin to count, or cease to.
std::uint64_t world::touched_by_request(std::size_t b, const transaction_record& t) const {
    const auto& h = histories_[b];
    auto touched = h.touched_by(t);
    if (!t.execution) return touched;
    for (const auto* twin : h.executions_of(t.execution->request, h.everything())) touched |= h.touched_by(*twin);
    return touched;
}

/// A replica remembers all requests of which it has an execution, until they are fixed.
void world::note_fixed(replica& r, std::size_t b) {
    auto& s = r.shares[b];
    if (request_window_.count() == 0 || r.storage->is_dead() || lacks_requests(r)) return;
    // A state that has entered may hold for open what had been fixed here.
    if (std::exchange(s.states_looked_at, s.seen_states) != s.seen_states) {
        std::erase_if(s.fixed, [&](std::size_t number) {
            const auto found = s.handle->find(requests_[number].identity);
            return found && *found;
        });
    }
    auto known = remembered(r, b);
    const auto count = s.handle->state()->requests();
    if (count == known.size()) return;
    std::uint64_t fixed_leaves = 0;
    for (const auto number : known) {
        const auto found = s.handle->find(requests_[number].identity);
        if (!found) violate("a request cannot be looked up: " + found.error().message);
        if (*found) continue;
        s.fixed.insert(number);
        requests_[number].is_fixed = true;
        counts_.count(covered::requests_fixed);
        check_fixed(r, number);
        fixed_leaves |= touched_by_request(b, *histories_[b].executions_of(number, s.has).front());
    }
    const auto left = remembered(r, b);
    if (left.size() != count) {
        violate("replica " + std::to_string(r.index) + " says that it remembers " + std::to_string(count) +
                " requests, and does " + std::to_string(left.size()));
    }
    const auto shares_field = [&](std::size_t number) {
        return (touched_by_request(b, *histories_[b].executions_of(number, s.has).front()) & fixed_leaves) != 0;
    };
    if (std::ranges::any_of(left, shares_field)) counts_.count(covered::requests_fixed_beside_open);
}

/// Every member's clock has left it behind by the window, and every member has each execution that there is.
void world::check_fixed(const replica& r, std::size_t number) const {
    const auto& q = requests_[number];
    const auto& h = histories_[q.bucket];
    const auto roster = r.shares[q.bucket].handle->state()->roster();
    const auto what = "replica " + std::to_string(r.index) + " has forgotten request " + std::to_string(number);
    for (const auto& m : replicas_) {
        // Who has been let in and does not know it yet will get all of it before it does anything.
        const auto& theirs = m->shares[q.bucket];
        if (!m->id || !roster.counts(*m->id) || !m->open || !theirs.handle || !theirs.handle->is_member()) continue;
        // A newcomer has its fence from who let it in, whose clock may be ahead of its own.
        const auto known = theirs.handle->state()->roster();
        const auto inherited = static_cast<std::int64_t>(known.find(*m->id)->admitted.value_or(0));
        if (!is_late(*m, q) && q.identity.issued.count() >= inherited) violate(what + ", which replica " + std::to_string(m->index) + " would still execute");
        for (const auto* t : h.executions_of(number, h.everything())) {
            // Whom only one has let in that was retired before anybody heard of it is no member to the others (docs/membership.md).
            if (!replicas_[t->origin]->id || roster.find(*replicas_[t->origin]->id) == nullptr) continue;
            // What a member does that is being retired counts in part.
            if (replicas_[t->origin]->shares[q.bucket].is_retired || m->shares[q.bucket].has[t->origin] >= t->sequence) continue;
            violate(what + ", and replica " + std::to_string(m->index) + " has not heard of transaction " +
                    std::to_string(t->sequence) + " of replica " + std::to_string(t->origin));
        }
    }
}

void world::check_receipt(const receipt& found, std::size_t number, const cut& of) const {
    const auto& h = histories_[requests_[number].bucket];
    const auto* winner = winner_of(h, number, of);
    const auto* content = content_of(h, number, of);
    const auto what = "request " + std::to_string(number);
    if (content == nullptr) violate(what + " is known to a replica that never heard of it");
    const auto& answer = content->execution->answer;
    if (found.result != answer) violate(what + " is answered with " + found.result + ", and is " + answer);
    if (found.outcome != winner->execution->outcome) violate(what + " has the wrong outcome");
    const auto is = [&](const transaction_record& t) {
        return found.transaction == transaction_id{*replicas_[t.origin]->id, t.sequence};
    };
    if (!is(*content) && !is(*winner)) violate("the wrong execution of " + what + " counts");
}

/// What the replica says of a request that it remembers is what counts of what it has; and what has ceased to count never does
/// again.
void world::check_request(replica& r, std::size_t number) {
    const auto b = requests_[number].bucket;
    auto& s = r.shares[b];
    if (s.fixed.contains(number) || r.storage->is_dead() || lacks_requests(r)) return;
    ++checks_;
    const auto& h = histories_[b];
    const auto found = s.handle->find(requests_[number].identity);
    if (!found) violate("a request cannot be looked up: " + found.error().message);
    if (!*found) violate("replica " + std::to_string(r.index) + " does not know of request " + std::to_string(number));
    check_receipt(**found, number, s.has);

    const auto* winner = winner_of(h, number, s.has);
    const birth_dot place{index_of((*found)->transaction.origin), (*found)->transaction.sequence};
    const auto [known, is_first] = s.counted.try_emplace(number, std::pair(place, std::set<birth_dot>{}));
    auto& [counts, suppressed] = known->second;
    if (!is_first && counts != place) {
        suppressed.insert(counts);
        counts_.count(covered::executions_suppressed);
        counts = place;
    }
    // Two primary copies may confirm two mirrors' executions: then one may bring back what the other had replaced.
    if (suppressed.contains(place)) {
        if (!winner->execution->confirms)
            violate("an execution of request " + std::to_string(number) + " that did not count counts again");
        counts_.count(covered::contents_changed_back);
    }
    const auto executions = h.executions_of(number, s.has);
    if (executions.size() < 2) return;
    counts_.count(covered::twins_delivered);
    const auto* content = content_of(h, number, s.has);
    const auto touched = h.touched_by(*content);
    for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
        if ((touched >> leaf & 1) != 0 && !evaluate(h, leaf, s.has, s.who).exists) counts_.count(covered::twins_of_what_is_gone);
    }
}

/// Those that no primary copy has confirmed are listed, the oldest first.
void world::check_unconfirmed(const replica& r, std::size_t b) {
    const auto& s = r.shares[b];
    // Who was retired lists what does not count any more.
    if (request_window_.count() == 0 || r.storage->is_dead() || s.is_retired || lacks_requests(r)) return;
    ++checks_;
    const auto listed = s.handle->unconfirmed();
    if (!listed) violate("unconfirmed requests cannot be listed: " + listed.error().message);
    if (!std::ranges::is_sorted(*listed, {}, &unconfirmed_request::issued))
        violate("unconfirmed requests are listed in the wrong order");
    std::size_t expected = 0;
    for (const auto number : remembered(r, b)) {
        if (winner_of(histories_[b], number, s.has)->execution->role == request_role::primary) continue;
        ++expected;
        const auto* content = content_of(histories_[b], number, s.has);
        const auto it = std::ranges::find(*listed, requests_[number].identity.identity(), &unconfirmed_request::identity);
        if (it == listed->end()) violate("request " + std::to_string(number) + " is not listed as unconfirmed");
        if (it->result != content->execution->answer || it->issued != requests_[number].identity.issued)
            violate("request " + std::to_string(number) + " is listed wrongly as unconfirmed");
    }
    if (listed->size() != expected) violate("requests are listed as unconfirmed that are not");
    counts_.count(covered::requests_unconfirmed, expected);
}

/// Where only one copy was executed that was to be answered, what its client was told is what stands.
void world::check_outcomes(std::size_t b) {
    const auto& h = histories_[b];
    for (std::size_t number = 0; number < requests_.size(); ++number) {
        if (requests_[number].bucket != b) continue;
        const transaction_record* answered = nullptr;
        std::size_t primaries = 0;
        for (const auto* t : h.executions_of(number, h.everything())) {
            if (t->execution->role != request_role::primary) continue;
            answered = t;
            ++primaries;
        }
        if (primaries != 1) continue;
        for (const auto& r : replicas_) {
            const auto& s = r->shares[b];
            if (!s.handle || s.has[answered->origin] < answered->sequence) continue;
            ++checks_;
            if (content_of(h, number, s.has)->execution->answer != answered->execution->answer)
                violate("request " + std::to_string(number) + " ended otherwise than its client was told");
            check_request(*r, number);
            counts_.count(covered::single_primaries_checked);
        }
    }
}

/// All who hold it are its members, reach each other, and wait for nobody.
bool world::is_whole(std::size_t b) const {
    if (is_anybody_retired() || has_anybody_left() || limits_logs_ || holders(b).size() != 1) return false;
    return std::ranges::all_of(replicas_, [&](const auto& r) {
        return !r->shares[b].handle || r->shares[b].handle->is_member();
    });
}

/// When all have talked to each other for longer than the window, no request is remembered, and the state is as it was.
void world::check_forgetting(bool is_generous, std::size_t most_rounds) {
    if (request_window_.count() == 0) return;
    for (std::size_t b = 0; b < buckets_; ++b) {
        check_outcomes(b);
        for (const auto& r : replicas_) {
            if (r->shares[b].handle) check_digest(*r, b);
        }
    }
    const auto is_over = [&] {
        return std::ranges::all_of(replicas_, [&](const auto& r) {
            return std::ranges::all_of(r->shares, [](const share& s) { return !s.handle || s.handle->state()->requests() == 0; });
        });
    };
    // Clients' clocks may be ahead, replicas' behind. A window's fence is heard of, and then that it has been.
    auto earliest = start_of_time + now_;
    for (const auto& r : replicas_) earliest = std::min(earliest, wall(*r));
    auto latest = earliest;
    for (const auto& q : requests_) latest = std::max(latest, q.identity.issued.count());
    const auto step = request_window_.count() / 2;
    const auto most_steps = (latest - earliest) / step + 12;
    for (std::int64_t n = 0; n < most_steps && !is_over(); ++n) {
        now_ += step;
        for (auto& c : connections_) break_up(c, false);
        start_all();
        connect_all(is_generous);
        run_to_rest(most_rounds);
        // What each has on disk goes from one to the next.
        for (std::size_t hop = 0; hop < replicas_.size(); ++hop) {
            now_ += adverts_.count() + 1;
            // Budgets make adverts rarer.
            if (is_metered_) now_ += 5'000;
            run_to_rest(most_rounds);
        }
    }
    for (std::size_t b = 0; b < buckets_; ++b) {
        if (!is_whole(b)) continue;
        for (const auto& r : replicas_) {
            if (!r->shares[b].handle) continue;
            note_fixed(*r, b);
            if (const auto left = r->shares[b].handle->state()->requests(); left > 0)
                violate("replica " + std::to_string(r->index) + " still remembers " + std::to_string(left) + " requests");
            check_digest(*r, b);
        }
        counts_.count(covered::requests_forgotten_by_all);
        // Whoever brings one of them again is told that it is too old.
        for (std::size_t number = 0; number < requests_.size(); ++number) {
            auto& r = *chance_.pick(replicas_);
            if (requests_[number].bucket == b && requests_[number].is_fixed && r.shares[b].handle)
                execute(r, number, {r.index, request_role::primary, now_, 9});
        }
    }
    run_to_rest(most_rounds);
}

}  // namespace anabranch::simulation
