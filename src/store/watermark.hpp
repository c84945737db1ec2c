// How far a bucket's rows are known to reflect its log.
#pragma once

#include <map>

#include "causality/version_vector.hpp"
#include "store/membership.hpp"

namespace anabranch::detail {

/// Where an origin's records end: the last one's sequence, the chain's head after it, its timestamp.
struct tail {
    std::uint64_t sequence = 0;
    hash128 head{};
    timestamp at;

    bool operator==(const tail&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(sequence, head, at.value);
    }
};

/// What the log holds and this build, or an earlier one here, could not read.
struct unread_part {
    version_vector from;         ///< up to here all has been read
    std::uint64_t rows = 0;      ///< kinds of rows after that, as bits
    std::uint64_t unjudged = 0;  ///< kinds that have been read since: nobody looked at their changes when they were logged
    std::uint64_t records = 0;   ///< the same of kinds of records
    std::uint64_t unjudged_records = 0;

    bool is_any() const { return rows != 0 || records != 0; }
    bool operator==(const unread_part&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(from, rows, unjudged, records, unjudged_records);
    }
};

/// The rows reflect at least these records. Written with them; everything after it is applied again on open.
struct watermark {
    version_vector applied;
    timestamp clock;
    membership members;
    /// Up to here the log has been cut; by origin.
    std::map<origin, tail> floor;
    std::uint64_t log_bytes = 0;
    /// Requests that were issued before this are fixed and forgotten, but those that are open.
    std::uint64_t forgotten = 0;
    /// The rows stand at the other one of their two places.
    bool is_elsewhere = false;
    unread_part unread{};

    template <class Archive>
    void serialize(Archive& archive) {
        archive(applied, clock.value, members, floor, log_bytes, forgotten, is_elsewhere, unread);
    }
};

}  // namespace anabranch::detail
