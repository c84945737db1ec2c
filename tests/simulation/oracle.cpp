// Looks at the replicas, and compares with what the history says.
#include <algorithm>

#include "crdt/changes.hpp"
#include "simulation/world.hpp"
#include "store/bucket_state.hpp"
#include "store/log_stream.hpp"
#include "store/store_state.hpp"

namespace anabranch::simulation {

std::size_t world::index_of(const replica_id& id) const {
    for (const auto& r : replicas_) {
        if (r->id == id) return r->index;
    }
    violate("an unknown replica");
}

bool world::is_anybody_retired() const {
    return std::ranges::any_of(replicas_, [](const auto& r) {
        return std::ranges::any_of(r->shares, [](const share& s) { return s.is_retired; });
    });
}

bool world::has_anybody_left() const {
    return std::ranges::any_of(replicas_, [](const auto& r) {
        return std::ranges::any_of(r->shares, [](const share& s) { return s.has_left; });
    });
}

world::logged_record world::logged(const replica& r, std::size_t b, std::uint64_t sequence) const {
    const auto& state = *r.shares[b].handle->state();
    const auto key = store_keys::log_key(state.number(), *r.open->state()->origins().find(*r.id), sequence);
    const auto value = r.open->state()->engine().get(storage::space::log, key);
    if (!value || !*value) return {r.open->state()->clock().last(), {}};
    const auto body = detail::body_of(**value);
    return {oplog::record_time(body), detail::head_of(**value), oplog::is_execution(body)};
}

/// Nothing where it is cut already.
std::optional<crdt::changes> world::logged_changes(const replica& r, std::size_t b, std::uint64_t sequence) const {
    auto& local = *r.open->state();
    const auto self = *local.origins().find(*r.id);
    const auto value = local.engine().get(storage::space::log, store_keys::log_key(r.shares[b].handle->state()->number(), self, sequence));
    if (!value || !*value) return std::nullopt;
    const auto record = oplog::decode_record(detail::body_of(**value));
    if (!record) violate("a record in the log cannot be decoded");
    std::vector<origin> mentioned;
    for (const auto& id : record->mentioned) mentioned.push_back(*local.origins().find(id));
    auto changes = crdt::decode_changes(record->payload, {{self, sequence}, record->at}, mentioned);
    if (!changes) violate("the changes of a record in the log cannot be decoded");
    return changes;
}

/// The rights that a replica moved on its own account, and those that it asked for.
std::vector<operation> world::moved_rights(const replica& r, std::size_t b, std::uint64_t sequence) {
    const auto& origins = r.open->state()->origins();
    const auto changes = logged_changes(r, b, sequence);
    if (!changes) return {};
    std::vector<operation> moved;
    for (const auto& row : changes->rows) {
        const auto leaf = std::ranges::find_if(fields_.leaves, [&](const simulation::leaf& l) { return path_of(fields_, l) == row.key; });
        if (leaf == fields_.leaves.end()) violate("a replica has changed a row of its own accord that is none");
        const auto target = static_cast<int>(leaf - fields_.leaves.begin());
        auto context = r.shares[b].has;
        context[r.index] = sequence - 1;
        const auto before = escrow_generations(histories_[b], static_cast<std::size_t>(target), context, nullptr, {});
        for (const auto& g : std::get<crdt::escrow_row>(row.change.change).generations) {
            const birth_dot birth{index_of(origins.id(g.birth.writer)), g.birth.sequence};
            moved.push_back({action::request, target, 0, {}, 0, {{birth, 0}}});
            counts_.count(covered::rights_requested);
            const auto known = std::ranges::find(before, birth, &escrow_generation::birth);
            for (const auto& t : g.accounts.front().sent) {
                const auto to = index_of(origins.id(t.to));
                const auto amount = t.amount - (known == before.end() ? 0 : known->sent[r.index][to]);
                if (amount == 0) continue;
                if (amount < 0) violate("a replica has taken rights back");
                moved.push_back({action::transfer, target, amount, {}, to, {{birth, amount}}});
                counts_.count(covered::rights_sent);
            }
        }
    }
    return moved;
}

/// What the replica has written on its own account since the last look: it has seen what was here then.
void world::note_duties(replica& r, std::size_t b, std::uint64_t upto) {
    for (auto next = histories_[b].everything()[r.index] + 1; next <= upto; ++next) {
        // Of what did not count it may have been relieved before.
        cut context{};
        for (const auto& entry : r.shares[b].handle->progress()) context[index_of(entry.origin)] = entry.sequence;
        for (std::size_t o = 0; o < context.size(); ++o) context[o] = std::min(context[o], r.shares[b].has[o]);
        context[r.index] = next - 1;
        const auto record = logged(r, b, next);
        histories_[b].append_duty(r.index, context, record.at, record.head, moved_rights(r, b, next));
        check_duty(r, b, next);
        counts_.count(covered::duties);
    }
}

cut world::read_progress(const replica& r, std::size_t b) {
    cut now{};
    for (const auto& entry : r.shares[b].handle->progress()) {
        const auto origin =
            std::ranges::find_if(replicas_, [&](const auto& other) { return other->id == entry.origin; });
        if (origin == replicas_.end()) violate("progress names an unknown replica");
        const auto o = (*origin)->index;
        now[o] = entry.sequence;
        const auto* last = histories_[b].find(o, entry.sequence);
        if (last == nullptr) {
            violate("replica " + std::to_string(r.index) + " has transaction " +
                    std::to_string(entry.sequence) + " of replica " + std::to_string(o) +
                    ", which was never committed");
        }
        if (last->head != hash128{} && last->head != entry.head)
            violate("two payloads for one dot: transaction " + std::to_string(entry.sequence) + " of replica " + std::to_string(o));
        trace_ = random_source::scramble(trace_ ^ entry.head[0] ^ entry.sequence << 8);
    }
    return now;
}

heirs world::read_heirs(const replica& r, std::size_t b) const {
    heirs who{};
    const auto roster = r.shares[b].handle->state()->roster();
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
        who[i] = i;
        for (const auto* m = roster.find(*replicas_[i]->id); m != nullptr && m->heir; m = roster.find(*m->heir)) who[i] = index_of(*m->heir);
    }
    return who;
}

