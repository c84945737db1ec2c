// How the state that a walk has brought enters, in one step for whoever reads. docs/reconciliation.md
#include <algorithm>
#include <set>

#include "codec/archive.hpp"
#include "store/bucket_state.hpp"
#include "store/store_state.hpp"

namespace anabranch::detail {
namespace {

using storage::space;
using store_keys::staged_kind;

}  // namespace

/// Visits what is staged of one kind: its key, and its value.
template <class Visit>
result<void> bucket_state::visit_staged(staged_kind kind, const Visit& visit) const {
    const auto prefix = store_keys::staged_key(number_, kind, {});
    const auto cursor = store_.engine().scan(space::rows, prefix);
    for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
        if (auto done = visit(cursor->key().substr(prefix.size()), cursor->value()); !done) return done;
    }
    return cursor->status();
}

/// Its open requests have the executions that they name, and these are what the state reflects.
result<void> bucket_state::check_staged(const std::map<origin, tail>& reflects) const {
    auto checked = visit_staged(staged_kind::execution, [&](std::string_view key, std::string_view) -> result<void> {
        const auto at = store_keys::parse_log_key(key);
        const auto it = at ? reflects.find(at->writer) : reflects.end();
        return it != reflects.end() && at->sequence <= it->second.sequence ? result<void>{} : wrong_state("has an execution that it does not reflect");
    });
    if (!checked) return checked;
    return visit_staged(staged_kind::request, [&](std::string_view, std::string_view value) -> result<void> {
        const auto known = codec::decode<known_request>(value);
        if (!known) return fail(errc::corrupt, "what is known of a request cannot be decoded");
        for (const auto& x : known->executions) {
            const auto key = store_keys::log_key(number_, x.id.writer, x.id.sequence);
            const auto record = store_.engine().get(space::rows, store_keys::staged_key(number_, staged_kind::execution, key));
            if (!record) return fail(record.error());
            if (*record) continue;
            const auto own = store_.engine().get(space::log, key);
            if (!own) return fail(own.error());
            if (!*own) return wrong_state("lacks the execution of a request");
        }
        return {};
    });
}

/// Requests that are open here, and fixed in the state, are settled in all rows that they do something to: the source was asked for
/// those. But what it had was asked before.
result<void> bucket_state::check_settled(const std::map<origin, tail>& reflects, const positions& asked, const std::set<hash128>& touching) const {
    result<void> settled;
    auto visited = requests_.visit([&](const hash128& identity, const known_request& known) {
        // The rows of what was not here when it was asked for have changed since.
        const bool may_be_fixed = std::ranges::any_of(known.executions, [&](const crdt::contestant& x) {
            const auto it = reflects.find(x.id.writer);
            return it != reflects.end() && x.id.sequence <= it->second.sequence && holds(asked, store_.origins().id(x.id.writer), x.id.sequence);
        });
        if (!may_be_fixed || touching.contains(identity)) return true;
        const auto open = store_.engine().get(space::rows, store_keys::staged_request_key(number_, identity));
        if (!open) settled = fail(open.error());
        else if (!*open) settled = fail(errc::behind_cut, "a request has been fixed while the state of bucket \"" + name_ + "\" came; it is to come again");
        return settled.has_value();
    });
    return visited ? settled : visited;
}

