// Opening a bucket: the log's tails, and what the rows lack of it.
#include "codec/archive.hpp"
#include "store/log_stream.hpp"
#include "store/store_state.hpp"
#include "store/watermark.hpp"

namespace anabranch::detail {

result<void> bucket_state::recover() {
    auto stored = store_.engine().get(storage::space::meta, watermark_key_);
    if (!stored) return fail(stored.error());
    watermark mark;
    if (*stored) {
        auto decoded = codec::decode<watermark>(**stored);
        if (!decoded) return fail(errc::corrupt, "the watermark of bucket \"" + name_ + "\" cannot be decoded");
        mark = std::move(*decoded);
    }
    store_.clock().observe(mark.clock);
    if (mark.is_elsewhere) rows_.move_to(store_keys::other_rows(number_));
    if (auto loaded = journal_.load(); !loaded) return loaded;
    if (auto found = find_holding(); !found) return found;
    if (auto found = find_staged(); !found) return found;
    if (auto found = find_audits(); !found) return found;
    floor_ = {mark.floor.begin(), mark.floor.end()};
    advance({floor_.begin(), floor_.end()});
    for (const auto& entry : floor_) store_.clock().observe(entry.second.at);
    if (auto found = find_tails(); !found) return found;
    if (auto found = find_folds(); !found) return found;
    const auto unfinished = find_entering();
    if (!unfinished) return fail(unfinished.error());
    if (*unfinished) {
        members_ = mark.members;
        forgotten_ = mark.forgotten;
        unread_ = mark.unread;
        auto entered = finish_entering(**unfinished);
        // Other buckets can be used, and this one once there is room.
        if (entered || entered.error().code != errc::storage_full) return entered;
        broken_ = entered.error();
        return {};
    }
    return restore(mark);
}

/// The rows are as the watermark says, and the log's tails are known.
result<void> bucket_state::restore(const watermark& mark) {
    forgotten_ = mark.forgotten;
    members_ = mark.members;
    heirs_ = crdt::succession(members_.roster(), store_.origins());
    extent_.grow(mark.log_bytes, mark.applied, store_.options().env.now);
    has_duties_ = true;
    unread_ = mark.unread;
    const auto news = unread_.rows & kinds_.known;
    const auto new_records = unread_.records & known_records_;
    const bool has_learned = news != 0 || new_records != 0;
    // The rows are ahead of that, as they may be; or they lack what stands between others that they have, which is the same once
    // all of it is joined in its order.
    const auto applied = has_learned ? unread_.from : mark.applied;
    if (has_learned) unread_ = {{}, 0, unread_.unjudged | news, 0, unread_.unjudged_records | new_records};
    kinds_.unjudged = unread_.unjudged;
    has_unread_ = unread_.is_any();
    for (const auto& [writer, sequence] : mark.applied) {
        if (tail_of(writer).sequence < sequence) {
            return fail(errc::corrupt, "the log of bucket \"" + name_ + "\" ends before record " + std::to_string(sequence) +
                                           " of replica " + to_string(store_.origins().id(writer)) +
                                           ", which is in its rows");
        }
    }
    auto loaded = requests_.load([&](const known_request& known) {
        for (const auto& x : known.executions) {
            open_.executions.insert(x.id);
            open_.entangled.insert(x.id);  // perhaps
        }
    });
    if (!loaded) return loaded;
    is_recovering_ = true;
    if (auto replayed_all = replay(applied, mark.applied); !replayed_all) return replayed_all;
    is_recovering_ = false;
    if (auto found = find_spent(); !found) return found;
    if (!open_.executions.empty()) next_fence_ = store_.options().env.now().count();
    look_for_orphans();
    if (auto forgotten = forget_known_orphans(); !forgotten) return forgotten;
    return recount_now();
}

/// Records below the log's floor that nobody needs: a crash came before they were erased.
result<void> bucket_state::find_spent() {
    for (const auto& [writer, last] : floor_) {
        const auto end = store_keys::log_key(number_, writer, last.sequence + 1);
        const auto cursor = store_.engine().scan(storage::space::log, store_keys::log_key(number_, writer, 0));
        for (; cursor->valid() && cursor->key() < end; cursor->next()) {
            const auto at = store_keys::parse_log_key(cursor->key());
            if (!at) return fail(errc::corrupt, "the log holds a key that is none");
            const dot d{writer, at->sequence};
            if (open_.executions.contains(d)) continue;
            const auto rivals = rivals_.find(d);
            if (!rivals) return fail(rivals.error());
            if (rivals->empty()) spent_.push_back(d);
        }
        if (auto status = cursor->status(); !status) return status;
    }
    return {};
}

result<void> bucket_state::find_tails() {
    // One seek an origin: from its last record on to the next origin's first.
    std::uint32_t next = 0;
    while (true) {
        auto cursor = store_.engine().scan(storage::space::log, store_keys::log_key(number_, origin{next}, 0));
        if (!cursor->valid()) return cursor->status();
        const auto first = store_keys::parse_log_key(cursor->key());
        if (!first) return fail(errc::corrupt, "the log holds a key that is none");
        if (first->bucket != number_ || first->writer == store_keys::fold_origin) return {};
        auto last = store_.engine().last(storage::space::log, store_keys::log_key(number_, first->writer, UINT64_MAX));
        if (!last) return fail(last.error());
        const auto position = *last ? store_keys::parse_log_key((*last)->first) : std::nullopt;
        if (!position || position->writer != first->writer || (*last)->second.size() < head_size) {
            return fail(errc::corrupt, "the log of bucket \"" + name_ + "\" has no usable last record");
        }
        if (static_cast<std::size_t>(first->writer) >= store_.origins().size()) {
            return fail(errc::corrupt, "the log of bucket \"" + name_ + "\" names a replica that is not in the table");
        }
        const auto& value = (*last)->second;
        const tail t{position->sequence, head_of(value), oplog::record_time(body_of(value))};
        // Below the floor there may be executions of requests that were open there.
        if (tail_of(first->writer).sequence < t.sequence) advance(first->writer, t);
        store_.clock().observe(t.at);
        next = static_cast<std::uint32_t>(first->writer) + 1;
    }
}

result<void> bucket_state::find_folds() {
    const auto prefix = store_keys::log_key(number_, store_keys::fold_origin, 0).substr(0, 8);
    const auto cursor = store_.engine().scan(storage::space::log, prefix);
    for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
        const auto position = store_keys::parse_log_key(cursor->key());
        const auto value = codec::decode<fold_value>(cursor->value());
        if (!position || !value || !value->chunk.folded || !oplog::is_sound(value->chunk)) {
            return fail(errc::corrupt, "a fold in the log of bucket \"" + name_ + "\" cannot be decoded");
        }
        logged_fold f{position->sequence, value->before, {}, {}, {}, value->chunk.folded->least, value->chunk.folded->greatest};
        for (std::size_t i = 0; i < value->chunk.ranges.size(); ++i) {
            const auto& range = value->chunk.ranges[i];
            const auto writer = store_.origins().find(range.origin);
            if (!writer) return fail(errc::corrupt, "a fold in the log of bucket \"" + name_ + "\" names an unknown replica");
            const auto first = std::max(range.first, f.before.at(*writer) + 1);
            if (first > range.last) continue;  // it was here before
            const auto at = value->chunk.folded->ends[i];
            f.ranges.push_back({*writer, first, range.last});
            f.heads.push_back(range.head);
            f.ends.push_back(at);
            if (tail_of(*writer).sequence <= range.last) advance(*writer, {range.last, range.head, at});
            store_.clock().observe(at);
        }
        folds_.push_back(std::move(f));
    }
    return cursor->status();
}