void world::observe(replica& r, std::size_t b, cut allowed) {
    auto& s = r.shares[b];
    if (!s.handle) return;
    ++checks_;
    const auto progress = s.handle->progress();
    const auto own = std::ranges::find(progress, *r.id, &progress_entry::origin);
    if (own != progress.end()) {
        note_duties(r, b, own->sequence);
        allowed[r.index] = std::max(allowed[r.index], own->sequence);
    }
    const auto now = read_progress(r, b);
    const bool has_gone_back = !covers(now, s.has);
    if (has_gone_back) note_orphans(r, b, now);
    if (!covers(allowed, now)) {
        violate("replica " + std::to_string(r.index) + " has " + to_string(now) + ", which goes beyond " +
                to_string(allowed));
    }
    auto touched = has_gone_back ? all_leaves() : std::uint64_t{0};
    std::set<std::size_t> executed;
    const auto roster = limits_logs_ && now != s.has ? s.handle->state()->roster() : crdt::roster{};
    for (std::size_t o = 0; o < now.size(); ++o) {
        const bool lags = now[o] > s.has[o] && roster.is_laggard(*replicas_[o]->id);
        if (o != r.index && lags) counts_.count(covered::laggards_writes_delivered, now[o] - s.has[o]);
        for (auto sequence = s.has[o] + 1; sequence <= now[o]; ++sequence) {
            const auto& t = *histories_[b].find(o, sequence);
            if (!covers(now, t.context)) {
                violate("transaction " + std::to_string(sequence) + " of replica " + std::to_string(o) + ", which has seen " + to_string(t.context) +
                        ", arrived at replica " + std::to_string(r.index) + ", which has " + to_string(now));
            }
            if (o != r.index && t.at > horizon(r)) violate("a transaction from beyond the horizon was taken");
            touched |= touched_by_request(b, t);
            if (t.execution) executed.insert(t.execution->request);
            if (o != r.index) counts_.count(covered::transactions_delivered);
        }
    }
    if (now != s.has) {
        s.who = read_heirs(r, b);
        if (chance_.one_in(6)) s.once_had = s.has;
        s.has = s.may_have = now;
        s.marks.push_back({r.storage->last_log_write(), now});
    }
    check_durable(r, b);
    note_cut(r, b);
    note_fixed(r, b);
    check_adverts(r, b);
    for (const auto number : executed) check_request(r, number);
    if (touched != 0) check_values(r, b, touched);
    if (touched != 0) check_bounds(b);
}

