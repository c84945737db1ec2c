// Log records: one transaction of one origin, as it is stored, sent and hashed. docs/oplog.md has the format.
#pragma once

#include <anabranch/ids.hpp>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace anabranch::oplog {

/// Written in front of every record, so the numbers stay.
enum class record_kind : std::uint8_t {
    plain = 1,
    execution = 2,  ///< of a client's request: it never becomes a part of a fold
    abbreviated_execution = 3,  ///< only while it is under way: abbreviate()
};

/// The body of a record. Whose it is and its sequence are not in it: they follow from where it stands in the
/// origin's chain. The payload is opaque here; it refers to replicas by their place in `mentioned`.
struct record {
    timestamp at;
    std::vector<replica_id> mentioned;
    std::string_view payload;  ///< into the bytes that were decoded, as is `common`
    record_kind kind = record_kind::plain;
    std::string_view common{};  ///< of an execution: what others of its request mostly say in the same words
};

std::string encode_record(const record& r);
/// Appends that to `out`.
void encode_record(const record& r, std::string& out);
/// Nothing where the bytes are malformed or of a version that this library does not know.
std::optional<record> decode_record(std::string_view body);
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
