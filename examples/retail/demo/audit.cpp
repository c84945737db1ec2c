#include "demo/audit.hpp"

#include <algorithm>

#include "demo/traffic.hpp"

namespace retail {

namespace {

constexpr std::size_t page_size = 1'000;

/// Calls `use(items)` for each page that `list(range)` has.
template <class List, class Use>
void for_each_page(const std::stop_token& stop, const std::string& what, List list, Use use) {
    anabranch::scan_range range;
    range.limit = page_size;
    while (true) {
        if (stop.stop_requested()) throw interrupted();
        auto found = value_of(list(range), what);
        use(found.items);
        if (!found.next) return;
        range.after = *found.next;
    }
}

class auditor {
  public:
    auditor(const local_shop& at, const std::stop_token& stop) : at_(at), stop_(stop) {}

    void read_orders(const repeated_orders& orders, std::size_t apart, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            if (i % page_size == 0 && stop_.stop_requested()) throw interrupted();
            const auto wanted = orders.at(i);
            if (!wanted.head.customer.empty()) customers_[wanted.head.customer].push_back(wanted.id);
            const auto stored = value_of(at_.shop.find_order(wanted.id), at_.name);
            if (!stored) {
                differ("order " + wanted.id + " is missing");
            } else if (*stored != wanted) {
                differ("order " + wanted.id + " is not as it was sent");
            } else if (i >= apart) {
                ++found_.exact[side_of(i)];
            }
        }
        for_each_page(
            stop_, at_.name, [&](const auto& range) { return at_.shop.list_orders(range); },
            [&](const auto& ids) { found_.orders += ids.size(); });
        if (found_.orders != count) {
            differ("there are " + std::to_string(found_.orders) + " orders instead of " + std::to_string(count));
        }
        found_.rows += 2 * found_.orders;  // head and lines
    }

    void read_customers() {
        for (auto& [customer, ids] : customers_) {
            std::sort(ids.begin(), ids.end());
            std::vector<std::string> listed;
            for_each_page(
                stop_, at_.name,
                [&, &customer = customer](const auto& range) { return at_.shop.list_orders_of(customer, range); },
                [&](const auto& some) { listed.insert(listed.end(), some.begin(), some.end()); });
            if (listed != ids) differ("customer " + customer + " has other orders than were sent");
            found_.rows += listed.size();
        }
    }

    void read_products() {
        for_each_page(
            stop_, at_.name, [&](const auto& range) { return at_.shop.list_products(range); },
            [&](const auto& products) {
                for (const auto& product : products) found_.stock.emplace(product.sku, product.stock);
            });
        found_.rows += 2 * found_.stock.size();  // head and stock
    }

    audit_result take() { return std::move(found_); }

  private:
    void differ(const std::string& what) { found_.differences.push_back(at_.name + ": " + what); }

    const local_shop& at_;
    const std::stop_token stop_;
    std::map<std::string, std::vector<std::string>> customers_;
    audit_result found_;
};

}  // namespace

audit_result audit(const local_shop& at, const repeated_orders& orders, std::size_t apart, std::size_t count,
                   const std::stop_token& stop) {
    auditor reads(at, stop);
    reads.read_orders(orders, apart, count);
    reads.read_customers();
    reads.read_products();
    return reads.take();
}

}  // namespace retail
