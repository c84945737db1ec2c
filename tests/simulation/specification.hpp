// What each type means, written down as directly as possible: a field's value follows from the set of
// operations that happened and from which of them saw which. No rows, no joins, no deltas; slow and simple.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "simulation/coverage.hpp"
#include "simulation/escrow_model.hpp"
#include "simulation/history.hpp"
#include "simulation/request_model.hpp"

namespace anabranch::simulation {

/// A write that a register shows.
struct shown_entry {
    timestamp at;
    std::size_t origin = 0;
    std::uint64_t sequence = 0;
    std::string value;

    bool operator==(const shown_entry&) const = default;
};

/// What a field shows. Which members count depends on its type.
struct field_value {
    bool exists = false;               ///< also what a flag or an element shows
    std::int64_t sum = 0;              ///< of a counter, bounded or not
    std::int64_t bound = 0;
    std::array<std::int64_t, most_replicas> rights{};  ///< by who may spend them
    std::vector<shown_entry> entries;  ///< of a register, latest first

    bool operator==(const field_value&) const = default;
};

/// The value of a leaf after the transactions in `of`, and what `pending` has done so far on top of them, where the rights that
/// come from requests are to be had of those in `fixed`.
field_value evaluate(const history& h, std::size_t leaf, const cut& of, const heirs& who,
                     const transaction_record* pending = nullptr, const fixed_requests& fixed = {});

/// The writes that stand in a leaf, counters excepted, by the executions that count; latest first.
std::vector<shown_entry> standing(const history& h, std::size_t leaf, const cut& of);

/// Equal iff the state is: what is live, with payload and identity.
/// `without`: leaves, as bits.
std::string live_state(const history& h, const cut& of, std::uint64_t without = 0);

/// Counts the kinds of conflict that happened.
void count_conflicts(const history& h, coverage& counts);

std::string describe(field_type type, const field_value& v);

}  // namespace anabranch::simulation