result<void> bucket_state::enter(const walk_sink& sink, timestamp horizon, const replica_id& source) {
    const auto& state = *sink.begin_;
    {
        const std::unique_lock lock(mutex_);
        if (auto usable = check_usable(); !usable) return usable;
        // Others have brought all of it: here there may be more than it knows, forgotten requests above all.
        const bool relieves = !orphans_in(state.members).empty();
        if (have_.covers(staged_->reflects) && !relieves && sink.repairs_.empty() && holding_.held == staged_->only) return erase_staged();
        // All that has been true when it began is to be so now.
        if (auto sound = check_begin(state, horizon, source); !sound) return sound;
        frontier theirs;
        for (const auto& l : state.reflects) theirs.push_back({l.origin, l.at.sequence, l.at.head});
        if (auto same = compare(theirs); !same) return same;
        // What has changed in memory belongs to what is replaced.
        lag_bytes_ += 1;
        if (auto flushed = flush_locked(); !flushed) return flushed;

        entering next;
        next.relieves = relieves;
        if (!relieves) {
            next.had_forgotten = forgotten_;
            auto visited = requests_.visit([&](const hash128& identity, const known_request& known) {
                if (known.issued < forgotten_) next.had_open.push_back(identity);
                return true;
            });
            if (!visited) return visited;
        }
        for (const auto& l : state.reflects) {
            const auto writer = meet(l.origin);
            if (!writer) return fail(writer.error());
            next.reflects[*writer] = l.at;
        }
        for (const auto& [id, sequence] : state.stable) {
            const auto writer = meet(id);
            if (!writer) return fail(writer.error());
            next.stable.join(dot{*writer, sequence});
        }
        next.forgotten = state.forgotten;
        next.members = state.members;
        next.is_whole = staged_->is_whole;
        next.only = staged_->only;
        if (auto sound = check_staged(next.reflects); !sound) return sound;
        if (auto settled = next.is_whole ? result<void>{} : check_settled(next.reflects, sink.request_.has, sink.touching_); !settled) return settled;
        // What does not count is kept by what it did, and of a record that cannot be read nobody here can say that.
        if (has_unread_ && (!next.is_whole || (relieves && unread_.records != 0))) return unknown_state();
        const auto mine = next.reflects.find(store_.self().number);
        // What it did under its name exists already, or does not count: what it does next is another's. (A retired one does nothing, and
        // comes back by itself.)
        const auto* member = state.members.find(store_.self().id);
        const bool is_retired = member != nullptr && member->at == crdt::roster::stage::retired;
        const bool is_own_past = (mine != next.reflects.end() && mine->second.sequence > tail_of(store_.self().number).sequence) ||
                                 (ends_of(next).contains(store_.self().number) && !is_retired);
        storage::batch batch;
        const auto known_origins = store_.origins().size();
        const auto next_self = is_own_past ? store_.next_incarnation(batch) : store_.self().number;
        store_.persist_origins(batch);
        batch.put(space::meta, entering_key_, codec::encode(next));
        // From here on it has entered: whoever opens the store after a crash goes on with it.
        if (auto written = store_.engine().write(batch); !written) return written;
        store_.origins_persisted(known_origins);
        if (is_own_past) store_.take_incarnation(next_self);
        if (auto entered = finish_entering(next); !entered) {
            broken_ = entered.error();
            return entered;
        }
        logged(1);
        has_duties_ = true;
    }
    store_.notify();
    return {};
}

/// Where a state has entered in part, and the disk was full, it goes on.
result<void> bucket_state::check_ready() {
    if (!broken_ || broken_->code != errc::storage_full) return check_usable();
    auto unfinished = find_entering();
    if (!unfinished) return fail(unfinished.error());
    if (!*unfinished) return check_usable();
    broken_.reset();
    if (auto entered = finish_entering(**unfinished); !entered) {
        broken_ = entered.error();
        return entered;
    }
    logged(1);
    return {};
}

void bucket_state::go_on_entering() {
    // Who is in the middle of a closure is no such bucket; a session does not wait for it.
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock) (void)check_ready();
}

result<std::optional<bucket_state::entering>> bucket_state::find_entering() const {
    const auto stored = store_.engine().get(space::meta, entering_key_);
    if (!stored) return fail(stored.error());
    if (!*stored) return std::optional<entering>{};
    auto next = codec::decode<entering>(**stored);
    if (!next) return fail(errc::corrupt, "the state that was to enter bucket \"" + name_ + "\" cannot be decoded");
    return next;
}

/// May have been begun before, and done in part.
result<void> bucket_state::finish_entering(entering next) {
    for (const auto& entry : next.reflects) store_.clock().observe(entry.second.at);
    if (!next.is_in_rows) {
        if (auto moved = move_staged(next); !moved) return moved;
    }
    if (auto begun = begin_from_rows(); !begun) return begun;
    if (auto done = forget_again(next); !done) return done;
    storage::batch batch;
    batch.erase(space::meta, entering_key_);
    return store_.engine().write(batch);
}