/// Nobody takes for seen what another one only holds: it may go on with what that has ended.
void world::check_adverts(const replica& r, std::size_t b) {
    if (std::ranges::none_of(replicas_, [&](const auto& other) { return lacks_requests(*other); })) return;
    const auto adverts = r.shares[b].handle->state()->adverts();
    for (const auto& other : replicas_) {
        const auto advert = lacks_requests(*other) && other->id ? adverts.find(*other->id) : adverts.end();
        if (advert == adverts.end()) continue;
        ++checks_;
        const auto known = to_cut(advert->second);
        for (std::size_t number = 0; number < requests_.size(); ++number) {
            if (requests_[number].bucket != b) continue;
            for (const auto* t : histories_[b].executions_of(number, known)) {
                // What a state has brought it has seen.
                if (t->sequence > other->shares[b].floor[t->origin])
                    violate("replica " + std::to_string(other->index) + " does not know requests, and is taken for one that has seen an execution");
            }
        }
    }
}

/// The conflict view names what stands, whose it is, when it was written, and which of it is shown.
void world::check_contenders(const map_view& root, std::size_t b, std::size_t leaf, const cut& of) {
    const auto& l = fields_.leaves[leaf];
    const auto& n = fields_.nodes[static_cast<std::size_t>(l.at)];
    const auto map = find_map(fields_, root, n.parent);
    const auto found = !is_set(l.type)                          ? map.contenders(n.name, n.type)
                       : n.type == field_type::add_wins_set ? map.add_wins_set(n.name).contenders(l.element)
                                                                : map.remove_wins_set(n.name).contenders(l.element);
    if (!found) violate("no contenders: " + found.error().message);
    counts_.count(covered::contenders_checked);
    ++checks_;
    if (l.type == field_type::counter || l.type == field_type::bounded_counter) {
        std::int64_t sum = 0;
        for (const auto& c : *found) sum += c.amount;
        if (sum != evaluate(histories_[b], leaf, of, {}).sum) violate("a counter's parts are not the whole");
        return;
    }
    std::vector<shown_entry> shown;
    const bool is_register = l.type == field_type::last_writer || l.type == field_type::multi_value;
    for (const auto& c : *found) {
        if (c.why == standing::removal) continue;
        const auto o = index_of(c.writer.origin);
        const auto* t = histories_[b].find(o, c.writer.sequence);
        if (t == nullptr || (c.at && *c.at != t->at) || (is_register && !c.at)) violate("a contender's time is wrong");
        if (c.is_shown != (l.type != field_type::last_writer || shown.empty())) violate("the wrong contender is shown");
        shown.push_back({t->at, o, c.writer.sequence, c.value});
    }
    auto expected = simulation::standing(histories_[b], leaf, of);
    if (!is_register) {
        std::ranges::sort(expected, {}, [](const auto& e) { return std::pair(e.origin, e.sequence); });
        std::ranges::sort(shown, {}, [](const auto& e) { return std::pair(e.origin, e.sequence); });
    }
    if (shown != expected) violate("the contenders of " + fields_.describe(l) + " are others than those that stand");
}

