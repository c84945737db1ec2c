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

#include "base/boxed.hpp"
#include "causality/dot_set.hpp"
#include "causality/origin_table.hpp"
#include "causality/version_vector.hpp"
#include "crdt/foreign_input.hpp"

namespace anabranch::crdt {

/// Written in front of every row and change, so the numbers stay.
enum class row_kind : std::uint8_t { counter = 1, entries = 2, dots = 3, removals = 4, escrow = 5 };

using dots = boost::container::small_vector<dot, 1>;

/// What a request does to a row of entries, dots or removals, where that may change yet: while its identity is not fixed another
/// execution may turn out to count (docs/requests.md). Only where a plain entry would not do. It leaves
/// the store only with the whole row, to whoever gets all rows.
struct claim {
    dot id;                 ///< the content, where it does something here
    dots writes;            ///< sorted: the executions that leave a write here, which are aliases of one another
    dots removals;          ///< sorted: of a remove-wins element, the executions that remove it; none where the content does not
    version_vector covers;  ///< what they have seen here, as far as it is still here
    bool is_gone = false;   ///< its write was removed for good, whichever execution counts

    bool is_write_of(const dot& d) const { return std::ranges::find(writes, d) != writes.end(); }
    bool operator==(const claim&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(id, writes, removals, covers, is_gone);
    }
};
using claims = std::vector<claim>;  // sorted by id, one each

/// By how much executions that do not count have to be taken off the running totals that they are in.
struct correction {
    dot birth;  ///< of a bounded counter's generation
    origin writer{};
    struct sums {
        std::uint32_t uses = 0;
        std::int64_t value = 0;
        std::int64_t bound = 0;

        bool operator==(const sums&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(uses, value, bound);
        }
    };
    sums open;   ///< of requests that may still change; without what removals have taken
    sums fixed;  ///< of others: whoever removes one from now on has seen them all
    std::uint64_t fixed_upto = 0;  ///< their writer's last of those
    std::int64_t locked = 0;  ///< rights from requests that may still change
    std::uint64_t plain = 0;  ///< of a counter: its writer's last addition that no request made, where others are requests'
    /// Where to look for the executions that matter here and may still change.
    std::uint64_t first = 0;
    std::uint64_t last = 0;

    bool operator==(const correction&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(birth, writer, open, fixed, fixed_upto, locked, plain, first, last);
    }
};
/// Of a counter, bounded or not.
template <class Removal>
struct doubts {
    std::vector<correction> corrections;  ///< sorted by (birth, writer)
    std::vector<Removal> removals;        ///< by requests that may still change
    bool empty() const { return corrections.empty() && removals.empty(); }
    /// Something may still change.
    bool is_open() const {
        return !removals.empty() || std::ranges::any_of(corrections, [](const correction& c) { return c.first > 0; });
    }
    bool operator==(const doubts&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(corrections, removals);
    }
};

/// Counters. One running total per origin; the origin's newest replaces its older ones.
struct counter_row {
    static constexpr row_kind kind = row_kind::counter;

    /// What `writer` added in its transactions of this bucket after `start` and up to `sequence`. A writer
    /// whose whole total has been reset begins a new one: then rows need not be kept to remember the old sum.
    struct total {
        origin writer{};
        /// How many of the additions that it is made of are requests'.
        std::uint32_t adds = 0;
        std::uint64_t start = 0;
        std::uint64_t sequence = 0;
        std::int64_t sum = 0;

        bool operator==(const total&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(writer, adds, start, sequence, sum);
        }
    };
    /// A reset took away what it observed of `writer`: the total as it was at `sequence`.
    struct reset {
        origin writer{};
        std::uint32_t adds = 0;
        std::uint64_t sequence = 0;
        std::int64_t sum = 0;

        bool operator==(const reset&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(writer, adds, sequence, sum);
        }
    };
    /// By a request.
    struct removal {
        dot id;
        std::vector<reset> resets;

        bool operator==(const removal&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(id, resets);
        }
    };

    boost::container::small_vector<total, 2> totals;  ///< sorted by writer, one each
    std::vector<reset> resets;                         ///< sorted by writer, one each
    boxed<doubts<removal>> doubt{};                      ///< local

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
    boxed<claims> doubt{};

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
    boxed<claims> doubt{};

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
    boxed<claims> doubt{};

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
        std::uint32_t uses = 0;  ///< how many of its transactions a removal would have to have seen
        std::uint64_t sequence = 0;
        std::uint64_t touched = 0;  ///< the last of those: moving rights does not keep a counter in existence
        std::int64_t value = 0;   ///< added less spent
        std::int64_t bound = 0;   ///< by how much it has moved the bound
        std::int64_t wanted = 0;  ///< how many rights it would like to have
        std::vector<transfer> sent;  ///< sorted by `to`, one each

        bool operator==(const account&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(writer, uses, sequence, touched, value, bound, wanted, sent);
        }
    };
    /// What a removal has seen of a writer.
    struct seen_uses {
        origin writer{};
        std::uint32_t uses = 0;
        std::uint64_t sequence = 0;  ///< the last of them

