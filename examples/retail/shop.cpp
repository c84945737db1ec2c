#include "shop.hpp"

#include <algorithm>
#include <anabranch/cereal.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>

namespace retail {

using anabranch::errc;
using anabranch::fail;
using anabranch::field_type;
using anabranch::map_ref;
using anabranch::map_view;
using anabranch::scan_range;
using anabranch::transaction;

namespace {

// Readers take a map_view, so they serve a snapshot, the latest state and a transaction alike.

result<product> read_product(const map_view& root, const std::string& sku) {
    const map_view entry = root.map("product").map(sku);
    auto head = entry.last_writer<product_head>("head").get();
    if (!head) return fail(head.error());
    auto stock = entry.counter("stock").value();
    if (!stock) return fail(stock.error());
    auto tags = entry.add_wins_set("tags").elements();
    if (!tags) return fail(tags.error());
    return product{sku, std::move(*head), *stock, std::move(*tags)};
}

result<std::optional<order>> read_order(const map_view& root, const std::string& id) {
    const map_view entry = root.map("order").map(id);
    auto head = entry.last_writer<order_head>("head").get();
    if (!head) return fail(head.error());
    if (!*head) return std::optional<order>{};
    auto lines = entry.last_writer<std::vector<order_line>>("lines").get();
    if (!lines) return fail(lines.error());
    return order{id, std::move(**head), std::move(*lines).value_or(std::vector<order_line>{})};
}

result<cart> read_cart_in(const map_view& root, const std::string& customer) {
    const map_view items = root.map("cart").map(customer);
    auto fields = items.fields();
    if (!fields) return fail(fields.error());
    cart found;
    for (const auto& field : *fields) {
        auto pieces = items.counter(field.name).value();
        if (!pieces) return fail(pieces.error());
        if (*pieces > 0) found.emplace(field.name, *pieces);
    }
    return found;
}

void write_order(const transaction& tx, const order& placed) {
    const map_ref entry = tx.map("order").map(placed.id);
    entry.last_writer<order_head>("head").set(placed.head);
    entry.last_writer<std::vector<order_line>>("lines").set(placed.lines);
    for (const auto& line : placed.lines)
        tx.map("product").map(line.sku).counter("stock").add(-line.quantity);
    if (!placed.head.customer.empty()) {
        tx.map("customer").map(placed.head.customer).add_wins_set("orders").add(placed.id);
    }
}

/// Asks for one name more than the page holds, to know whether there is a next one.
scan_range one_more(scan_range range) {
    ++range.limit;
    return range;
}

page<std::string> cut_page(std::vector<std::string> names, std::size_t limit) {
    page<std::string> result{std::move(names), {}};
    if (result.items.size() > limit) {
        result.items.resize(limit);
        result.next = result.items.back();
    }
    return result;
}

result<page<std::string>> list_fields(const map_view& map, const scan_range& range) {
    auto fields = map.fields(one_more(range));
    if (!fields) return fail(fields.error());
    std::vector<std::string> names;
    for (auto& field : *fields) names.push_back(std::move(field.name));
    return cut_page(std::move(names), range.limit);
}

}  // namespace

result<bool> shop::put_product(const std::string& sku, const product_update& update) {
    return bucket_.commit(
        [&](transaction& tx) -> result<bool> {
            const map_ref entry = tx.map("product").map(sku);
            const auto head = entry.last_writer<product_head>("head");
            const auto before = head.get();
            if (!before) return fail(before.error());
            const bool created = !before->has_value();
            if (*before != update.head) head.set(update.head);
            if (created) entry.counter("stock").add(update.initial_stock);
            if (update.tags) {
                const auto tags = entry.add_wins_set("tags");
                const auto old = tags.elements();
                if (!old) return fail(old.error());
                for (const auto& tag : *old) {
                    if (std::find(update.tags->begin(), update.tags->end(), tag) == update.tags->end())
                        tags.remove(tag);
                }
                for (const auto& tag : *update.tags) tags.add(tag);
            }
            return created;
        },
        durability_);
}

result<std::optional<product>> shop::find_product(const std::string& sku) const {
    return bucket_.read([&](const map_view& root) -> result<std::optional<product>> {
        const auto exists = root.map("product").map(sku).exists();
        if (!exists) return fail(exists.error());
        if (!*exists) return std::optional<product>{};
        return read_product(root, sku);
    });
}

result<page<product>> shop::list_products(const scan_range& range) const {
    const auto state = bucket_.snapshot();
    if (!state) return fail(state.error());
    auto names = list_fields(state->map("product"), range);
    if (!names) return fail(names.error());
    page<product> found{{}, std::move(names->next)};
    for (const auto& sku : names->items) {
        auto entry = read_product(*state, sku);
        if (!entry) return fail(entry.error());
        found.items.push_back(std::move(*entry));
    }
    return found;
}

result<std::optional<std::int64_t>> shop::add_stock(const std::string& sku, std::int64_t pieces) {
    return bucket_.commit(
        [&](transaction& tx) -> result<std::optional<std::int64_t>> {
            const map_ref entry = tx.map("product").map(sku);
            const auto exists = entry.exists();
            if (!exists) return fail(exists.error());
            if (!*exists) return std::optional<std::int64_t>{};
            entry.counter("stock").add(pieces);
            return entry.counter("stock").value();
        },
        durability_);
}

result<bool> shop::add_tag(const std::string& sku, const std::string& tag) {
    return bucket_.commit(
        [&](transaction& tx) {
            const map_ref entry = tx.map("product").map(sku);
            auto exists = entry.exists();
            if (exists && *exists) entry.add_wins_set("tags").add(tag);
            return exists;
        },
        durability_);
}

result<bool> shop::remove_tag(const std::string& sku, const std::string& tag) {
    return bucket_.commit(
        [&](transaction& tx) {
            const map_ref entry = tx.map("product").map(sku);
            auto exists = entry.exists();
            if (exists && *exists) entry.add_wins_set("tags").remove(tag);
            return exists;
        },
        durability_);
}

result<cart> shop::read_cart(const std::string& customer) const {
    return bucket_.read([&](const map_view& root) { return read_cart_in(root, customer); });
}

result<bool> shop::add_to_cart(const std::string& customer, const std::string& sku, std::int64_t quantity) {
    return bucket_.commit(
        [&](transaction& tx) {
            auto exists = tx.map("product").map(sku).exists();
            if (exists && *exists) tx.map("cart").map(customer).counter(sku).add(quantity);
            return exists;
        },
        durability_);
}

result<void> shop::remove_from_cart(const std::string& customer, const std::string& sku) {
    return bucket_.commit(
        [&](transaction& tx) { tx.map("cart").map(customer).remove(sku, field_type::counter); }, durability_);
}

result<void> shop::empty_cart(const std::string& customer) {
    return bucket_.commit([&](transaction& tx) { tx.map("cart").map(customer).clear(); }, durability_);
}

result<placement> shop::check_out(const std::string& customer, const std::string& id,
                                  const order_head& head) {
    return bucket_.commit(
        [&](transaction& tx) -> result<placement> {
            const auto before = read_order(tx, id);
            if (!before) return fail(before.error());
            if (*before) return (*before)->head == head ? placement::known : placement::conflict;

            const auto items = read_cart_in(tx, customer);
            if (!items) return fail(items.error());
            if (items->empty()) return fail(errc::refused, "the cart is empty");
            order placed{id, head, {}};
            for (const auto& [sku, pieces] : *items) {
                auto entry = read_product(tx, sku);
                if (!entry) return fail(entry.error());
                if (!entry->head) return fail(errc::refused, "product " + sku + " has no price yet");
                placed.lines.push_back({sku, pieces, entry->head->price, entry->head->name});
            }
            if (placed.lines.size() > max_order_lines)
                return fail(errc::refused, "too many products in the cart");
            write_order(tx, placed);
            tx.map("cart").map(customer).clear();
            return placement::placed;
        },
        durability_);
}

result<placement> shop::place(const order& placed) {
    return bucket_.commit(
        [&](transaction& tx) -> result<placement> {
            const auto before = read_order(tx, placed.id);
            if (!before) return fail(before.error());
            if (*before) return **before == placed ? placement::known : placement::conflict;
            write_order(tx, placed);
            return placement::placed;
        },
        durability_);
}

result<std::optional<order>> shop::find_order(const std::string& id) const {
    return bucket_.read([&](const map_view& root) { return read_order(root, id); });
}

result<page<std::string>> shop::list_orders(const scan_range& range) const {
    const auto state = bucket_.snapshot();
    if (!state) return fail(state.error());
    return list_fields(state->map("order"), range);
}

result<page<std::string>> shop::list_orders_of(const std::string& customer, const scan_range& range) const {
    return bucket_
        .read([&](const map_view& root) {
            return root.map("customer").map(customer).add_wins_set("orders").elements(one_more(range));
        })
        .map([&](std::vector<std::string> ids) { return cut_page(std::move(ids), range.limit); });
}

}  // namespace retail
