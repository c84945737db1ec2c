// A bucket's state, on its way to a replica that lacks what the log does not hold any more. docs/reconciliation.md
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "store/part.hpp"
#include "store/row_table.hpp"
#include "store/watermark.hpp"

namespace anabranch::detail {

class bucket_state;

/// Sequences by replica: a version vector that can leave the process.
using positions = std::map<replica_id, std::uint64_t>;

/// Of that replica's transactions the one of that sequence is among them.
inline bool holds(const positions& all, const replica_id& origin, std::uint64_t sequence) {
    const auto it = all.find(origin);
    return it != all.end() && sequence <= it->second;
}

/// Bytes of items that are asked for by name. Where there are more, all rows are to come.
inline constexpr std::size_t most_touched = 1024 * 1024;

/// What the receiver has. It lacks what has changed since.
struct walk_request {
    /// Its rows reflect that. Nothing: all rows are to come.
    positions has;
    /// Requests that were issued before this are fixed in its rows, but those that are open.
    std::uint64_t forgotten = 0;
    /// Items that it needs whatever it has: requests that are open here and may be fixed at the source did something to them.
    std::vector<std::string> touched;
    /// Where a walk broke off. What the source's journal tells to have changed since is sent once more; then it goes on.
    struct broken_off {
        std::uint64_t source = 0;  ///< walk_begin::source
        std::uint64_t at = 0;      ///< walk_begin::at
        std::string upto;          ///< everything up to this path has come

        template <class Archive>
        void serialize(Archive& archive) {
            archive(source, at, upto);
        }
    };
    std::optional<broken_off> goes_on;
    /// Only that is to come, as it shows: for a reader who holds no more. Nothing: all of it, with the requests that may still change it.
    std::optional<part> only;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(has, forgotten, touched, goes_on, only);
    }
};

/// What is coming: it reflects exactly these records.
struct walk_begin {
    struct last {
        replica_id origin;
        tail at;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(origin, at);
        }
    };
    std::vector<last> reflects;
    std::map<replica_id, std::uint64_t> stable;
    std::uint64_t forgotten = 0;
    crdt::roster members;
    bool is_whole = false;      ///< all rows come that were asked for
    bool goes_on = false;       ///< where the last one broke off
    std::uint64_t source = 0;   ///< by chance: one opening of one store
    std::uint64_t at = 0;       ///< of its journal
    std::uint64_t rows = 0;     ///< about so many come

    template <class Archive>
    void serialize(Archive& archive) {
        archive(reflects, stable, forgotten, members, is_whole, goes_on, source, at, rows);
    }
};

/// A part of it. The first one says what is coming.
struct walk_piece {
    std::optional<walk_begin> begin;
    /// Added to those of the pieces before: rows and requests name replicas by their place among them all.
    std::vector<replica_id> replicas;
    /// Of the rows whose paths begin with `prefix`, those after `after`: these, and what comes in the pieces that follow.
    struct item {
        struct row {
            std::string rest;  ///< of its path, behind the prefix
            std::string bytes;

            template <class Archive>
            void serialize(Archive& archive) {
                archive(rest, bytes);
            }
        };
        std::string prefix;
        std::string after;
        std::vector<row> rows;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(prefix, after, rows);
        }
    };
    std::vector<item> items;
    /// What changed since the last walk broke off has come; from the next item on it goes on.
    bool has_caught_up = false;
    /// One that is open.
    struct request {
        hash128 identity{};
        std::string known;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(identity, known);
        }
    };
    std::vector<request> requests;
    /// An execution of a request that is open, which the receiver may not have in its log.
    struct execution {
        replica_id origin;
        std::uint64_t sequence = 0;
        std::string value;  ///< head of the chain, record

        template <class Archive>
        void serialize(Archive& archive) {
            archive(origin, sequence, value);
        }
    };
    std::vector<execution> executions;
    bool is_last = false;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(begin, replicas, items, has_caught_up, requests, executions, is_last);
    }
};

