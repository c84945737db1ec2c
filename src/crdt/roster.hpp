// Who takes part in a bucket: a join-semilattice of its own beside the rows. docs/membership.md tells the story.
#pragma once

#include <algorithm>
#include <anabranch/ids.hpp>
#include <cstdint>
#include <map>
#include <optional>

namespace anabranch::crdt {

/// Stages go up, sequences go up: it joins by maxima (one field by minima), whatever arrives in whatever order.
struct roster {
    /// Written as they are, so the numbers stay.
    enum class stage : std::uint8_t { joined = 1, retiring = 2, left = 3, retired = 4 };

    /// The one member that retires others and names laggards. A greater term replaces a lesser one.
    struct authority_term {
        std::uint64_t number = 0;
        replica_id holder;

        auto operator<=>(const authority_term&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(number, holder);
        }
    };
    /// A member refuses further transactions of one that is being retired.
    struct report {
        /// Which authority it knew then: only reports to one and the same make a retirement, so that there are never two of it.
        authority_term to;
        std::uint64_t last = 0;  ///< what it has of it

        bool operator==(const report&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(to, last);
        }
    };
    struct member {
        stage at = stage::joined;
        /// Once retired: its last transaction that counts.
        std::uint64_t last = 0;
        /// Odd: it is so far behind that the others cut their logs without it. Raised by the authority.
        std::uint64_t laggard = 0;
        /// Once it has left or is retired: who has from then on what only one may have, rights above all.
        std::optional<replica_id> heir;
        /// While it is being retired.
        std::map<replica_id, report> reports;
        /// It has said that it refuses requests that were issued before this: milliseconds since 1970.
        std::uint64_t fence = 0;
        /// The least fence of those who let it in: it refuses what was issued before that from the first on.
        std::optional<std::uint64_t> admitted{};
        /// Requests that were issued before this are fixed, and forgotten, for whatever it does from then on.
        std::uint64_t forgotten = 0;

        /// What was issued before that it refuses.
        std::uint64_t refuses_before() const { return std::max(fence, admitted.value_or(0)); }

        bool operator==(const member&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(at, last, laggard, heir, reports, fence, admitted, forgotten);
        }
    };

    /// Who created the bucket: tells two buckets of one name apart.
    std::optional<replica_id> founder;
    /// From the founder, random: whoever has the bucket can seal tokens with it, and nobody else can.
    hash128 seal{};
    authority_term authority;
    std::map<replica_id, member> members;

    bool empty() const { return !founder && members.empty() && authority.number == 0; }
    /// Nothing where the replica never was a member.
    const member* find(const replica_id& id) const;
    /// The member that `who`, which is none, was before it became a new incarnation; nothing where that takes part no more.
    const member* find_former(const replica_id& who) const;
    /// Takes part now: what is stable has to be known to it.
    bool counts(const replica_id& id) const;
    bool is_laggard(const replica_id& id) const;
    void join(const roster& other);

    bool operator==(const roster&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(founder);
        if (founder) archive(seal);
        archive(authority, members);
    }
};

/// No stage or other number that this version does not know; heirs only of who is gone.
bool is_sound(const roster& r);

}  // namespace anabranch::crdt
