#include "simulation/request_model.hpp"

#include <algorithm>
#include <tuple>

namespace anabranch::simulation {
namespace {

bool counts_before(const transaction_record* a, const transaction_record* b) {
    const auto key = [](const transaction_record& t) {
        return std::tuple(t.execution->role, t.execution->outcome, t.at, t.origin, t.sequence);
    };
    return key(*a) < key(*b);
}

void add(effect& e, const operation& op) {
    switch (op.what) {
        case action::add:
            e.amount += op.amount;
            e.write = &op;
            return;
        case action::assign:
        case action::insert:
            e.write = &op;
            return;
        case action::remove:
            e.removes = true;
            break;
        default:
            e.clears = true;
            break;
    }
    e.write = nullptr;
    e.amount = 0;
}

}  // namespace

const transaction_record* winner_among(const std::vector<const transaction_record*>& executions) {
    return *std::ranges::min_element(executions, counts_before);
}

const transaction_record* winner_of(const history& h, std::size_t request, const cut& of, const transaction_record* pending) {
    const auto executions = h.executions_of(request, of, pending);
    return executions.empty() ? nullptr : winner_among(executions);
}

const transaction_record* content_of(const history& h, std::size_t request, const cut& of, const transaction_record* pending) {
    const auto* winner = winner_of(h, request, of, pending);
    if (winner == nullptr || !winner->execution->confirms) return winner;
    return h.find(winner->execution->confirms->origin, winner->execution->confirms->sequence);
}

bool has_seen(const transaction_record& t, const transaction_record& earlier) {
    return &t != &earlier && t.context[earlier.origin] >= earlier.sequence;
}

std::vector<group> groups_on(const history& h, std::size_t leaf, const cut& of, const transaction_record* pending) {
    const auto all = h.operations_on(leaf, of, pending);
    std::vector<group> found;
    found.reserve(all.size());
    std::map<std::size_t, std::size_t> of_request;  // where its group stands in `found`
    for (auto p = all.begin(); p != all.end();) {
        effect e{p->in};
        // A transaction's operations stand beside each other.
        for (; p != all.end() && p->in == e.by; ++p) add(e, p->op());
        if (!e.by->execution) {
            found.push_back({true, {e}, 0});
            continue;
        }
        const auto [known, is_first] = of_request.try_emplace(e.by->execution->request, found.size());
        if (is_first) found.push_back({false, {}, {}});
        found[known->second].executions.push_back(e);
    }
    for (const auto& [request, at] : of_request) {
        auto& g = found[at];
        const auto content = std::ranges::find(g.executions, content_of(h, request, of, pending), &effect::by);
        if (content != g.executions.end()) g.content = static_cast<std::size_t>(content - g.executions.begin());
    }
    return found;
}

}  // namespace anabranch::simulation