/// No bounded counter is below its bound, of all that has happened anywhere.
void world::check_bounds(std::size_t b) {
    // What a replica does that is being retired counts in part, and its heir relies on which part.
    if (is_anybody_retired()) return;
    heirs own{};
    for (std::size_t i = 0; i < own.size(); ++i) own[i] = i;
    for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
        if (fields_.leaves[leaf].type != field_type::bounded_counter) continue;
        ++checks_;
        const auto all = evaluate(histories_[b], leaf, histories_[b].everything(), own);
        if (all.sum < all.bound) violate(fields_.describe(fields_.leaves[leaf]) + " is " + describe(field_type::bounded_counter, all));
    }
}

void world::observe(replica& r) {
    for (std::size_t b = 0; b < buckets_; ++b) observe(r, b, r.shares[b].has);
    for (std::size_t b = 0; b < buckets_; ++b) check_arriving(r, b);
}

/// Durable is what a loss of power now would leave, and nothing more is called durable.
void world::check_durable(replica& r, std::size_t b) {
    auto& s = r.shares[b];
    while (!s.marks.empty() && s.marks.front().writes <= r.storage->synced()) {
        s.durable = s.marks.front().has;
        s.marks.pop_front();
    }
    for (const auto& entry : s.handle->durable_progress()) {
        const auto origin =
            std::ranges::find_if(replicas_, [&](const auto& other) { return other->id == entry.origin; });
        if (origin == replicas_.end() || entry.sequence > s.durable[(*origin)->index]) {
            violate("replica " + std::to_string(r.index) + " calls durable what is not");
        }
    }
}

void world::check_values(replica& r, std::size_t b, std::uint64_t leaves) {
    const auto& s = r.shares[b];
    note_fixed(r, b);
    if (s.is_spoiled) return;
    const auto done = s.handle->read([&](const map_view& root) {
        for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
            if ((leaves >> leaf & 1) == 0) continue;
            check_leaf(root, b, leaf, evaluate(histories_[b], leaf, s.has, s.who, nullptr, s.fixed), r.index, "in the store");
            if (chance_.one_in(4) && !is_hidden(r, leaf) && is_shown_whole(r, leaf)) check_contenders(root, b, leaf, s.has);
        }
    });
    // Whatever fails to be written, reads go on.
    if (!done) violate("a read failed: " + done.error().message);
}

/// What it shows; `expected` is for what its type does not say.
field_value world::read_leaf(const map_view& root, std::size_t leaf, const field_value& expected) const {
    const auto& l = fields_.leaves[leaf];
    const auto& n = fields_.nodes[static_cast<std::size_t>(l.at)];
    const auto map = find_map(fields_, root, n.parent);
    field_value found;
    found.exists = expected.exists;  // where the type does not say
    const auto value_of = [&](auto outcome) {
        if (!outcome) violate("a read of " + fields_.describe(l) + " failed: " + outcome.error().message);
        return *std::move(outcome);
    };
    switch (l.type) {
        case field_type::counter:
            found.sum = value_of(map.counter(n.name).value());
            break;
        case field_type::last_writer: {
            const auto value = value_of(map.last_writer<std::string>(n.name).get());
            found.exists = value.has_value();
            // The view does not say whose it is; each value is written once.
            if (value) found.entries = expected.entries;
            if (value && !expected.entries.empty() && expected.entries.front().value != *value)
                found.entries.front().value = *value;
            break;
        }
        case field_type::multi_value:
            for (auto& c : value_of(map.multi_value<std::string>(n.name).get())) {
                const auto origin = std::ranges::find_if(
                    replicas_, [&](const auto& other) { return other->id == c.writer.origin; });
                if (origin == replicas_.end()) violate("a value was written by an unknown replica");
                found.entries.push_back({c.at, (*origin)->index, c.writer.sequence, std::move(c.value)});
            }
            found.exists = !found.entries.empty();
            break;
        case field_type::enable_wins_flag:
            found.exists = value_of(map.enable_wins_flag(n.name).value());
            break;
        case field_type::disable_wins_flag:
            found.exists = value_of(map.disable_wins_flag(n.name).value());
            break;
        case field_type::add_wins_set:
            found.exists = value_of(map.add_wins_set(n.name).contains(l.element));
            break;
        case field_type::remove_wins_set:
            found.exists = value_of(map.remove_wins_set(n.name).contains(l.element));
            break;
        case field_type::bounded_counter: {
            const auto counter = map.bounded_counter(n.name);
            found.sum = value_of(counter.value());
            found.bound = value_of(counter.bound());
            for (const auto& holder : value_of(counter.rights())) found.rights[index_of(holder.replica)] = holder.amount;
            break;
        }
        case field_type::map:
            break;
    }
    return found;
}

