#include "simulation/history.hpp"

#include <algorithm>

namespace anabranch::simulation {
namespace {

bool is_about(const schema& fields, const operation& op, std::size_t leaf) {
    if (op.what == action::clear) return fields.is_below(fields.leaves[leaf], op.target);
    return static_cast<std::size_t>(op.target) == leaf;
}

}  // namespace

bool covers(const cut& a, const cut& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (a[i] < b[i]) return false;
    }
    return true;
}

cut joined(const cut& a, const cut& b) {
    cut c = a;
    for (std::size_t i = 0; i < c.size(); ++i) c[i] = std::max(c[i], b[i]);
    return c;
}

std::string to_string(const cut& c) {
    std::string text = "[";
    for (std::size_t i = 0; i < c.size(); ++i) text += (i > 0 ? " " : "") + std::to_string(c[i]);
    return text + "]";
}

const transaction_record& history::append(transaction_record transaction) {
    auto& transactions = by_origin_[transaction.origin];
    transactions.push_back(std::move(transaction));
    const auto& added = transactions.back();
    if (added.execution) of_request_[added.execution->request].push_back(&added);
    for (std::size_t place = 0; place < added.operations.size(); ++place) {
        for (std::size_t leaf = 0; leaf < of_leaf_.size(); ++leaf) {
            if (is_about(fields_, added.operations[place], leaf)) of_leaf_[leaf].push_back({&added, place});
        }
    }
    return added;
}

const transaction_record& history::append_duty(std::size_t origin, const cut& context, timestamp at, hash128 head,
                                               std::vector<operation> operations) {
    return append({origin, by_origin_[origin].size() + 1, at, context, std::move(operations), head});
}

void history::retire(std::size_t origin, std::uint64_t last) {
    for (auto& operations : of_leaf_) {
        std::erase_if(operations,
                      [&](const placed& p) { return p.in->origin == origin && p.in->sequence > last; });
    }
    for (auto& [request, executions] : of_request_) {
        std::erase_if(executions, [&](const auto* t) { return t->origin == origin && t->sequence > last; });
    }
    while (by_origin_[origin].size() > last) by_origin_[origin].pop_back();
}

const transaction_record* history::find(std::size_t origin, std::uint64_t sequence) const {
    const auto& transactions = by_origin_[origin];
    if (sequence == 0 || sequence > transactions.size()) return nullptr;
    return &transactions[static_cast<std::size_t>(sequence - 1)];
}

cut history::everything() const {
    cut all{};
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = by_origin_[i].size();
    return all;
}

std::vector<placed> history::operations_on(std::size_t leaf, const cut& of,
                                           const transaction_record* pending) const {
    std::vector<placed> found;
    for (const auto& p : of_leaf_[leaf]) {
        if (p.in->sequence <= of[p.in->origin]) found.push_back(p);
    }
    if (pending != nullptr) {
        for (std::size_t place = 0; place < pending->operations.size(); ++place) {
            if (is_about(fields_, pending->operations[place], leaf)) found.push_back({pending, place});
        }
    }
    return found;
}

std::vector<const transaction_record*> history::executions_of(std::size_t request, const cut& of,
                                                              const transaction_record* pending) const {
    std::vector<const transaction_record*> found;
    if (const auto known = of_request_.find(request); known != of_request_.end()) {
        std::ranges::copy_if(known->second, std::back_inserter(found),
                             [&](const auto* t) { return t->sequence <= of[t->origin]; });
    }
    if (pending != nullptr && pending->execution && pending->execution->request == request) found.push_back(pending);
    return found;
}

std::uint64_t history::touched_by(const transaction_record& t) const {
    std::uint64_t touched = 0;
    for (const auto& op : t.operations) {
        for (std::size_t leaf = 0; leaf < of_leaf_.size(); ++leaf) {
            if (is_about(fields_, op, leaf)) touched |= std::uint64_t{1} << leaf;
        }
    }
    return touched;
}

}  // namespace anabranch::simulation
