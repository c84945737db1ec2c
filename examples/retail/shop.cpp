#include "shop.hpp"

#include <algorithm>
#include <anabranch/cereal.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>
#include <condition_variable>
#include <mutex>

namespace retail {

using anabranch::bounded_counter_ref;
using anabranch::errc;
using anabranch::fail;
using anabranch::field_type;
using anabranch::map_ref;
using anabranch::map_view;
using anabranch::scan_range;
using anabranch::transaction;

namespace {

// Readers take a map_view, so they serve a snapshot, the latest state and a transaction alike.

result<stock_level> read_stock(const map_view& root, const std::string& sku) {
    const auto counter = root.map("product").map(sku).bounded_counter("stock");
    const auto stock = counter.value();
    if (!stock) return fail(stock.error());
    const auto available = counter.available();
    if (!available) return fail(available.error());
    return stock_level{*stock, *available};
}

result<product> read_product(const map_view& root, const std::string& sku) {
    const map_view entry = root.map("product").map(sku);
    auto head = entry.last_writer<product_head>("head").get();
    if (!head) return fail(head.error());
    auto level = read_stock(root, sku);
    if (!level) return fail(level.error());
    auto tags = entry.add_wins_set("tags").elements();
    if (!tags) return fail(tags.error());
    return product{sku, std::move(*head), level->stock, level->available, std::move(*tags)};
}

result<std::optional<stock_level>> find_stock_in(const map_view& root, const std::string& sku) {
    const auto exists = root.map("product").map(sku).exists();
    if (!exists) return fail(exists.error());
    if (!*exists) return std::optional<stock_level>{};
    return read_stock(root, sku);
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

bounded_counter_ref stock_of(const transaction& tx, const std::string& sku) {
    return tx.map("product").map(sku).bounded_counter("stock");
}

result<void> take(const transaction& tx, const std::string& sku, std::int64_t pieces, shortage& lacking) {
    const auto left = stock_of(tx, sku).spend(pieces);
    if (left) return {};
    lacking = {left.error(), sku};
    return fail(left.error());
}

/// What comes back into stock comes first: a product may be both in one order.
result<void> take_lines(const transaction& tx, const order& placed, shortage& lacking) {
    std::map<std::string, std::int64_t> sold;
    for (const auto& line : placed.lines) {
        if (line.quantity > 0) sold[line.sku] += line.quantity;
        if (line.quantity < 0) stock_of(tx, line.sku).add(-line.quantity);
    }
    // All of them, though the first refusal is the order's: so all that is lacking is asked for at once.
    result<void> done;
    for (const auto& [sku, pieces] : sold) {
        shortage found;
        if (take(tx, sku, pieces, found)) continue;
        // Waiting cannot help where one is nowhere.
        if (done || (lacking.is_elsewhere() && !found.is_elsewhere())) lacking = found;
        done = fail(lacking);
    }
    return done;
}

result<void> write_order(const transaction& tx, const order& placed, shortage& lacking) {
    if (auto taken = take_lines(tx, placed, lacking); !taken) return taken;
    const map_ref entry = tx.map("order").map(placed.id);
    entry.last_writer<order_head>("head").set(placed.head);
    entry.last_writer<std::vector<order_line>>("lines").set(placed.lines);
    if (!placed.head.customer.empty()) {
        tx.map("customer").map(placed.head.customer).add_wins_set("orders").add(placed.id);
    }
    return {};
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

using steady_clock = std::chrono::steady_clock;

/// Tells when something has happened to a product.
class product_watch {
  public:
    product_watch(const anabranch::bucket& bucket, const std::string& sku)
        : changes_(bucket.watch({{"product", field_type::map}, {sku, field_type::map}}, [this] {
              const std::lock_guard lock(mutex_);
              is_woken_ = true;
              woken_.notify_one();
          })) {}

    /// False when the time is up, or where it cannot be told.
    bool wait_until(steady_clock::time_point deadline) {
        while (changes_) {
            {
                std::unique_lock lock(mutex_);
                if (!woken_.wait_until(lock, deadline, [this] { return is_woken_; })) return false;
                is_woken_ = false;
            }
            const auto batch = changes_->pull();
            if (!batch) return false;
            if (!batch->steps.empty()) return true;  // and not of some other product
        }
        return false;
    }

  private:
    std::mutex mutex_;
    std::condition_variable woken_;
    bool is_woken_ = false;             // guarded by mutex_
    result<anabranch::feed> changes_;  // goes first: its callback uses the others
};

}  // namespace

template <class Function>
auto shop::write(session& client, Function fn) {
    anabranch::transaction_id id;
    auto done = bucket_.commit(
        [&](transaction& tx) {
            id = tx.id();
            return fn(tx);
        },
        options_.durability);
    if (!done) return done;
    // Where there was nothing to write there is no such transaction, or it is a later one of another client,
    // which has seen the same.
    session written;
    written.add(id);
    if (bucket_.missing(written) == 0) {
        client.add(written);
    } else {
        client.add(bucket_.progress());
    }
    return done;
}

/// `fn` fills the shortage that it is given where it fails for want of stock. Only the transaction is tried
/// again: nobody waits for who waits for stock.
template <class Function>
auto shop::sell(session& client, Function fn) {
    return sell_by([&](shortage& lacking, bool) { return write(client, [&](transaction& tx) { return fn(tx, lacking); }); });
}

/// `write_once(shortage&, is_last)`: there is no further try after the last one.
template <class Write>
auto shop::sell_by(Write write_once) {
    const auto deadline = steady_clock::now() + options_.stock_wait;
    std::unique_ptr<product_watch> arrivals;
    std::string watched;
    while (true) {
        shortage lacking;
        auto done = write_once(lacking, steady_clock::now() >= deadline);
        using answer = sale<typename decltype(done)::value_type>;
        if (done) return answer(std::move(*done));
        static_cast<anabranch::error&>(lacking) = done.error();
        const bool is_hopeless = !lacking.is_elsewhere() || steady_clock::now() >= deadline;
        if (is_hopeless) return answer(tl::unexpected(lacking));
        if (arrivals && watched == lacking.sku) {
            if (!arrivals->wait_until(deadline)) return answer(tl::unexpected(lacking));
        } else {  // what arrives before the watch begins is found by trying once more
            arrivals = std::make_unique<product_watch>(bucket_, lacking.sku);
            watched = lacking.sku;
        }
    }
}

result<bool> shop::put_product(const std::string& sku, const product_update& update, session& client) {
    return write(client, [&](transaction& tx) -> result<bool> {
        const map_ref entry = tx.map("product").map(sku);
        const auto head = entry.last_writer<product_head>("head");
        const auto before = head.get();
        if (!before) return fail(before.error());
        const bool created = !before->has_value();
        if (*before != update.head) head.set(update.head);
        if (created) entry.bounded_counter("stock").add(update.initial_stock);
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
    });
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

result<std::optional<std::vector<head_contender>>> shop::list_contenders(const std::string& sku) const {
    using found = std::optional<std::vector<head_contender>>;
    return bucket_.read([&](const map_view& root) -> result<found> {
        const map_view entry = root.map("product").map(sku);
        const auto exists = entry.exists();
        if (!exists) return fail(exists.error());
        if (!*exists) return found{};
        const auto contenders = entry.contenders("head", field_type::last_writer);
        if (!contenders) return fail(contenders.error());
        std::vector<head_contender> heads;
        for (const auto& c : *contenders) {
            auto head = anabranch::value_codec<product_head>::decode(c.value);
            if (!head) return fail(head.error());
            heads.push_back({c.writer, c.at, std::move(*head), c.is_shown, c.why});
        }
        return heads;
    });
}

result<bool> shop::add_tag(const std::string& sku, const std::string& tag, session& client) {
    return write(client, [&](transaction& tx) {
        const map_ref entry = tx.map("product").map(sku);
        auto exists = entry.exists();
        if (exists && *exists) entry.add_wins_set("tags").add(tag);
        return exists;
    });
}

result<bool> shop::remove_tag(const std::string& sku, const std::string& tag, session& client) {
    return write(client, [&](transaction& tx) {
        const map_ref entry = tx.map("product").map(sku);
        auto exists = entry.exists();
        if (exists && *exists) entry.add_wins_set("tags").remove(tag);
        return exists;
    });
}

sale<std::optional<stock_level>> shop::add_stock(const std::string& sku, std::int64_t pieces,
                                                 session& client) {
    return sell(client, [&](transaction& tx, shortage& lacking) -> result<std::optional<stock_level>> {
        const auto before = find_stock_in(tx, sku);
        if (!before || !*before) return before;
        if (pieces >= 0) {
            stock_of(tx, sku).add(pieces);
        } else if (auto taken = take(tx, sku, -pieces, lacking); !taken) {
            return fail(taken.error());
        }
        return find_stock_in(tx, sku);
    });
}

sale<std::optional<stock_level>> shop::transfer_stock(const std::string& sku, const anabranch::replica_id& to,
                                                      std::int64_t pieces, session& client) {
    shortage lacking;
    auto done = write(client, [&](transaction& tx) -> result<std::optional<stock_level>> {
        const auto before = find_stock_in(tx, sku);
        if (!before || !*before) return before;
        if (const auto given = stock_of(tx, sku).transfer(to, pieces); !given) {
            lacking = {given.error(), sku};
            return fail(given.error());
        }
        return find_stock_in(tx, sku);
    });
    if (done) return *done;
    static_cast<anabranch::error&>(lacking) = done.error();
    return tl::unexpected(lacking);
}

result<std::optional<stock_level>> shop::request_stock(const std::string& sku, std::int64_t pieces,
                                                       session& client) {
    return write(client, [&](transaction& tx) {
        auto level = find_stock_in(tx, sku);
        if (level && *level) stock_of(tx, sku).request(pieces);
        return level;
    });
}

result<void> shop::deliver(const std::vector<delivery>& deliveries, session& client) {
    return write(client, [&](transaction& tx) {
        for (const auto& d : deliveries) stock_of(tx, d.sku).add(d.pieces);
    });
}

result<cart> shop::read_cart(const std::string& customer) const {
    return bucket_.read([&](const map_view& root) { return read_cart_in(root, customer); });
}

result<bool> shop::add_to_cart(const std::string& customer, const std::string& sku, std::int64_t quantity,
                               session& client) {
    return write(client, [&](transaction& tx) {
        auto exists = tx.map("product").map(sku).exists();
        if (exists && *exists) tx.map("cart").map(customer).counter(sku).add(quantity);
        return exists;
    });
}

result<void> shop::remove_from_cart(const std::string& customer, const std::string& sku, session& client) {
    return write(client,
                 [&](transaction& tx) { tx.map("cart").map(customer).remove(sku, field_type::counter); });
}

result<void> shop::empty_cart(const std::string& customer, session& client) {
    return write(client, [&](transaction& tx) { tx.map("cart").map(customer).clear(); });
}

sale<placement> shop::check_out(const std::string& customer, const std::string& id, const order_head& head,
                                session& client) {
    return sell(client, [&](transaction& tx, shortage& lacking) -> result<placement> {
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
        if (auto written = write_order(tx, placed, lacking); !written) return fail(written.error());
        tx.map("cart").map(customer).clear();
        return placement::placed;
    });
}

sale<placement> shop::place(const order& placed, session& client) {
    return sell(client, [&](transaction& tx, shortage& lacking) -> result<placement> {
        const auto before = read_order(tx, placed.id);
        if (!before) return fail(before.error());
        if (*before) return **before == placed ? placement::known : placement::conflict;
        if (auto written = write_order(tx, placed, lacking); !written) return fail(written.error());
        return placement::placed;
    });
}

sale<placement> shop::place(const anabranch::request& identity, const order& placed, session& client) {
    return sell_by([&](shortage& lacking, bool is_last) -> result<placement> {
        const auto done = bucket_.commit(
            identity,
            [&](transaction& tx) -> result<std::string> {
                const auto before = read_order(tx, placed.id);
                if (!before) return fail(before.error());
                if (*before) return tx.refuse("another order has the id " + placed.id);
                if (auto written = write_order(tx, placed, lacking); !written) {
                    if (written.error().code != errc::insufficient_rights || (!is_last && lacking.is_elsewhere())) return fail(written.error());
                    return tx.refuse(written.error().message);
                }
                return placed.id;
            },
            options_.durability);
        if (!done) return fail(done.error());
        session written;
        written.add(done->transaction);
        client.add(written);
        if (done->outcome == anabranch::request_outcome::committed) return done->is_repeat ? placement::known : placement::placed;
        return fail(errc::insufficient_rights, done->result);
    });
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
