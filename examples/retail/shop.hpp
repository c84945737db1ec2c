// The shop: products, stock, carts and orders on a replicated bucket. Knows nothing of HTTP.
//
// One bucket holds everything, so that an order and the stock it takes are one atomic transaction:
//
//   product / <sku>      head    last-writer register   name and price
//                        stock   counter                concurrent sales all count
//                        tags    add-wins set
//   order / <id>         head    last-writer register   customer, country, date
//                        lines   last-writer register   written once, never changed
//   customer / <id>      orders  add-wins set           ids of the customer's orders
//   cart / <customer>    <sku>   counter                pieces in the cart
#pragma once

#include <anabranch/store.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "money.hpp"

namespace retail {

using anabranch::result;

// Structs that go into registers say what they consist of with a cereal serialize().

struct product_head {
    std::string name;
    money price;

    bool operator==(const product_head&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(name, price);
    }
};

struct product {
    std::string sku;
    std::optional<product_head> head;  ///< nothing where orders name a product that nobody has described yet
    std::int64_t stock = 0;
    std::vector<std::string> tags;
};

/// What PUT /products/{sku} asks for.
struct product_update {
    product_head head;
    std::int64_t initial_stock = 0;  ///< added when this describes the product for the first time
    std::optional<std::vector<std::string>> tags;  ///< where given, exactly these
};

struct order_line {
    std::string sku;
    std::int64_t quantity = 0;  ///< negative in a cancellation: comes back into stock
    money price;
    std::string description;

    bool operator==(const order_line&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(sku, quantity, price, description);
    }
};

struct order_head {
    std::string customer;  ///< empty for a guest
    std::string country;
    std::string date;

    bool operator==(const order_head&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(customer, country, date);
    }
};

struct order {
    std::string id;
    order_head head;
    std::vector<order_line> lines;  ///< a product may stand in several; all count

    bool operator==(const order&) const = default;
};

/// Pieces of each product.
using cart = std::map<std::string, std::int64_t>;

/// One page of a listing.
template <class T>
struct page {
    std::vector<T> items;
    std::optional<std::string> next;  ///< where there is more: the name to go on after
};

enum class placement {
    placed,    ///< new
    known,     ///< the same order was there already; nothing changed
    conflict,  ///< another order has this id; nothing changed
};

inline constexpr std::size_t max_order_lines = 2'000;
inline constexpr std::int64_t max_quantity = 1'000'000'000;

/// Thread-safe. Every write is one atomic transaction; errors are those of the library, except
/// errc::refused for what the shop's own rules forbid.
class shop {
  public:
    explicit shop(anabranch::bucket bucket, anabranch::durability durability = anabranch::durability::os)
        : bucket_(std::move(bucket)), durability_(durability) {}

    /// True where it described the product for the first time.
    result<bool> put_product(const std::string& sku, const product_update& update);
    result<std::optional<product>> find_product(const std::string& sku) const;
    result<page<product>> list_products(const anabranch::scan_range& range) const;
    /// The stock afterwards; nothing where there is no such product.
    result<std::optional<std::int64_t>> add_stock(const std::string& sku, std::int64_t pieces);
    /// False where there is no such product.
    result<bool> add_tag(const std::string& sku, const std::string& tag);
    result<bool> remove_tag(const std::string& sku, const std::string& tag);

    result<cart> read_cart(const std::string& customer) const;
    /// False where there is no such product. The cart afterwards is `read_cart`'s.
    result<bool> add_to_cart(const std::string& customer, const std::string& sku, std::int64_t quantity);
    result<void> remove_from_cart(const std::string& customer, const std::string& sku);
    result<void> empty_cart(const std::string& customer);
    /// Turns the cart into an order, at today's prices. errc::refused for an empty cart.
    /// Where the customer has that order already, it stands and the cart stays as it is.
    result<placement> check_out(const std::string& customer, const std::string& id, const order_head& head);

    /// Writes the order, takes its lines from stock and lists it with the customer.
    result<placement> place(const order& placed);
    result<std::optional<order>> find_order(const std::string& id) const;
    result<page<std::string>> list_orders(const anabranch::scan_range& range) const;
    result<page<std::string>> list_orders_of(const std::string& customer,
                                             const anabranch::scan_range& range) const;

  private:
    anabranch::bucket bucket_;
    anabranch::durability durability_;
};

}  // namespace retail
