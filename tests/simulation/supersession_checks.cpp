// What readers of feeds, and who asks, are told of executions: which there were, which of them do not count, and where that
// changed what is shown.
#include <algorithm>
#include <set>

#include "simulation/world.hpp"
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"

namespace anabranch::simulation {
/// What a retired replica did since does not count, and yet somebody may have been told of it; and who does not know all kinds is
/// told of what he knows.
bool world::is_judged(std::size_t b) const {
    return later_leaves_ == 0 && std::ranges::none_of(replicas_, [&](const auto& r) { return r->shares[b].is_retired; });
}

/// Did something to what the consumer watches, or emptied what that lies in.
bool world::is_about(const consumer& c, const transaction_record& t) const {
    const auto below = simulation::path_of(fields_, c.below);
    // Rights that it has moved are no part of what it did, and are something that happened there.
    const auto moves_rights = [&](const operation& op) {
        return (op.what == action::transfer || op.what == action::request) && !op.parts.empty() &&
               path_of(fields_, fields_.leaves[static_cast<std::size_t>(op.target)]).starts_with(below);
    };
    return std::ranges::any_of(t.operations, moves_rights) || std::ranges::any_of(deeds_of(fields_, t), [&](const deed& d) {
        return d.path.starts_with(below) || (d.what == deed::kind::emptied && below.starts_with(d.path));
    });
}

const transaction_record* world::transaction_of(std::size_t b, const transaction_id& id) const { return histories_[b].find(index_of(id.origin), id.sequence); }

/// A feed of a path leaves out executions that have nothing to do with it; then it turns out only later that it has come by one.
void world::note_revealed(const replica& r, consumer& c, const feed_step& step, const execution_list& in_step) {
    for (const auto& s : step.superseded) {
        for (const auto* version : {&s.loser, &s.winner}) {
            const auto* t = transaction_of(c.bucket, version->transaction);
            if (t == nullptr || !t->execution) violate("a feed tells of an execution that never was");
            if (t->sequence <= c.place[t->origin] || std::ranges::find(in_step, t) != in_step.end()) continue;
            if (c.below == 0 || is_about(c, content_of(histories_[c.bucket], *t))) violate("a feed tells of an execution as if it had told of it");
            auto with = joined(c.place, t->context);
            with[t->origin] = t->sequence;
            if (!covers(durable_cut(r, c.bucket), with)) violate("a feed tells of an execution that is not on disk");
            skip_to(c, with);
        }
    }
}

void world::check_told(const replica& r, consumer& c, const feed_step& step, const execution_list& in_step, const cut& end,
                       const std::set<std::size_t>& told) {
    if (!is_judged(c.bucket)) return;
    note_revealed(r, c, step, in_step);
    const auto upto = joined(end, c.place);
    check_executions(r, c, step, in_step, upto);
    check_told_values(r, c, upto, told, step);
}

void world::check_executions(const replica& r, const consumer& c, const feed_step& step, const execution_list& in_step, const cut& end) {
    const auto& h = histories_[c.bucket];
    std::size_t told = 0;
    std::size_t superseded = 0;
    std::map<std::size_t, execution_list> before;
    for (const auto* t : in_step) {
        ++checks_;
        const auto number = t->execution->request;
        auto& earlier = before.try_emplace(number, h.executions_of(number, c.place)).first->second;
        const auto& content = content_of(h, *t);
        if (c.below == 0 || is_about(c, content)) {
            if (told == step.executions.size()) violate("a feed does not tell of an execution");
            const auto& x = step.executions[told++];
            const auto& q = requests_[number].identity;
            if (transaction_of(c.bucket, x.transaction) != t || x.identity != q.identity() || x.issued != q.issued || x.role != t->execution->role ||
                x.outcome != t->execution->outcome || x.result != content.execution->answer || x.confirms.has_value() != t->execution->confirms.has_value())
                violate("a feed is wrong about an execution of request " + std::to_string(number));
            check_unconfirmed(r, c, x, number, end);
            counts_.count(covered::executions_told);
            counts_.count(covered::executions_told_unconfirmed, x.is_unconfirmed);
            counts_.count(covered::confirmations_told, x.confirms.has_value());
        }
        if (const auto expected = superseded_by(h, earlier, *t)) {
            const bool is_shown = is_about(c, content_of(h, *expected->loser)) || is_about(c, content_of(h, *expected->winner));
            if (c.below == 0 || is_shown) {
                if (superseded == step.superseded.size()) violate("a feed does not tell that an execution of request " + std::to_string(number) + " was superseded");
                check_supersession(c, step.superseded[superseded++], *expected);
                counts_.count(covered::superseded_told);
                counts_.count(covered::superseded_told_on_arrival, expected->loser == t);
                counts_.count(covered::superseded_told_in_catch_ups, step.cause == change_cause::catch_up);
                counts_.count(covered::superseded_told_though_forgotten, r.shares[c.bucket].fixed.contains(number));
                counts_.count(covered::superseded_told_of_paths, c.below != 0);
            }
        } else if (!earlier.empty()) {
            counts_.count(covered::twins_told_of_equal_content);
        }
        earlier.push_back(t);
    }
    if (told != step.executions.size()) violate("a feed tells of an execution that was not in the step");
    if (superseded != step.superseded.size()) violate("a feed tells that an execution was superseded, and it was not");
}

void world::check_unconfirmed(const replica& r, const consumer& c, const executed_request& told, std::size_t number, const cut& upto) const {
    const auto& h = histories_[c.bucket];
    const auto is_primary = [](const auto* t) { return t->execution->role == request_role::primary; };
    const auto what = "a feed is wrong about whether request " + std::to_string(number) + " is confirmed";
    if (told.role == request_role::primary) {
        if (told.is_unconfirmed) violate(what);
        return;
    }
    const bool is_expected = std::ranges::none_of(h.executions_of(number, upto), is_primary);
    if (told.is_unconfirmed == is_expected) return;
    // It may have come by a primary one that has nothing to do with the path; and of a forgotten one that is confirmed no more
    // than that need be known.
    const auto all = h.executions_of(number, r.shares[c.bucket].has);
    const bool is_silent = std::ranges::any_of(all, [&](const auto* t) { return is_primary(t) && c.below != 0 && !is_about(c, content_of(h, *t)); });
    const bool is_over = r.shares[c.bucket].fixed.contains(number) && std::ranges::any_of(all, is_primary);
    if (told.is_unconfirmed || !(is_silent || is_over)) violate(what);
}

void world::check_version(const consumer& c, const request_version& told, const transaction_record& t) const {
    const auto& content = content_of(histories_[c.bucket], t);
    const auto what = "a version of request " + std::to_string(t.execution->request);
    if (transaction_of(c.bucket, told.transaction) != &t) violate(what + " is another execution");
    if (told.at != t.at || told.role != t.execution->role || told.outcome != t.execution->outcome || told.result != content.execution->answer)
        violate(what + " is told wrongly");
    const auto below = simulation::path_of(fields_, c.below);
    auto expected = deeds_of(fields_, content);
    std::erase_if(expected, [&](const deed& d) { return !d.path.starts_with(below) && !(d.what == deed::kind::emptied && below.starts_with(d.path)); });
    std::vector<deed> found;
    for (const auto& v : told.changes) found.push_back({path_of(v.change), static_cast<deed::kind>(v.change.what), v.value.value_or(""), v.amount, v.bound});
    if (found != expected) violate(what + " did something else");
}

void world::check_supersession(const consumer& c, const superseded_request& told, const supersession& expected) const {
    const auto& [loser, winner] = expected;
    check_version(c, told.loser, *loser);
    check_version(c, told.winner, *winner);
    const auto& q = requests_[loser->execution->request].identity;
    if (told.identity != q.identity() || told.issued != q.issued) violate("the wrong request was superseded");
    const auto reason = winner->execution->role != loser->execution->role         ? winning_reason::role
                        : winner->execution->outcome != loser->execution->outcome ? winning_reason::outcome
                        : winner->at != loser->at                                 ? winning_reason::time
                        : winner->origin != loser->origin                         ? winning_reason::replica
                                                                                  : winning_reason::sequence;
    if (told.reason != reason) violate("an execution was superseded for another reason than is told");
}

/// Wherever something else is shown after the step than before, it says so.
void world::check_told_values(const replica& r, const consumer& c, const cut& end, const std::set<std::size_t>& told, const feed_step& step) {
    const auto& h = histories_[c.bucket];
    const auto& s = r.shares[c.bucket];
    std::vector<std::string> emptied;
    for (const auto& change : step.changes) {
        if (change.what == change_kind::emptied || change.what == change_kind::suppressed) emptied.push_back(path_of(change));
    }
    for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
        if (!fields_.is_below(fields_.leaves[leaf], c.below) || told.contains(leaf)) continue;
        const auto path = simulation::path_of(fields_, fields_.leaves[leaf]);
        if (std::ranges::any_of(emptied, [&](const auto& prefix) { return path.starts_with(prefix); })) continue;
        ++checks_;
        auto before = evaluate(h, leaf, c.place, s.who, nullptr, s.fixed);
        auto after = evaluate(h, leaf, end, s.who, nullptr, s.fixed);
        before.rights = after.rights = {};  // whose come and go without a step, too
        if (before != after) violate("a feed does not tell that " + fields_.describe(fields_.leaves[leaf]) + " changes");
    }
}

