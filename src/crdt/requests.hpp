// Executions of one request on one row: which of them counts, and what that means for the row. docs/requests.md has the
// meaning, docs/rows.md the representation.
#pragma once

#include <anabranch/request.hpp>
#include <optional>
#include <string>
#include <vector>

#include "crdt/row.hpp"

namespace anabranch::crdt {

/// What a transaction added to running totals: they do not say it themselves.
struct tally {
    std::uint32_t row = 0;  ///< its place among the transaction's rows
    dot birth;              ///< of a bounded counter's generation; of a counter without meaning
    std::uint32_t uses = 0;
    std::int64_t value = 0;
    std::int64_t bound = 0;
    std::int64_t gain = 0;  ///< rights that it brought
    bool is_undone = false;  ///< it removed the generation itself, afterwards

    bool operator==(const tally&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(row, birth, uses, value, bound, gain, is_undone);
    }
};

/// What makes a transaction the execution of a request.
struct execution {
    hash128 identity{};
    std::uint64_t issued = 0;  ///< milliseconds since 1970
    request_role role = request_role::primary;
    request_outcome outcome = request_outcome::committed;
    hash128 content{};
    std::optional<dot> confirms;
    std::string result;
    std::vector<tally> tallies{};  ///< sorted by (row, birth)
    std::vector<std::uint32_t> removals{};  ///< sorted: the places of rows that it was asked to remove; seldom any

    bool operator==(const execution&) const = default;
};

/// What of an execution decides whether it counts.
struct contestant {
    dot id;
    timestamp at;
    request_role role = request_role::primary;
    request_outcome outcome = request_outcome::committed;
    std::optional<dot> confirms;

    /// Whose changes stand for it.
    const dot& content() const { return confirms ? *confirms : id; }
    bool operator==(const contestant&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(id, at, role, outcome, confirms);
    }
};
/// The one that counts: the least by (role, outcome, timestamp, replica, sequence). There is at least one.
const contestant& winner(const std::vector<contestant>& all, const origin_table& origins);

/// What one execution does to a row.
struct part {
    dot id;
    delta change;
    std::vector<tally> tallies;
};
/// All executions of a request that do something to a row.
struct row_group {
    std::vector<part> parts;
    const part* content = nullptr;  ///< nothing where what counts does nothing here
};

/// What a store knows of requests that are not fixed.
struct open_requests {
    dot_set executions;
    dot_set entangled;  ///< once they are fixed there is something to do in rows
    /// A removal has come, or gone: corrections have to be counted anew.
    bool is_recount_due = false;

    void entangle(const dot& d) {
        if (executions.contains(d)) entangled.insert(d);
    }
};

/// Joins what the request does into the row: its first execution here, or after another one has come. `before` is the
/// group without that one; nothing at first, and where the row may know of it already.
void regroup(row& r, const row_group* before, const row_group& after, const version_vector& have, open_requests& open);

/// Counts the corrections of a counter anew, from all requests that have executions in its stretches.
void recount(row& r, const std::vector<row_group>& groups);

/// The request is fixed: nothing of it can change any more. What it removes of a counter is removed for good. Whether there
/// was anything.
bool fix_removals(row& r, const row_group& group, open_requests& open);
/// Then `open` does not hold it any more, and this is the last that is heard of it. False, and nothing done, where it has to
/// wait for others' removals.
bool fix(row& r, const row_group& group, const origin_table& origins, open_requests& open);
/// Requests that may still change have to do with what it shows.
bool is_in_doubt(const row& r);
/// Of an origin, transactions among which there are entangled ones that have to do with the row.
struct stretch {
    origin writer{};
    std::uint64_t first = 0;
    std::uint64_t last = 0;
};
std::vector<stretch> entangled_stretches(const row& r);

// What of a row shows: requests may hide it.
std::vector<const entries_row::entry*> shown(const entries_row& r, const origin_table& origins);
bool is_shown(const entries_row& r);
bool is_shown(const dots_row& r);
std::vector<dot> shown(const dots_row& r);
std::vector<const removals_row::add*> shown(const removals_row& r);
/// What of an origin's total counts; nothing where its writer does not count any more.
std::optional<std::int64_t> counting(const counter_row& r, const counter_row::total& total);
/// Not removed.
bool is_live(const escrow_row& r, const escrow_row::generation& g);
/// What does not count of an account, and rights that it may not spend yet.
struct account_doubt {
    correction::sums off;
    std::int64_t locked = 0;
};
account_doubt doubt_of(const escrow_row& r, const dot& birth, origin writer);

// For joining plain changes.
/// Takes away for good what `covers` covers.
void take_away(entries_row& r, const version_vector& covers, open_requests* open);
void take_away(dots_row& r, const version_vector& covers, open_requests* open);
void take_away(removals_row& r, const version_vector& covers, open_requests* open);
/// A plain addition of that origin has been joined, or its total has been let go.
void note_plain(counter_row& r, const counter_row::total& added);
void forget_writer(counter_row& r, origin writer);
/// Adds that did not see a removal go, but for those that may still turn out to have seen it.
void drop_unseeing(removals_row& r, open_requests* open);

// Rows of one kind each: regroup() and fix() of any row go to these.
void regroup(entries_row& r, const row_group& after, open_requests& open);
void regroup(dots_row& r, const row_group& after, open_requests& open);
void regroup(removals_row& r, const row_group& after, open_requests& open);
void settle(entries_row& r, const origin_table& origins, open_requests& open);
void settle(dots_row& r, const origin_table& origins, open_requests& open);
void settle(removals_row& r, const origin_table& origins, open_requests& open);

/// All that a transaction on this row has seen: what removes or replaces covers it.
version_vector seen_in(const entries_row& r);
version_vector seen_in(const dots_row& r);
version_vector seen_in(const removals_row& r);

/// The row as the transaction `me` sees it after its change.
void preview(row& r, const delta& change, origin me);
/// What the transaction `me` adds to running totals by `change`, over `before`.
std::vector<tally> tallies_of(const row& before, const delta& change, const dot& me, std::uint32_t row);

}  // namespace anabranch::crdt
