// The rows of one bucket: those in use in memory, the others in the storage engine.
#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <functional>
#include <map>
#include <memory_resource>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/requests.hpp"
#include "storage/engine.hpp"
#include "store/journal.hpp"
#include "store/kept_row.hpp"
#include "store/keys.hpp"
#include "store/read_cache.hpp"

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

/// With a row that holds something to forget: it may be, once that is stable and fixed for every member.
struct leftover_mark {
    version_vector reflects;      ///< what the row reflected
    std::uint64_t forgotten = 0;  ///< requests issued before that had been fixed in it, or were open

    template <class Archive>
    void serialize(Archive& archive) {
        archive(reflects, forgotten);
    }
};

/// The rows of one moment, wherever they stand then.
struct row_snapshot {
    std::unique_ptr<storage::snapshot> at;
    store_keys::bucket_number rows{};
};

/// Changed rows wait here and are written behind the log: the log record is a commit's only write. Until then they are
/// rebuilt from the log on open. Rows in the engine may be ahead of the watermark, never behind it: joining
/// a record into a row that has it already changes nothing.
///
/// The owner's lock: members that are not const need it exclusively, const ones and flush() shared.
class row_table {
  public:
    /// The journal is told what has changed.
    row_table(storage::engine& engine, store_keys::bucket_number place, std::size_t budget, change_journal& journal)
        : engine_(engine), bucket_(place), budget_(budget), journal_(journal) {}

    /// Where they stand.
    store_keys::bucket_number place() const { return bucket_; }
    row_snapshot take_snapshot() const { return {engine_.take_snapshot(), bucket_}; }

    /// Brings the row into memory, so that joining into it cannot fail. Valid until the next call of a non-const member.
    result<const kept_row*> load(std::string_view path);
    /// A copy of one that load() has returned; nothing where it holds nothing.
    static std::optional<crdt::row> decode(const kept_row& row);
    /// A copy of the row; nothing where it holds nothing. Rows that are read again and again come from memory, too.
    result<std::optional<crdt::row>> peek(std::string_view path, const row_snapshot* at = nullptr) const;
    /// Joins a change of that kind into a row of that kind; `have` is what all rows reflect. Fails only where the row is not
    /// in memory and cannot be read.
    result<void> join(std::string_view path, const crdt::delta& change, const version_vector& have, crdt::open_requests& open);
    /// The same for executions of a request: crdt::regroup().
    result<void> regroup(std::string_view path, const crdt::row_group* before, const crdt::row_group& after, const version_vector& have,
                         crdt::open_requests& open);
    result<void> recount(std::string_view path, const std::vector<crdt::row_group>& groups);
    /// Rows whose corrections are to be counted anew since this was last asked.
    std::vector<std::string> take_recounts();
    void recount_later(std::string_view path) { recounts_.emplace_back(path); }
    /// crdt::fix_removals().
    result<bool> fix_removals(std::string_view path, const crdt::row_group& group, crdt::open_requests& open);
    /// The row after crdt::fix(); nothing where the request has to wait.
    result<std::optional<crdt::row>> fixed(std::string_view path, const crdt::row_group& group, const origin_table& origins,
                                           crdt::open_requests& open);
    void put(std::string_view path, const crdt::row& value);
    /// Takes what `covered` covers away from every row whose path begins with `prefix`; `with` is what they are marked with.
    /// Fails only where rows cannot be read.
    result<void> cover_prefix(std::string_view prefix, const version_vector& covered, const leftover_mark& with, crdt::open_requests& open);
    /// All rows below the prefix.
    result<std::vector<std::string>> paths_below(std::string_view prefix) const;

