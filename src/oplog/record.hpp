// Log records: one transaction of one origin, as it is stored, sent and hashed. docs/oplog.md has the format.
#pragma once

#include <anabranch/ids.hpp>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace anabranch::oplog {

/// Written in front of every record, so the numbers stay. Later kinds, up to greatest_record_kind, have their time and their
/// mentioned replicas where these have them, and hold no change of the roster.
enum class record_kind : std::uint8_t {
    plain = 1,
    execution = 2,  ///< of a client's request: it never becomes a part of a fold
    abbreviated_execution = 3,  ///< only while it is under way: abbreviate()
};
constexpr std::uint64_t bit_of(record_kind kind) { return std::uint64_t{1} << static_cast<unsigned>(kind); }
inline constexpr record_kind greatest_record_kind{63};
/// Those that this build can read, as bits.
inline constexpr std::uint64_t known_records = bit_of(record_kind::plain) | bit_of(record_kind::execution);

/// The body of a record. Whose it is and its sequence are not in it: they follow from where it stands in the
/// origin's chain. The payload is opaque here; it refers to replicas by their place in `mentioned`.
struct record {
    timestamp at;
    std::vector<replica_id> mentioned;
    std::string_view payload;  ///< into the bytes that were decoded, as is `common`
    record_kind kind = record_kind::plain;
    std::string_view common{};  ///< of an execution: what others of its request mostly say in the same words
    bool is_unread = false;     ///< of a kind that is not known: the payload is all that follows the mentioned replicas
};

std::string encode_record(const record& r);
/// Appends that to `out`.
void encode_record(const record& r, std::string& out);
/// Nothing where the bytes are malformed, or of a kind that no record in a log is of. Of kinds that are not `known`, as bits,
/// only what all have.
std::optional<record> decode_record(std::string_view body, std::uint64_t known = known_records);
/// The record's timestamp without decoding the rest; zero where the bytes are too short.
timestamp record_time(std::string_view body);
bool is_execution(std::string_view body);

/// Of what executions of one request mostly have in common (record::common), under the bucket's seal: who does not
/// know that cannot make up two that are alike.
using common_digest = std::array<std::uint8_t, 8>;
struct listed_execution {
    common_digest digest{};
    transaction_id id;
};

/// Another execution of the same request with the same common part, which the receiver has.
struct twin {
    std::uint32_t place = 0;  ///< of its origin, in chunk::twins
    std::uint64_t sequence = 0;

    bool operator==(const twin&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(place, sequence);
    }
};
/// The body without its common part, which must be there.
std::string abbreviate(std::string_view body, const twin& like);
/// Nothing where it is whole.
std::optional<twin> twin_of(std::string_view body);
/// The body again.
std::string expand(std::string_view abbreviated, std::string_view common);

/// Each origin's records in a bucket are chained: head(n) = H(head(n-1), body(n)). Two replicas that have the same head at
/// the same sequence have the same records up to there.
hash128 chain_start(std::string_view bucket, const replica_id& origin);
hash128 chain_next(const hash128& head, std::string_view body);

}  // namespace anabranch::oplog
