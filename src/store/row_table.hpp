// The rows of one bucket: those in use decoded in memory, the others in the storage engine.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/row.hpp"
#include "storage/engine.hpp"
#include "store/keys.hpp"

namespace anabranch::detail {

/// Walks the rows of one bucket below a prefix, upwards.
class row_cursor {
  public:
    row_cursor(std::unique_ptr<storage::cursor> cursor, std::string whole_prefix)
        : cursor_(std::move(cursor)), whole_prefix_(std::move(whole_prefix)) {}

    bool valid() const { return cursor_->valid() && cursor_->key().starts_with(whole_prefix_); }
    std::string_view path() const { return cursor_->key().substr(store_keys::row_key_prefix); }
    result<crdt::row> row() const;
    void next() { cursor_->next(); }
    /// To the first row whose path is not below `path`.
    void seek(std::string_view path) {
        cursor_->seek(whole_prefix_.substr(0, store_keys::row_key_prefix) + std::string(path));
    }
    result<void> status() const { return cursor_->status(); }

  private:
    std::unique_ptr<storage::cursor> cursor_;
    std::string whole_prefix_;
};

/// Changed rows wait here and are written behind the log: the log record is a commit's only write. Until then they are
/// rebuilt from the log on open. Rows in the engine may be ahead of the watermark, never behind it: joining
/// a record into a row that has it already changes nothing.
///
/// The owner's lock: members that are not const need it exclusively, const ones and flush() shared.
class row_table {
  public:
    row_table(storage::engine& engine, store_keys::bucket_number bucket, std::size_t budget)
        : engine_(engine), bucket_(bucket), budget_(budget) {}

    /// The row, in memory from now on; `bottom(kind)` where there is none. Valid until the next call of a non-const member.
    result<crdt::row*> load(std::string_view path, crdt::row_kind kind);
    /// A copy of the row; nothing where there is none.
    result<std::optional<crdt::row>> peek(std::string_view path, const storage::snapshot* at = nullptr) const;
    /// Replaces a row.
    void put(std::string_view path, crdt::row value);
    /// The row that load() returned has been changed.
    void touch(std::string_view path);
    /// Takes what `covered` covers away from every row whose path begins with `prefix`. Fails only where rows cannot be read.
    result<void> cover_prefix(std::string_view prefix, const version_vector& covered);

    /// Enough is in memory that flush() and trim() should be called; twice as much: they must succeed first.
    bool is_full() const { return bytes_ >= budget_; }
    bool is_overdue() const { return bytes_ / 2 >= budget_; }
    /// Writes the changed rows, and `watermark` with the last of them; `have` covers everything in them. Several threads may
    /// call it.
    result<void> flush(std::string_view watermark_key, const std::string& watermark, const version_vector& have) const;
    /// Lets go of leftovers of rows in which everything is stable, as far as they have been flushed. Flush again, then
    /// forget_leftovers().
    result<std::vector<std::string>> prune(const version_vector& stable);
    result<void> forget_leftovers(const std::vector<std::string>& paths) const;
    /// Copies of the changed rows below a prefix: for readers while flush() fails.
    using rows = std::map<std::string, crdt::row, std::less<>>;
    rows waiting(std::string_view prefix) const;
    /// Forgets all rows where memory holds more than its share. Flush first.
    void trim();

    /// All rows in the engine whose path begins with `prefix`, from prefix + `from` on. Flush first.
    row_cursor scan(std::string_view prefix, std::string_view from, const storage::snapshot* at = nullptr) const;

  private:
    struct slot {
        crdt::row value;
        bool dirty = false;
    };
    struct hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
    };
    using slots = boost::unordered_flat_map<std::string, slot, hash, std::equal_to<>>;

    slots::iterator insert(std::string_view path, slot s);
    void mark(const std::string& path, slot& s);
    void add_to(storage::batch& changes, std::string_view path, const crdt::row& row) const;
    void add_leftover(storage::batch& changes, std::string_view path, const crdt::row& row, const version_vector& have) const;

    storage::engine& engine_;
    store_keys::bucket_number bucket_;
    std::size_t budget_;
    mutable slots slots_;  // mutable: flush() clears dirty marks, under flush_mutex_
    mutable std::vector<std::string> dirty_;
    std::size_t bytes_ = 0;  // brought into memory since it was last empty, about
    mutable std::mutex flush_mutex_;
};

}  // namespace anabranch::detail
