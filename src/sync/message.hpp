// The messages of the sync protocol and their framing. docs/sync-protocol.md has every byte.
#pragma once

#include <anabranch/ids.hpp>
#include <anabranch/limits.hpp>
#include <anabranch/result.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "oplog/record.hpp"

namespace anabranch::sync {

/// The versions of the protocol that one side speaks, both included. Of two sides the greatest that both speak counts.
struct protocol_versions {
    std::uint8_t oldest = 1;
    std::uint8_t newest = 1;
};
/// What this library speaks.
inline constexpr protocol_versions spoken_versions{1, 1};
/// Bytes of a whole message, of one or more frames.
inline constexpr std::size_t max_message = limits::fold + limits::frame;

/// First on every connection, from both sides at once. The fields up to the versions stay as they are in every version.
struct greeting {
    std::uint8_t oldest_version = spoken_versions.oldest;
    std::uint8_t newest_version = spoken_versions.newest;
    replica_id id;
    /// Over the names and durable frontiers of all buckets. Equal: there is nothing to exchange.
    hash128 state{};

    template <class Archive>
    void serialize(Archive& archive) {
        archive(oldest_version, newest_version, id, state);
    }
};

/// What the sender has of a bucket, from where the receiver is to send: at the start for every bucket, and again whenever
/// the stream has to begin anew, with a higher epoch.
struct have {
    std::string bucket;
    std::uint64_t epoch = 0;
    /// Send only records with lesser timestamps.
    timestamp ceiling;
    std::uint8_t role = 0;  ///< a sync::role
    /// How large folds may be, about, before compression; 0: send none.
    std::uint64_t fold_bytes = 0;
    /// An `executions` comes before any records.
    bool lists_executions = false;
    bool takes_abbreviated = true;
    std::optional<replica_id> founder;
    frontier known;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(bucket, epoch, ceiling.value, role, fold_bytes, lists_executions, takes_abbreviated, founder, known);
    }
};

/// That was the last of the first `have`s.
struct ready {
    template <class Archive>
    void serialize(Archive&) {}
};

/// Records in causal order.
struct records {
    std::string bucket;
    /// Of the `have` that this answers; those of an earlier one are void.
    std::uint64_t epoch = 0;
    /// Of `body` when decompressed (zstd); 0: it is not compressed.
    std::uint64_t raw_size = 0;
    std::string body;  ///< an oplog::chunk

    template <class Archive>
    void serialize(Archive& archive) {
        archive(bucket, epoch, raw_size, body);
    }
};

/// Once a session: executions of requests that the sender has and the receiver lacks. What others of these requests have in
/// common with them need not be sent.
struct executions {
    struct entry {
        std::uint64_t sequence = 0;  ///< of the first; then what is between it and the one before
        oplog::common_digest digest{};

        template <class Archive>
        void serialize(Archive& archive) {
            archive(sequence, digest);
        }
    };
    struct lane {
        replica_id origin;
        std::vector<entry> entries;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(origin, entries);
        }
    };
    std::string bucket;
    std::vector<lane> lanes;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(bucket, lanes);
    }
};

/// The sender has these on disk, and knows that the receiver has them.
struct acknowledgement {
    struct entry {
        replica_id origin;
        std::uint64_t sequence = 0;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(origin, sequence);
        }
    };
    std::string bucket;
    std::vector<entry> known;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(bucket, known);
    }
};

/// What members have on disk, as far as the sender knows: itself, and others of which it has heard. Each is a state that the
/// member was in, as a whole.
struct adverts {
    struct entry {
        std::uint32_t place = 0;  ///< in `replicas`
        std::uint64_t sequence = 0;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(place, sequence);
        }
    };
    struct advert {
        std::uint32_t member = 0;  ///< in `replicas`
        std::vector<entry> known;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(member, known);
        }
    };
    std::string bucket;
    std::vector<replica_id> replicas;
    std::vector<advert> members;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(bucket, replicas, members);
    }
};

struct heartbeat {
    template <class Archive>
    void serialize(Archive&) {}
};

/// Why the sender closes the connection.
struct goodbye {
    std::uint32_t code = 0;  ///< an errc
    std::string reason;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(code, reason);
    }
};

