// What a transaction does to the rows of a bucket, and how that is written in a log record's payload.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/roster.hpp"
#include "crdt/row.hpp"

namespace anabranch::crdt {

/// Everything below a prefix that the transaction had seen is taken away: one record however much there
/// was. The counters below it stand among the transaction's row changes, with the totals that it observed.
struct prefix_removal {
    std::string prefix;
    version_vector covered;

    bool operator==(const prefix_removal&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(prefix, covered);
    }
};

struct row_change {
    std::string key;
    delta change;

    bool operator==(const row_change&) const = default;
};

/// The removals happen first. Each key stands once.
struct changes {
    std::vector<prefix_removal> removals;
    std::vector<row_change> rows;
    /// What is joined into the bucket's roster.
    roster members;

    bool empty() const { return removals.empty() && rows.empty() && members.empty(); }
    bool operator==(const changes&) const = default;
};

/// A payload refers to replicas by their place in the record's list of them: 0 is the record's own origin, n is
/// `mentioned[n - 1]`. Encoding fills the list.
std::string encode_changes(const changes& c, origin own, std::vector<origin>& mentioned);

/// Nothing where the bytes are malformed. Changes of row kinds that this version does not know are left
/// out; the record still holds them.
std::optional<changes> decode_changes(std::string_view payload, origin own, std::span<const origin> mentioned);

/// What may be demanded of a transaction with that dot: it adds nothing in the name of another.
bool is_own_work(const changes& c, const dot& transaction);

}  // namespace anabranch::crdt
