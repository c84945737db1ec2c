// The port through which a session sees the store.
#pragma once

#include <anabranch/ids.hpp>
#include <anabranch/result.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oplog/chunk.hpp"

namespace anabranch::sync {

/// How a replica stands to a bucket.
enum class role : std::uint8_t {
    reader = 1,
    joining = 2,  ///< asks to be let in
    member = 3,
    part = 4,  ///< reads some of it: takes states only, and has nothing to give
};

/// Sequences by replica: a version vector that can leave the process, without chain heads.
using positions = std::map<replica_id, std::uint64_t>;

/// The state of a bucket as it was at one moment, as far as a peer lacks it, piece by piece: where the log does not hold that any more.
class state_source {
  public:
    virtual ~state_source() = default;
    /// The next piece, of about that many bytes. Nothing where there is no more, and while the rest is not on disk yet.
    virtual result<std::optional<std::string>> next(std::size_t most_bytes) = 0;
    virtual bool is_done() const = 0;
};

/// Takes the pieces that a peer's source has given, out of sight until the last one is there.
class state_sink {
  public:
    virtual ~state_sink() = default;
    /// What is to come, for the peer's read_state(). Not longer than a message may be.
    virtual std::string request() const = 0;
    /// After the last one all is here that the state reflects, which is returned then; on disk after the next sync.
    virtual result<std::optional<positions>> take(std::string_view piece) = 0;
    /// Rows that have come, and about how many are still to come.
    virtual std::uint64_t rows() const = 0;
    virtual std::uint64_t rows_to_come() const = 0;
};

/// Compares the rows of a bucket with a peer's, question by question.
class auditor {
  public:
    virtual ~auditor() = default;
    /// Goes on, by about that many bytes of rows. What is to be asked next; nothing while there is none.
    virtual result<std::optional<std::string>> next(std::size_t most_bytes) = 0;
    virtual result<void> take(std::string_view answer) = 0;
    /// next() has more to do, without an answer.
    virtual bool is_busy() const = 0;
    virtual bool is_done() const = 0;
};

/// Answers them.
class audit_respondent {
  public:
    virtual ~audit_respondent() = default;
    virtual result<void> ask(std::string_view question) = 0;
    /// As auditor::next(): the answer.
    virtual result<std::optional<std::string>> next(std::size_t most_bytes) = 0;
    virtual bool is_busy() const = 0;
    virtual bool is_done() const = 0;
};

/// Everything that a session is told here is on disk, and what it tells its peer comes from here: so it
/// cannot send or acknowledge what a loss of power could take back.
class local_replica {
  public:
    virtual ~local_replica() = default;

    virtual replica_id id() const = 0;
    /// Sorted.
    virtual std::vector<std::string> buckets() const = 0;
    /// What is durable of a bucket.
    virtual frontier durable(std::string_view bucket) const = 0;
    /// Rises whenever durable() changes.
    virtual std::uint64_t revision(std::string_view bucket) const = 0;
    /// Something has been written that is not durable yet.
    virtual bool has_undurable() const = 0;
    /// There is something to do for the other members, which syncing to disk does.
    virtual bool has_duties() const = 0;
    /// Timestamps above this are too far in the future.
    virtual timestamp horizon() const = 0;

    /// errc::diverged where a peer's chain has another head than ours at the same place.
    virtual result<void> compare(std::string_view bucket, const frontier& peer) = 0;
    /// Durable records above `after` and below `ceiling`, in causal order; folded where there are more than `fold_above`, or
    /// where nothing else is there.
    virtual result<oplog::chunk> read(std::string_view bucket, const positions& after, timestamp ceiling,
                                      const oplog::portion& size) = 0;
    /// Applies the chunk, which that peer has sent, up to the first record beyond the horizon, all or nothing.
    virtual result<oplog::applied> apply(std::string_view bucket, const oplog::chunk& chunk, const replica_id& peer) = 0;

    /// There are requests that may still change.
    virtual bool has_executions(std::string_view bucket) const = 0;
    /// Durable executions of those that the peer lacks: it can refer to them. Not more than limits::listed_executions.
    virtual std::vector<oplog::listed_execution> list_executions(std::string_view bucket, const positions& peer) const = 0;
    /// Takes out of the chunk's executions what the peer has already, in other executions: those that it has listed, which
    /// stand sorted by digest, and those that it has and that are here, too.
    virtual result<void> abbreviate(std::string_view bucket, oplog::chunk& chunk, const std::vector<oplog::listed_execution>& listed,
                                    const positions& peer) const = 0;
    /// Puts that back in. False where it is not here any more.
    virtual result<bool> expand(std::string_view bucket, oplog::chunk& chunk) const = 0;

    /// Up to where the log has been cut.
    virtual positions floor(std::string_view bucket) const = 0;
    /// What it holds is to be replaced by the state of one who knows why, whatever its log says; until then it has nothing to tell.
    virtual bool needs_state(std::string_view bucket) const = 0;
    virtual result<std::unique_ptr<state_source>> read_state(std::string_view bucket, std::string_view request) const = 0;
    /// `has` is what the peer is known to have. nullptr while another session takes a state of this bucket.
    virtual result<std::unique_ptr<state_sink>> take_state(std::string_view bucket, const replica_id& peer, const positions& has) = 0;

    /// This replica is to have rows of that peer, though its log would reach back: take_state() brings them.
    virtual bool wants_rows(std::string_view bucket, const replica_id& peer) const = 0;
    /// All of that is durable here, or does not count: a state of this replica can take its place.
    virtual bool has_durable(std::string_view bucket, const positions& all) const = 0;

    /// Of what is to be compared with that peer now: once every `interval` all rows (0: never), in between what differed, and what has been asked for.
    /// nullptr: nothing, or not now.
    virtual result<std::unique_ptr<auditor>> begin_audit(std::string_view bucket, const replica_id& peer, std::chrono::milliseconds interval) = 0;
    virtual std::unique_ptr<audit_respondent> answer_audit(std::string_view bucket, const replica_id& peer) = 0;

    /// A peer is going to send folds. How much more often that has begun than one has arrived.
    virtual void begin_fold(std::string_view bucket) = 0;
    virtual std::uint64_t unfinished_folds(std::string_view bucket) const = 0;

    /// A member that cannot read all that it has is a reader to its peers: they must not take for seen what it only holds.
    virtual role role_in(std::string_view bucket) const = 0;
    virtual bool holds_unread(std::string_view bucket) const = 0;
    /// Nothing where the bucket has not met any yet.
    virtual std::optional<replica_id> founder(std::string_view bucket) const = 0;
    /// The sequence of this replica's last transaction, durable or not.
    virtual std::uint64_t committed(std::string_view bucket) const = 0;
    /// Lets the peer in. Everything that it has must be durable here.
    virtual result<void> sponsor(std::string_view bucket, const replica_id& joiner) = 0;
    /// A member has, or had, exactly this on disk.
    virtual void learn(std::string_view bucket, const replica_id& member, const positions& has) = 0;
    /// What has been learned of members, this replica excepted.
    virtual std::map<replica_id, positions> adverts(std::string_view bucket) const = 0;
    /// Rises whenever adverts() changes.
    virtual std::uint64_t advert_revision(std::string_view bucket) const = 0;
};

}  // namespace anabranch::sync
