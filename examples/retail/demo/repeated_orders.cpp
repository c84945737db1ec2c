#include "demo/repeated_orders.hpp"

namespace retail {

namespace {

/// SplitMix64 (Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014): the i-th number, always the same.
std::uint64_t drawn(std::uint64_t i) {
    auto z = (i + 1) * 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

}  // namespace

repeated_orders::repeated_orders(const order_set& input) {
    for (const auto& original : input.orders) {
        lines_.insert(lines_.end(), original.lines.begin(), original.lines.end());
        invoice_of_.resize(lines_.size(), invoices_.size());
        invoices_.push_back({original.id, original.head});
    }
}

order repeated_orders::at(std::size_t i) const {
    const auto& like = invoices_[invoice_of_[i % lines_.size()]];
    return {like.id + "-" + std::to_string(i), like.head, {lines_[line_of(i)]}};
}

std::size_t repeated_orders::line_of(std::size_t i) const {
    return i < lines_.size() ? i : drawn(i) % lines_.size();
}

}  // namespace retail
