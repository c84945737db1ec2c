// Who takes part in a bucket, and what a member does for the others: cutting the log, forgetting what is stable,
// retiring the dead. docs/membership.md
#include <algorithm>

#include "base/random.hpp"
#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/log_stream.hpp"
#include "store/store_state.hpp"

namespace anabranch::detail {
namespace {

using stage = crdt::roster::stage;

crdt::roster change_of(const replica_id& who, crdt::roster::member to) {
    crdt::roster change;
    change.members.emplace(who, std::move(to));
    return change;
}

}  // namespace

// --- changes of the roster -------------------------------------------------------------------------------

void bucket_state::join_members(const crdt::roster& change) {
    if (change.empty()) return;
    members_.join(change);
    heirs_ = crdt::succession(members_.roster(), store_.origins());
    has_duties_ = true;
}

result<void> bucket_state::check_member() const {
    if (has_orphans_) return orphaned();
    const auto& self = store_.self().id;
    const auto* m = members_.roster().find(self);
    if (m != nullptr && m->at == stage::joined) return {};
    if (m != nullptr && m->at != stage::left) {
        return fail(errc::retired, "replica " + to_string(self) + " was retired from bucket \"" + name_ + '"');
    }
    return fail(errc::not_a_member, "replica " + to_string(self) + (m != nullptr ? " has left bucket \"" : " has not yet been let into bucket \"") +
                                        name_ + '"');
}

result<void> bucket_state::change_roster(const std::function<result<crdt::roster>()>& draw_up) {
    if (auto allowed = check_outside(); !allowed) return allowed;
    std::unique_lock lock(mutex_);
    const auto changed = write_own([&](const dot&) {
        return draw_up().map([](crdt::roster members) { return crdt::changes{{}, {}, std::move(members)}; });
    });
    lock.unlock();
    if (!changed) return fail(changed.error());
    if (*changed) store_.notify();
    return {};
}

/// A transaction on this replica's own account. Whether there was anything to change.
result<bool> bucket_state::write_own(const std::function<result<crdt::changes>(const dot& me)>& draw_up) {
    if (auto usable = check_usable(); !usable) return fail(usable.error());
    if (auto whole = check_whole(); !whole) return fail(whole.error());
    const auto writer = store_.self().number;
    const auto last = tail_of(writer);
    const dot me{writer, last.sequence + 1};
    auto change = draw_up(me);
    if (!change) return fail(change.error());
    if (change->empty()) return false;
    for (const auto& r : change->rows) {
        if (auto loaded = rows_.load(r.key); !loaded) return fail(loaded.error());
    }
    std::vector<origin> mentioned;
    const auto at = store_.clock().next();
    const auto payload = crdt::encode_changes(*change, {me, at}, mentioned);
    const auto record = append(last, me, {at, {}, payload}, mentioned);
    if (!record) return fail(record.error());
    for (const auto& r : change->rows) {
        if (auto joined = rows_.join(r.key, r.change, have_, open_); !joined) broken_ = joined.error();
    }
    join_members(change->members);
    have_.join(me);
    joined_own(*record);
    return true;
}

result<void> bucket_state::found() {
    return change_roster([&]() -> result<crdt::roster> {
        if (members_.roster().founder) return crdt::roster{};
        const auto& self = store_.self().id;
        auto change = change_of(self, {});
        change.founder = self;
        change.seal = random_bytes(store_.options().env);
        change.authority = {1, self};
        return change;
    });
}

result<void> bucket_state::sponsor(const replica_id& joiner) {
    return change_roster([&]() -> result<crdt::roster> {
        if (auto member = check_member(); !member) return fail(member.error());
        if (members_.roster().find(joiner) != nullptr) return crdt::roster{};
        // The authority has to hear of the newcomer before it counts the reports.
        const auto& self = store_.self().id;
        for (const auto& [id, m] : members_.roster().members) {
            if (m.at != stage::retiring || !m.reports.contains(self)) continue;
            return fail(errc::refused, "nobody is let into bucket \"" + name_ + "\" while replica " + to_string(id) + " is being retired");
        }
        // What has been refused here, and may be forgotten everywhere, is refused there too.
        crdt::roster::member newcomer;
        newcomer.admitted = members_.roster().find(self)->refuses_before();
        newcomer.forgotten = forgotten_before();
        return change_of(joiner, newcomer);
    });
}

result<void> bucket_state::leave() {
    return change_roster([&]() -> result<crdt::roster> {
        if (auto member = check_member(); !member) return fail(member.error());
        const auto& self = store_.self().id;
        const auto& roster = members_.roster();
        if (roster.authority.holder != self) return change_of(self, {stage::left, 0, 0, roster.authority.holder, {}});
        // Its rights would be nobody's. Who leaves names the authority that it knows: so no two name each other.
        if (std::ranges::any_of(roster.members, [&](const auto& m) { return m.first != self && roster.counts(m.first); })) {
            return fail(errc::refused, "the authority of bucket \"" + name_ + "\" cannot leave: another member has to take the authority first");
        }
        return change_of(self, {stage::left, 0, 0, {}, {}});
    });
}

result<void> bucket_state::retire(const replica_id& who) {
    return change_roster([&]() -> result<crdt::roster> {
        const auto& self = store_.self().id;
        if (auto member = check_member(); !member) return fail(member.error());
        if (members_.roster().authority.holder != self) {
            return fail(errc::not_the_authority, "replica " + to_string(members_.roster().authority.holder) +
                                                     " is the authority of bucket \"" + name_ + "\", not this one");
        }
        const auto* m = members_.roster().find(who);
        if (m == nullptr) return fail(errc::not_a_member, "replica " + to_string(who) + " is not in bucket \"" + name_ + '"');
        if (who == self) return fail(errc::invalid_argument, "a replica cannot retire itself; it can leave");
        if (m->at != stage::joined) return crdt::roster{};
        return change_of(who, {stage::retiring, 0, 0, {}, {}});
    });
}

result<void> bucket_state::take_authority() {
    return change_roster([&]() -> result<crdt::roster> {
        const auto& current = members_.roster().authority;
        const auto& self = store_.self().id;
        crdt::roster change;
        if (const auto* former = members_.roster().find_former(self)) {
            // As if the former incarnation had let it in.
            crdt::roster::member next;
            next.admitted = former->refuses_before();
            next.forgotten = forgotten_before();
            change = change_of(self, next);
        } else if (auto member = check_member(); !member) {
            return fail(member.error());
        }
        if (current.holder != self) change.authority = {current.number + 1, self};
        return change;
    });
}

// --- looking at it ---------------------------------------------------------------------------------------

crdt::roster bucket_state::roster() const {
    const std::shared_lock lock(mutex_);
    return members_.roster();
}

bool bucket_state::is_member() const {
    const std::shared_lock lock(mutex_);
    return check_member().has_value();
}

bool bucket_state::holds_unread_records() const {
    const std::shared_lock lock(mutex_);
    return unread_.records != 0;
}

bool bucket_state::is_joining() const {
    if (participation_ != participation::member || has_orphans_) return false;
    const std::shared_lock lock(mutex_);
    // Who has left does not come again by itself, under whatever incarnation.
    const auto& self = store_.self().id;
    return std::ranges::none_of(members_.roster().members, [&](const auto& m) {
        return m.first == self || (m.first.value == self.value && m.second.at == stage::left);
    });
}

std::vector<member_status> bucket_state::members() const {
    const std::shared_lock lock(mutex_);
    const std::shared_lock uncut(cut_mutex_);
    const auto now = store_.options().env.now();
    const auto& self = store_.self().id;
    const auto& roster = members_.roster();
    std::vector<member_status> all;
    for (const auto& [id, m] : roster.members) {
        member_status s{.id = id, .stage = static_cast<member_stage>(m.at)};
        s.is_self = id == self;
        s.is_authority = id == roster.authority.holder;
        s.is_laggard = roster.is_laggard(id);
        if (!s.is_self && roster.counts(id)) {
            const auto has = members_.known(id);
            for (const auto& [writer, sequence] : have_) {
                const auto known = std::min(sequence, has.at(writer));
                s.lag += sequence - known;
                if (known == sequence) continue;
                const auto first = time_after(writer, known);
                if (first) s.age = std::max(s.age, now - first->wall());
            }
        }
        all.push_back(s);
    }
    return all;
}

/// When the record after that one was committed, or the first that is still here.
std::optional<timestamp> bucket_state::time_after(origin writer, std::uint64_t sequence) const {
    const auto floor = floor_.find(writer);
    if (floor != floor_.end() && sequence < floor->second.sequence) return floor->second.at;
    const dot next{writer, sequence + 1};
    if (const auto* f = fold_with(next)) return f->least;
    return logged_time(next);
}

std::optional<timestamp> bucket_state::time_of(const dot& d) const {
    const std::shared_lock uncut(cut_mutex_);
    const auto* f = fold_with(d);
    if (f == nullptr) return logged_time(d);
    const auto* range = f->find(d.writer);
    if (d.sequence < range->last) return std::nullopt;
    return f->ends[static_cast<std::size_t>(range - f->ranges.data())];
}

// --- adverts ---------------------------------------------------------------------------------------------

void bucket_state::learn(const replica_id& member, const positions& has) {
    const std::unique_lock lock(mutex_);
    const auto* m = members_.roster().find(member);
    if (m != nullptr && m->at >= stage::left) return;
    version_vector known;
    for (const auto& [id, sequence] : has) {
        const auto writer = meet(id);
        if (!writer) return;  // one replica too many; without it the advert says nothing
        known.join(dot{*writer, sequence});
    }
    if (members_.known(member).covers(known)) return;
    // The watermark will hold their numbers.
    if (!store_.persist_origins()) return;
    members_.note(member, known);
    advert_revision_.fetch_add(1);
    has_duties_ = true;
}

std::map<replica_id, positions> bucket_state::adverts() const {
    const std::shared_lock lock(mutex_);
    std::map<replica_id, positions> all;
    for (const auto& [member, has] : members_.known()) {
        for (const auto& [writer, sequence] : has) all[member][store_.origins().id(writer)] = sequence;
    }
    return all;
}

// --- duties ----------------------------------------------------------------------------------------------

void bucket_state::perform_duties() {
    // Nobody who syncs waits for a closure: what is due then waits for the next sync.
    if (!check_outside()) return;
    std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || !has_duties()) return;
    has_duties_ = false;
    if (!check_usable()) {
        next_fence_ = INT64_MAX;  // until it can be used again
        return;
    }
    if (has_orphans_ || is_partial_) {
        // Nothing is decided, and nothing let go of, by what does not count; and there is nothing to let go of without a log.
        next_fence_ = INT64_MAX;
        return;
    }
    const bool comes_back = come_back();
    const auto changed = write_own([&](const dot& me) -> result<crdt::changes> {
        {
            const std::lock_guard guard(durable_mutex_);
            members_.note(store_.self().id, seen_on_disk());
        }
        members_.advance(have_);
        const auto fence = due_fence();
        if (!check_member()) return crdt::changes{};
        auto rights = move_rights(me);
        if (!rights) return fail(rights.error());
        auto members = duties_of_a_member();
        const auto& self = store_.self().id;
        const auto forgotten = forgotten_before();
        // With every fence, and once there is nothing open: others keep what they cannot forget without it.
        if (fence > 0) members.members[self].fence = fence;
        // A request of which something cannot be read has not been forgotten, whatever else has been.
        const bool is_news = unread_.records == 0 && forgotten > members_.roster().find(self)->forgotten;
        if (is_news && (fence > 0 || open_.executions.empty())) members.members[self].forgotten = forgotten;
        return crdt::changes{{}, std::move(*rights), std::move(members)};
    });
    if (check_usable() && forget_requests() && cut_log()) (void)prune();
    // What it was to bring has come from elsewhere.
    if (staged_ && !is_staging_ && have_.covers(staged_->reflects)) (void)erase_staged();
    lock.unlock();
    (void)journal_.merge();
    if (comes_back || (changed && *changed)) store_.notify();
}

