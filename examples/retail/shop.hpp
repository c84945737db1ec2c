// The shop: products, stock, carts and orders on a replicated bucket. Knows nothing of HTTP.
//
// One bucket holds everything, so that an order and the stock it takes are one atomic transaction:
//
//   product / <sku>      head    last-writer register   name and price
//                        stock   bounded counter        concurrent sales all count, none of what is not there
//                        tags    add-wins set
//   order / <id>         head    last-writer register   customer, country, date
//                        lines   last-writer register   written once, never changed
//   customer / <id>      orders  add-wins set           ids of the customer's orders
//   cart / <customer>    <sku>   counter                pieces in the cart
#pragma once

#include <anabranch/store.hpp>
#include <chrono>
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
    std::int64_t available = 0;  ///< of the stock, what this instance may sell now
    std::vector<std::string> tags;
};

struct stock_level {
    std::int64_t stock = 0;
    std::int64_t available = 0;
};

/// Pieces that come in.
struct delivery {
    std::string sku;
    std::int64_t pieces = 0;
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

/// Why stock was not taken: of one product this instance may not sell so many now. Or another error, and then
/// there is nothing but its code and message.
struct shortage : anabranch::refusal {
    std::string sku;
};
template <class T>
using sale = tl::expected<T, shortage>;

/// One of the descriptions that instances gave a product without having seen each other's.
struct head_contender {
    anabranch::transaction_id writer;
    std::optional<anabranch::timestamp> at;
    product_head head;
    bool is_shown = false;
    anabranch::standing why{};
};

/// Whose write it is.
struct caller {
    anabranch::session_token& session;  ///< a write adds to it
    /// With one the write counts once, wherever else a mesh runs it, and whoever brings it again is answered the same: also
    /// that something is lacking, or is not there.
    std::optional<anabranch::request> identity{};
};

inline constexpr std::size_t max_order_lines = 2'000;
inline constexpr std::size_t max_deliveries = 500;
inline constexpr std::int64_t max_quantity = 1'000'000'000;

struct shop_options {
    anabranch::durability durability = anabranch::durability::os;
    /// What takes stock that only others may sell waits so long for them to give it away. 0: never.
    std::chrono::milliseconds stock_wait{250};
};

/// Thread-safe. Every write is one atomic transaction; errors are those of the library, except
/// errc::refused for what the shop's own rules forbid. A write adds to the client's session what that depends
/// on from now on: the transaction, or, where there was nothing to write, all that is here.
class shop {
  public:
    explicit shop(anabranch::bucket bucket, shop_options options = {})
        : bucket_(std::move(bucket)), options_(options) {}

    /// True where it described the product for the first time.
    result<bool> put_product(const std::string& sku, const product_update& update, const caller& client);
    result<std::optional<product>> find_product(const std::string& sku) const;
    result<page<product>> list_products(const anabranch::scan_range& range) const;
    /// Nothing where there is no such product.
    result<std::optional<std::vector<head_contender>>> list_contenders(const std::string& sku) const;
    /// False where there is no such product.
    result<bool> add_tag(const std::string& sku, const std::string& tag, const caller& client);
    result<bool> remove_tag(const std::string& sku, const std::string& tag, const caller& client);

    // Of these three the answer is the stock afterwards, or nothing where there is no such product. Pieces that come in with
    // an identity may be sold once that is fixed (docs/requests.md).
    /// Adds pieces, or takes some away where they are below zero.
    sale<std::optional<stock_level>> add_stock(const std::string& sku, std::int64_t pieces, const caller& client);
    /// Lets another instance sell so many that this one might have sold. Does not wait.
    sale<std::optional<stock_level>> transfer_stock(const std::string& sku,
                                                    const anabranch::replica_id& to, std::int64_t pieces,
                                                    const caller& client);
    /// Asks the others for as many as are missing here to have `pieces` available.
    result<std::optional<stock_level>> request_stock(const std::string& sku, std::int64_t pieces,
                                                     const caller& client);
    /// Also of products that nobody has described yet.
    result<void> deliver(const std::vector<delivery>& deliveries, const caller& client);

    result<cart> read_cart(const std::string& customer) const;
    /// False where there is no such product. The cart afterwards is `read_cart`'s.
    result<bool> add_to_cart(const std::string& customer, const std::string& sku, std::int64_t quantity,
                             const caller& client);
    result<void> remove_from_cart(const std::string& customer, const std::string& sku, const caller& client);
    result<void> empty_cart(const std::string& customer, const caller& client);
    /// Turns the cart into an order, at today's prices. errc::refused for an empty cart.
    /// Where the customer has that order already, it stands and the cart stays as it is.
    sale<placement> check_out(const std::string& customer, const std::string& id, const order_head& head,
                              const caller& client);

    /// Writes the order, takes its lines from stock and lists it with the customer; or none of it, where one
    /// product is lacking.
    sale<placement> place(const order& placed, const caller& client);
    result<std::optional<order>> find_order(const std::string& id) const;
    result<page<std::string>> list_orders(const anabranch::scan_range& range) const;
    result<page<std::string>> list_orders_of(const std::string& customer,
                                             const anabranch::scan_range& range) const;

  private:
    template <class Function>
    auto write(const caller& client, Function fn);
    template <class Function>
    auto sell(const caller& client, const std::string& subject, Function fn);
    template <class Function>
    auto execute(const caller& client, const std::string& subject, bool may_wait, Function fn);
    template <class Function>
    auto execute_once(const caller& client, Function fn);
    sale<std::optional<stock_level>> with_level(const std::string& sku, const sale<bool>& done) const;

    anabranch::bucket bucket_;
    shop_options options_;
};

}  // namespace retail
