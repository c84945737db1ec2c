// What a sync session can be told and what it tells.
#pragma once

#include <anabranch/ids.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace anabranch {

/// Time of a clock that never goes back, from any start; only differences count.
using steady_time = std::chrono::milliseconds;

/// What may cross a link that is metered, or that others need, too, in one direction: `burst` bytes at once, and `bytes` more in
/// each `period`; what is not used is kept, up to `burst`. A rate is so many bytes a second. A quota of Q bytes a month is a `burst` of
/// Q/2 and Q/2 `bytes` in a `period` of a month: in no month more than Q, however they lie. (`burst` and `bytes` of Q: not
/// more in the long run, but up to twice as much in the month after one in which nothing was used.)
///
/// Greetings, what the two sides say of what they have, acknowledgements and heartbeats are counted and never wait; nor is anything smaller than
/// one transaction or one row sent, however large that is. What they take too much makes debts, which are paid before anything
/// else is sent. All bytes of the sync protocol count, those of TCP and TLS do not.
struct byte_budget {
    /// 0 or UINT64_MAX: no limit.
    std::uint64_t bytes = 0;
    /// From 1 ms to 366 days.
    std::chrono::milliseconds period{1'000};
    /// At least what comes in while the session is not polled, some 20 ms. Larger ones make larger chunks and folds: fewer bytes in all, and others wait longer.
    std::uint64_t burst = 64 * 1024;
    /// Of `burst`: buckets of a priority below 0 leave that much to others.
    std::uint64_t reserve = 0;
    /// Of `burst`, at the start of a session; below 0: debts. Who keeps a quota over restarts hands in here what sync_progress said was left, and what has
    /// come in since; more than `burst`: all of it.
    std::int64_t left = INT64_MAX;
};

/// Which buckets go first: what there is to send of one with a higher priority is sent before anything of those with lower ones, also in
/// the middle of what these send; those with the same take turns.
struct bucket_priority {
    std::string bucket;
    std::int32_t priority = 0;
};

struct session_options {
    /// An idle session sends a heartbeat this often.
    std::chrono::milliseconds heartbeat{10'000};
    /// A session that hears nothing for this long ends with errc::timed_out.
    std::chrono::milliseconds timeout{30'000};
    /// How often a session tells what members have on disk, where that has changed: what is stable, and may be cut from
    /// the log, is known about this late.
    std::chrono::milliseconds adverts{1'000};
    /// How often all rows of each bucket are compared with the peer's, to find what should never differ (docs/audit.md): both read them
    /// once, a second or two of work for a million, in small portions; both together count as one. 0: only when bucket::audit() asks.
    std::chrono::milliseconds audit{std::chrono::hours{24}};
    /// How often what has changed of a bucket is asked for at most, where only a part of it is held here (store::bucket_part()): each
    /// time costs the peer a few reads and writes, whatever has changed.
    std::chrono::milliseconds part_interval{100};
    /// A peer that lacks more transactions of a bucket than this gets them folded: one entry for each row that they changed,
    /// instead of one for each change. UINT64_MAX: never.
    std::uint64_t fold_above = 32;
    /// Bytes of one fold before it is compressed, about: bounds memory at both sides. Smaller folds hold a row more often.
    std::size_t fold_bytes = 8 * 1024 * 1024;
    /// Uncompressed bytes of transactions in one chunk (a larger transaction is a chunk of its own).
    std::size_t chunk_bytes = 256 * 1024;
    /// Bytes that may be sent and not yet acknowledged as durable, per bucket: bounds the memory that a slow peer costs.
    std::size_t window_bytes = 4 * 1024 * 1024;
    /// Those that are not named have 0; of two for one bucket the last counts. The peer is told, and goes by them in what it sends; its own count for
    /// buckets that this side does not name. So it is enough that one of the two knows: the one at the metered link.
    std::vector<bucket_priority> priorities{};
    /// For what this side sends.
    byte_budget send_budget{};
    /// For what the peer sends: it is asked to keep to it, beside its own send_budget.
    byte_budget receive_budget{};
};

/// A transaction that this replica does not take yet because its timestamp is too far ahead of the clock here.
struct held_transaction {
    std::string bucket;
    transaction_id id;
    timestamp at;
};

/// What has happened so far, and what is left.
struct sync_progress {
    std::uint64_t transactions_sent = 0;
    std::uint64_t transactions_received = 0;    ///< new ones only
    std::uint64_t transactions_to_send = 0;     ///< this side has them durably, and the peer has not said that it has
    std::uint64_t transactions_to_receive = 0;  ///< the peer has said that it has them, this side has not got them durably
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    /// Rows of buckets whose log does not reach back to what is here (docs/reconciliation.md): that have come, and about how many
    /// are still to come, how many bytes these take, and how long, at the pace so far.
    std::uint64_t rows_received = 0;
    std::uint64_t rows_to_receive = 0;
    std::uint64_t row_bytes_to_receive = 0;
    std::chrono::milliseconds rows_time_to_receive{0};
    std::uint64_t holds = 0;  ///< times that a transaction was held for its timestamp
    /// Bytes that may be sent now by send_budget, and by what the peer asks for; below 0: debts. INT64_MAX: there is no limit.
    std::int64_t send_budget_left = INT64_MAX;
    std::int64_t asked_budget_left = INT64_MAX;
    /// The same of receive_budget, as far as the peer's bytes have arrived.
    std::int64_t receive_budget_left = INT64_MAX;
    /// Something is to be sent, and for so long there is no room for it.
    std::chrono::milliseconds budget_wait{0};
    std::uint64_t peer_waits = 0;  ///< times that the peer has said that it has to wait with something, each `heartbeat` again
};

/// What waits of one bucket: as sync_progress has it of all.
struct bucket_progress {
    std::string bucket;
    std::int32_t priority = 0;  ///< by which this side sends
    std::uint64_t transactions_to_send = 0;
    std::uint64_t transactions_to_receive = 0;
    std::uint64_t rows_to_receive = 0;
    std::uint64_t row_bytes_to_receive = 0;
};

enum class session_phase { greeting, catching_up, live, ended };

}  // namespace anabranch
