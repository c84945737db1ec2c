// What a sync session can be told and what it tells.
#pragma once

#include <anabranch/ids.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace anabranch {

/// Time of a clock that never goes back, from any start; only differences count.
using steady_time = std::chrono::milliseconds;

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
    /// A peer that lacks more transactions of a bucket than this gets them folded: one entry for each row that they changed,
    /// instead of one for each change. UINT64_MAX: never.
    std::uint64_t fold_above = 32;
    /// Bytes of one fold before it is compressed, about: bounds memory at both sides. Smaller folds hold a row more often.
    std::size_t fold_bytes = 8 * 1024 * 1024;
    /// Uncompressed bytes of transactions in one chunk (a larger transaction is a chunk of its own).
    std::size_t chunk_bytes = 256 * 1024;
    /// Bytes that may be sent and not yet acknowledged as durable, per bucket: bounds the memory that a slow peer costs.
    std::size_t window_bytes = 4 * 1024 * 1024;
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
};

enum class session_phase { greeting, catching_up, live, ended };

}  // namespace anabranch
