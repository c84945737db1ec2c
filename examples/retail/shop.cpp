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

// What becomes of a request, as its execution stores it: for whoever brings it again, and for operators (GET /requests).

std::string to_text(bool is_so, const std::string&) { return is_so ? "yes" : "no"; }
std::string to_text(placement, const std::string& id) { return id; }

constexpr std::string_view lacking_mark = "out_of_stock: ";
constexpr std::string_view refused_mark = "refused: ";
constexpr std::string_view conflict_mark = "order_exists: ";

/// Nothing where it is no refusal: it was done, or it failed in a way that may be over when it is tried again.
template <class T>
std::optional<std::string> refusal_of(const result<T>& made, bool is_worth_waiting) {
    if constexpr (std::is_same_v<T, placement>) {
        if (made == placement::conflict) return std::string(conflict_mark);
    }
    if (made || is_worth_waiting) return {};
    if (made.error().code == errc::insufficient_rights) return std::string(lacking_mark) + made.error().message;
    if (made.error().code == errc::refused) return std::string(refused_mark) + made.error().message;
    return {};
}

bool is_answer(const std::string& text, bool) { return text == "yes"; }
placement is_answer(const std::string&, placement) { return placement::known; }

template <class T>
sale<T> answer_of(const anabranch::receipt& done, const result<T>& made) {
    const std::string& text = done.result;
    if (done.outcome == anabranch::request_outcome::committed) return done.is_repeat ? is_answer(text, T{}) : *made;
    if constexpr (std::is_same_v<T, placement>) {
        if (text.starts_with(conflict_mark)) return placement::conflict;
    }
    const bool is_lacking = text.starts_with(lacking_mark);
    const auto begin = is_lacking ? lacking_mark.size() : refused_mark.size();
    const auto code = is_lacking ? errc::insufficient_rights : errc::refused;
    return tl::unexpected(shortage{{{code, text.substr(std::min(begin, text.size()))}}, {}});
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
auto shop::execute_once(const caller& client, Function fn) {
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
    anabranch::session_token written;
    written.add(id);
    if (bucket_.missing(written) == 0) {
        client.session.add(written);
    } else {
        client.session.add(bucket_.progress());
    }
    return done;
}

/// `fn` runs where the request is not known yet. What the client is told is stored with what it did, a refusal, too: for a
/// mirror may have found more, and its execution would count where there is no other.
template <class Function>
auto shop::execute(const caller& client, const std::string& subject, bool may_wait, Function fn) {
    using returned = std::invoke_result_t<Function, transaction&, shortage&>;
    shortage lacking;
    returned made;  // by this execution, and not by one before
    const auto done = bucket_.commit(
        *client.identity,
        [&](transaction& tx) -> result<std::string> {
            made = fn(tx, lacking);
            if (const auto told = refusal_of(made, may_wait && lacking.is_elsewhere())) return tx.refuse(*told);
            if (!made) return fail(made.error());
            return to_text(*made, subject);
        },
        options_.durability);
    if (!done) {
        lacking = {{done.error(), lacking.asked, lacking.here, lacking.elsewhere}, lacking.sku};
        return sale<typename returned::value_type>(tl::unexpected(lacking));
    }
    anabranch::session_token written;
    written.add(done->transaction);
    client.session.add(written);
    return answer_of<typename returned::value_type>(*done, made);
}

template <class Function>
auto shop::write(const caller& client, Function fn) {
    if (!client.identity) return execute_once(client, fn);
    auto done = execute(client, {}, false, [&](transaction& tx, shortage&) { return fn(tx); });
    return result<typename decltype(done)::value_type>(std::move(done).map_error([](const auto& e) { return anabranch::error(e); }));
}

/// `fn` fills the shortage that it is given where it fails for want of stock. Only the transaction is tried
/// again: nobody waits for who waits for stock. `subject` is what a request's result names.
template <class Function>
auto shop::sell(const caller& client, const std::string& subject, Function fn) {
    using answer = sale<typename std::invoke_result_t<Function, transaction&, shortage&>::value_type>;
    const auto deadline = steady_clock::now() + options_.stock_wait;
    std::unique_ptr<product_watch> arrivals;
    std::string watched;
    for (bool is_last = options_.stock_wait.count() <= 0;;) {
        const auto done = [&]() -> answer {
            if (client.identity) return execute(client, subject, !is_last, fn);
            shortage lacking;
            auto sold = execute_once(client, [&](transaction& tx) { return fn(tx, lacking); });
            if (sold) return std::move(*sold);
            static_cast<anabranch::error&>(lacking) = sold.error();
            return tl::unexpected(lacking);
        }();
        if (done || is_last || !done.error().is_elsewhere()) return done;
        if (arrivals && watched == done.error().sku) {
            is_last = !arrivals->wait_until(deadline);
        } else {  // what arrives before the watch begins is found by trying once more
            arrivals = std::make_unique<product_watch>(bucket_, done.error().sku);
            watched = done.error().sku;
            is_last = steady_clock::now() >= deadline;
        }
    }
}

sale<std::optional<stock_level>> shop::with_level(const std::string& sku, const sale<bool>& done) const {
    using answer = sale<std::optional<stock_level>>;
    if (!done) return answer(tl::unexpected(done.error()));
    if (!*done) return answer(std::nullopt);
    auto level = bucket_.read([&](const map_view& root) { return find_stock_in(root, sku); });
    if (!level) return answer(tl::unexpected(shortage{{level.error()}, {}}));
    return answer(std::move(*level));
}

result<bool> shop::put_product(const std::string& sku, const product_update& update, const caller& client) {
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

result<bool> shop::add_tag(const std::string& sku, const std::string& tag, const caller& client) {
    return write(client, [&](transaction& tx) {
        const map_ref entry = tx.map("product").map(sku);
        auto exists = entry.exists();
        if (exists && *exists) entry.add_wins_set("tags").add(tag);
        return exists;
    });
}

result<bool> shop::remove_tag(const std::string& sku, const std::string& tag, const caller& client) {
    return write(client, [&](transaction& tx) {
        const map_ref entry = tx.map("product").map(sku);
        auto exists = entry.exists();
        if (exists && *exists) entry.add_wins_set("tags").remove(tag);
        return exists;
    });
}

sale<std::optional<stock_level>> shop::add_stock(const std::string& sku, std::int64_t pieces,
                                                 const caller& client) {
    return with_level(sku, sell(client, sku, [&](transaction& tx, shortage& lacking) -> result<bool> {
        const auto exists = tx.map("product").map(sku).exists();
        if (!exists || !*exists) return exists;
        if (pieces >= 0) {
            stock_of(tx, sku).add(pieces);
        } else if (auto taken = take(tx, sku, -pieces, lacking); !taken) {
            return fail(taken.error());
        }
        return true;
    }));
}

sale<std::optional<stock_level>> shop::transfer_stock(const std::string& sku, const anabranch::replica_id& to,
                                                      std::int64_t pieces, const caller& client) {
    shortage lacking;
    const auto done = write(client, [&](transaction& tx) -> result<bool> {
        const auto exists = tx.map("product").map(sku).exists();
        if (!exists || !*exists) return exists;
        if (const auto given = stock_of(tx, sku).transfer(to, pieces); !given) {
            lacking = {given.error(), sku};
            return fail(given.error());
        }
        return true;
    });
    if (done) return with_level(sku, *done);
    static_cast<anabranch::error&>(lacking) = done.error();
    return tl::unexpected(lacking);
}

result<std::optional<stock_level>> shop::request_stock(const std::string& sku, std::int64_t pieces,
                                                       const caller& client) {
    const auto done = write(client, [&](transaction& tx) {
        auto exists = tx.map("product").map(sku).exists();
        if (exists && *exists) stock_of(tx, sku).request(pieces);
        return exists;
    });
    if (!done) return fail(done.error());
    return with_level(sku, *done).map_error([](const auto& e) { return anabranch::error(e); });
}

result<void> shop::deliver(const std::vector<delivery>& deliveries, const caller& client) {
    return write(client, [&](transaction& tx) -> result<bool> {
        for (const auto& d : deliveries) stock_of(tx, d.sku).add(d.pieces);
        return true;
    }).map([](bool) {});
}

result<cart> shop::read_cart(const std::string& customer) const {
    return bucket_.read([&](const map_view& root) { return read_cart_in(root, customer); });
}

result<bool> shop::add_to_cart(const std::string& customer, const std::string& sku, std::int64_t quantity,
                               const caller& client) {
    return write(client, [&](transaction& tx) {
        auto exists = tx.map("product").map(sku).exists();
        if (exists && *exists) tx.map("cart").map(customer).counter(sku).add(quantity);
        return exists;
    });
}

result<void> shop::remove_from_cart(const std::string& customer, const std::string& sku, const caller& client) {
    return write(client, [&](transaction& tx) -> result<bool> {
        tx.map("cart").map(customer).remove(sku, field_type::counter);
        return true;
    }).map([](bool) {});
}

result<void> shop::empty_cart(const std::string& customer, const caller& client) {
    return write(client, [&](transaction& tx) -> result<bool> {
        tx.map("cart").map(customer).clear();
        return true;
    }).map([](bool) {});
}

sale<placement> shop::check_out(const std::string& customer, const std::string& id, const order_head& head,
                                const caller& client) {
    return sell(client, id, [&](transaction& tx, shortage& lacking) -> result<placement> {
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

sale<placement> shop::place(const order& placed, const caller& client) {
    return sell(client, placed.id, [&](transaction& tx, shortage& lacking) -> result<placement> {
        const auto before = read_order(tx, placed.id);
        if (!before) return fail(before.error());
        if (*before) return **before == placed ? placement::known : placement::conflict;
        if (auto written = write_order(tx, placed, lacking); !written) return fail(written.error());
        return placement::placed;
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
