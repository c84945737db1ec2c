#include "retail_reconnect/catalogue.hpp"

#include "measure/measurement.hpp"

namespace bench::retail {

namespace {

constexpr const char* stock = "stock";
constexpr const char* price = "price";
constexpr const char* tags = "tags";

void apply(const operation& op, const anabranch::transaction& tx) {
    const auto product = tx.map(key_of(op.product));
    switch (op.what) {
        case operation::kind::add_stock:
            return product.counter(stock).add(op.amount);
        case operation::kind::set_price:
            return product.last_writer<std::int64_t>(price).set(op.amount);
        case operation::kind::add_tag:
            return product.add_wins_set(tags).add(name_of_tag(static_cast<std::uint32_t>(op.amount)));
        case operation::kind::remove_tag:
            return product.add_wins_set(tags).remove(name_of_tag(static_cast<std::uint32_t>(op.amount)));
    }
}

product read_from(const anabranch::map_view& view, std::size_t i) {
    const auto at = view.map(key_of(i));
    product found{expect(at.counter(stock).value()), expect(at.last_writer<std::int64_t>(price).get()).value_or(0), 0};
    for (const auto& tag : expect(at.add_wins_set(tags).elements())) found.tags |= tag_set{1} << std::stoul(tag);
    return found;
}

}  // namespace

void populate(anabranch::bucket& bucket, const std::vector<product>& products) {
    expect(bucket.commit([&](anabranch::transaction& tx) {
        for (std::size_t i = 0; i < products.size(); ++i) {
            const auto at = tx.map(key_of(i));
            at.counter(stock).add(products[i].stock);
            at.last_writer<std::int64_t>(price).set(products[i].price);
            for (std::uint32_t tag = 0; tag < tag_count; ++tag) {
                if (products[i].tags >> tag & 1) at.add_wins_set(tags).add(name_of_tag(tag));
            }
        }
    }));
}

void commit_each(anabranch::bucket& bucket, std::span<const operation> operations, anabranch::durability wait_for) {
    for (const auto& op : operations) {
        expect(bucket.commit([&](anabranch::transaction& tx) { apply(op, tx); }, wait_for));
    }
}

void commit_request(anabranch::bucket& bucket, const anabranch::request& r, const operation& op) {
    expect(bucket.commit(r, [&](anabranch::transaction& tx) -> anabranch::result<std::string> {
        apply(op, tx);
        return std::string("done");
    }));
}

product read_one(const anabranch::bucket& bucket, std::size_t i) {
    return expect(bucket.read([&](const anabranch::map_view& view) { return read_from(view, i); }));
}

std::vector<product> read_all(const anabranch::bucket& bucket) {
    const auto now = expect(bucket.snapshot());
    std::vector<product> products;
    for (std::size_t i = 0; i < product_count; ++i) products.push_back(read_from(now, i));
    return products;
}

}  // namespace bench::retail
