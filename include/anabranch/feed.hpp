// The change feed: what happened in a bucket, transaction by transaction. docs/change-feed.md
#pragma once

#include <anabranch/ids.hpp>
#include <anabranch/request.hpp>
#include <anabranch/result.hpp>
#include <anabranch/views.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace anabranch {

namespace detail {
class feed_state;
}

enum class change_kind : std::uint8_t {
    written = 1,  ///< added to, set, enabled, inserted
    removed = 2,  ///< reset, cleared, disabled, removed
    emptied = 3,  ///< all that the writer saw in it was removed; `path` may be a map
    rights = 4,   ///< of a bounded counter: who may spend how much, not its value
    /// What another execution of the step's request has done there does not count any more; `path` may be what that one emptied.
    suppressed = 5,
};

/// What a transaction did to one field or element. The values are read from the bucket, which may have gone on since.
struct field_change {
    std::vector<field> path;             ///< from the bucket down; empty: the whole bucket
    std::optional<std::string> element;  ///< of a set
    change_kind what{};

    bool operator==(const field_change&) const = default;
};

enum class change_cause : std::uint8_t {
    local = 1,     ///< a transaction of this replica, or of an earlier incarnation of it
    remote = 2,    ///< a transaction of another replica
    catch_up = 3,  ///< several transactions that arrived as one: only what they did together is known
};

/// An execution of a request, as it ran: whether it counts is another matter.
struct executed_request {
    hash128 identity{};
    std::chrono::milliseconds issued{0};  ///< since 1970
    request_role role = request_role::primary;
    request_outcome outcome = request_outcome::committed;
    std::string result;  ///< what it answered
    transaction_id transaction;
    /// The mirror's execution that it found, made stand, and whose result it answered.
    std::optional<transaction_id> confirms;
    /// A mirror's, and up to this step the feed has come by no primary one of its request. It stays so in the end where the
    /// request was forgotten without one.
    bool is_unconfirmed = false;

    bool operator==(const executed_request&) const = default;
};

/// What an execution did to a field or element, with what it wrote there, whether or not the bucket still shows any of it.
struct version_change {
    field_change change;               ///< written, removed or emptied
    std::optional<std::string> value;  ///< assigned to a register: for value_codec<T>::decode()
    std::int64_t amount = 0;           ///< added to a counter, bounded or not; spent: less than zero
    std::int64_t bound = 0;            ///< by how much the bound of a bounded counter was moved

    bool operator==(const version_change&) const = default;
};

/// One execution of a request of which there are several. Where it confirms a mirror's, result and changes are that one's.
struct request_version {
    transaction_id transaction;
    timestamp at;
    request_role role = request_role::primary;
    request_outcome outcome = request_outcome::committed;
    std::string result;
    /// Emptied maps first, then by path; of one field the removal before the write. What only moved rights is not in it: that
    /// counts in any case.
    std::vector<version_change> changes;

    bool operator==(const request_version&) const = default;
};

/// By what one execution wins over another: the first of these in which they differ.
enum class winning_reason : std::uint8_t {
    role = 1,      ///< a primary over a mirror's
    outcome = 2,   ///< committed over refused
    time = 3,      ///< the earlier timestamp
    replica = 4,   ///< the lesser id
    sequence = 5,  ///< the earlier of one replica
};

/// An execution does not count that did or answered something else than the one that does: somebody may have been told what
/// does not hold.
struct superseded_request {
    hash128 identity{};
    std::chrono::milliseconds issued{0};  ///< since 1970
    request_version loser;
    request_version winner;
    winning_reason reason{};

    bool operator==(const superseded_request&) const = default;
};

/// A transaction, or several that are one step: everything that it did below the path that is watched.
struct feed_step {
    change_cause cause{};
    transaction_id transaction;  ///< of a catch-up the last one of its first range
    timestamp at;                ///< of a catch-up the latest
    /// Of a catch-up: of each replica the transactions that it is made of.
    struct range {
        replica_id origin;
        std::uint64_t first = 0;
        std::uint64_t last = 0;

        bool operator==(const range&) const = default;
    };
    std::vector<range> ranges;
    std::vector<field_change> changes;  ///< removals of whole maps first; then by path, each once
    /// The executions in it, in the order in which they happened, whose content has to do with the path: one of an ordinary
    /// step; all where the whole bucket is watched, refusals and confirmations included.
    std::vector<executed_request> executions;
    /// Executions that have ceased to count by this step, or never did and came with it, as far as the loser or the winner has
    /// to do with the path; `changes` of both are those below it.
    std::vector<superseded_request> superseded;
};

struct feed_batch {
    std::vector<feed_step> steps;
    /// There may be more at once.
    bool more = false;
};

/// A place in what happens in a bucket, moving on as it is pulled. It keeps nothing in memory that grows: it reads the log,
/// and who is too slow for what the log still holds is told so. Movable; used by one thread at a time. Keeps its bucket's
/// store alive.
class feed {
  public:
    explicit feed(std::unique_ptr<detail::feed_state> state);
    feed(feed&&) noexcept;
    feed& operator=(feed&&) noexcept;
    /// Waits until its callback has returned, if it runs: so not from inside it.
    ~feed();

    /// The next steps, in an order in which every transaction comes after those that it has seen; of a step always all of it.
    /// At least one where there is one, then until they hold `most_changes`. Only what is on disk: what was committed before
    /// is put there first (a commit with durability::os has not waited for that). A step without changes, executions and
    /// superseded ones below the watched path is left out.
    /// errc::behind_cut: the log does not reach back so far. Read the bucket anew, and go on from a new feed, opened before.
    result<feed_batch> pull(std::size_t most_changes = 1000);

    /// Where it is now: everything pulled so far is done. For bucket::resume(), also in another process that opens the same
    /// store. errc::not_a_member while this replica has not met the bucket.
    result<std::string> token() const;

  private:
    std::unique_ptr<detail::feed_state> state_;
};

}  // namespace anabranch