result<void> bucket_state::move_staged(entering& next) {
    // Feeds read the log, and what is known of requests along with it.
    const std::unique_lock uncut(cut_mutex_);
    auto& engine = store_.engine();
    storage::batch batch;
    const auto write = [&]() -> result<void> {
        auto written = engine.write(batch);
        batch.clear();
        return written;
    };
    const auto reflects = to_vector({next.reflects.begin(), next.reflects.end()});
    const auto ends = ends_of(next);
    const leftover_mark mark{reflects, std::max(forgotten_, next.forgotten)};
    const auto erase_all = [&](const std::string& prefix) { batch.erase_range(space::rows, prefix, store_keys::prefix_end(prefix)); };
    auto rows = rows_.place();
    change_journal::entries changed;
    if (auto moved = next.is_whole ? result<void>{} : move_rows(batch, mark); !moved) return moved;
    auto all_items = journal_.write([&](std::string key, std::string value) -> result<void> {
        batch.put(space::rows, std::move(key), std::move(value));
        return storage::write_if_large(engine, batch);
    });
    auto listed = !next.is_whole ? visit_staged(staged_kind::item, [&](std::string_view item, std::string_view) { return all_items.add(item); })
                                 : all_items.add({});
    if (!listed) return listed;
    auto here = capture();
    end_at(here, ends);
    auto after = to_vector(here);
    after.join(reflects);
    auto entry = all_items.finish(std::move(after));
    if (!entry) return fail(entry.error());
    changed.push_back(std::move(*entry));
    if (auto done = set_aside(batch, ends); !done) return done;
    // From here on in one batch.
    if (auto written = write(); !written) return written;
    if (next.is_whole) {
        erase_all(store_keys::row_key(rows, {}));
        erase_all(store_keys::leftover_key(rows, {}));
        rows = store_keys::other_rows(rows);
    }
    journal_.add(batch, changed, next.is_whole);
    // Requests and rivals of before.
    erase_all(store_keys::request_prefix(number_));
    erase_all(store_keys::rivals_key(number_, {}, 0).substr(0, store_keys::row_key_prefix));
    std::vector<std::pair<std::string, std::string>> executions;
    auto moved = visit_staged(staged_kind::request, [&](std::string_view identity, std::string_view value) -> result<void> {
        batch.put(space::rows, store_keys::request_key(number_, store_keys::identity_in(identity)), std::string(value));
        const auto known = codec::decode<known_request>(value);
        if (!known) return fail(errc::corrupt, "what is known of a request cannot be decoded");
        for (const auto& x : known->executions) {
            // What has not come stands in the log here: what has, takes its place.
            auto key = store_keys::log_key(number_, x.id.writer, x.id.sequence);
            auto own = engine.get(space::log, key);
            if (!own) return fail(own.error());
            if (*own) executions.emplace_back(std::move(key), std::move(**own));
        }
        return {};
    });
    if (!moved) return moved;

    // Folds of which something is not in the rows stay.
    auto folds = folds_;
    std::erase_if(folds, [&](const logged_fold& f) {
        if (!next.relieves && !reflects.covers(f.covers())) return false;
        batch.erase(space::log, store_keys::log_key(number_, store_keys::fold_origin, f.number));
        return true;
    });
    for (const auto& [writer, last] : next.reflects) {
        batch.erase_range(space::log, store_keys::log_key(number_, writer, 0), store_keys::log_key(number_, writer, last.sequence + 1));
    }
    for (const auto& [writer, end] : ends) {
        batch.erase_range(space::log, store_keys::log_key(number_, writer, end.sequence + 1), store_keys::log_key(number_, writer, UINT64_MAX));
    }
    for (auto& [key, value] : executions) batch.put(space::log, std::move(key), std::move(value));
    moved = visit_staged(staged_kind::execution, [&](std::string_view key, std::string_view value) -> result<void> {
        batch.put(space::log, std::string(key), std::string(value));
        return {};
    });
    if (!moved) return moved;
    auto members = members_;
    if (next.relieves) members.replace(next.members, next.stable);
    else members.adopt(next.members, next.stable);
    const auto forgotten = next.relieves ? next.forgotten : mark.forgotten;
    const watermark mark_of_rows{reflects, store_.clock().last(), members, next.reflects, extent_.bytes(), forgotten, rows != number_, {{}, 0, unread_.unjudged, 0, unread_.unjudged_records}};
    batch.put(space::meta, watermark_key_, codec::encode(mark_of_rows));
    const auto staged = store_keys::staged_prefix(number_);
    batch.erase_range(space::rows, staged, store_keys::prefix_end(staged));
    next.is_in_rows = true;
    batch.put(space::meta, entering_key_, codec::encode(next));
    const holding now{next.only, holding_.wanted};
    if (now != holding_) batch.put(space::meta, holding_key_, codec::encode(now));
    if (auto written = write(); !written) return written;
    journal_.added(std::move(changed), next.is_whole);
    staged_.reset();
    hold(now);
    rows_.move_to(rows);
    end_logs(ends);
    floor_ = {next.reflects.begin(), next.reflects.end()};
    folds_ = std::move(folds);
    return {};
}

