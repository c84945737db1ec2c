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
    floor_ = {mark.floor.begin(), mark.floor.end()};
    advance({floor_.begin(), floor_.end()});
    if (auto found = find_tails(); !found) return found;
    members_ = mark.members;
    extent_.grow(mark.log_bytes, mark.applied, store_.options().env.now());
    has_duties_ = true;
    for (const auto& [writer, sequence] : mark.applied) {
        if (tail_of(writer).sequence < sequence) {
            return fail(errc::corrupt, "the log of bucket \"" + name_ + "\" ends before record " + std::to_string(sequence) +
                                           " of replica " + to_string(store_.origins().id(writer)) +
                                           ", which is in its rows");
        }
    }
    return replay(mark.applied);
}

result<void> bucket_state::find_tails() {
    // One seek an origin: from its last record on to the next origin's first.
    std::uint32_t next = 0;
    while (true) {
        auto cursor = store_.engine().scan(storage::space::log, store_keys::log_key(number_, origin{next}, 0));
        if (!cursor->valid()) return cursor->status();
        const auto first = store_keys::parse_log_key(cursor->key());
        if (!first) return fail(errc::corrupt, "the log holds a key that is none");
        if (first->bucket != number_) return {};
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
        advance({{first->writer, t}});
        store_.clock().observe(t.at);
        next = static_cast<std::uint32_t>(first->writer) + 1;
    }
}

result<void> bucket_state::replay(const version_vector& from) {
    std::vector<std::unique_ptr<oplog::record_stream>> streams;
    for (const auto& [writer, t] : capture()) {
        if (from.at(writer) >= t.sequence) continue;
        streams.push_back(std::make_unique<log_stream>(store_.engine(), number_, writer, store_.origins().id(writer),
                                                       from.at(writer) + 1, t.sequence));
    }
    have_ = from;
    oplog::merged_stream merged(std::move(streams));
    for (auto* top = merged.top(); top != nullptr; top = merged.top()) {
        const auto writer = store_.origins().intern(top->origin());
        const auto record = oplog::decode_record(top->body());
        std::optional<crdt::changes> changes;
        if (record) {
            const auto mentioned = find_mentioned(record->mentioned);
            if (mentioned) changes = crdt::decode_changes(record->payload, writer, *mentioned);
        }
        if (!changes) {
            return fail(errc::corrupt, "record " + std::to_string(top->sequence()) + " of replica " +
                                           to_string(top->origin()) + " in bucket \"" + name_ + "\" cannot be decoded");
        }
        if (auto joined = join_rows(*changes); !joined) return joined;
        have_.join(dot{writer, top->sequence()});
        lag_bytes_ += top->body().size();
        extent_.grow(top->body().size(), have_, store_.options().env.now());
        merged.next();
        after_write();
    }
    return merged.status();
}

}  // namespace anabranch::detail
