#include "simulation/escrow_model.hpp"

#include <algorithm>

namespace anabranch::simulation {

std::int64_t escrow_generation::rights_of(std::size_t owner, const heirs& who) const {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < rights.size(); ++i) {
        if (who[i] == owner) sum += rights[i];
    }
    return std::max<std::int64_t>(sum, 0);
}

std::vector<escrow_generation> escrow_generations(const history& h, std::size_t leaf, const cut& of,
                                                  const transaction_record* pending) {
    const auto all = h.operations_on(leaf, of, pending);
    std::vector<escrow_generation> found;
    for (const auto& p : all) {
        const auto& op = p.op();
        const auto who = p.in->origin;
        const bool is_use = op.what == action::deposit || op.what == action::spend || op.what == action::move_bound;
        const bool is_removed = std::ranges::any_of(all, [&](const placed& r) { return r.op().what == action::clear && r.sees(p); });
        for (const auto& part : op.parts) {
            // Created and removed in one transaction: nobody has ever seen it.
            const auto undoes = [&](const placed& r) { return r.in == p.in && r.op().what == action::clear && r.sees(p); };
            if (part.of == birth_dot{who, p.in->sequence} && std::ranges::any_of(all, undoes)) continue;
            auto it = std::ranges::lower_bound(found, part.of, {}, &escrow_generation::birth);
            if (it == found.end() || it->birth != part.of) it = found.insert(it, escrow_generation{part.of});
            it->last[who] = std::max(it->last[who], p.in->sequence);
            it->is_live = it->is_live || (is_use && !is_removed);
            if (op.what == action::deposit) it->value += part.amount;
            if (op.what == action::spend) it->value -= part.amount;
            if (op.what == action::move_bound) it->bound += part.amount;
            if (op.what == action::deposit) it->rights[who] += part.amount;
            if (op.what == action::spend || op.what == action::move_bound || op.what == action::transfer) it->rights[who] -= part.amount;
            if (op.what != action::transfer) continue;
            it->rights[op.to] += part.amount;
            it->sent[who][op.to] += part.amount;
        }
    }
    return found;
}

}  // namespace anabranch::simulation
