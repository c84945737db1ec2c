#include "store/row_table.hpp"

#include <algorithm>

#include "codec/archive.hpp"

namespace anabranch::detail {
namespace {

using storage::space;

constexpr std::size_t write_piece = 1024 * 1024;

result<crdt::row> decode_stored(std::string_view path, std::string_view bytes) {
    auto row = crdt::decode_row(bytes);
    if (!row) return fail(errc::corrupt, "the row at path \"" + std::string(path) + "\" cannot be decoded");
    return std::move(*row);
}

/// Appends nothing where the row holds nothing.
void encode(const crdt::row& row, std::string& out) {
    if (!crdt::is_bottom(row)) crdt::encode_row(row, out);
}

bool holds_leftovers(std::string_view encoded) {
    const auto kind = crdt::encoded_kind(encoded);
    if (!kind || !crdt::may_have_leftovers(*kind)) return false;
    const auto row = crdt::decode_row(encoded);
    return row && crdt::has_leftovers(*row);
}

}  // namespace

result<const kept_row*> row_table::load(std::string_view path) {
    const auto row = bring(path);
    if (!row) return fail(row.error());
    return *row;
}

std::optional<crdt::row> row_table::decode(const kept_row& row) {
    return row.encoded().empty() ? std::nullopt : crdt::decode_row(row.encoded());
}

result<kept_row*> row_table::bring(std::string_view path) {
    if (const auto it = rows_.find(path); it != rows_.end()) return *it;
    auto stored = engine_.get(space::rows, store_keys::row_key(bucket_, path));
    if (!stored) return fail(stored.error());
    if (*stored) {
        if (auto row = decode_stored(path, **stored); !row) return fail(row.error());
    }
    return insert(path, *stored ? **stored : std::string_view{});
}

kept_row* row_table::insert(std::string_view path, std::string_view encoded) {
    constexpr std::size_t place_in_set = 2 * sizeof(void*);  // about
    auto* row = kept_row::make(memory_, path, encoded);
    read_.forget(path);
    bytes_ += row->footprint() + place_in_set;
    rows_.insert(row);
    return row;
}

result<std::optional<crdt::row>> row_table::peek(std::string_view path, const row_snapshot* at) const {
    if (at == nullptr) {
        if (const auto it = rows_.find(path); it != rows_.end()) return decode(**it);
        if (const auto read = read_.find(path)) return crdt::decode_row(*read);
    }
    auto bytes = engine_.get(space::rows, store_keys::row_key(at == nullptr ? bucket_ : at->rows, path), at == nullptr ? nullptr : at->at.get());
    if (!bytes) return fail(bytes.error());
    if (!*bytes) return std::optional<crdt::row>{};
    auto row = decode_stored(path, **bytes);
    if (!row) return fail(row.error());
    if (at == nullptr) read_.keep(path, **bytes);
    return std::optional(std::move(*row));
}

/// Runs `apply(row)` on the row.
template <class Change>
result<void> row_table::change(std::string_view path, crdt::row_kind kind, const Change& apply) {
    const auto kept = bring(path);
    if (!kept) return fail(kept.error());
    auto row = decode(**kept);
    if (!row) row = crdt::bottom(kind);
    apply(*row);
    replace(*kept, *row);
    return {};
}

void row_table::note_recount(std::string_view path, crdt::open_requests& open) {
    if (std::exchange(open.is_recount_due, false)) recounts_.emplace_back(path);
}

result<void> row_table::join(std::string_view path, const crdt::delta& delta, const version_vector& have, crdt::open_requests& open) {
    auto joined = change(path, crdt::kind_of(delta.change), [&](crdt::row& row) { crdt::join(row, delta, have, &open); });
    note_recount(path, open);
    return joined;
}

result<void> row_table::regroup(std::string_view path, const crdt::row_group* before, const crdt::row_group& after,
                                const version_vector& have, crdt::open_requests& open) {
    auto joined = change(path, crdt::kind_of(after.parts.front().change.change),
                         [&](crdt::row& row) {
                             // Of two kinds at one path, which honest peers never write, the first stays.
                             if (crdt::kind_of(row) == crdt::kind_of(after.parts.front().change.change)) crdt::regroup(row, before, after, have, open);
                         });
    note_recount(path, open);
    return joined;
}

std::vector<std::string> row_table::take_recounts() {
    auto paths = std::exchange(recounts_, {});
    std::ranges::sort(paths);
    paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
    return paths;
}

result<void> row_table::recount(std::string_view path, const std::vector<crdt::row_group>& groups) {
    return change(path, crdt::row_kind::counter, [&](crdt::row& row) { crdt::recount(row, groups); });
}

result<bool> row_table::fix_removals(std::string_view path, const crdt::row_group& group, crdt::open_requests& open) {
    auto row = peek(path);
    if (!row) return fail(row.error());
    if (!*row || !crdt::fix_removals(**row, group, open)) return false;
    put(path, **row);
    note_recount(path, open);
    return true;
}

result<std::optional<crdt::row>> row_table::fixed(std::string_view path, const crdt::row_group& group, const origin_table& origins,
                                                  crdt::open_requests& open) {
    auto row = peek(path);
    if (!row) return fail(row.error());
    if (!*row) *row = crdt::bottom(crdt::kind_of(group.parts.front().change.change));
    if (!crdt::fix(**row, group, origins, open)) return std::optional<crdt::row>{};
    note_recount(path, open);
    return std::move(*row);
}

result<std::vector<std::string>> row_table::paths_below(std::string_view prefix) const {
    std::vector<std::string> paths;
    for (const auto* kept : rows_) {
        if (kept->path().starts_with(prefix)) paths.emplace_back(kept->path());
    }
    auto cursor = scan(prefix, {});
    for (; cursor.valid(); cursor.next()) {
        if (!rows_.contains(cursor.path())) paths.emplace_back(cursor.path());
    }
    if (auto status = cursor.status(); !status) return fail(status.error());
    std::ranges::sort(paths);
    return paths;
}

void row_table::replace(kept_row* row, const crdt::row& value) {
    encoding_.clear();
    encode(value, encoding_);
    row = set(row, encoding_);
    if (row->place_among_changed != kept_row::unchanged) {
        if (row->place_among_changed >= stretch_begin()) return;
        changed_[row->place_among_changed] = nullptr;
    }
    row->place_among_changed = static_cast<std::uint32_t>(changed_.size());
    changed_.push_back(row);
}

/// Where the row is then.
kept_row* row_table::set(kept_row* row, std::string_view encoded) {
    if (row->set(encoded)) return row;
    rows_.erase(row);
    auto* larger = insert(row->path(), encoded);
    larger->place_among_changed = row->place_among_changed;
    if (larger->place_among_changed != kept_row::unchanged) changed_[larger->place_among_changed] = larger;
    return larger;
}

void row_table::mark_time(const version_vector& have) {
    if (changed_.size() - stretch_begin() < journal_.step()) return;
    stretches_.push_back({changed_.size(), have});
    // Rows that change again and again leave gaps.
    constexpr std::size_t some = 4096;
    if (changed_.size() > 2 * rows_.size() + some) pack_changed();
}

void row_table::pack_changed() {
    std::size_t kept = 0;
    auto below = changed_below_.begin();
    auto s = stretches_.begin();
    auto made = stretches_.begin();
    for (std::size_t i = 0; i <= changed_.size(); ++i) {
        for (; below != changed_below_.end() && below->first == i; ++below) below->first = kept;
        for (; s != stretches_.end() && s->end == i; ++s) {
            const auto begin = made == stretches_.begin() ? 0 : std::prev(made)->end;
            if (kept == begin && made != stretches_.begin()) --made;
            *made++ = {kept, std::move(s->after)};
        }
        if (i == changed_.size() || changed_[i] == nullptr) continue;
        changed_[kept] = changed_[i];
        changed_[kept]->place_among_changed = static_cast<std::uint32_t>(kept);
        ++kept;
    }
    changed_.resize(kept);
    stretches_.erase(made, stretches_.end());
}

void row_table::put(std::string_view path, const crdt::row& value) {
    const auto it = rows_.find(path);
    replace(it != rows_.end() ? *it : insert(path, {}), value);
}

result<void> row_table::cover_prefix(std::string_view prefix, const version_vector& covered, const leftover_mark& with,
                                     crdt::open_requests& open) {
    // Also where nothing changes now: it may have before a crash.
    changed_below_.emplace_back(changed_.size(), prefix);
    std::vector<std::pair<std::string, crdt::row>> changed;
    for (const auto* kept : rows_) {
        if (!kept->path().starts_with(prefix)) continue;
        auto row = decode(*kept);
        if (row && crdt::cover(*row, covered, &open)) changed.emplace_back(kept->path(), std::move(*row));
        note_recount(kept->path(), open);
    }
    for (const auto& [path, row] : changed) put(path, row);
    storage::batch changes;
    std::vector<std::pair<std::string, crdt::row>> written;
    const auto write = [&] {
        // Where nothing can be written they wait in memory like all others.
        if (!changes.empty() && !engine_.write(changes)) {
            for (const auto& [path, row] : written) put(path, row);
        }
        for (const auto& [path, row] : written) read_.forget(path);
        changes.clear();
        written.clear();
    };
    auto cursor = scan(prefix, {});
    for (; cursor.valid(); cursor.next()) {
        std::string path(cursor.path());
        if (rows_.contains(std::string_view(path))) continue;
        auto row = cursor.row();
        if (!row) return fail(row.error());
        const bool is_changed = crdt::cover(*row, covered, &open);
        note_recount(path, open);
        if (!is_changed) continue;
        std::string encoded;
        encode(*row, encoded);
        add_to(changes, bucket_, path, std::move(encoded), with);
        written.emplace_back(std::move(path), std::move(*row));
        if (changes.bytes() >= write_piece) write();
    }
    write();
    return cursor.status();
}

void row_table::add_to(storage::batch& changes, store_keys::bucket_number place, std::string_view path, std::string encoded,
                       const leftover_mark& now) {
    if (holds_leftovers(encoded)) changes.put(space::rows, store_keys::leftover_key(place, path), codec::encode(now));
    auto key = store_keys::row_key(place, path);
    if (encoded.empty()) {
        changes.erase(space::rows, std::move(key));
    } else {
        changes.put(space::rows, std::move(key), std::move(encoded));
    }
}

result<void> row_table::prune(const version_vector& stable, std::uint64_t forgotten, const leftover_mark& now) {
    storage::batch changes;
    std::vector<std::pair<std::string, std::string>> written;
    const auto write = [&]() -> result<void> {
        if (auto done = engine_.write(changes); !done) return done;
        for (const auto& [at, encoded] : written) {
            read_.forget(at);
            if (const auto it = rows_.find(std::string_view(at)); it != rows_.end()) set(*it, encoded);
        }
        changes.clear();
        written.clear();
        return {};
    };
    const auto prefix = store_keys::leftover_key(bucket_, {});
    const auto cursor = engine_.scan(space::rows, prefix);
    for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
        std::string path(cursor->key().substr(store_keys::row_key_prefix));
        const auto mark = codec::decode<leftover_mark>(cursor->value());
        if (!mark) return fail(errc::corrupt, "the mark of the row at path \"" + path + "\" cannot be decoded");
        if (!stable.covers(mark->reflects) || forgotten < mark->forgotten) continue;
        auto row = peek(path);
        if (!row) return fail(row.error());
        bool is_done = true;
        if (*row && crdt::has_leftovers(**row)) {
            crdt::prune(**row, stable);
            // Requests that may still change need it.
            is_done = !crdt::has_leftovers(**row) || !crdt::is_in_doubt(**row);
            std::string encoded;
            encode(**row, encoded);
            add_to(changes, bucket_, path, encoded, now);
            written.emplace_back(std::move(path), std::move(encoded));
        }
        if (is_done) changes.erase(space::rows, std::string(cursor->key()));
        if (changes.bytes() < write_piece) continue;
        if (auto done = write(); !done) return done;
    }
    if (auto status = cursor->status(); !status) return status;
    return changes.empty() ? result<void>{} : write();
}

