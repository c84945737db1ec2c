#include "judge.hpp"

#include <algorithm>
#include <set>

namespace retail {

namespace {

/// The orders at one replica, by the clients' references.
using by_reference = std::map<std::string, std::vector<const order*>>;

by_reference sort_out(const holdings& replica) {
    by_reference sorted;
    for (const auto& held : replica.orders) sorted[reference_of(held)].push_back(&held);
    return sorted;
}

std::size_t count_of(const by_reference& held, const std::string& reference) {
    const auto found = held.find(reference);
    return found == held.end() ? 0 : found->second.size();
}

bool same_but_for_the_id(const order& one, const order& other) {
    return one.head == other.head && one.lines == other.lines;
}

class judgement {
  public:
    judgement(const std::vector<purchase>& purchases, const std::vector<holdings>& replicas)
        : purchases_(purchases), replicas_(replicas) {
        for (const auto& replica : replicas) held_.push_back(sort_out(replica));
    }

    void compare_orders() {
        std::set<std::string> sent;
        for (const auto& wanted : purchases_) {
            sent.insert(wanted.reference);
            const bool placed = wanted.outcome == told::placed;
            found.acknowledged += placed;
            found.missing += placed && is_any(wanted, "is missing", [](std::size_t n) { return n == 0; });
            found.doubled += is_any(wanted, "is there more than once", [](std::size_t n) { return n > 1; });
            const bool refused = !placed && wanted.outcome != told::nothing;
            found.refused_but_present +=
                refused && is_any(wanted, "was refused, and is there", [](std::size_t n) { return n > 0; });
        }
        for (std::size_t i = 0; i < replicas_.size(); ++i) {
            for (const auto& [reference, orders] : held_[i]) {
                if (!sent.count(reference)) report(i, "order \"" + reference + "\" was never sent");
            }
        }
        for (const auto& wanted : purchases_) compare_content(wanted);
    }

    void compare_stock(cart expected) {
        for (const auto& wanted : purchases_) {
            if (!counts(wanted)) continue;
            for (const auto& line : wanted.content.lines) expected[line.sku] -= line.quantity;
        }
        std::set<std::string> wrong;
        for (std::size_t i = 0; i < replicas_.size(); ++i) {
            for (const auto& [sku, pieces] : expected) {
                const auto at = replicas_[i].stock.find(sku);
                const std::int64_t there = at == replicas_[i].stock.end() ? 0 : at->second;
                if (there == pieces) continue;
                wrong.insert(sku);
                report(i, "product " + sku + " has a stock of " + std::to_string(there) + " instead of " +
                              std::to_string(pieces));
            }
        }
        found.stock_wrong = wrong.size();
    }

    void compare_digests() {
        for (std::size_t i = 1; i < replicas_.size(); ++i) {
            if (replicas_[i].digest != replicas_[0].digest)
                report(i, "the digest is not that of " + replicas_[0].name);
        }
    }

    findings found;

  private:
    void report(std::size_t replica, const std::string& what) {
        found.differences.push_back(replicas_[replica].name + ": " + what);
    }

    /// Reports each replica at which the number of such orders is wrong.
    template <class Predicate>
    bool is_any(const purchase& wanted, const char* what, Predicate wrong) {
        bool any = false;
        for (std::size_t i = 0; i < replicas_.size(); ++i) {
            if (!wrong(count_of(held_[i], wanted.reference))) continue;
            any = true;
            report(i, "order " + wanted.reference + " " + what);
        }
        return any;
    }

    void compare_content(const purchase& wanted) {
        for (std::size_t i = 0; i < replicas_.size(); ++i) {
            const auto found_here = held_[i].find(wanted.reference);
            if (found_here == held_[i].end()) continue;
            for (const auto* held : found_here->second) {
                if (!same_but_for_the_id(*held, wanted.content))
                    report(i, "order " + wanted.reference + " is not as it was sent");
            }
        }
    }

    /// Once, whatever is there twice.
    bool counts(const purchase& wanted) const {
        if (wanted.outcome != told::nothing) return wanted.outcome == told::placed;
        return std::any_of(held_.begin(), held_.end(),
                           [&](const auto& held) { return count_of(held, wanted.reference) > 0; });
    }

    const std::vector<purchase>& purchases_;
    const std::vector<holdings>& replicas_;
    std::vector<by_reference> held_;
};

}  // namespace

findings judge(const std::vector<purchase>& purchases, const cart& delivered,
               const std::vector<holdings>& replicas) {
    judgement made(purchases, replicas);
    made.compare_orders();
    made.compare_stock(delivered);
    made.compare_digests();
    return std::move(made.found);
}

}  // namespace retail
