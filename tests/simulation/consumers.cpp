// Who reads along: consumers of change feeds, and clients that come with session tokens.
#include <algorithm>
#include <set>

#include "simulation/world.hpp"
#include "store/bucket_state.hpp"

namespace anabranch::simulation {
namespace {

constexpr std::size_t most_consumers = 2;

/// Puts something there that was not there before, or takes rights.
bool is_update(const operation& op) {
    switch (op.what) {
        case action::add:
        case action::assign:
        case action::insert:
        case action::deposit: return true;
        case action::spend: return std::ranges::any_of(op.parts, [](const auto& p) { return p.amount > 0; });
        default: return false;
    }
}

}  // namespace

bool world::open_feed() {
    auto& r = *chance_.pick(replicas_);
    return open_feed(r, chance_.below(buckets_));
}

bool world::open_feed(replica& r, std::size_t b) {
    if (!r.open || !r.shares[b].handle || r.storage->is_full() || r.storage->is_filling()) return false;
    if (r.consumers.size() == most_consumers) r.consumers.erase(r.consumers.begin());
    consumer c{b, static_cast<int>(chance_.one_in(3) ? chance_.below(fields_.nodes.size()) : 0), {}, {}, {}, {}};
    auto opened = r.shares[b].handle->watch(fields_to(c.below));
    trace("open feed", {{"replica", r.index}, {"bucket", b}, {"ok", opened.has_value()}});
    if (r.storage->is_dead()) return true;
    if (!opened) violate("no feed: " + opened.error().message);
    c.place = durable_cut(r, b);
    c.open = std::move(*opened);
    r.consumers.push_back(std::move(c));
    observe(r);
    wake(r);
    return true;
}

/// Of a node.
std::vector<field> world::fields_to(int at) const {
    std::vector<field> path;
    for (; at > 0; at = fields_.nodes[static_cast<std::size_t>(at)].parent) {
        path.insert(path.begin(), {fields_.nodes[static_cast<std::size_t>(at)].name, fields_.nodes[static_cast<std::size_t>(at)].type});
    }
    return path;
}

cut world::durable_cut(const replica& r, std::size_t b) const {
    cut c{};
    for (const auto& entry : r.shares[b].handle->durable_progress()) c[index_of(entry.origin)] = entry.sequence;
    return c;
}

bool world::pull_feed() {
    auto& r = *chance_.pick(replicas_);
    if (!r.open || r.consumers.empty()) return false;
    auto& c = chance_.pick(r.consumers);
    if (!r.shares[c.bucket].handle) return false;
    (void)pull_feed(r, c);
    return true;
}

/// Consumers who have been away read all that they have missed.
void world::catch_up_feeds(unsigned percent) {
    for (auto& r : replicas_) {
        for (std::size_t i = 0; i < r->consumers.size();) {
            const auto all = r->consumers.size();
            const bool reads = chance_.chance(percent) && r->shares[r->consumers[i].bucket].handle;
            while (reads && r->consumers.size() == all && pull_feed(*r, r->consumers[i])) continue;
            if (r->consumers.size() == all) ++i;
        }
    }
}

/// Whether there is more. A consumer who is too slow is gone then.
bool world::pull_feed(replica& r, consumer& c) {
    auto& s = r.shares[c.bucket];
    if (!c.open) {
        auto resumed = s.handle->resume(c.token, fields_to(c.below));
        trace("resume feed", {{"replica", r.index}, {"bucket", c.bucket}, {"ok", resumed.has_value()}});
        if (!resumed) {
            // It has seen what did not count.
            const bool is_lost = resumed.error().code == errc::invalid_token && !covers(s.has, c.token_place);
            if (!is_lost) violate("a feed cannot go on: " + resumed.error().message);
            counts_.count(covered::feeds_behind_cut);
            r.consumers.erase(std::ranges::find(r.consumers, &c, [](const consumer& each) { return &each; }));
            return false;
        }
        c.open = std::move(*resumed);
        c.place = c.token_place;
        counts_.count(covered::feeds_resumed);
    }
    const auto batch = c.open->pull(1 + chance_.below(6));
    trace("pull feed", {{"replica", r.index}, {"bucket", c.bucket}, {"ok", batch.has_value()}});
    if (r.storage->is_dead()) return false;
    observe(r);
    wake(r);
    note_fixed(r, c.bucket);
    if (!batch) {
        const bool is_behind = batch.error().code == errc::behind_cut;
        if (is_behind && covers(c.place, s.floor) && covers(s.has, c.place)) violate("a feed is behind a cut that it is not behind");
        if (!is_behind && !r.storage->is_full()) violate("a feed cannot be read: " + batch.error().message);
        if (is_behind) {
            counts_.count(covered::feeds_behind_cut);
            r.consumers.erase(std::ranges::find(r.consumers, &c, [](const consumer& each) { return &each; }));
        }
        return false;
    }
    for (const auto& step : batch->steps) check_step(r, c, step);
    if (!batch->more) skip_to(c, durable_cut(r, c.bucket));
    if (chance_.chance(40)) {
        const auto token = c.open->token();
        const bool is_founded = s.handle->state()->roster().founder.has_value();
        if (token.has_value() != is_founded) violate("a token there is not, or should not be");
        if (!token) return batch->more;
        c.token = *token;
        c.token_place = c.place;
    }
    return batch->more;
}

/// A leaf that is below what the consumer watches and that the transaction leaves with something new in it.
bool world::must_tell(const consumer& c, const transaction_record& t, std::size_t leaf) const {
    const auto& l = fields_.leaves[leaf];
    // What was not known when it came is not told afterwards.
    if (!fields_.is_below(l, c.below) || (later_leaves_ >> leaf & 1) != 0) return false;
    const operation* last = nullptr;
    for (const auto& op : t.operations) {
        const bool is_about = op.what == action::clear ? fields_.is_below(l, op.target) : static_cast<std::size_t>(op.target) == leaf;
        if (is_about && op.what != action::request) last = &op;
    }
    return last != nullptr && is_update(*last);
}

/// Nothing of `of` that it has not seen has to do with that leaf: so it shows in a fold, too, whoever made that.
bool world::is_undisturbed(std::size_t b, const transaction_record& t, std::size_t leaf, const cut& of) const {
    return std::ranges::none_of(histories_[b].operations_on(leaf, of, nullptr), [&](const placed& p) {
        return p.in != &t && p.op().what != action::request && t.context[p.in->origin] < p.in->sequence;
    });
}

/// What the consumer was not told of has nothing to do with what it watches.
void world::skip_to(consumer& c, const cut& end) {
    for (std::size_t o = 0; o < end.size(); ++o) {
        for (auto sequence = c.place[o] + 1; sequence <= end[o]; ++sequence) {
            const auto& t = *histories_[c.bucket].find(o, sequence);
            if (t.execution && is_judged(c.bucket) && (c.below == 0 || is_about(c, content_of(histories_[c.bucket], t))))
                violate("a feed left out execution " + std::to_string(sequence) + " of replica " + std::to_string(o));
            for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
                if (!must_tell(c, t, leaf) || !is_undisturbed(c.bucket, t, leaf, histories_[c.bucket].everything())) continue;
                violate("a feed left out transaction " + std::to_string(sequence) + " of replica " + std::to_string(o));
            }
        }
        c.place[o] = std::max(c.place[o], end[o]);
    }
}