/// The sender does without this bucket for the rest of the session, one way: it cannot send what the receiver lacks, or
/// does not take what the receiver sends.
struct parting {
    std::string bucket;
    bool is_sending = false;  ///< the sender's sending is what ends
    std::uint32_t code = 0;   ///< an errc
    std::string reason;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(bucket, is_sending, code, reason);
    }
};

/// The sender's log does not reach back to what the receiver has: it can have the state as a whole.
struct behind {
    std::string bucket;
    std::uint64_t epoch = 0;  ///< of the `have` that this answers

    template <class Archive>
    void serialize(Archive& archive) {
        archive(bucket, epoch);
    }
};

/// The answer: send it.
struct walk {
    std::string bucket;
    std::uint64_t epoch = 0;
    std::string request;  ///< state_sink::request()

    template <class Archive>
    void serialize(Archive& archive) {
        archive(bucket, epoch, request);
    }
};

/// A piece of it.
struct state_piece {
    std::string bucket;
    std::uint64_t epoch = 0;
    std::uint64_t raw_size = 0;  ///< as in `records`
    std::string body;            ///< opaque here

    template <class Archive>
    void serialize(Archive& archive) {
        archive(bucket, epoch, raw_size, body);
    }
};

/// One more piece has been taken.
struct piece_taken {
    std::string bucket;
    std::uint64_t epoch = 0;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(bucket, epoch);
    }
};

/// How the sender wishes to be sent to, where it does; the last one counts.
struct wishes {
    struct entry {
        std::string bucket;
        std::int32_t priority = 0;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(bucket, priority);
        }
    };
    // Of a byte_budget
    std::uint64_t bytes = 0;
    std::uint64_t period = 0;  ///< milliseconds
    std::uint64_t burst = 0;
    std::uint64_t reserve = 0;
    std::int64_t left = 0;
    std::vector<entry> priorities;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(bytes, period, burst, reserve, left, priorities);
    }
};

/// The sender has something to send that waits for its budget, or a state that waits for its turn.
struct waiting {
    template <class Archive>
    void serialize(Archive&) {}
};

/// A question of an audit, which its sender has begun.
struct audit {
    std::string bucket;
    std::uint64_t number = 0;  ///< of the sender's audits of that bucket in this session, from 1
    std::string body;          ///< opaque here

    template <class Archive>
    void serialize(Archive& archive) {
        archive(bucket, number, body);
    }
};

/// What is answered to it.
struct audit_answer {
    std::string bucket;
    std::uint64_t number = 0;
    std::string body;  ///< opaque here; empty: it cannot be done, and is over

    template <class Archive>
    void serialize(Archive& archive) {
        archive(bucket, number, body);
    }
};

/// A message's type on the wire is its place here, from 1.
using message = std::variant<greeting, have, ready, records, acknowledgement, heartbeat, goodbye, adverts, parting, executions, behind, walk,
                             state_piece, piece_taken, wishes, waiting, audit, audit_answer>;

/// Appends the message in as many frames as it takes.
void append_message(std::string& out, const message& m);

/// Puts messages together from bytes that are cut anywhere. Holds at most one message.
class message_reader {
  public:
    /// Of a side that speaks these versions.
    explicit message_reader(protocol_versions spoken = spoken_versions) : spoken_(spoken) {}

    /// Bytes are appended; call next() until it has no more.
    void feed(std::string_view bytes) { buffer_.append(bytes); }
    /// The next message; nothing while it is incomplete. After an error the stream is lost. errc::unsupported_protocol: the two
    /// sides have no version in common; errc::malformed: anything else that is wrong with the bytes.
    result<std::optional<message>> next();
    /// The version that both sides speak; nothing before the greeting.
    const std::optional<std::uint8_t>& agreed() const { return agreed_; }

  private:
    result<std::optional<message>> decode_greeting(std::string_view bytes);

    protocol_versions spoken_;
    std::optional<std::uint8_t> agreed_;
    std::string buffer_;
    std::size_t consumed_ = 0;
    std::string staged_;  // frames of a message whose last frame has not arrived
    std::uint8_t staged_type_ = 0;
};

}  // namespace anabranch::sync