    /// All rows reflect `have`, and nothing is on its way into them: what changes from here on did so later.
    void mark_time(const version_vector& have);
    /// Enough is in memory that flush() and trim() should be called; twice as much: they must succeed first.
    bool is_full() const { return bytes_ >= budget_; }
    bool is_overdue() const { return bytes_ / 2 >= budget_; }
    /// flush() has something to write.
    bool has_changes() const;
    /// Writes the changed rows, and `watermark` and `with` with the last of them, or with all of them `as_one`; `now` is what they are marked with. Several threads may
    /// call it.
    result<void> flush(std::string_view watermark_key, const std::string& watermark, const leftover_mark& now, storage::batch with, bool as_one) const;
    /// Lets go of leftovers of rows in which everything is stable and fixed; every member has forgotten what was issued before
    /// `forgotten`. Flush first. The rows are written at once, each with its mark, and the journal is not told: they show what
    /// they did. What is not done yet is marked with `now`.
    result<void> prune(const version_vector& stable, std::uint64_t forgotten, const leftover_mark& now);
    /// Adds the row, as it is to be written, to `changes`, with a mark where it needs one.
    static void add_to(storage::batch& changes, store_keys::bucket_number place, std::string_view path, std::string encoded,
                       const leftover_mark& now);
    /// Copies of the changed rows below a prefix: for readers while flush() fails.
    using rows = std::map<std::string, crdt::row, std::less<>>;
    rows waiting(std::string_view prefix) const;
    /// Forgets all rows where memory holds more than its share. Flush first.
    void trim();
    /// Other rows stand in the engine now, and there; none of those here had changed.
    void move_to(store_keys::bucket_number place);

    /// All rows in the engine whose path begins with `prefix`, from prefix + `from` on. Flush first.
    row_cursor scan(std::string_view prefix, std::string_view from, const row_snapshot* at = nullptr) const;

  private:
    static std::string_view path_of(std::string_view path) { return path; }
    static std::string_view path_of(const kept_row* r) { return r->path(); }
    struct hash {
        using is_transparent = void;
        std::size_t operator()(const auto& r) const { return std::hash<std::string_view>{}(path_of(r)); }
    };
    struct equal {
        using is_transparent = void;
        bool operator()(const auto& a, const auto& b) const { return path_of(a) == path_of(b); }
    };
    result<kept_row*> bring(std::string_view path);
    void let_go();
    kept_row* insert(std::string_view path, std::string_view encoded);
    void replace(kept_row* row, const crdt::row& value);
    kept_row* set(kept_row* row, std::string_view encoded);
    void note_recount(std::string_view path, crdt::open_requests& open);
    template <class Change>
    result<void> change(std::string_view path, crdt::row_kind kind, const Change& apply);
    std::vector<const kept_row*> sorted_changed() const;
    std::size_t stretch_begin() const { return stretches_.empty() ? 0 : stretches_.back().end; }
    void pack_changed();
    result<change_journal::entries> journal(const std::vector<const kept_row*>& changed, const version_vector& now, storage::batch& batch,
                                            std::size_t most_bytes) const;

    storage::engine& engine_;
    store_keys::bucket_number bucket_;
    std::size_t budget_;
    change_journal& journal_;
    // One place for all of them: between other allocations they would keep what those leave from being used again. A row that
    // has outgrown its place leaves it empty until all are let go.
    std::pmr::monotonic_buffer_resource memory_;
    boost::unordered_flat_set<kept_row*, hash, equal> rows_;
    // Mutable: flush() empties them, under flush_mutex_. In the order of their last changes, by stretches; nullptr where one has changed again.
    mutable std::vector<kept_row*> changed_;
    /// What has changed up to a place among the changed rows did so before all rows reflected that.
    struct stretch {
        std::size_t end;
        version_vector after;
    };
    mutable std::vector<stretch> stretches_;
    /// Below these prefixes, at that place.
    mutable std::vector<std::pair<std::size_t, std::string>> changed_below_;
    std::size_t bytes_ = 0;                   // of memory
    mutable read_cache read_;                 // of rows that are not in rows_
    std::string encoding_;                    // of the last row that was replaced: its room is used again
    std::vector<std::string> recounts_;
    mutable std::mutex flush_mutex_;
};

}  // namespace anabranch::detail