/// What this member tells that it has. Of a record that it cannot read it does not know what that does, and may go on with what the
/// record has ended: others have to keep what that takes, as if it had not come. Under durable_mutex_.
version_vector bucket_state::seen_on_disk() const {
    auto seen = to_vector(durable_);
    return unread_.records == 0 ? seen : seen.meet(unread_.from);
}

crdt::roster bucket_state::duties_of_a_member() {
    crdt::roster change;
    const auto& roster = members_.roster();
    const auto& self = store_.self().id;
    const bool is_authority = roster.authority.holder == self;
    const auto* too_long = too_long_ago();
    for (const auto& entry : roster.members) {
        const auto& id = entry.first;
        const auto& m = entry.second;
        if (id == self || !roster.counts(id)) continue;
        const auto writer = store_.origins().find(id);
        const auto has = writer ? have_.at(*writer) : 0;
        if (m.at == stage::retiring) {
            std::uint64_t last = 0;
            for (const auto& [reporter, report] : m.reports) last = std::max(last, report.last);
            const auto has_reported = [&](const replica_id& who, const crdt::roster::member& on) {
                const auto report = on.reports.find(who);
                return report != on.reports.end() && report->second.to == roster.authority;
            };
            if (!has_reported(self, m) || last < has) {
                change.members[id] = {stage::retiring, 0, 0, {}, {{self, {roster.authority, has}}}};
                continue;
            }
            if (!is_authority) continue;
            const auto have_all_reported = [&](const crdt::roster::member& on) {
                return std::ranges::all_of(roster.members, [&](const auto& other) {
                    return other.second.at != stage::joined || has_reported(other.first, on);
                });
            };
            // Who is being retired as well may hand on what it has, until nobody takes that from it any more.
            const bool is_complete = have_all_reported(m) && std::ranges::all_of(roster.members, [&](const auto& other) {
                return other.second.at != stage::retiring || other.first == id || has_reported(other.first, m) ||
                       have_all_reported(other.second);
            });
            // Whoever hears of the retirement has then all that counts of it: causal order sees to that.
            if (is_complete && has >= last) change.members[id] = {stage::retired, last, 0, self, {}};
        } else if (is_authority) {
            const bool is_replaced = std::ranges::any_of(roster.members, [&](const auto& other) {
                return other.first.value == id.value && other.first.incarnation > id.incarnation;
            });
            // Who has been named stays so until it has what was cut without it, too: the log is short then, and says nothing.
            const auto known = members_.known(id);
            const bool lags = (too_long != nullptr && !known.covers(*too_long)) ||
                              (roster.is_laggard(id) && !known.covers(to_vector(floor_)));
            if (is_replaced) {
                change.members[id] = {stage::retiring, 0, 0, {}, {}};
            } else if (lags != roster.is_laggard(id)) {
                change.members[id] = {stage::joined, 0, m.laggard + 1, {}, {}};
            }
        }
    }
    return change;
}

