// Rows: the join-semilattices that all state is made of. docs/rows.md lists the kinds with their laws.
#pragma once

#include <anabranch/ids.hpp>
#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "causality/origin_table.hpp"
#include "causality/version_vector.hpp"

namespace anabranch::crdt {

/// Written in front of every row and change, so the numbers stay.
enum class row_kind : std::uint8_t { counter = 1, entries = 2, dots = 3, removals = 4, escrow = 5 };

/// Counters. One running total per origin; the origin's newest replaces its older ones.
struct counter_row {
    static constexpr row_kind kind = row_kind::counter;

    /// What `writer` added in its transactions of this bucket after `start` and up to `sequence`. A writer
    /// whose whole total has been reset begins a new one: then rows need not be kept to remember the old sum.
    struct total {
        origin writer{};
        std::uint64_t start = 0;
        std::uint64_t sequence = 0;
        std::int64_t sum = 0;

        bool operator==(const total&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(writer, start, sequence, sum);
        }
    };
    /// A reset took away what it observed of `writer`: the total as it was at `sequence`.
    struct reset {
        origin writer{};
        std::uint64_t sequence = 0;
        std::int64_t sum = 0;

        bool operator==(const reset&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(writer, sequence, sum);
        }
    };

    boost::container::small_vector<total, 2> totals;  ///< sorted by writer, one each
    std::vector<reset> resets;                         ///< sorted by writer, one each

    bool operator==(const counter_row&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(totals, resets);
    }
};

/// Registers. Every write that no other write or removal covers, also where only one is shown: keeping
/// only the greatest would diverge once that one is removed.
struct entries_row {
    static constexpr row_kind kind = row_kind::entries;

    struct entry {
        dot id;
        timestamp at;
        std::string value;

        bool operator==(const entry&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(id, at, value);
        }
    };

    boost::container::small_vector<entry, 1> entries;  ///< sorted by dot

    bool operator==(const entries_row&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(entries);
    }
};

/// Add-wins elements and enable-wins flags: the dots of the additions that nothing covers. Present iff
/// there is one. No tombstone: whoever covers a dot and does not hold it has removed it
/// (Bieniusa et al., "An optimized conflict-free replicated set", 2012).
struct dots_row {
    static constexpr row_kind kind = row_kind::dots;

    boost::container::small_vector<dot, 2> adds;  ///< sorted

    bool operator==(const dots_row&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(adds);
    }
};

/// Remove-wins elements and disable-wins flags. An addition carries what its transaction has seen, and
/// lives iff it has seen every removal.
struct removals_row {
    static constexpr row_kind kind = row_kind::removals;

    struct add {
        dot id;
        version_vector seen;

        bool operator==(const add&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(id, seen);
        }
    };

    std::vector<add> adds;  ///< sorted by dot
    /// The latest removal of each origin: one that has seen a later removal of an origin has seen its earlier ones.
    version_vector removals;

    bool operator==(const removals_row&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(adds, removals);
    }
};

/// Bounded counters: what is above the bound is divided into rights, each of which belongs to one replica, and only that one
/// spends it (Balegas et al., "Extending eventually consistent cloud databases for enforcing numeric invariants", SRDS 2015).
struct escrow_row {
    static constexpr row_kind kind = row_kind::escrow;

    /// All that `writer` ever gave to `to`.
    struct transfer {
        origin to{};
        std::int64_t amount = 0;

        bool operator==(const transfer&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(to, amount);
        }
    };
    /// What `writer` has done to the counter up to its transaction `sequence`; its newest replaces its older ones. Its rights:
    /// value - bound - what it gave + what it was given.
    struct account {
        origin writer{};
        std::uint64_t sequence = 0;
        /// Its last transaction that a removal would have to have seen: moving rights does not keep a counter in existence.
        std::uint64_t touched = 0;
        std::int64_t value = 0;   ///< added less spent
        std::int64_t bound = 0;   ///< by how much it has moved the bound
        std::int64_t wanted = 0;  ///< how many rights it would like to have
        std::vector<transfer> sent;  ///< sorted by `to`, one each

