// The change feed: what happened in a bucket, transaction by transaction. docs/change-feed.md
#pragma once

#include <anabranch/ids.hpp>
#include <anabranch/result.hpp>
#include <anabranch/views.hpp>
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
    /// is put there first (a commit with durability::os has not waited for that). A step without changes below the watched
    /// path is left out.
    /// errc::behind_cut: the log does not reach back so far. Read the bucket anew, and go on from a new feed, opened before.
    result<feed_batch> pull(std::size_t most_changes = 1000);

    /// Where it is now: everything pulled so far is done. For bucket::resume(), also in another process that opens the same
    /// store. errc::not_a_member while this replica has not met the bucket.
    result<std::string> token() const;

  private:
    std::unique_ptr<detail::feed_state> state_;
};

}  // namespace anabranch
