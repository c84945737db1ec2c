// What executions of requests do to a field, as docs/requests.md has it: which of them counts, and who has seen whom.
#pragma once

#include <boost/container/small_vector.hpp>
#include <set>
#include <vector>

#include "simulation/history.hpp"

namespace anabranch::simulation {

/// The requests of which a replica knows that there will be no further execution.
using fixed_requests = std::set<std::size_t>;

/// The execution that counts, of those in `of` and `pending`; nullptr where there is none.
const transaction_record* winner_of(const history& h, std::size_t request, const cut& of,
                                    const transaction_record* pending = nullptr);

/// Of one or more.
const transaction_record* winner_among(const std::vector<const transaction_record*>& executions);

/// The execution that says what the request does and what its client is told: the winner, or what that one confirms.
const transaction_record* content_of(const history& h, std::size_t request, const cut& of,
                                     const transaction_record* pending = nullptr);

bool has_seen(const transaction_record& t, const transaction_record& earlier);

/// What one transaction has done to a leaf by its end.
struct effect {
    const transaction_record* by = nullptr;
    const operation* write = nullptr;  ///< the last one that it does not take away again itself
    std::int64_t amount = 0;           ///< of all such additions
    bool removes = false;              ///< a set's element, or disables a flag
    bool clears = false;               ///< by any other removal, of what is above it, too
};

/// The executions of one request that do something to a leaf; a plain transaction is the only one of its own.
struct group {
    bool is_plain = true;
    boost::container::small_vector<effect, 1> executions;
    /// Its place among them; nothing where it does nothing to this leaf, and so neither does the group.
    std::optional<std::size_t> content;

    /// nullptr where there is none.
    const effect* does() const { return content ? &executions[*content] : nullptr; }
    bool writes() const { return does() != nullptr && does()->write != nullptr; }
    bool removes() const { return does() != nullptr && does()->removes; }
    bool clears() const { return does() != nullptr && does()->clears; }
};

/// Of all transactions in `of` and of `pending`.
std::vector<group> groups_on(const history& h, std::size_t leaf, const cut& of, const transaction_record* pending);

/// One of `a` for which `does_see` holds has seen one of `b` for which `is_seen` holds. Nobody sees itself here.
template <class Seer, class Seen>
bool has_seen(const group& a, Seer does_see, const group& b, Seen is_seen) {
    if (&a == &b) return false;
    for (const auto& x : a.executions) {
        if (!does_see(x)) continue;
        for (const auto& y : b.executions) {
            if (is_seen(y) && has_seen(*x.by, *y.by)) return true;
        }
    }
    return false;
}

}  // namespace anabranch::simulation