/// The leaves that a step of it may name: its own, and where another execution begins to count, of that one and of the last.
std::uint64_t world::changed_by(const consumer& c, const transaction_record& t) const {
    if (!t.execution || !is_judged(c.bucket)) return touched_by_request(c.bucket, t);
    const auto& h = histories_[c.bucket];
    auto touched = h.touched_by(t);
    auto all = h.executions_of(t.execution->request, c.place);
    std::erase(all, &t);
    if (all.empty()) return touched;
    const auto& before = content_of(h, *winner_among(all));
    all.push_back(&t);
    const auto& after = content_of(h, *winner_among(all));
    if (&before != &after) touched |= h.touched_by(before) | h.touched_by(after);
    return touched;
}

/// Requests whose executions here did different things, or one of which confirms another.
std::vector<world::execution_list> world::rivals(std::size_t b, const share& s) const {
    std::vector<execution_list> found;
    for (std::size_t number = 0; number < requests_.size(); ++number) {
        if (requests_[number].bucket != b) continue;
        auto all = histories_[b].executions_of(number, s.has);
        if (all.size() > 1 && are_rivals(histories_[b], all)) found.push_back(std::move(all));
    }
    return found;
}

/// Who reads one of them in the log finds the others, too.
void world::check_rivals(const replica& r, std::size_t b, const cut& floor) const {
    if (!is_judged(b)) return;
    auto& local = *r.open->state();
    const auto number = r.shares[b].handle->state()->number();
    for (const auto& all : rivals(b, r.shares[b])) {
        const auto is_cut = [&](const auto* t) { return t->sequence <= floor[t->origin]; };
        if (std::ranges::all_of(all, is_cut)) continue;
        // Those that were open when the log was cut are kept beside it.
        const auto is_gone = [&](const auto* t) {
            const auto writer = local.origins().find(*replicas_[t->origin]->id);
            return is_cut(t) && !local.engine().get(storage::space::log, store_keys::log_key(number, *writer, t->sequence))->has_value();
        };
        if (std::ranges::any_of(all, is_gone))
            violate("replica " + std::to_string(r.index) + " has cut some executions of request " + std::to_string(all.front()->execution->request) + ", and not all");
    }
}