void world::check_step(const replica& r, consumer& c, const feed_step& step) {
    ++checks_;
    const auto& h = histories_[c.bucket];
    if (step.transaction.sequence > r.shares[c.bucket].durable[index_of(step.transaction.origin)]) violate("a feed tells of what is not on disk");
    std::set<std::size_t> told;
    for (const auto& change : step.changes) {
        if (change.what == change_kind::emptied) continue;
        const auto leaf = std::ranges::find_if(fields_.leaves, [&](const simulation::leaf& l) { return simulation::path_of(fields_, l) == path_of(change); });
        // Something that another execution had emptied.
        if (leaf == fields_.leaves.end() && change.what == change_kind::suppressed) continue;
        if (leaf == fields_.leaves.end()) violate("a feed tells of a field that there is not");
        const auto at = static_cast<std::size_t>(leaf - fields_.leaves.begin());
        if (!fields_.is_below(*leaf, c.below)) violate("a feed tells of what it does not watch");
        if (!told.insert(at).second) violate("a feed tells twice of one field in one step");
    }
    const auto expect = [&](std::size_t leaf, const char* what) {
        if (!told.contains(leaf)) violate(std::string("a feed does not tell of ") + fields_.describe(fields_.leaves[leaf]) + " in " + what);
    };
    if (step.cause == change_cause::catch_up) {
        counts_.count(covered::feed_catch_ups);
        cut before = c.place;
        for (const auto& range : step.ranges) {
            const auto o = index_of(range.origin);
            if (range.first <= c.place[o]) violate("a feed tells twice of one transaction");
            for (auto sequence = range.first; sequence <= range.last; ++sequence) before = joined(before, h.find(o, sequence)->context);
        }
        // Of what they have seen, the rest has nothing to do with what is watched.
        auto end = before;
        for (const auto& range : step.ranges) {
            before[index_of(range.origin)] = range.first - 1;
            end[index_of(range.origin)] = std::max(end[index_of(range.origin)], range.last);
        }
        skip_to(c, before);
        execution_list in_step;
        for (const auto& range : step.ranges) {
            const auto o = index_of(range.origin);
            for (auto sequence = range.first; sequence <= range.last; ++sequence) {
                const auto& t = *h.find(o, sequence);
                if (t.execution) in_step.push_back(&t);
                for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
                    // What another one has taken away again need not be in it any more.
                    if (must_tell(c, t, leaf) && is_undisturbed(c.bucket, t, leaf, h.everything())) expect(leaf, "a catch-up");
                }
            }
        }
        std::ranges::sort(in_step, {}, [](const auto* t) { return std::pair(t->at, t->origin); });
        check_told(r, c, step, in_step, end, told);
        c.place = end;
        return;
    }
    const auto o = index_of(step.transaction.origin);
    const auto* t = h.find(o, step.transaction.sequence);
    if (t == nullptr || t->sequence <= c.place[o]) violate("a feed tells of a transaction twice, or of one that never was");
    if (t->at != step.at) violate("a feed is wrong about a transaction's time");
    cut before = c.place;
    before[o] = t->sequence - 1;
    skip_to(c, before);
    // Of what it has seen, the rest has nothing to do with what is watched.
    skip_to(c, joined(c.place, t->context));
    counts_.count(covered::feed_steps);
    auto end = c.place;
    end[o] = t->sequence;
    check_told(r, c, step, t->execution ? execution_list{t} : execution_list{}, end, told);
    end = joined(end, c.place);
    const auto touched = changed_by(c, *t);
    for (const auto leaf : told) {
        if ((touched >> leaf & 1) == 0) violate("a feed tells of a change that the transaction did not make");
    }
    for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
        if (must_tell(c, *t, leaf)) expect(leaf, "a transaction");
    }
    c.place = end;
}