void world::check_leaf(const map_view& root, std::size_t b, std::size_t leaf, const field_value& of_all,
                       std::size_t reader, const char* where) {
    if (!is_shown_whole(*replicas_[reader], leaf)) return;
    ++checks_;
    const auto expected = is_hidden(*replicas_[reader], leaf) ? field_value{} : of_all;
    const auto& l = fields_.leaves[leaf];
    const auto found = read_leaf(root, leaf, expected);
    if (l.type == field_type::bounded_counter) {
        const auto& n = fields_.nodes[static_cast<std::size_t>(l.at)];
        const auto available = find_map(fields_, root, n.parent).bounded_counter(n.name).available();
        // Who was retired has what it did since and does not count, beside what its heir did with its rights.
        if (found.sum < found.bound && !replicas_[reader]->shares[b].is_retired) violate(fields_.describe(l) + " is below its bound: " + describe(l.type, found));
        // A new incarnation has none yet; it goes on as another replica here, soon.
        const auto self = replicas_[reader]->open->id();
        if (available != (self == *replicas_[reader]->id ? found.rights[reader] : 0)) violate("a replica may spend other rights than its own");
    }
    if (found == expected) return;
    violate(std::string(bucket_names[b]) + fields_.describe(l) + " shows " + describe(l.type, found) + ' ' +
            where + ", and is " + describe(l.type, expected));
}

