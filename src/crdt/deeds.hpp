// What an execution of a request did, told without where and when it ran: of two that did the same, the same.
#pragma once

#include <string>
#include <vector>

#include "crdt/changes.hpp"

namespace anabranch::crdt {

/// To one row, or to all below a prefix. Nothing in it depends on what had been there: so not what a removal took away, nor in
/// which generations of a bounded counter its rights were.
struct deed {
    enum class kind : std::uint8_t { written = 1, removed = 2, emptied = 3 };

    std::string path;
    kind what{};
    std::string value{};       ///< assigned to a register
    std::int64_t amount = 0;  ///< added to a counter, bounded or not; spent: less than zero
    std::int64_t bound = 0;   ///< by how much a bounded counter's was moved

    bool operator==(const deed&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(path, what, value, amount, bound);
    }
};

/// Emptied prefixes first, then by path; of one path the removal before the write. What only moved rights is none: it counts
/// whatever becomes of the execution.
std::vector<deed> deeds_of(const executed& x);

/// They answered the same, and did the same.
bool is_same_content(const executed& a, const executed& b);

}  // namespace anabranch::crdt