/// `counted`: of this the length is known.
result<void> bucket_state::replay(const version_vector& from, const version_vector& counted) {
    // In the order of arrival as far as folds are concerned: what lies beside a fold in time may depend on it, or it on that.
    have_ = from;
    for (const auto& f : folds_) {
        if (from.covers(f.covers())) continue;
        if (auto done = replay_records(f.before, counted); !done) return done;
        const auto chunk = load_fold(f);
        if (!chunk) return fail(chunk.error());
        const auto content = open_fold(*chunk);
        if (!content) return fail(content.error());
        if (auto joined = join_fold(content->changes, f.covers(), content->executions, content->unread); !joined) return joined;
        if (auto done = replayed(f.covers(), chunk->folded->body.size(), counted); !done) return done;
    }
    version_vector all;
    for (const auto& [writer, t] : capture()) all.join(dot{writer, t.sequence});
    return replay_records(all, counted);
}

result<void> bucket_state::replay_records(const version_vector& upto, const version_vector& counted) {
    std::vector<std::unique_ptr<oplog::record_stream>> streams;
    for (const auto& [writer, sequence] : upto.beyond(have_)) {
        streams.push_back(std::make_unique<log_stream>(store_.engine(), number_, writer, store_.origins().id(writer),
                                                       have_.at(writer) + 1, sequence));
    }
    oplog::merged_stream merged(std::move(streams));
    for (auto* top = merged.top(); top != nullptr; top = merged.top()) {
        const auto writer = store_.origins().intern(top->origin());
        const auto record = open_logged(*top);
        if (!record) return fail(record.error());
        const dot id{writer, top->sequence()};
        if (auto joined = join_record(id, *record); !joined) return joined;
        if (auto done = replayed(vector_of(id), top->body().size(), counted); !done) return done;
        merged.next();
    }
    return merged.status();
}

result<void> bucket_state::replayed(const version_vector& covers, std::size_t bytes, const version_vector& counted) {
    have_.join(covers);
    rows_.mark_time(have_);
    lag_bytes_ += bytes;
    if (!counted.covers(covers)) extent_.grow(bytes, have_, store_.options().env.now);
    if (!is_flush_due()) return {};
    // What is written now is not replayed again: nothing that has to be counted anew may wait any longer.
    if (auto recounted = recount_now(); !recounted) return recounted;
    after_write();
    return {};
}

}  // namespace anabranch::detail