/// What has been waiting longer, or with more behind it, than it may.
const version_vector* bucket_state::too_long_ago() const {
    const auto& options = store_.options();
    const auto* found = extent_.before_last(options.log_limit_bytes);
    if (options.log_limit_age.count() == 0) return found;
    const auto* old = extent_.before(options.env.now() - options.log_limit_age);
    return found == nullptr || (old != nullptr && old->covers(*found)) ? old : found;
}

/// Inside a fold there is no chain head to begin from: its origin is cut before it then. What else it holds does not matter,
/// its record stays as long as anybody may need a part of it.
version_vector bucket_state::before_folds(const version_vector& target) const {
    version_vector before;
    for (const auto& [writer, sequence] : target) {
        const dot last{writer, sequence};
        before.join(is_inside_fold(last) ? dot{writer, fold_with(last)->find(writer)->first - 1} : last);
    }
    return before;
}

/// Executions that are told of together, whenever one of them is read, go together.
result<version_vector> bucket_state::before_rivals(version_vector target, const version_vector& floor) const {
    for (bool again = true; again;) {
        again = false;
        version_vector before;
        for (const auto& [writer, sequence] : target) {
            auto last = sequence;
            if (floor.covers(dot{writer, sequence})) {
                before.join(dot{writer, sequence});
                continue;
            }
            const auto stays = [&](const dot& d) { return !target.covers(d) && !floor.covers(d); };
            auto visited = rivals_.visit(writer, floor.at(writer), sequence, [&](const dot& at, const rival_table::group& all) -> result<void> {
                if (std::ranges::any_of(all, stays)) last = std::min(last, at.sequence - 1);
                return {};
            });
            if (!visited) return fail(visited.error());
            again = again || last < sequence;
            if (last > 0) before.join(dot{writer, last});
        }
        target = before_folds(before);
    }
    return target;
}

