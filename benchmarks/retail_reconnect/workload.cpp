#include "retail_reconnect/workload.hpp"

#include <bit>

namespace bench::retail {

namespace {

constexpr std::uint64_t initial_seed = 42;

std::int32_t draw_price(splitmix64& random) { return static_cast<std::int32_t>(100 + random.below(9900)); }

/// The index-th tag of those in the set.
std::uint32_t tag_at(tag_set tags, std::uint32_t index) {
    while (index-- > 0) tags &= tags - 1;
    return static_cast<std::uint32_t>(std::countr_zero(tags));
}

std::vector<std::string> made_keys() {
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < product_count; ++i) keys.push_back("product/" + std::to_string(i));
    return keys;
}

std::vector<std::string> made_tag_names() {
    std::vector<std::string> names;
    for (std::uint32_t tag = 0; tag < tag_count; ++tag) names.push_back((tag < 10 ? "0" : "") + std::to_string(tag));
    return names;
}

/// A tag is there if a side ended with an add of its own, since no remove has seen that add, or if it was there from
/// the start and nobody removed it.
tag_set add_wins(tag_set initial, const product_history& a, const product_history& b) {
    return a.added | b.added | (initial & ~a.removed & ~b.removed);
}

bool is_price_right(const product& initial, const product_history& a, const product_history& b, std::int64_t merged) {
    if (!a.is_priced && !b.is_priced) return merged == initial.price;
    return (a.is_priced && a.now.price == merged) || (b.is_priced && b.now.price == merged);
}

}  // namespace

std::vector<product> initial_products() {
    splitmix64 random(initial_seed);
    std::vector<product> products(product_count);
    for (std::uint32_t i = 0; i < product_count; ++i) {
        const std::uint32_t first = i % tag_count;
        std::uint32_t second = (7 * i + 3) % tag_count;
        if (second == first) second = (second + 1) % tag_count;
        products[i] = {100, draw_price(random), tag_set{1} << first | tag_set{1} << second};
    }
    return products;
}

const std::string& key_of(std::size_t product) {
    static const std::vector<std::string> keys = made_keys();
    return keys[product];
}

const std::string& name_of_tag(std::uint32_t tag) {
    static const std::vector<std::string> names = made_tag_names();
    return names[tag];
}

solo::solo(const std::vector<product>& before, std::uint64_t seed) : random_(seed) {
    for (const auto& product : before) products_.push_back({.now = product});
}

std::vector<operation> solo::draw(std::size_t count) {
    std::vector<operation> operations;
    operations.reserve(count);
    while (count-- > 0) {
        operations.push_back(draw_one());
        record(operations.back());
    }
    return operations;
}

/// The order of the draws is part of the workload.
operation solo::draw_one() {
    using kind = operation::kind;
    const double u = static_cast<double>(random_.next() >> 11) / static_cast<double>(std::uint64_t{1} << 53);
    const auto product = static_cast<std::uint32_t>(u * u * static_cast<double>(product_count));
    const tag_set tags = products_[product].now.tags;
    const std::uint32_t k = random_.below(100);
    if (k < 70) {
        const auto magnitude = static_cast<std::int32_t>(1 + random_.below(5));
        return {product, kind::add_stock, random_.next() % 2 == 0 ? magnitude : -magnitude};
    }
    if (k < 85) return {product, kind::set_price, draw_price(random_)};
    if (k >= 95 && tags != 0) {
        const auto index = random_.below(static_cast<std::uint32_t>(std::popcount(tags)));
        return {product, kind::remove_tag, static_cast<std::int32_t>(tag_at(tags, index))};
    }
    return {product, kind::add_tag, static_cast<std::int32_t>(random_.below(tag_count))};
}

void solo::record(const operation& op) {
    auto& history = products_[op.product];
    const tag_set tag = tag_set{1} << (op.amount & 31);
    switch (op.what) {
        case operation::kind::add_stock:
            history.now.stock += op.amount;
            break;
        case operation::kind::set_price:
            history.now.price = op.amount;
            history.is_priced = true;
            break;
        case operation::kind::add_tag:
            history.now.tags |= tag;
            history.added |= tag;
            break;
        case operation::kind::remove_tag:
            history.now.tags &= ~tag;
            history.added &= ~tag;
            history.removed |= tag;
            break;
    }
}

bool is_right(const std::vector<product>& initial, const solo& edge, const solo& cloud,
              const std::vector<product>& merged) {
    for (std::size_t i = 0; i < initial.size(); ++i) {
        const auto& a = edge.products()[i];
        const auto& b = cloud.products()[i];
        const bool right = merged[i].stock == a.now.stock + b.now.stock - initial[i].stock &&
                           is_price_right(initial[i], a, b, merged[i].price) &&
                           merged[i].tags == add_wins(initial[i].tags, a, b);
        if (!right) return false;
    }
    return true;
}

}  // namespace bench::retail
