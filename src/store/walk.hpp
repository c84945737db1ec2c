// A bucket's state as a whole, on its way to a replica that lacks what the log does not hold any more. docs/reconciliation.md
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/watermark.hpp"

namespace anabranch::detail {

class bucket_state;

/// Where the state comes to: what has been sent reflects exactly these records.
struct walk_end {
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

    template <class Archive>
    void serialize(Archive& archive) {
        archive(reflects, stable, forgotten, members);
    }
};

/// A part of it. Pieces come in the order of the source; each kind by ascending keys.
struct walk_piece {
    /// Added to those of the pieces before: rows and requests name replicas by their place among them all.
    std::vector<replica_id> replicas;
    struct row {
        std::string path;
        std::string bytes;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(path, bytes);
        }
    };
    std::vector<row> rows;
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
    /// A record of the log that is needed though it lies before the end: an execution of a request that is open.
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
    std::optional<walk_end> end;  ///< with the last piece

    template <class Archive>
    void serialize(Archive& archive) {
        archive(replicas, rows, requests, executions, end);
    }
};

/// Reads the state of one moment. One thread at a time; keeps the store open.
class walk_source {
  public:
    walk_source(std::shared_ptr<const bucket_state> from, std::unique_ptr<storage::snapshot> at, walk_end end);

    /// The next piece, encoded, of about that many bytes. Nothing where there is no more, and while the end is not on disk.
    result<std::optional<std::string>> next(std::size_t most_bytes);
    bool is_done() const { return is_done_; }

  private:
    result<void> add_rows(walk_piece& piece, std::size_t& room);
    result<void> add_requests(walk_piece& piece, std::size_t& room);
    result<void> add_executions(walk_piece& piece, std::size_t& room);

    std::shared_ptr<const bucket_state> from_;
    std::unique_ptr<storage::snapshot> at_;
    walk_end end_;
    std::size_t replicas_told_ = 0;
    std::unique_ptr<storage::cursor> rows_;
    std::unique_ptr<storage::cursor> requests_;
    std::vector<dot> executions_;  // of the requests that have been sent
    std::size_t executions_sent_ = 0;
    bool is_done_ = false;
};

/// Takes the pieces, out of sight until the last one is there; then all of them enter in one step. There is one for a bucket
/// at a time. One thread at a time; keeps the store open.
class walk_sink {
  public:
    explicit walk_sink(std::shared_ptr<bucket_state> to) : to_(std::move(to)) {}
    ~walk_sink();
    walk_sink(const walk_sink&) = delete;
    walk_sink& operator=(const walk_sink&) = delete;

    /// After the last one all is here that the state reflects, which is returned then. After an error there is nothing more to
    /// be done with it.
    result<std::optional<std::map<replica_id, std::uint64_t>>> take(std::string_view piece, timestamp horizon, const replica_id& source);

  private:
    friend class bucket_state;
    std::shared_ptr<bucket_state> to_;
    std::vector<replica_id> replicas_;  // in the order of the source's numbers
    std::vector<std::optional<origin>> numbers_;
    std::string last_path_;
    std::optional<hash128> last_request_;
};

}  // namespace anabranch::detail
