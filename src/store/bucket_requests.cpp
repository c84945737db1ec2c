// Requests of clients: each counts once, however many executions of it there are. docs/requests.md
#include <anabranch/limits.hpp>
#include <algorithm>
#include <set>

#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/inside_guard.hpp"
#include "store/log_stream.hpp"
#include "store/store_state.hpp"

namespace anabranch::detail {
namespace {

std::vector<dot> ids_of(const known_request& known) {
    std::vector<dot> all;
    for (const auto& x : known.executions) all.push_back(x.id);
    return all;
}

std::uint64_t milliseconds(std::chrono::milliseconds t) { return static_cast<std::uint64_t>(std::max<std::int64_t>(t.count(), 0)); }

}  // namespace

// --- executing -------------------------------------------------------------------------------------------

result<receipt> bucket_state::commit(const request& r, const std::function<result<std::string>(transaction&)>& fn, durability wait_for) {
    if (auto allowed = check_outside(); !allowed) return fail(allowed.error());
    if (r.key.empty()) return fail(errc::invalid_argument, "a request without a key");
    std::unique_lock lock(mutex_);
    const auto before = tail_of(store_.self().number).sequence;
    auto done = answer(r, r.identity(), [&](transaction_access& in, const transaction_id& id, timestamp at) {
        transaction tx(in, id, at);
        return fn(tx);
    });
    const bool is_logged = tail_of(store_.self().number).sequence != before;
    const bool has_news = rebalancing_.has_errands() || is_logged;
    lock.unlock();
    if (has_news) store_.notify();
    // What is answered again has to be as safe as it was the first time.
    if (done && wait_for == durability::disk) {
        if (auto synced = store_.sync(); !synced) return fail(synced.error());
    }
    return done;
}

result<receipt> bucket_state::answer(const request& r, const hash128& identity, const program& run) {
    if (auto ready = check_ready(); !ready) return fail(ready.error());
    if (auto whole = check_whole(); !whole) return fail(whole.error());
    if (!knows_requests()) return fail(errc::unsupported_protocol, "this build does not know requests");
    const auto known = requests_.find(identity);
    if (!known) return fail(known.error());
    return *known ? repeat(r, identity, **known) : execute(r, identity, run);
}

result<void> bucket_state::check_time(const request& r) const {
    const auto* self = members_.roster().find(store_.self().id);
    const auto fence = self == nullptr ? 0 : self->refuses_before();
    if (milliseconds(r.issued) < fence) {
        return fail(errc::request_too_old, "a request issued at " + std::to_string(r.issued.count()) + "; what was issued before " +
                                               std::to_string(fence) + " has been forgotten");
    }
    const auto now = store_.options().env.now();
    if (r.issued > now + store_.options().request_max_lead) {
        return fail(errc::request_from_future, "a request issued " + std::to_string((r.issued - now).count()) + " ms from now");
    }
    if (requests_.size() >= store_.options().request_capacity) {
        return fail(errc::too_many_requests, "bucket \"" + name_ + "\" remembers " + std::to_string(requests_.size()) +
                                                 " requests, as many as it may");
    }
    return {};
}

result<receipt> bucket_state::execute(const request& r, const hash128& identity, const program& run) {
    if (auto member = check_member(); !member) return fail(member.error());
    if (auto timely = check_time(r); !timely) return fail(timely.error());
    if (auto room = make_room(); !room) return fail(room.error());
    const auto& self = store_.self();
    const auto last = tail_of(self.number);
    const dot me{self.number, last.sequence + 1};
    const auto at = store_.clock().next();
    transaction_access access(surroundings(), me, at, true);
    auto answer = [&] {
        const inside_guard guard;
        return run(access, {self.id, me.sequence}, at);
    }();
    if (!answer || (!access.is_refused() && !access.status())) {
        note_demands(access.demands(), false);
        return fail(answer ? access.status().error() : answer.error());
    }
    if (answer->size() > limits::request_result) {
        return fail(errc::limit_exceeded, "an answer of " + std::to_string(answer->size()) + " bytes; the limit is " +
                                              std::to_string(limits::request_result));
    }
    crdt::executed what;
    what.request = {identity, milliseconds(r.issued), r.role, request_outcome::committed, r.content, std::nullopt, *answer, {}};
    if (access.is_refused()) {
        what.request.outcome = request_outcome::refused;
    } else {
        access.settle();
        auto tallies = access.tallies();
        if (!tallies) return fail(tallies.error());
        what.request.tallies = std::move(*tallies);
        what.changed.removals = access.removals();
        for (const auto& [path, change] : access.rows()) {
            const auto place = static_cast<std::uint32_t>(what.places.size());
            if (change.removes) what.request.removals.push_back(place);
            what.places.push_back(place);
            what.changed.rows.push_back({path, change});
        }
    }
    const auto logged = log_execution(me, at, last, std::move(what));
    note_demands(access.demands(), logged && !access.is_refused());
    if (!logged) return fail(logged.error());
    return receipt{access.is_refused() ? request_outcome::refused : request_outcome::committed, std::move(*answer), false, {self.id, me.sequence}};
}

result<void> bucket_state::log_execution(const dot& me, timestamp at, const tail& last, crdt::executed what) {
    std::vector<origin> mentioned;
    const auto bytes = crdt::encode_execution(what.request, what.changed, {me, at}, mentioned);
    const auto record = append(last, me, {at, {}, bytes.payload, oplog::record_kind::execution, bytes.common}, mentioned);
    if (!record) return fail(record.error());
    if (auto joined = join_execution(std::make_shared<loaded_execution>(me, at, std::move(what))); !joined) broken_ = joined.error();
    have_.join(me);
    joined_own(*record);
    return {};
}

/// What counts of it, and the execution that says what that is.
result<std::pair<receipt, std::shared_ptr<const bucket_state::loaded_execution>>> bucket_state::outcome_of(const known_request& known) const {
    const auto& counts = crdt::winner(known.executions, store_.origins());
    auto content = load_execution(counts.content());
    if (!content) return fail(content.error());
    const auto& id = (*content)->id;
    receipt told{counts.outcome, (*content)->what.request.result, true, {store_.origins().id(id.writer), id.sequence}};
    return std::pair(std::move(told), std::move(*content));
}

bool bucket_state::is_confirmed(const known_request& known) {
    return std::ranges::any_of(known.executions, [](const auto& x) { return x.role == request_role::primary; });
}

/// It has run before.
result<receipt> bucket_state::repeat(const request& r, const hash128& identity, const known_request& known) {
    auto found = outcome_of(known);
    if (!found) return fail(found.error());
    const auto& [answer, content] = *found;
    if (content->what.request.content != r.content) {
        return fail(errc::request_conflict, "the key \"" + r.key + "\" has been used for another request");
    }
    const auto* self = members_.roster().find(store_.self().id);
    // Below its fence there is no execution any more, of no kind: others may have forgotten the request.
    const bool may_execute = check_member() && known.issued >= self->refuses_before();
    if (r.role != request_role::primary || is_confirmed(known) || !may_execute) return answer;
    // The client is told what the mirror's execution did: so that is what has to stand.
    if (auto room = make_room(); !room) return fail(room.error());
    const auto last = tail_of(store_.self().number);
    const dot me{store_.self().number, last.sequence + 1};
    crdt::executed what;
    what.request = {identity, known.issued, r.role, answer.outcome, r.content, content->id, {}, {}};
    const auto logged = log_execution(me, store_.clock().next(), last, std::move(what));
    if (!logged) return fail(logged.error());
    return answer;
}

result<std::optional<receipt>> bucket_state::find(const request& r) const {
    if (auto allowed = check_outside(); !allowed) return fail(allowed.error());
    if (auto whole = check_whole(); !whole) return fail(whole.error());
    const std::shared_lock lock(mutex_);
    const auto known = requests_.find(r.identity());
    if (!known) return fail(known.error());
    if (!*known) return std::optional<receipt>{};
    return outcome_of(**known).map([](auto found) { return std::optional(std::move(found.first)); });
}

result<std::vector<unconfirmed_request>> bucket_state::unconfirmed(std::size_t most) const {
    if (auto allowed = check_outside(); !allowed) return fail(allowed.error());
    if (auto whole = check_whole(); !whole) return fail(whole.error());
    const std::shared_lock lock(mutex_);
    std::vector<std::pair<hash128, known_request>> found;
    auto visited = requests_.visit([&](const hash128& identity, const known_request& known) {
        if (!is_confirmed(known)) found.emplace_back(identity, known);
        return true;
    });
    if (!visited) return fail(visited.error());
    std::ranges::sort(found, {}, [](const auto& f) { return std::pair(f.second.issued, f.first); });
    if (found.size() > most) found.resize(most);
    std::vector<unconfirmed_request> all;
    for (const auto& [identity, known] : found) {
        auto counts = outcome_of(known);
        if (!counts) return fail(counts.error());
        auto& told = counts->first;
        all.push_back({identity, std::chrono::milliseconds{static_cast<std::int64_t>(known.issued)}, told.transaction, std::move(told.result)});
    }
    return all;
}

std::size_t bucket_state::requests() const {
    const std::shared_lock lock(mutex_);
    return requests_.size();
}

// --- what executions do to rows --------------------------------------------------------------------------

result<std::shared_ptr<const bucket_state::loaded_execution>> bucket_state::load_execution(const dot& id) const {
    const auto lost = [&] {
        return fail(errc::corrupt, "record " + std::to_string(id.sequence) + " of replica " + to_string(store_.origins().id(id.writer)) +
                                       " in bucket \"" + name_ + "\", the execution of a request, is not in the log");
    };
    const auto value = logged_value(id);
    if (!value) return fail(value.error());
    auto record = *value ? oplog::decode_record(body_of(**value)) : std::nullopt;
    auto mentioned = record ? find_mentioned(record->mentioned) : std::nullopt;
    if (!mentioned) return lost();
    auto x = logged_record{std::move(*record), std::move(*mentioned)}.execution_at(id, kinds_);
    if (!x) return lost();
    return x;
}

result<bucket_state::loaded_executions> bucket_state::load_executions(const std::vector<dot>& ids) const {
    loaded_executions all;
    for (const auto& id : ids) {
        auto loaded = load_execution(id);
        if (!loaded) return fail(loaded.error());
        all.push_back(std::move(*loaded));
    }
    return all;
}

result<bucket_state::loaded_executions> bucket_state::load_executions(const known_request& known) const { return load_executions(ids_of(known)); }

/// All rows that one of them does something to.
result<std::vector<std::string>> bucket_state::paths_of(const loaded_executions& all) const {
    std::set<std::string> paths;
    for (const auto& x : all) {
        for (const auto& r : x->what.changed.rows) paths.insert(r.key);
        for (const auto& removal : x->what.changed.removals) {
            auto below = rows_.paths_below(removal.prefix);
            if (!below) return fail(below.error());
            paths.insert(below->begin(), below->end());
        }
    }
    return std::vector<std::string>(paths.begin(), paths.end());
}

result<crdt::row_group> bucket_state::group_on(std::string_view path, const loaded_executions& all) const {
    crdt::row_group group;
    const auto content = winner_of(all).content();
    for (const auto& x : all) {
        std::optional<crdt::part> found;
        const auto& rows = x->what.changed.rows;
        const auto r = std::ranges::lower_bound(rows, path, {}, [](const crdt::row_change& c) -> std::string_view { return c.key; });
        if (r != rows.end() && r->key == path) {
            found = {x->id, r->change, x->what.tallies_of(static_cast<std::size_t>(r - rows.begin()))};
        }
        for (const auto& removal : x->what.changed.removals) {
            if (!path.starts_with(removal.prefix)) continue;
            const auto row = rows_.peek(path);
            if (!row) return fail(row.error());
            if (!*row) continue;
            if (!found) found = {x->id, {{}, crdt::bottom(crdt::kind_of(**row))}, {}};
            found->change.covers.join(crdt::removal_in(**row, removal.covered).covers);
            found->change.removes = true;
        }
        if (found) group.parts.push_back(std::move(*found));
    }
    const auto counts = std::ranges::find(group.parts, content, &crdt::part::id);
    if (counts != group.parts.end()) group.content = &*counts;
    return group;
}

/// Visits the rows that the executions do something to.
result<void> bucket_state::visit_groups(const std::vector<std::string>& paths, const loaded_executions& all,
                                        const std::function<result<void>(const std::string&, const crdt::row_group&)>& visit) const {
    for (const auto& path : paths) {
        const auto group = group_on(path, all);
        if (!group) return fail(group.error());
        if (group->parts.empty()) continue;
        if (auto visited = visit(path, *group); !visited) return visited;
    }
    return {};
}

result<void> bucket_state::join_execution(std::shared_ptr<const loaded_execution> x) {
    for (const auto& u : x->what.unknown) note_unread(crdt::bit_of(u.kind), 0);
    const auto& identity = x->what.request.identity;
    auto known = requests_.find(identity);
    if (!known) return fail(known.error());
    auto after = known->value_or(known_request{});
    // On opening, what is known of requests may be ahead of the log, as rows may be.
    after.issued = std::max(after.issued, x->what.request.issued);
    if (after.find(x->id) == nullptr) {
        auto next = x->contestant();
        if (next.confirms && after.find(*next.confirms) == nullptr) next.confirms.reset();
        after.executions.push_back(next);
    }
    open_.executions.insert(x->id);
    loaded_executions all{x};
    loaded_executions earlier;
    for (const auto& other : after.executions) {
        if (other.id == x->id) continue;
        auto loaded = load_execution(other.id);
        if (!loaded) return fail(loaded.error());
        all.push_back(*loaded);
        earlier.push_back(std::move(*loaded));
    }
    const auto paths = paths_of(all);
    if (!paths) return fail(paths.error());
    auto joined = visit_groups(*paths, all, [&](const std::string& path, const crdt::row_group& group) -> result<void> {
        std::optional<crdt::row_group> before;
        if (!earlier.empty() && !is_recovering_) {
            auto found = group_on(path, earlier);
            if (!found) return fail(found.error());
            if (!found->parts.empty()) before = std::move(*found);
        }
        if (is_recovering_) rows_.recount_later(path);
        return rows_.regroup(path, before ? &*before : nullptr, group, have_, open_);
    });
    if (!joined) return joined;
    const auto self = store_.self().number;
    for (const auto& r : x->what.changed.rows) heard_of(r.key, r.change.change, self);
    if (are_rivals(all)) rivals_.put(ids_of(after));
    requests_.put(identity, std::move(after), *known ? &**known : nullptr);
    if (!is_recovering_ && next_fence_ == INT64_MAX) next_fence_ = store_.options().env.now().count() + store_.options().request_window.count();
    return recount_rows();
}

/// What its request removes below prefixes, of rows that have come since.
result<void> bucket_state::remove_again(const loaded_execution& x) {
    const auto known = requests_.find(x.what.request.identity);
    if (!known) return fail(known.error());
    if (!*known) return {};
    const auto all = load_executions(**known);
    if (!all) return fail(all.error());
    if (std::ranges::all_of(*all, [](const auto& other) { return other->what.changed.removals.empty(); })) return {};
    const auto paths = paths_of(*all);
    if (!paths) return fail(paths.error());
    return visit_groups(*paths, *all, [&](const std::string& path, const crdt::row_group& group) {
        rows_.recount_later(path);
        return rows_.regroup(path, nullptr, group, have_, open_);
    });
}

/// Counts corrections anew where removals have come or gone.
result<void> bucket_state::recount_rows() {
    // Rows may be ahead of what has been replayed; counting them record by record would be in vain.
    return is_recovering_ ? result<void>{} : recount_now();
}

result<void> bucket_state::recount_now() {
    for (const auto& path : rows_.take_recounts()) {
        const auto row = rows_.peek(path);
        if (!row) return fail(row.error());
        if (!*row) continue;
        std::set<hash128> identities;
        for (const auto& s : crdt::entangled_stretches(**row)) {
            for (auto next = open_.entangled.next(s.writer, s.first); next && *next <= s.last; next = open_.entangled.next(s.writer, *next + 1)) {
                const auto loaded = load_execution({s.writer, *next});
                if (!loaded) return fail(loaded.error());
                identities.insert((*loaded)->what.request.identity);
            }
        }
        std::vector<crdt::row_group> groups;
        for (const auto& identity : identities) {
            const auto known = requests_.find(identity);
            if (!known) return fail(known.error());
            if (!*known) continue;
            const auto all = load_executions(**known);
            if (!all) return fail(all.error());
            auto group = group_on(path, *all);
            if (!group) return fail(group.error());
            if (!group->parts.empty()) groups.push_back(std::move(*group));
        }
        if (auto counted = rows_.recount(path, groups); !counted) return counted;
    }
    return {};
}

// --- forgetting ------------------------------------------------------------------------------------------

bool bucket_state::is_fence_due() const {
    const auto next = next_fence_.load();
    if (next == INT64_MAX) return false;
    const auto now = store_.options().env.now().count();
    // A clock that was ahead for a while has set it too late.
    return now >= next || next - now > store_.options().request_window.count();
}

/// To where this member's own fence is to be raised; 0: not now.
std::uint64_t bucket_state::due_fence() {
    if (!is_fence_due()) return 0;
    const auto& options = store_.options();
    const auto now = options.env.now();
    // Often enough that identities are kept hardly longer than they have to be, and not more often.
    const auto step = std::max(options.request_window / 8, std::chrono::milliseconds{1});
    next_fence_ = open_.executions.empty() ? INT64_MAX : (now + step).count();
    has_duties_ = true;
    const auto* self = members_.roster().find(store_.self().id);
    const auto fence = milliseconds(now - options.request_window);
    return open_.executions.empty() || self == nullptr || self->refuses_before() >= fence ? 0 : fence;
}

void bucket_state::watch_fences() {
    for (const auto& [id, m] : members_.roster().members) {
        const auto writer = store_.origins().find(id);
        const auto has = writer ? have_.at(*writer) : 0;
        const auto fence = members_.roster().counts(id) ? m.fence : UINT64_MAX;
        auto& known = fences_[id];
        if (known.next <= known.certain && fence > known.certain) {
            known.next = fence;
            known.after = has;
        }
        if (known.next > known.certain && (!writer || members_.stable().at(*writer) >= known.after)) known.certain = known.next;
    }
}

/// What was issued before that is fixed.
std::uint64_t bucket_state::fixed_before() const {
    auto least = UINT64_MAX;
    for (const auto& [id, m] : members_.roster().members) {
        const auto it = fences_.find(id);
        // What it was let in with holds from its first transaction on. Who knows of another who let it in, with less, and lets
        // it do more, knows what this replica has to know before it takes that one's own fence for certain.
        least = std::min(least, std::max(it == fences_.end() ? 0 : it->second.certain, m.admitted.value_or(0)));
    }
    return least == UINT64_MAX ? 0 : least;
}

/// Nothing that was issued before that is open, or will be.
std::uint64_t bucket_state::forgotten_before() const {
    return std::min(forgotten_, requests_.first_issued());
}

result<void> bucket_state::forget_requests() {
    // Of a state that is on its way the source has been told what is forgotten here. And what executions do to rows of unknown kinds,
    // or what stands in records of unknown kinds, is still to be joined.
    if (open_.executions.empty() || is_staging_ || has_unread_) return {};
    watch_fences();
    const auto before = fixed_before();
    if (before == 0) return {};
    // So that all that is forgotten at once is forgotten, or not, as one.
    constexpr std::size_t most_at_once = 1000;
    std::size_t forgotten = 0;
    if (auto flushed = flush_locked(); !flushed) return flushed;
    for (std::uint32_t o = 0; o < store_.origins().size(); ++o) {
        std::set<hash128> looked_at;
        const origin writer{o};
        for (auto next = open_.executions.next(writer, 0); next; next = open_.executions.next(writer, *next + 1)) {
            const auto x = load_execution({writer, *next});
            if (!x) return fail(x.error());
            const auto& r = (*x)->what.request;
            // Later ones were hardly issued earlier: those that were wait a little longer. But by a clock that is ahead all are
            // late, and who has nothing to forget any more does not raise its fence.
            const auto at = (*x)->at.wall();
            const auto now = store_.options().env.now();
            if (milliseconds(at) >= before && at <= now && at >= now - store_.options().request_window) break;
            if (r.issued >= before || !looked_at.insert(r.identity).second) continue;
            const auto done = forget(r.identity, before);
            if (!done) return fail(done.error());
            if (*done && ++forgotten == most_at_once) {
                has_duties_ = true;
                break;
            }
        }
        if (forgotten == most_at_once) break;
    }
    lag_bytes_ += forgotten;
    return flush_locked();
}

/// False where it has to wait.
result<bool> bucket_state::forget(const hash128& identity, std::uint64_t before) {
    const auto known = requests_.find(identity);
    if (!known) return fail(known.error());
    if (!*known || (*known)->issued >= before) return false;
    const auto& executions = (*known)->executions;
    const bool is_entangled = std::ranges::any_of(executions, [&](const auto& x) { return open_.entangled.contains(x.id); });
    std::vector<std::pair<std::string, crdt::row>> changed;
    if (is_entangled) {
        const auto all = load_executions(**known);
        if (!all) return fail(all.error());
        const auto paths = paths_of(*all);
        if (!paths) return fail(paths.error());
        auto removed_all = visit_groups(*paths, *all, [&](const std::string& path, const crdt::row_group& group) -> result<void> {
            const auto removed = rows_.fix_removals(path, group, open_);
            if (!removed) return fail(removed.error());
            if (*removed) lag_bytes_ += 1;  // so that it is written
            has_duties_ = has_duties_ || *removed;  // others may have waited for it
            return {};
        });
        if (!removed_all) return fail(removed_all.error());
        if (auto counted = recount_rows(); !counted) return fail(counted.error());
        for (const auto& x : executions) open_.executions.erase(x.id);
        bool waits = false;
        auto fixed = visit_groups(*paths, *all, [&](const std::string& path, const crdt::row_group& group) -> result<void> {
            auto row = rows_.fixed(path, group, store_.origins(), open_);
            if (!row) return fail(row.error());
            if (*row) changed.emplace_back(path, std::move(**row));
            waits = waits || !*row;
            return {};
        });
        if (waits || !fixed) {
            for (const auto& x : executions) open_.executions.insert(x.id);
            (void)rows_.take_recounts();
            if (!fixed) return fail(fixed.error());
            return false;
        }
    }
    for (const auto& x : executions) {
        open_.executions.erase(x.id);
        open_.entangled.erase(x.id);
    }
    for (const auto& [path, row] : changed) rows_.put(path, row);
    // Done once more, as after a crash, it would settle twice what has been written, and is not known to be.
    has_settled_ = has_settled_ || !changed.empty();
    // Who reads the log afterwards has to be told that nobody ever confirmed it.
    const auto is_in_log = [&](const auto& x) {
        const auto floor = floor_.find(x.id.writer);
        return floor == floor_.end() || floor->second.sequence < x.id.sequence;
    };
    const bool is_any_in_log = std::ranges::any_of(executions, is_in_log);
    if (!is_confirmed(**known) && is_any_in_log) rivals_.put(ids_of(**known));
    for (const auto& x : executions) {
        if (is_in_log(x)) continue;
        const auto rivals = is_any_in_log ? rivals_.find(x.id) : rival_table::group{};
        if (!rivals) return fail(rivals.error());
        // Who reads the others in the log has to know it.
        if (rivals->empty()) spent_.push_back(x.id);
    }
    requests_.erase(identity, (*known)->issued);
    forgotten_ = std::max(forgotten_, (*known)->issued + 1);
    if (open_.executions.empty()) has_duties_ = true;  // others are to know
    if (auto counted = recount_rows(); !counted) return fail(counted.error());
    return true;
}

/// Without what may still change, and what came after that.
version_vector bucket_state::before_open(version_vector target) const {
    version_vector before;
    for (const auto& [writer, sequence] : target) {
        const auto first = open_.executions.next(writer, 0);
        before.join(dot{writer, first && *first <= sequence ? *first - 1 : sequence});
    }
    return before;
}

}  // namespace anabranch::detail
