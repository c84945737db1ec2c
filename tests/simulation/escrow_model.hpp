// What a bounded counter is, written down as directly as possible: who was given rights, and who spent them.
#pragma once

#include <array>
#include <vector>

#include "simulation/history.hpp"
#include "simulation/request_model.hpp"

namespace anabranch::simulation {

/// Who has the rights of whom: itself, or its heir.
using heirs = std::array<std::size_t, most_replicas>;

/// A counter from its creation to its removal.
struct escrow_generation {
    birth_dot birth;
    bool is_live = false;  ///< not every use of it has been seen by a removal
    std::int64_t value = 0;
    std::int64_t bound = 0;
    std::array<std::pair<std::int64_t, std::int64_t>, most_replicas> counted{};  ///< value and bound, by whose uses made them
    std::array<std::int64_t, most_replicas> rights{};  ///< by who was given them
    std::array<std::array<std::int64_t, most_replicas>, most_replicas> sent{};  ///< by giver, then receiver
    std::array<std::uint64_t, most_replicas> last{};   ///< the last transaction of each that had to do with it

    std::int64_t rights_of(std::size_t owner, const heirs& who) const;
};

/// By origin, then sequence, of their births. Rights that a request makes are nobody's until it is one of `fixed`.
std::vector<escrow_generation> escrow_generations(const history& h, std::size_t leaf, const cut& of,
                                                  const transaction_record* pending, const fixed_requests& fixed);

}  // namespace anabranch::simulation
