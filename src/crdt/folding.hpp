// Folds: stretches of transactions joined into one change for each row. docs/rows.md has the laws.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/changes.hpp"

namespace anabranch::crdt {

/// One of the ranges holds the dot.
bool holds(std::span<const dot_range> ranges, const dot& d);

/// Joins what transactions and folds do, in any order in which they may be applied.
class folding {
  public:
    folding();
    ~folding();
    folding(const folding&) = delete;
    folding& operator=(const folding&) = delete;

    void add(changes c);
    /// What a record's payload says. False where it is malformed; then the folding is good for nothing any more. What holds changes
    /// of unknown kinds is not to be folded.
    bool add(std::string_view payload, const stamp& own, std::span<const origin> mentioned, const known_kinds& kinds = {});
    /// What it would take when encoded, about, before compression.
    std::size_t bytes() const;
    /// All of it, rows sorted by key. Of dots outside `ranges`, which the receiver has, only the coverage is kept.
    changes take(std::span<const dot_range> ranges);
    /// The same, encoded at once: encode_fold().
    std::string encode(std::span<const dot_range> ranges, const origin_table& origins, timestamp least = {}, bool is_whole = true);

  private:
    struct state;
    std::unique_ptr<state> state_;
};

/// The changes of a fold of just these ranges, sorted by key. What the ranges imply is left out: an origin's earlier
/// write on a row is covered by its later one. Times are written as their distance from `least`. `is_whole`: it holds all
/// transactions of the ranges; otherwise nothing can be left out.
std::string encode_fold(const changes& c, std::span<const dot_range> ranges, const origin_table& origins, timestamp least = {},
                        bool is_whole = true);
std::string encode_fold(const std::vector<const row_change*>& rows, const std::vector<prefix_removal>& removals, const roster& members,
                        const std::vector<carried_fold>& carried, std::span<const dot_range> ranges, const origin_table& origins,
                        timestamp least = {}, bool is_whole = true);

/// Nothing where the bytes are malformed, or add what is not in the ranges. `number_of` finds or makes the number of
/// a replica; nothing where that is one too many. Rows of unknown kinds are carried.
std::optional<changes> decode_fold(std::string_view bytes, std::span<const dot_range> ranges,
                                   const std::function<std::optional<origin>(const replica_id&)>& number_of, timestamp least = {},
                                   const known_kinds& kinds = {});

}  // namespace anabranch::crdt