result<void> bucket_state::cut_log() {
    // What only this log has is to be applied on top of the state that is on its way.
    if (is_staging_) return {};
    const auto& options = store_.options();
    const auto& roster = members_.roster();
    auto target = members_.held_by_all(true);
    // A lone member has it all, but whoever joins has not.
    const bool is_alone = std::ranges::count_if(roster.members, [&](const auto& m) { return roster.counts(m.first); }) < 2;
    if (const auto retained = is_alone ? options.log_limit_bytes : options.log_retain_bytes; retained > 0) {
        const auto* kept = extent_.before_last(retained);
        target = kept == nullptr ? version_vector{} : target.meet(*kept);
    }
    // Two that each cut what the other lacks could never meet again: so a laggard waits for everybody.
    if (const auto* old = too_long_ago(); old != nullptr && !roster.is_laggard(store_.self().id)) {
        target.join(members_.held_by_all(false).meet(*old));
    }
    // What cannot be read yet, and all that came after it, is read once it can be.
    if (has_unread_) target = target.meet(unread_.from);
    version_vector floor;
    for (const auto& [writer, at] : floor_) floor.join(dot{writer, at.sequence});
    target = before_folds(target);
    auto whole = before_rivals(std::move(target), floor);
    if (!whole) return fail(whole.error());
    target = std::move(*whole);
    const auto news = target.beyond(floor);
    if (news.empty() && spent_.empty()) return {};

    // The rows have to have what the log lets go of.
    if (auto flushed = flush_locked(); !flushed) return flushed;
    storage::batch batch;
    auto next = floor_;
    for (const auto& [writer, sequence] : news) {
        auto last = tail_of(writer);
        if (last.sequence != sequence) {
            auto found = tail_at(writer, sequence);
            if (!found) return fail(found.error());
            last = *found;
        }
        // Executions of requests that may still change stay, below the floor.
        auto from = floor.at(writer) + 1;
        for (auto open = open_.executions.next(writer, from); open && *open <= sequence; open = open_.executions.next(writer, from)) {
            erase_records(batch, writer, from, *open);
            from = *open + 1;
        }
        erase_records(batch, writer, from, sequence + 1);
        auto cut = rivals_.cut(batch, writer, sequence, floor, [&](const dot& d) {
            if (!open_.executions.contains(d)) batch.erase(storage::space::log, store_keys::log_key(number_, d.writer, d.sequence));
        });
        if (!cut) return cut;
        next[writer] = last;
    }
    for (const auto& d : spent_) batch.erase(storage::space::log, store_keys::log_key(number_, d.writer, d.sequence));
    const std::unique_lock uncut(cut_mutex_);
    auto extent = extent_;
    floor.join(target);
    auto folds = folds_;
    std::erase_if(folds, [&](const logged_fold& f) {
        if (!floor.covers(f.covers())) return false;
        batch.erase(storage::space::log, store_keys::log_key(number_, store_keys::fold_origin, f.number));
        return true;
    });
    extent.cut(floor, have_);
    batch.put(storage::space::meta, watermark_key_,
              codec::encode(watermark{have_, store_.clock().last(), members_, {next.begin(), next.end()}, extent.bytes(), forgotten_, rows_.place() != number_, unread_}));
    if (auto written = store_.engine().write(batch); !written) return written;
    floor_ = std::move(next);
    folds_ = std::move(folds);
    extent_ = std::move(extent);
    spent_.clear();
    return {};
}

