#include "store/row_table.hpp"

#include "codec/archive.hpp"

namespace anabranch::detail {
namespace {

using storage::space;

// What a decoded row takes beside its path and values: for budgets, not for accounts.
constexpr std::size_t row_overhead = 256;
constexpr std::size_t write_piece = 1024 * 1024;

std::size_t value_bytes(const crdt::row& r) {
    std::size_t bytes = 0;
    if (const auto* entries = std::get_if<crdt::entries_row>(&r)) {
        for (const auto& e : entries->entries) bytes += e.value.size();
    }
    return bytes;
}

result<crdt::row> decode(std::string_view path, std::string_view bytes) {
    auto row = crdt::decode_row(bytes);
    if (!row) return fail(errc::corrupt, "the row at path \"" + std::string(path) + "\" cannot be decoded");
    return std::move(*row);
}

}  // namespace

result<crdt::row*> row_table::load(std::string_view path, crdt::row_kind kind) {
    auto it = slots_.find(path);
    if (it == slots_.end()) {
        auto stored = peek(path);
        if (!stored) return fail(stored.error());
        slot s{*stored ? std::move(**stored) : crdt::bottom(kind)};
        it = insert(path, std::move(s));
    }
    // A row without content may have been asked for as another kind before.
    if (it->second.value.index() != crdt::bottom(kind).index() && crdt::is_bottom(it->second.value)) {
        it->second.value = crdt::bottom(kind);
    }
    return &it->second.value;
}

result<std::optional<crdt::row>> row_table::peek(std::string_view path, const storage::snapshot* at) const {
    if (at == nullptr) {
        if (const auto it = slots_.find(path); it != slots_.end()) return std::optional(it->second.value);
    }
    auto bytes = engine_.get(space::rows, store_keys::row_key(bucket_, path), at);
    if (!bytes) return fail(bytes.error());
    if (!*bytes) return std::optional<crdt::row>{};
    auto row = decode(path, **bytes);
    if (!row) return fail(row.error());
    return std::optional(std::move(*row));
}

row_table::slots::iterator row_table::insert(std::string_view path, slot s) {
    bytes_ += path.size() + value_bytes(s.value) + row_overhead;
    return slots_.emplace(std::string(path), std::move(s)).first;
}

void row_table::mark(const std::string& path, slot& s) {
    bytes_ += value_bytes(s.value);
    if (s.dirty) return;
    s.dirty = true;
    dirty_.push_back(path);
}

void row_table::put(std::string_view path, crdt::row value) {
    auto it = slots_.find(path);
    if (it == slots_.end()) it = insert(path, {});
    it->second.value = std::move(value);
    mark(it->first, it->second);
}

void row_table::touch(std::string_view path) {
    const auto it = slots_.find(path);
    if (it != slots_.end()) mark(it->first, it->second);
}

result<void> row_table::cover_prefix(std::string_view prefix, const version_vector& covered) {
    for (auto& [path, s] : slots_) {
        if (path.starts_with(prefix) && crdt::cover(s.value, covered)) mark(path, s);
    }
    storage::batch changes;
    std::vector<std::pair<std::string, crdt::row>> written;
    const auto write = [&] {
        // Where nothing can be written they wait in memory like all others.
        if (!changes.empty() && !engine_.write(changes)) {
            for (auto& [path, row] : written) put(path, std::move(row));
        }
        changes.clear();
        written.clear();
    };
    auto cursor = scan(prefix, {});
    for (; cursor.valid(); cursor.next()) {
        std::string path(cursor.path());
        if (slots_.contains(path)) continue;
        auto row = cursor.row();
        if (!row) return fail(row.error());
        if (!crdt::cover(*row, covered)) continue;
        add_to(changes, path, *row);
        written.emplace_back(std::move(path), std::move(*row));
        if (changes.bytes() >= write_piece) write();
    }
    write();
    return cursor.status();
}

void row_table::add_to(storage::batch& changes, std::string_view path, const crdt::row& row) const {
    auto key = store_keys::row_key(bucket_, path);
    if (crdt::is_bottom(row)) {
        changes.erase(space::rows, std::move(key));
    } else {
        changes.put(space::rows, std::move(key), crdt::encode_row(row));
    }
}

void row_table::add_leftover(storage::batch& changes, std::string_view path, const crdt::row& row,
                             const version_vector& have) const {
    if (!crdt::has_leftovers(row)) return;
    changes.put(space::rows, store_keys::leftover_key(bucket_, path), codec::encode(have));
}

result<std::vector<std::string>> row_table::prune(const version_vector& stable) {
    std::vector<std::string> pruned;
    const auto prefix = store_keys::leftover_key(bucket_, {});
    const auto cursor = engine_.scan(space::rows, prefix);
    for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
        std::string path(cursor->key().substr(store_keys::row_key_prefix));
        const auto until = codec::decode<version_vector>(cursor->value());
        if (!until) return fail(errc::corrupt, "the mark of the row at path \"" + path + "\" cannot be decoded");
        if (!stable.covers(*until)) continue;
        auto row = peek(path);
        if (!row) return fail(row.error());
        if (*row && crdt::has_leftovers(**row)) {
            crdt::prune(**row, stable);
            put(path, std::move(**row));
        }
        pruned.push_back(std::move(path));
    }
    if (auto status = cursor->status(); !status) return fail(status.error());
    return pruned;
}

result<void> row_table::forget_leftovers(const std::vector<std::string>& paths) const {
    storage::batch changes;
    for (const auto& path : paths) changes.erase(space::rows, store_keys::leftover_key(bucket_, path));
    return changes.empty() ? result<void>{} : engine_.write(changes);
}

result<void> row_table::flush(std::string_view watermark_key, const std::string& watermark, const version_vector& have) const {
    const std::lock_guard lock(flush_mutex_);
    storage::batch changes;
    for (const auto& path : dirty_) {
        const auto& row = slots_.find(path)->second.value;
        add_to(changes, path, row);
        add_leftover(changes, path, row, have);
        if (changes.bytes() < write_piece) continue;
        if (auto written = engine_.write(changes); !written) return written;
        changes.clear();
    }
    changes.put(space::meta, std::string(watermark_key), watermark);
    if (auto written = engine_.write(changes); !written) return written;
    for (const auto& path : dirty_) slots_.find(path)->second.dirty = false;
    dirty_.clear();
    return {};
}

row_table::rows row_table::waiting(std::string_view prefix) const {
    const std::lock_guard lock(flush_mutex_);
    rows found;
    for (const auto& path : dirty_) {
        if (path.starts_with(prefix)) found.emplace(path, slots_.find(path)->second.value);
    }
    return found;
}

void row_table::trim() {
    if (!dirty_.empty() || !is_full()) return;
    slots_.clear();
    bytes_ = 0;
}

row_cursor row_table::scan(std::string_view prefix, std::string_view from, const storage::snapshot* at) const {
    auto key = store_keys::row_key(bucket_, prefix);
    auto cursor = engine_.scan(space::rows, key + std::string(from), at);
    return {std::move(cursor), std::move(key)};
}

result<crdt::row> row_cursor::row() const { return decode(path(), cursor_->value()); }

}  // namespace anabranch::detail