/// In the order of their paths, in which engines take them fastest.
std::vector<const kept_row*> row_table::sorted_changed() const {
    std::vector<const kept_row*> sorted;
    sorted.reserve(changed_.size());
    std::ranges::copy_if(changed_, std::back_inserter(sorted), [](const kept_row* row) { return row != nullptr; });
    std::ranges::sort(sorted, {}, &kept_row::path);
    return sorted;
}

/// Adds what has changed to the batch, and writes it in between where it is much.
result<change_journal::entries> row_table::journal(const std::vector<const kept_row*>& changed, const version_vector& now,
                                                   storage::batch& batch, std::size_t most_bytes) const {
    auto ends = stretches_;
    ends.push_back({SIZE_MAX, now});
    const auto stretch_at = [&](std::size_t place) {
        return static_cast<std::size_t>(std::ranges::upper_bound(ends, place, {}, &stretch::end) - ends.begin());
    };
    // A stretch of which little is left goes with the next one.
    std::vector<std::size_t> sizes(ends.size());
    for (const auto* row : changed) ++sizes[stretch_at(row->place_among_changed)];
    for (const auto& below : changed_below_) ++sizes[stretch_at(below.first)];
    std::vector<std::size_t> entry_of(ends.size());
    std::size_t count = 0;
    std::size_t size = 0;
    for (std::size_t i = 0; i < ends.size(); ++i) {
        entry_of[i] = count;
        size += sizes[i];
        if (i + 1 == ends.size() || size < journal_.step()) continue;
        ++count;
        size = 0;
    }
    std::vector<std::vector<std::string_view>> items(count + 1);
    for (const auto* row : changed) items[entry_of[stretch_at(row->place_among_changed)]].push_back(row->path());
    for (const auto& [place, prefix] : changed_below_) {
        auto& all = items[entry_of[stretch_at(place)]];
        all.insert(std::ranges::upper_bound(all, prefix), prefix);
    }
    change_journal::entries made;
    for (std::size_t i = 0; i < ends.size(); ++i) {
        const bool is_last = i + 1 == ends.size() || entry_of[i + 1] != entry_of[i];
        const auto& all = items[entry_of[i]];
        if (!is_last || all.empty()) continue;
        auto writer = journal_.write([&](std::string key, std::string value) -> result<void> {
            batch.put(space::rows, std::move(key), std::move(value));
            return storage::write_if_large(engine_, batch, most_bytes);
        });
        for (std::size_t k = 0; k < all.size(); ++k) {
            if (k > 0 && all[k] == all[k - 1]) continue;
            if (auto added = writer.add(all[k]); !added) return fail(added.error());
        }
        auto entry = writer.finish(ends[i].after);
        if (!entry) return fail(entry.error());
        made.push_back(std::move(*entry));
    }
    return made;
}