/// Asked for, they are listed as long as the log has them.
void world::check_superseded(const replica& r, std::size_t b) {
    const auto& s = r.shares[b];
    if (request_window_.count() == 0 || r.storage->is_dead() || !is_judged(b)) return;
    ++checks_;
    const auto listed = s.handle->superseded();
    if (!listed) violate("superseded requests cannot be listed: " + listed.error().message);
    if (!std::ranges::is_sorted(*listed, {}, &superseded_request::issued)) violate("superseded requests are listed in the wrong order");
    consumer whole;
    whole.bucket = b;
    std::size_t expected = 0;
    for (const auto& all : rivals(b, s)) {
        if (std::ranges::all_of(all, [&](const auto* t) { return t->sequence <= s.floor[t->origin]; })) continue;
        const auto* winner = winner_among(all);
        for (const auto* t : all) {
            if (is_same_content(histories_[b], *t, *winner)) continue;
            ++expected;
            const auto found = std::ranges::find_if(*listed, [&](const auto& l) { return transaction_of(b, l.loser.transaction) == t; });
            if (found == listed->end()) violate("request " + std::to_string(t->execution->request) + " is not listed as superseded");
            check_supersession(whole, *found, {t, winner});
        }
    }
    if (listed->size() != expected) violate("requests are listed as superseded that are not");
    counts_.count(covered::superseded_listed, expected);
}

}  // namespace anabranch::simulation