void bucket_state::end_at(tails& all, const std::map<origin, tail>& ends) {
    for (const auto& [writer, end] : ends) {
        const auto it = all.find(writer);
        if (it == all.end() || it->second.sequence <= end.sequence) continue;
        if (end.sequence == 0) all.erase(it);
        else it->second = end;
    }
}

/// What stood there has been taken out of the log.
void bucket_state::end_logs(const std::map<origin, tail>& ends) {
    if (ends.empty()) return;
    {
        const std::lock_guard lock(tails_mutex_);
        end_at(tails_, ends);
    }
    const std::lock_guard lock(durable_mutex_);
    end_at(durable_, ends);
    durable_revision_.fetch_add(1);
}

/// Into the place of those that stood there: whatever of it is done twice is the same.
result<void> bucket_state::move_rows(storage::batch& batch, const leftover_mark& mark) {
    auto& engine = store_.engine();
    const auto rows = rows_.place();
    const auto standing = engine.scan(space::rows, store_keys::row_key(rows, {}));
    auto moved = visit_staged(staged_kind::item, [&](std::string_view item, std::string_view) -> result<void> {
        const auto prefix = store_keys::row_key(rows, item);
        // Items come in order: what stands first behind the last one may be behind this one, too. Most are new here.
        if (!standing->valid() || standing->key() < prefix) standing->seek(prefix);
        for (; standing->valid() && standing->key().starts_with(prefix); standing->next()) {
            const auto path = standing->key().substr(store_keys::row_key_prefix);
            batch.erase(space::rows, std::string(standing->key()));
            batch.erase(space::rows, store_keys::leftover_key(rows, path));
            if (auto written = storage::write_if_large(engine, batch); !written) return written;
        }
        return standing->status();
    });
    if (!moved) return moved;
    return visit_staged(staged_kind::row, [&](std::string_view path, std::string_view value) -> result<void> {
        row_table::add_to(batch, rows, path, std::string(value), mark);
        return storage::write_if_large(engine, batch);
    });
}

/// What had been fixed here the source may still have taken for open: this member has told others that it is not.
result<void> bucket_state::forget_again(const entering& state) {
    const std::set<hash128> open(state.had_open.begin(), state.had_open.end());
    for (bool more = true; more;) {
        more = false;
        std::vector<hash128> fixed;
        auto visited = requests_.visit([&](const hash128& identity, const known_request& known) {
            if (known.issued < state.had_forgotten && !open.contains(identity)) fixed.push_back(identity);
            return true;
        });
        if (!visited) return visited;
        for (const auto& identity : fixed) {
            const auto done = forget(identity, state.had_forgotten);
            if (!done) return fail(done.error());
            more = more || *done;  // others may have waited for it
        }
    }
    lag_bytes_ += 1;
    return flush_locked();
}

/// What the engine holds has been replaced.
result<void> bucket_state::begin_from_rows() {
    auto stored = store_.engine().get(space::meta, watermark_key_);
    if (!stored) return fail(stored.error());
    const auto mark = *stored ? codec::decode<watermark>(**stored) : std::nullopt;
    if (!mark) return fail(errc::corrupt, "the watermark of bucket \"" + name_ + "\" cannot be decoded");
    requests_.clear();
    open_ = {};
    spent_.clear();
    fences_.clear();
    prunable_ = {};
    extent_ = log_extent(extent_step(store_.options()), store_.options().log_limit_age / 16);
    std::vector<std::pair<origin, tail>> ends;
    for (const auto& [writer, last] : mark->floor) {
        if (tail_of(writer).sequence < last.sequence) ends.emplace_back(writer, last);
        store_.clock().observe(last.at);
    }
    advance(ends);
    return restore(*mark);
}

}  // namespace anabranch::detail