result<void> row_table::flush(std::string_view watermark_key, const std::string& watermark, const leftover_mark& now,
                              storage::batch with, bool as_one) const {
    const auto most_bytes = as_one ? SIZE_MAX : write_piece;
    const std::lock_guard lock(flush_mutex_);
    storage::batch changes;
    const auto sorted = sorted_changed();
    for (const auto* row : sorted) {
        add_to(changes, bucket_, row->path(), std::string(row->encoded()), now);
        if (auto written = storage::write_if_large(engine_, changes, most_bytes); !written) return written;
    }
    auto entries = journal(sorted, now.reflects, changes, most_bytes);
    if (!entries) return fail(entries.error());
    // What stands in the engine before this is written is in the log beyond the watermark: it will be changed, and told, again.
    journal_.add(changes, *entries);
    changes.put(space::meta, std::string(watermark_key), watermark);
    changes.append(std::move(with));
    if (auto written = engine_.write(changes); !written) return written;
    journal_.added(std::move(*entries));
    for (auto* row : changed_) {
        if (row != nullptr) row->place_among_changed = kept_row::unchanged;
    }
    changed_.clear();
    stretches_.clear();
    changed_below_.clear();
    return {};
}

row_table::rows row_table::waiting(std::string_view prefix) const {
    const std::lock_guard lock(flush_mutex_);
    rows found;
    for (const auto* kept : changed_) {
        if (kept == nullptr || !kept->path().starts_with(prefix)) continue;
        // One that holds nothing hides what the engine has.
        found.emplace(kept->path(), decode(*kept).value_or(crdt::bottom(crdt::row_kind::dots)));
    }
    return found;
}

bool row_table::has_changes() const {
    const std::lock_guard lock(flush_mutex_);
    return !changed_.empty() || !changed_below_.empty();
}

void row_table::trim() {
    if (changed_.empty() && is_full()) let_go();
}

void row_table::move_to(store_keys::bucket_number place) {
    bucket_ = place;
    let_go();
    read_.clear();
    recounts_.clear();
}

void row_table::let_go() {
    rows_.clear();
    memory_.release();
    bytes_ = 0;
}

row_cursor row_table::scan(std::string_view prefix, std::string_view from, const row_snapshot* at) const {
    auto key = store_keys::row_key(at == nullptr ? bucket_ : at->rows, prefix);
    auto cursor = engine_.scan(space::rows, key + std::string(from), at == nullptr ? nullptr : at->at.get());
    return {std::move(cursor), std::move(key)};
}

result<crdt::row> row_cursor::row() const { return decode_stored(path(), cursor_->value()); }

}  // namespace anabranch::detail