void bucket_state::erase_records(storage::batch& batch, origin writer, std::uint64_t from, std::uint64_t to) const {
    // A range costs whoever reads past it more than some keys do.
    constexpr std::uint64_t few = 8;
    if (to > from + few) {
        batch.erase_range(storage::space::log, store_keys::log_key(number_, writer, from), store_keys::log_key(number_, writer, to));
        return;
    }
    for (auto sequence = from; sequence < to; ++sequence) batch.erase(storage::space::log, store_keys::log_key(number_, writer, sequence));
}

/// At the end of a record or fold that is still in the log.
result<tail> bucket_state::tail_at(origin writer, std::uint64_t sequence) const {
    for (const auto& f : folds_) {
        const auto* range = f.find(writer);
        if (range == nullptr || range->last != sequence) continue;
        const auto place = static_cast<std::size_t>(range - f.ranges.data());
        return tail{sequence, f.heads[place], f.ends[place]};
    }
    auto record = logged_value({writer, sequence});
    if (!record) return fail(record.error());
    if (!*record) return fail(errc::corrupt, "the log of bucket \"" + name_ + "\" has a gap");
    return tail{sequence, head_of(**record), oplog::record_time(body_of(**record))};
}

result<void> bucket_state::prune() {
    // Joining anew what has been joined before would bring back what is let go of.
    if (has_unread_) return {};
    // What others still take for open may come back to what it removed: a counter's writer goes on with its total.
    auto forgotten = forgotten_before();
    const auto& roster = members_.roster();
    for (const auto& [id, m] : roster.members) {
        if (roster.counts(id)) forgotten = std::min(forgotten, m.forgotten);
    }
    // Nor goes what only executions that are open have seen: which of them counts may change.
    const auto settled = before_open(members_.stable());
    // One pass for all that has come until the last one: each row is looked at twice at most.
    if (!settled.covers(prunable_.reflects) || forgotten < prunable_.forgotten) return {};
    // What is forgotten may not be forgotten without the vector that says so: counters begin anew after it.
    lag_bytes_ += 1;
    if (auto flushed = flush_locked(); !flushed) return flushed;
    if (auto pruned = rows_.prune(settled, forgotten, {have_, forgotten_}); !pruned) return pruned;
    prunable_ = {have_, forgotten_};
    return {};
}

}  // namespace anabranch::detail