/// Reads the state of one moment. One thread at a time; keeps the store open.
class walk_source {
  public:
    /// `changed` are the items that the receiver lacks, `again` those that have changed since it broke off.
    struct plan {
        walk_begin begin;
        row_snapshot at;
        std::optional<items_in_part> again;
        std::optional<items_in_part> changed;
        walk_request request;
    };
    walk_source(std::shared_ptr<const bucket_state> from, plan what);

    /// The next piece, encoded, of about that many bytes. Nothing where there is no more, and while the end is not on disk.
    result<std::optional<std::string>> next(std::size_t most_bytes);
    bool is_done() const { return is_done_; }

  private:
    result<void> add_again(walk_piece& piece, std::size_t& room);
    result<void> add_changed(walk_piece& piece, std::size_t& room);
    result<std::string> bytes_to_send(std::string_view path) const;
    result<void> add_requests(walk_piece& piece, std::size_t& room);
    result<void> add_executions(walk_piece& piece, std::size_t& room);
    struct open_item {
        std::string prefix;
        std::string after;  ///< the row that has been sent last
        bool is_at_cursor = false;

        open_item(std::string_view p, std::string_view a) : prefix(p), after(a) {}
    };
    result<void> add_rows(walk_piece& piece, std::size_t& room, std::optional<open_item>& open, const std::string* upto);

    std::shared_ptr<const bucket_state> from_;
    plan plan_;
    bool is_begun_ = false;
    std::size_t replicas_told_ = 0;
    std::unique_ptr<storage::cursor> rows_;
    std::optional<open_item> again_;
    std::optional<open_item> open_;
    std::optional<std::string> across_;  // the first of `again` that goes on beyond where it broke off
    std::unique_ptr<storage::cursor> requests_;
    std::vector<dot> executions_;  // of the requests that have been sent
    std::size_t executions_sent_ = 0;
    bool is_done_ = false;
};

/// Takes the pieces, out of sight until the last one is there; then all of them enter in one step. There is one for a bucket
/// at a time. One thread at a time; keeps the store open. What has come stays when it is destroyed, for the next one to go on with.
class walk_sink {
  public:
    walk_sink(std::shared_ptr<bucket_state> to, walk_request request, std::vector<std::string> repairs, std::set<hash128> touching)
        : to_(std::move(to)), request_(std::move(request)), repairs_(std::move(repairs)), touching_(std::move(touching)) {}
    ~walk_sink();
    walk_sink(const walk_sink&) = delete;
    walk_sink& operator=(const walk_sink&) = delete;

    /// For the source: bucket_state::begin_walk().
    std::string request() const { return codec::encode(request_); }
    /// After the last one all is here that the state reflects, which is returned then. After an error there is nothing more to
    /// be done with it.
    result<std::optional<positions>> take(std::string_view piece, timestamp horizon, const replica_id& source);
    /// Rows that have come, and about how many are still to come.
    std::uint64_t rows() const { return rows_; }
    std::uint64_t rows_to_come() const { return begin_ && begin_->rows > rows_ ? begin_->rows - rows_ : 0; }

  private:
    friend class bucket_state;
    std::shared_ptr<bucket_state> to_;
    walk_request request_;
    std::vector<std::string> repairs_;  // rows that differ there, and are taken from there
    std::set<hash128> touching_;  // the requests that did something to what is to come in any case
    std::optional<walk_begin> begin_;
    bool is_catching_up_ = false;
    bool is_void_ = false;              // what has come is of no use
    std::vector<replica_id> replicas_;  // in the order of the source's numbers
    std::vector<std::optional<origin>> numbers_;
    std::string last_path_;
    /// Of what came before the last break, these rows of the item that came last: they go once it is known that no more of it comes.
    struct rest {
        std::string from;
        std::string item;
    };
    std::optional<rest> rest_;
    std::optional<hash128> last_request_;
    std::uint64_t rows_ = 0;
};

}  // namespace anabranch::detail
