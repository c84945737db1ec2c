// What counts as missing, doubled, refused but present, and as wrong stock.
#include "judge.hpp"

#include "support/catch.hpp"

using namespace retail;

namespace {

/// Three orders of four pieces each, all placed, and three replicas that hold exactly that under ids of their
/// own.
struct fixture {
    fixture() {
        order_set input;
        for (const char* invoice : {"1001", "1002", "C1003"}) {
            input.orders.push_back(
                {invoice, {"17850", "Norway", "12-01-2010"}, {{"71053", 4, {33900}, "LANTERN"}}});
        }
        purchases = make_purchases(input, 100);
        for (auto& wanted : purchases) wanted.outcome = told::placed;
        for (const char* name : {"edge-1", "edge-2", "cloud"}) {
            replicas.push_back({name, {}, {{"71053", 100 - 12}}, "d"});
            for (std::size_t i = 0; i < purchases.size(); ++i)
                place(replicas.back(), i, "id" + std::to_string(i));
        }
    }

    void place(holdings& at, std::size_t which, const std::string& id) const {
        at.orders.push_back(purchases[which].content);
        at.orders.back().id = id;
    }
    void place_everywhere(std::size_t which, const std::string& id) {
        for (auto& replica : replicas) {
            place(replica, which, id);
            replica.stock["71053"] -= 4;
        }
    }
    void remove_everywhere(std::size_t which) {
        for (auto& replica : replicas) {
            replica.orders.erase(replica.orders.begin() + static_cast<std::ptrdiff_t>(which));
            replica.stock["71053"] += 4;
        }
    }
    findings judged() const { return judge(purchases, {{"71053", 100}}, replicas); }

    std::vector<purchase> purchases;
    std::vector<holdings> replicas;
};

}  // namespace

TEST_CASE("references tell orders apart, and come back") {
    const fixture f;
    CHECK(f.purchases.size() == 3);
    CHECK(reference_of(f.purchases[2].content) == "C1003");
    CHECK(f.purchases[2].content.head.date == "12-01-2010 invoice C1003");
    CHECK(reference_of(order{}).empty());
}

TEST_CASE("each order once everywhere is right") {
    const auto found = fixture().judged();
    CHECK(found.acknowledged == 3);
    CHECK(found.differences.empty());
}

TEST_CASE("an acknowledged order that one replica lacks is missing") {
    fixture f;
    f.replicas[2].orders.pop_back();
    f.replicas[2].stock["71053"] += 4;
    f.replicas[2].digest = "e";
    const auto found = f.judged();
    CHECK(found.missing == 1);
    CHECK(found.doubled == 0);
    CHECK(found.stock_wrong == 1);
    CHECK(found.differences.size() == 3);
}

TEST_CASE("an order that ran twice is doubled, under one id or another, and its pieces are gone twice") {
    fixture f;
    f.place_everywhere(0, "another");
    const auto found = f.judged();
    CHECK(found.doubled == 1);
    CHECK(found.missing == 0);
    CHECK(found.stock_wrong == 1);
}

TEST_CASE("pieces that are gone twice are noticed where the order is there once") {
    fixture f;
    for (auto& replica : f.replicas) replica.stock["71053"] -= 4;
    const auto found = f.judged();
    CHECK(found.doubled == 0);
    CHECK(found.stock_wrong == 1);
}

TEST_CASE("an order that was refused must not be there") {
    for (const auto outcome : {told::denied, told::throttled, told::refused}) {
        fixture f;
        f.purchases[1].outcome = outcome;
        const auto present = f.judged();
        CHECK(present.refused_but_present == 1);
        CHECK(present.acknowledged == 2);
        CHECK(present.stock_wrong == 1);
        f.remove_everywhere(1);
        CHECK(f.judged().differences.empty());
    }
}

TEST_CASE("an order without an answer may be there once, or not at all") {
    fixture f;
    f.purchases[1].outcome = told::nothing;
    CHECK(f.judged().differences.empty());
    f.place_everywhere(1, "another");
    CHECK(f.judged().doubled == 1);
    f.remove_everywhere(3);
    f.remove_everywhere(1);
    CHECK(f.judged().differences.empty());
}

TEST_CASE("orders that nobody sent, changed ones and other digests are differences") {
    fixture f;
    f.replicas[0].orders.push_back({"x", {"", "Norway", "12-01-2010"}, {}});
    f.replicas[1].orders[0].lines[0].quantity = 5;
    f.replicas[2].digest = "e";
    const auto found = f.judged();
    CHECK(found.differences.size() == 3);
    CHECK(found.missing + found.doubled + found.refused_but_present + found.stock_wrong == 0);
}