/// Listings: which fields and elements exist.
void world::check_scans(const map_view& root, std::size_t b, const cut& of, const replica& reader,
                        const transaction_record* pending) {
    if (lacks_requests(reader)) return;
    counts_.count(covered::scans_checked);
    std::uint64_t existing = 0;  // nodes
    for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
        if (!is_hidden(reader, leaf) && evaluate(histories_[b], leaf, of, {}, pending).exists) existing |= fields_.leaves[leaf].above;
    }
    const auto value_of = [&](auto outcome) {
        if (!outcome) violate("a scan failed: " + outcome.error().message);
        return *std::move(outcome);
    };
    scan_range range;
    if (chance_.chance(30)) range.prefix = "a";
    if (chance_.chance(30)) range.after = chance_.chance(50) ? std::string(1, '\0') : "a";
    if (chance_.chance(30)) range.limit = 1 + chance_.below(2);
    const auto is_in_range = [&](const std::string& name) {
        return name.starts_with(range.prefix) && (!range.after || name > *range.after);
    };
    for (const int at : fields_.maps) {
        ++checks_;
        const auto map = find_map(fields_, root, at);
        if (value_of(map.exists()) != ((existing >> at & 1) != 0))
            violate("a map exists, or does not, against the history");
        std::vector<field> expected;
        for (std::size_t i = 1; i < fields_.nodes.size(); ++i) {
            const auto& n = fields_.nodes[i];
            if (n.parent == at && (existing >> i & 1) != 0 && is_in_range(n.name))
                expected.push_back({n.name, n.type});
        }
        std::ranges::sort(expected, [](const field& x, const field& y) {
            return std::pair(std::string_view(x.name), static_cast<char>(x.type)) <
                   std::pair(std::string_view(y.name), static_cast<char>(y.type));
        });
        if (expected.size() > range.limit) expected.resize(range.limit);
        if (value_of(map.fields(range)) != expected)
            violate("the fields of " + fields_.describe(at) + " are listed wrongly");
    }
    for (std::size_t i = 0; i < fields_.nodes.size(); ++i) {
        const auto& n = fields_.nodes[i];
        if (!is_set(n.type)) continue;
        ++checks_;
        const auto map = find_map(fields_, root, n.parent);
        const auto set =
            n.type == field_type::add_wins_set ? map.add_wins_set(n.name) : map.remove_wins_set(n.name);
        std::vector<std::string> expected;
        std::size_t size = 0;
        for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
            const auto& l = fields_.leaves[leaf];
            if (static_cast<std::size_t>(l.at) != i || is_hidden(reader, leaf) || !evaluate(histories_[b], leaf, of, {}, pending).exists)
                continue;
            ++size;
            if (is_in_range(l.element)) expected.push_back(l.element);
        }
        std::ranges::sort(expected);
        if (expected.size() > range.limit) expected.resize(range.limit);
        if (value_of(set.elements(range)) != expected)
            violate("the elements of " + fields_.describe(static_cast<int>(i)) + " are listed wrongly");
        if (value_of(set.size()) != size) violate("a set's size is wrong");
    }
}

void world::check_whole(replica& r) {
    for (std::size_t b = 0; b < buckets_; ++b) {
        auto& s = r.shares[b];
        if (!s.handle) continue;
        check_values(r, b, all_leaves());
        for (const auto number : remembered(r, b)) check_request(r, number);
        check_unconfirmed(r, b);
        check_superseded(r, b);
        if (!chance_.chance(50) || s.is_spoiled) continue;
        const auto done = s.handle->read([&](const map_view& root) { check_scans(root, b, s.has, r); });
        if (!done) violate("a read failed: " + done.error().message);
    }
}

void world::check_snapshot(const held_snapshot& s, std::size_t reader) {
    counts_.count(covered::snapshots_checked);
    for (std::size_t leaf = 0; leaf < fields_.leaves.size(); ++leaf) {
        check_leaf(s.view, s.bucket, leaf, evaluate(histories_[s.bucket], leaf, s.of, s.who, nullptr, s.fixed), reader,
                   "in a snapshot");
    }
    check_scans(s.view, s.bucket, s.of, *replicas_[reader]);
}

/// Digests are equal iff what is live is.
void world::check_digest(replica& r, std::size_t b) {
    if (r.shares[b].is_spoiled || lacks_requests(r)) return;
    const auto digest = r.shares[b].handle->digest();
    if (!digest) violate("no digest: " + digest.error().message);
    counts_.count(covered::digests_compared);
    ++checks_;
    const auto state = live_state(histories_[b], r.shares[b].has, hidden_leaves(r));
    for (const auto& [other_state, other_digest] : digests_[b]) {
        if ((other_state == state) != (other_digest == *digest)) {
            const auto equal = std::string("equal"), different = std::string("different");
            violate((other_state == state ? equal : different) + " states have " +
                    (other_state == state ? different : equal) + " digests: replica " +
                    std::to_string(r.index) + " at " + to_string(r.shares[b].has) + ' ' +
                    anabranch::to_string(*digest) + " and " + anabranch::to_string(other_digest) +
                    ", bucket " + std::to_string(b) + ": " + state);
        }
    }
    if (std::ranges::find(digests_[b], state, &std::pair<std::string, hash128>::first) == digests_[b].end()) {
        digests_[b].emplace_back(state, *digest);
    }
}

}  // namespace anabranch::simulation
