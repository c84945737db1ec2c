#include "simulation/escrow_model.hpp"

#include <algorithm>

namespace anabranch::simulation {
namespace {

/// One that fails is none.
bool is_use(const placed& p) {
    const auto what = p.op().what;
    return (what == action::deposit || what == action::spend || what == action::move_bound) && !p.op().parts.empty();
}

bool is_removal(const placed& p) { return p.op().what == action::clear; }

bool is_same_request(const placed& a, const placed& b) {
    return a.in->execution && b.in->execution && a.in->execution->request == b.in->execution->request;
}

}  // namespace

std::int64_t escrow_generation::rights_of(std::size_t owner, const heirs& who) const {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < rights.size(); ++i) {
        if (who[i] == owner) sum += rights[i];
    }
    return std::max<std::int64_t>(sum, 0);
}

std::vector<escrow_generation> escrow_generations(const history& h, std::size_t leaf, const cut& of,
                                                  const transaction_record* pending, const fixed_requests& fixed) {
    const auto all = h.operations_on(leaf, of, pending);
    std::map<std::size_t, const transaction_record*> contents;
    for (const auto& p : all) {
        if (!p.in->execution || contents.contains(p.in->execution->request)) continue;
        const auto request = p.in->execution->request;
        contents[request] = content_of(h, request, of, pending);
    }
    const auto counts = [&](const placed& p) { return !p.in->execution || contents[p.in->execution->request] == p.in; };
    std::vector<placed> removals;  // those of suppressed executions, too, where the one that counts removes as well
    for (const auto& p : all) {
        const auto removes_too = [&](const placed& r) { return is_removal(r) && counts(r) && is_same_request(r, p); };
        if (is_removal(p) && (counts(p) || std::ranges::any_of(all, removes_too))) removals.push_back(p);
    }
    const auto is_undone = [&](const placed& p) {
        return std::ranges::any_of(all, [&](const placed& r) { return r.in == p.in && is_removal(r) && r.sees(p); });
    };
    // A removal has seen what it has seen any execution do and leave.
    const auto is_removed = [&](const placed& p) {
        return std::ranges::any_of(removals, [&](const placed& r) {
            if (r.sees(p)) return true;
            if (!p.in->execution || is_same_request(r, p)) return false;
            return std::ranges::any_of(all, [&](const placed& u) { return is_use(u) && is_same_request(u, p) && r.sees(u) && !is_undone(u); });
        });
    };
    std::vector<escrow_generation> found;
    for (const auto& p : all) {
        const auto& op = p.op();
        const auto who = p.in->origin;
        const bool is_live_use = is_use(p) && counts(p) && !is_removed(p);
        for (const auto& part : op.parts) {
            // Created and removed in one transaction: nobody has ever seen it.
            if (part.of == birth_dot{who, p.in->sequence} && is_undone(p)) continue;
            auto it = std::ranges::lower_bound(found, part.of, {}, &escrow_generation::birth);
            if (it == found.end() || it->birth != part.of) it = found.insert(it, escrow_generation{part.of});
            it->last[who] = std::max(it->last[who], p.in->sequence);
            it->is_live = it->is_live || is_live_use;
            if (op.what == action::transfer) {
                // Moves rights and no values, so it is never suppressed.
                it->rights[who] -= part.amount;
                it->rights[op.to] += part.amount;
                it->sent[who][op.to] += part.amount;
            } else if (is_use(p) && counts(p)) {
                const auto value = op.what == action::deposit ? part.amount : op.what == action::spend ? -part.amount : 0;
                const auto bound = op.what == action::move_bound ? part.amount : 0;
                it->value += value;
                it->bound += bound;
                it->counted[who].first += value;
                it->counted[who].second += bound;
                // Another execution may turn out to be the one that counts, elsewhere, and makes none here.
                const bool is_settled = !p.in->execution || fixed.contains(p.in->execution->request);
                if (is_settled || value - bound < 0) it->rights[who] += value - bound;
            }
        }
    }
    return found;
}

}  // namespace anabranch::simulation