        bool operator==(const account&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(writer, sequence, touched, value, bound, wanted, sent);
        }
    };
    /// From one creation to its removal. Rights depend on each other: so a removal takes all of them or, where somebody has
    /// used the counter without having seen it, none.
    struct generation {
        dot birth;  ///< the transaction that began it
        std::vector<account> accounts;  ///< sorted by writer, one each
        /// What removals have seen of each writer, up to `touched`.
        version_vector removed;

        /// Not removed.
        bool is_live() const;
        const account* find(origin writer) const;
        bool operator==(const generation&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(birth, accounts, removed);
        }
    };

    /// Sorted by birth. More than one where replicas that did not see each other created the counter. Not in the row itself:
    /// a fold holds a great many rows of all kinds, each as large as the largest.
    std::vector<generation> generations;

    bool operator==(const escrow_row&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(generations);
    }
};

/// The alternatives stand in the order of their kinds.
using row = std::variant<counter_row, entries_row, dots_row, removals_row, escrow_row>;
static_assert(sizeof(row) <= 128);

row_kind kind_of(const row& r);
bool is_known(row_kind kind);
/// The least element of the kind, which must be known.
row bottom(row_kind kind);

/// What a transaction, or several joined ones, do to one row.
struct delta {
    /// Takes away entries and additions with these dots. As a vector this is exact, because whoever has
    /// seen one transaction of an origin on this row has seen all earlier ones.
    version_vector covers;
    /// Is joined.
    row change;

    /// Does nothing.
    bool empty() const;
    bool operator==(const delta&) const = default;
};

/// Coverage takes nothing from escrow rows, so there is none for them.
inline bool is_well_formed(const delta& d) { return d.covers.empty() || !std::holds_alternative<escrow_row>(d.change); }

/// Rows off the wire may stand in another order of replicas; here it is by number. False where the row is none: two
/// items of one replica, an empty total.
bool normalise(row& r);

/// Every dot in whose name the row adds something satisfies the predicate. Resets and coverage add nothing.
bool adds_only(const row& r, const std::function<bool(const dot&)>& predicate);

/// Whatever the row names by the transaction that began it, that transaction satisfies the predicate.
bool is_born(const row& r, const std::function<bool(const dot&)>& predicate);

/// Joins a delta into a row. Entries whose dots `have` covers are not added: a replica that knows a
/// transaction and does not hold its entry has seen it removed. Commutative for concurrent deltas, idempotent.
/// Returns false, and changes nothing, where the kinds differ.
bool join(row& state, const delta& d, const version_vector& have);

/// Removal of a prefix: takes away covered entries and additions. Counters are reset by deltas of their own, which
/// carry what was observed; removal dots stay, or a concurrent addition would come back.
/// Returns whether anything changed.
bool cover(row& state, const version_vector& covered);

/// Holds what goes once it is stable: removals that additions must have seen, spent totals and resets.
bool has_leftovers(const row& r);
/// Rows of other kinds never do.
bool may_have_leftovers(row_kind kind);
/// Lets go of what nobody will ever need again. All that was ever done to the row must be in `stable`: every
/// member has it, and does nothing any more that has not seen it.
void prune(row& r, const version_vector& stable);

/// Holds nothing at all: need not be stored.
bool is_bottom(const row& r);
/// Shows something: the field or element exists.
bool is_live(const row& r);

/// A digest of what is live: dots with their payload, and what each origin counts for. Equal rows and rows
/// that differ only in what may be forgotten have equal fingerprints. Zero where nothing is live.
hash128 fingerprint(std::string_view key, const row& r, const origin_table& origins);

/// Combines the fingerprints of different rows: addition modulo 2^128, so order does not count and a row can be taken out again.
void add_fingerprint(hash128& sum, const hash128& fingerprint);

/// How a row is stored: its kind, then itself.
std::string encode_row(const row& r);
/// Appends that to `out`.
void encode_row(const row& r, std::string& out);
/// Of a row that encode_row() has written; nothing where there are no bytes.
std::optional<row_kind> encoded_kind(std::string_view bytes);
std::optional<row> decode_row(std::string_view bytes);

/// What resets took of a total; nothing where they took all of it, so that its writer no longer counts.
std::optional<std::int64_t> taken(const counter_row& r, const counter_row::total& total);

}  // namespace anabranch::crdt