/// A client comes to some replica with what it has seen elsewhere, and sees more.
bool world::visit() {
    auto& r = *chance_.pick(replicas_);
    const auto b = chance_.below(buckets_);
    if (!r.open || !r.shares[b].handle) return false;
    auto& s = r.shares[b];
    auto& c = clients_[b][chance_.below(clients_[b].size())];
    trace("visit", {{"replica", r.index}, {"bucket", b}});
    const auto roster = s.handle->state()->roster();
    session_token token;
    if (!c.token.empty()) {
        const auto read = s.handle->unseal(c.token);
        if (!read && read.error().code == errc::not_a_member && !roster.founder) return true;
        if (!read) violate("a session token cannot be read: " + read.error().message);
        token = *read;
    }
    ++checks_;
    std::uint64_t expected = 0;
    bool is_lost = false;
    for (std::size_t o = 0; o < replicas_.size(); ++o) {
        expected += c.seen[o] - std::min(c.seen[o], s.has[o]);
        const auto* m = roster.find(*replicas_[o]->id);
        is_lost = is_lost || (m != nullptr && m->at == crdt::roster::stage::retired && c.seen[o] > std::max(m->last, s.has[o]));
    }
    const auto missing = s.handle->missing(token);
    if (is_lost != (!missing && missing.error().code == errc::retired)) violate("a session is told wrongly what will never be there");
    if (!is_lost && missing != expected) violate("a session is told wrongly how much is missing");
    counts_.count(is_lost ? covered::sessions_lost : expected == 0 ? covered::sessions_caught_up : covered::sessions_behind);
    if (is_lost || !roster.founder) {
        c = {};
        return true;
    }
    if (chance_.chance(60)) {
        const auto o = chance_.below(replicas_.size());
        if (s.has[o] > 0) token.add(transaction_id{*replicas_[o]->id, s.has[o]});
        c.seen[o] = std::max(c.seen[o], s.has[o]);
    } else {
        token.add(s.handle->progress());
        c.seen = joined(c.seen, s.has);
    }
    const auto sealed = s.handle->seal(token);
    if (!sealed) violate("no session token: " + sealed.error().message);
    c.token = *sealed;
    return true;
}

}  // namespace anabranch::simulation