        bool operator==(const seen_uses&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(writer, uses, sequence);
        }
    };
    /// From one creation to its removal. Rights depend on each other: so a removal takes all of them or, where somebody has
    /// used the counter without having seen it, none.
    struct generation {
        dot birth;  ///< the transaction that began it
        std::vector<account> accounts;  ///< sorted by writer, one each
        std::vector<seen_uses> removed;  ///< sorted by writer, one each

        const account* find(origin writer) const;
        bool operator==(const generation&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(birth, accounts, removed);
        }
    };

    /// By a request.
    struct removal {
        struct part {
            dot birth;
            std::vector<seen_uses> removed;

            bool operator==(const part&) const = default;
            template <class Archive>
            void serialize(Archive& archive) {
                archive(birth, removed);
            }
        };
        dot id;
        std::vector<part> parts;

        bool operator==(const removal&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(id, parts);
        }
    };

    /// Sorted by birth. More than one where replicas that did not see each other created the counter. Not in the row itself:
    /// a fold holds a great many rows of all kinds, each as large as the largest.
    std::vector<generation> generations;
    boxed<doubts<removal>> doubt{};

    bool operator==(const escrow_row&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(generations);
    }
};

struct open_requests;

/// The alternatives stand in the order of their kinds.
using row = std::variant<counter_row, entries_row, dots_row, removals_row, escrow_row>;
static_assert(sizeof(row) <= 128);

row_kind kind_of(const row& r);
/// Kinds as bits, by their numbers.
constexpr std::uint64_t bit_of(row_kind kind) { return std::uint64_t{1} << static_cast<unsigned>(kind); }
/// There is none beyond it, whatever the version (docs/rows.md).
inline constexpr row_kind greatest_kind{58};

/// What a build knows of the kinds that others write. While a fleet is upgraded some know less.
struct known_kinds {
    static constexpr std::uint64_t all = bit_of(row_kind::counter) | bit_of(row_kind::entries) | bit_of(row_kind::dots) |
                                         bit_of(row_kind::removals) | bit_of(row_kind::escrow);

    std::uint64_t known = all;
    /// Of those, the ones of which changes were logged here before they were known: whoever reads them again judges them then, and
    /// leaves out what is wrong.
    std::uint64_t unjudged = 0;
    /// Such a change may stand at that key.
    bool (*is_at_home)(std::string_view key, row_kind kind) = nullptr;

    bool holds(row_kind kind) const { return kind <= greatest_kind && (known & bit_of(kind)) != 0; }
    bool has_judged(row_kind kind) const { return (unjudged & bit_of(kind)) == 0; }
};
/// The least element of the kind, which must be known.
row bottom(row_kind kind);

/// What a transaction, or several joined ones, do to one row.
struct delta {
    /// Takes away entries and additions with these dots. As a vector this is exact, because whoever has
    /// seen one transaction of an origin on this row has seen all earlier ones.
    version_vector covers;
    /// Is joined.
    row change;
    /// It was asked to remove what there is, whether or not it saw anything. Known where the transaction runs; records of
    /// executions keep it apart.
    bool removes = false;
    /// Rights that it has brought a bounded counter's generations, where it is an execution: they are not its own yet. Known
    /// where it runs, as tallies elsewhere.
    std::vector<std::pair<dot, std::int64_t>> gained{};

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
/// Returns false, and changes nothing, where the kinds differ. The delta is of a plain transaction, or a fold of some:
/// executions of requests go to regroup(). `open`: the requests that may still change; nothing where the row is only to be
/// looked at.
bool join(row& state, const delta& d, const version_vector& have, open_requests* open = nullptr);

/// Removal of a prefix: takes away covered entries and additions. Counters, bounded or not, are removed by deltas of their own,
/// which carry what was observed; removal dots stay, or a concurrent addition would come back.
/// Returns whether anything changed.
bool cover(row& state, const version_vector& covered, open_requests* open = nullptr);
/// The same as a change of this row alone.
delta removal_in(const row& r, const version_vector& covered);

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

/// A row that shows the same, and has the same fingerprint, without anything that may be forgotten or change yet: for whoever only reads
/// it. Nothing can be joined into it.
row only_shown(const row& r, const origin_table& origins);

/// Combines the fingerprints of different rows: addition modulo 2^128, so order does not count and a row can be taken out again.
void add_fingerprint(hash128& sum, const hash128& fingerprint);

/// How a row is stored: its kind, then itself.
std::string encode_row(const row& r);
/// Appends that to `out`.
void encode_row(const row& r, std::string& out);
/// Of a row that encode_row() has written; nothing where there are no bytes.
std::optional<row_kind> encoded_kind(std::string_view bytes);
std::optional<row> decode_row(std::string_view bytes);
/// Of a row that another store has written, with its numbers.
std::optional<row> decode_row(std::string_view bytes, const foreign_input::numbers& numbers);

/// What resets took of a total for good; nothing where they took all of it, so that its writer begins a new one.
std::optional<std::int64_t> taken(const counter_row& r, const counter_row::total& total);

}  // namespace anabranch::crdt
