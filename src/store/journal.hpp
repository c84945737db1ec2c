// Which rows have changed since when: so that who is behind the cut gets those, and not all. docs/reconciliation.md
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "causality/version_vector.hpp"
#include "storage/engine.hpp"
#include "store/keys.hpp"

namespace anabranch::detail {

/// A sequence of entries, each a set of *items* with what all rows reflected once these had changed. An item is the path of a
/// row, or of what rows stand below: then any of them may have changed. Whoever has seen what an entry came after has seen all
/// that changed its items, and all entries before it: so what has changed since a version vector is what stands in the entries
/// from the first on whose vector that one does not cover.
///
/// Entries are merged the more the older they are. One that a reader has seen a part of is taken for whole, so merging
/// costs bytes: never more than a part of what has changed since (`waste`), or `step` items.
///
/// Thread-safe, but for add(): one at a time.
class change_journal {
  public:
    struct entry {
        std::uint64_t number = 0;  ///< ascending; a merged one has that of its last
        std::uint64_t pieces_at = 0;
        std::uint64_t pieces = 0;
        std::uint64_t items = 0;
        version_vector after;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(pieces_at, pieces, items, after);
        }
    };
    using entries = std::vector<entry>;

    /// Of more than `limit` items the oldest are forgotten: the first entry stands for all that was before it.
    change_journal(storage::engine& engine, store_keys::bucket_number bucket, std::size_t step, std::uint64_t limit)
        : engine_(engine), bucket_(bucket), step_(step), limit_(limit) {}

    /// Called once, before anything else.
    result<void> load();
    std::size_t step() const { return step_; }

    /// Takes sorted items for one entry.
    class writer {
      public:
        using put = std::function<result<void>(std::string key, std::string value)>;
        /// `put` writes a piece. Before the entry is added they mean nothing.
        writer(const change_journal& to, std::uint64_t at, put piece) : to_(to), at_(at), put_(std::move(piece)) {}
        result<void> add(std::string_view item);
        result<entry> finish(version_vector after);

      private:
        result<void> write_piece();

        const change_journal& to_;
        std::uint64_t at_;
        put put_;
        entry made_;
        std::string piece_;
        std::string last_;
    };
    writer write(writer::put piece);
    /// Adds them to `batch`; once that is written, added() makes them count. They replace all that are there if `is_all_new`.
    void add(storage::batch& batch, entries& news, bool is_all_new = false) const;
    void added(entries news, bool is_all_new = false);

    /// What has been written, all of it at that moment.
    std::pair<entries, std::unique_ptr<storage::snapshot>> snapshot() const;
    /// Merges what it pays to merge.
    result<void> merge();

    /// The items of several entries, in order, each once, and none below another one.
    class reader {
      public:
        reader(const storage::engine& engine, store_keys::bucket_number bucket, const storage::snapshot* at, const entries& of,
               std::vector<std::string> also);
        reader(const reader&) = delete;
        reader& operator=(const reader&) = delete;
        bool valid() const { return !heads_.empty(); }
        std::string_view item() const { return streams_[heads_.top()].item; }
        /// To the next one that is not below this one.
        void next();
        const result<void>& status() const { return status_; }

      private:
        struct stream {
            std::uint64_t pieces_at = 0;
            std::uint64_t pieces = 0;
            std::uint64_t next_piece = 0;
            std::string piece;
            std::size_t at = 0;
            std::vector<std::string> listed;  // of one that is no entry
            std::size_t next_listed = 0;
            std::string item;
        };
        bool advance(stream& s);

        const storage::engine& engine_;
        store_keys::bucket_number bucket_;
        const storage::snapshot* at_;
        std::vector<stream> streams_;
        struct later {
            const std::vector<stream>* of;
            bool operator()(std::size_t a, std::size_t b) const { return (*of)[a].item > (*of)[b].item; }
        };
        std::priority_queue<std::size_t, std::vector<std::size_t>, later> heads_;
        result<void> status_;
    };

  private:
    std::string entry_key(std::uint64_t number) const;
    std::string piece_key(std::uint64_t pieces_at, std::uint64_t piece) const;
    struct run {
        std::size_t from = 0;
        std::size_t to = 0;
        bool is_forgotten = false;
    };
    run find_run(const entries& all) const;
    result<void> erase_strays();
    void erase(storage::batch& batch, const entry& e) const;

    storage::engine& engine_;
    store_keys::bucket_number bucket_;
    std::size_t step_;
    std::uint64_t limit_;
    mutable std::mutex mutex_;  // of what follows
    entries entries_;
    std::uint64_t next_pieces_ = 1;
    bool is_merged_ = false;  // nothing has come since it was last looked at
    std::mutex merge_mutex_;
};

/// Those whose items may have changed since.
change_journal::entries changed_since(const change_journal::entries& all, const version_vector& seen);
/// Those that have been written after that one.
change_journal::entries changed_after(const change_journal::entries& all, std::uint64_t number);
/// What stands in several of them counts as often.
std::uint64_t items_of(const change_journal::entries& all);

}  // namespace anabranch::detail
