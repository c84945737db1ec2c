// The shop through its REST resources, on a store in memory: no sockets.
#include "api.hpp"

#include <atomic>
#include <boost/json.hpp>
#include <thread>

#include "json.hpp"
#include "shops.hpp"
#include "support/catch.hpp"
#include "support/crashable_engine.hpp"
#include "text.hpp"

using namespace retail;
namespace json = boost::json;

namespace {

struct fixture : test::instance {
    fixture() : instance(true) {}
};

const std::string lantern =
    R"({"name":"WHITE METAL LANTERN","price":"3.39","stock":100,"tags":["metal","light"]})";
const std::string small_order =
    R"({"id":"536365","customer":"17850","country":"United Kingdom","date":"12-01-2010 08:26","lines":[)"
    R"({"sku":"71053","quantity":6,"price":"3.39","description":"WHITE METAL LANTERN"},)"
    R"({"sku":"71053","quantity":2,"price":"3.39","description":"WHITE METAL LANTERN"},)"
    R"({"sku":"NEW","quantity":1,"price":"-0.125","description":""}]})";

}  // namespace

TEST_CASE("products: put, get, list, stock and tags") {
    fixture f;
    CHECK(f.refuse(404, "GET", "/products/71053") == "not_found");
    CHECK(
        f.expect(201, "PUT", "/products/71053", lantern) ==
        json::parse(
            R"({"sku":"71053","name":"WHITE METAL LANTERN","price":"3.39","stock":100,"available":100,"tags":["light","metal"]})"));
    // Putting it again changes name, price and tags; the initial stock was that, initial.
    CHECK(
        f.expect(200, "PUT", "/products/71053",
                 R"({"name":"LANTERN","price":"3.5","stock":7,"tags":["metal","new"]})") ==
        json::parse(
            R"({"sku":"71053","name":"LANTERN","price":"3.50","stock":100,"available":100,"tags":["metal","new"]})"));
    CHECK(f.expect(200, "POST", "/products/71053/stock", R"({"add":-30})").at("stock") == 70);
    f.expect(200, "PUT", "/products/71053/tags/old%20stock");
    CHECK(f.expect(200, "DELETE", "/products/71053/tags/new").at("tags") ==
          json::parse(R"(["metal","old stock"])"));
    CHECK(f.refuse(404, "POST", "/products/none/stock", R"({"add":1})") == "not_found");
    CHECK(f.refuse(404, "PUT", "/products/none/tags/a") == "not_found");

    for (const char* sku : {"A1", "A2", "A3", "B1"})
        f.expect(201, "PUT", std::string("/products/") + sku, lantern);
    const auto page = f.expect(200, "GET", "/products?prefix=A&limit=2");
    CHECK(page.at("products").as_array().size() == 2);
    CHECK(page.at("next") == "A2");
    const auto rest = f.expect(200, "GET", "/products?prefix=A&limit=2&after=A2");
    REQUIRE(rest.at("products").as_array().size() == 1);
    CHECK(rest.at("products").at(0).at("sku") == "A3");
    CHECK(rest.at("next").is_null());
}

TEST_CASE("an order is placed once, and takes all its lines from stock") {
    fixture f;
    f.expect(201, "PUT", "/products/71053", lantern);
    f.expect(200, "POST", "/stock", R"({"items":[{"sku":"NEW","add":1}]})");
    const auto placed = f.expect(201, "POST", "/orders", small_order);
    CHECK(f.stock("71053") == 92);
    CHECK(f.stock("NEW") == 0);
    CHECK(f.expect(200, "GET", "/products/NEW").at("price").is_null());
    CHECK(f.expect(200, "GET", "/orders/536365") == placed);
    CHECK(parse_order(placed.as_object()) == parse_order(json::parse(small_order).as_object()));

    // The same again is answered the same and changes nothing; another with this id is refused.
    const auto before = f.bucket.progress();
    CHECK(f.expect(200, "POST", "/orders", small_order) == placed);
    json::value other = json::parse(small_order);
    other.at("lines").at(0).as_object()["quantity"] = 7;
    CHECK(f.refuse(409, "POST", "/orders", json::serialize(other)) == "order_exists");
    CHECK(f.bucket.progress() == before);
    CHECK(f.stock("71053") == 92);

    // A product that orders knew first gets its whole initial stock when it is described.
    CHECK(f.expect(201, "PUT", "/products/NEW", lantern).at("stock") == 100);

    // A cancellation comes back.
    other.as_object()["id"] = "C536365";
    other.at("lines").at(0).as_object()["quantity"] = -8;
    f.expect(201, "POST", "/orders", json::serialize(other));
    CHECK(f.stock("71053") == 98);
    CHECK(f.expect(200, "GET", "/orders").at("orders") == json::parse(R"(["536365","C536365"])"));
    CHECK(f.expect(200, "GET", "/orders?prefix=C").at("orders") == json::parse(R"(["C536365"])"));
    CHECK(f.expect(200, "GET", "/customers/17850/orders").at("orders") ==
          json::parse(R"(["536365","C536365"])"));
    CHECK(f.expect(200, "GET", "/customers/17850/orders?limit=1").at("next") == "536365");
}

TEST_CASE("an order without an id is given one, each time another") {
    fixture f;
    f.expect(201, "PUT", "/products/71053", lantern);
    json::value order = json::parse(small_order);
    order.as_object().erase("id");
    order.at("lines").as_array().resize(1);
    const auto first = f.expect(201, "POST", "/orders", json::serialize(order)).at("id");
    const auto second = f.expect(201, "POST", "/orders", json::serialize(order)).at("id");
    CHECK(first != second);
    CHECK(f.expect(200, "GET", "/orders").at("orders").as_array().size() == 2);
}

TEST_CASE("a cart becomes an order") {
    fixture f;
    f.expect(201, "PUT", "/products/71053", lantern);
    f.expect(201, "PUT", "/products/A", R"({"name":"A","price":"1"})");
    const std::string checkout = R"({"id":"900001","country":"Norway","date":"12-02-2010 10:00"})";
    CHECK(f.refuse(409, "POST", "/carts/17850/checkout", checkout) == "refused");
    CHECK(f.refuse(404, "POST", "/carts/17850/items", R"({"sku":"none","quantity":1})") == "not_found");
    f.expect(200, "POST", "/carts/17850/items", R"({"sku":"71053","quantity":2})");
    f.expect(200, "POST", "/carts/17850/items", R"({"sku":"A","quantity":1})");
    CHECK(f.expect(200, "POST", "/carts/17850/items", R"({"sku":"71053","quantity":3})") ==
          json::parse(
              R"({"customer":"17850","items":[{"sku":"71053","quantity":5},{"sku":"A","quantity":1}]})"));
    CHECK(f.expect(200, "DELETE", "/carts/17850/items/A").at("items").as_array().size() == 1);

    const auto placed = f.expect(201, "POST", "/carts/17850/checkout", checkout);
    CHECK(
        placed.at("lines") ==
        json::parse(R"([{"sku":"71053","quantity":5,"price":"3.39","description":"WHITE METAL LANTERN"}])"));
    CHECK(f.stock("71053") == 95);
    CHECK(f.expect(200, "GET", "/carts/17850").at("items").as_array().empty());

    f.expect(200, "POST", "/carts/17850/items", R"({"sku":"A","quantity":1})");
    CHECK(f.expect(200, "POST", "/carts/17850/checkout", checkout) == placed);  // a retry: the new cart stays
    CHECK(f.expect(200, "GET", "/carts/17850").at("items").as_array().size() == 1);
    CHECK(f.refuse(409, "POST", "/carts/99/checkout", checkout) == "order_exists");
    CHECK(f.expect(200, "DELETE", "/carts/17850").at("items").as_array().empty());
}

TEST_CASE("malformed bodies are refused with the member's name") {
    fixture f;
    const auto before = f.bucket.progress();
    const auto message = [&](const std::string& body) {
        return std::string(f.expect(400, "POST", "/orders", body).at("error").as_string());
    };
    for (const char* body : {"", "{", "[]", "null", "\"x\"", "{\"id\":\"1\"} x", "{'id':1}", "\xff\xfe"}) {
        CHECK(f.refuse(400, "POST", "/orders", body) == "bad_json");
    }
    CHECK(f.refuse(400, "POST", "/orders", std::string(5000, '[')) == "bad_json");
    CHECK(message("{}").find("\"country\"") != std::string::npos);
    CHECK(message(R"({"id":7})").find("\"id\"") != std::string::npos);
    const auto with_line = [](const std::string& line) {
        return R"({"id":"1","country":"","date":"","lines":[)" + line + "]}";
    };
    CHECK(message(with_line("7")).find("\"lines[0]\"") != std::string::npos);
    CHECK(message(with_line(R"({"sku":"A"})")).find("\"lines[0].quantity\"") != std::string::npos);
    CHECK(message(with_line(R"({"sku":"A","quantity":1.5,"price":"1"})")).find("quantity") !=
          std::string::npos);
    CHECK(message(with_line(R"({"sku":"A","quantity":1,"price":2.55})")).find("price") != std::string::npos);
    CHECK(message(with_line(R"({"sku":"A","quantity":1,"price":"1,5"})")).find("price") != std::string::npos);
    // Well-formed, but more than the shop takes.
    for (const auto& body :
         {with_line(""), with_line(R"({"sku":"A","quantity":1000000001,"price":"1"})"),
          with_line(R"({"sku":"A","quantity":18446744073709551615,"price":"1"})"),
          with_line(R"({"sku":"","quantity":1,"price":"1"})"),
          with_line(R"({"sku":")" + std::string(65, 'x') + R"(","quantity":1,"price":"1"})"),
          with_line(R"({"sku":"A","quantity":1,"price":"1","description":")" + std::string(257, 'x') +
                    R"("})")}) {
        CHECK(f.refuse(422, "POST", "/orders", body) == "unacceptable");
    }
    CHECK(f.refuse(422, "POST", "/carts/1/items", R"({"sku":"A","quantity":0})") == "unacceptable");
    CHECK(f.bucket.progress() == before);
}

TEST_CASE("unusable targets are refused") {
    fixture f;
    CHECK(f.refuse(404, "GET", "/") == "not_found");
    CHECK(f.refuse(404, "GET", "/nowhere") == "not_found");
    CHECK(f.refuse(404, "GET", "/products/a/b") == "not_found");
    CHECK(f.refuse(400, "GET", "products") == "bad_target");
    CHECK(f.refuse(400, "GET", "/products/%zz") == "bad_target");
    CHECK(f.refuse(422, "GET", "/products/%ff") == "unacceptable");
    CHECK(f.refuse(422, "GET", "/products/%00") == "unacceptable");
    CHECK(f.refuse(422, "GET", "/products/") == "unacceptable");
    for (const char* query : {"limit=0", "limit=1001", "limit=x", "limit=", "limit=-1",
                              "limit=99999999999999999999", "unknown=1", "prefix=%ff", "limit"}) {
        CHECK(f.refuse(400, "GET", std::string("/orders?") + query) == "bad_query");
    }
    const auto refusal = f.call("PATCH", "/products/1");
    CHECK(refusal.status == 405);
    CHECK(refusal.allow == "GET, PUT");
}

TEST_CASE("status, digest and readiness") {
    fixture f;
    f.expect(201, "PUT", "/products/71053", lantern);
    const auto status = f.expect(200, "GET", "/status");
    CHECK(status.at("replica").as_string() == to_string(f.store.id()));
    CHECK(status.at("progress").at(0).at("sequence") == 2);  // the first one founded the shop
    REQUIRE(status.at("members").as_array().size() == 1);
    CHECK(status.at("members").at(0).at("replica") == status.at("replica"));
    CHECK(status.at("members").at(0).at("stage") == "joined");
    CHECK(status.at("members").at(0).at("authority") == true);
    CHECK(status.at("members").at(0).at("lag") == 0);
    CHECK(f.expect(200, "GET", "/digest").at("digest").as_string().size() == 32);
    CHECK(f.expect(200, "GET", "/ready").at("ready") == true);
}

TEST_CASE("an instance that has not joined yet is read, and says when to write again") {
    fixture f;
    auto local = anabranch::store::in_memory().value();
    auto bucket = local.bucket("shop").value();
    api waiting{local, bucket, {}, [] { return std::vector<anabranch::peer_status>{}; }};
    const auto refusal = waiting.handle({"PUT", "/products/71053", lantern});
    CHECK(refusal.status == 503);
    CHECK(refusal.retry_after == 1);
    CHECK(json::parse(refusal.body).at("code") == "not_a_member");
    const auto unready = waiting.handle({"GET", "/ready", {}});
    CHECK(unready.status == 503);
    CHECK(unready.retry_after == 1);
    CHECK(json::parse(unready.body).at("reasons") == json::array{"not_a_member"});
    CHECK(waiting.handle({"GET", "/products", {}}).status == 200);
    CHECK(f.call("PUT", "/products/71053", lantern).retry_after == 0);
}

TEST_CASE("an instance that starts far behind is ready once it has caught up, and then stays so") {
    auto local = anabranch::store::in_memory().value();
    anabranch::peer_status peer;
    peer.connected = true;
    peer.phase = anabranch::session_phase::catching_up;
    peer.totals.transactions_to_receive = 1'000'000;
    api starting{local, local.create_bucket("shop").value(), {}, [&peer] { return std::vector{peer}; }};
    const http_request ready{"GET", "/ready", {}};
    CHECK(starting.handle(ready).status == 503);
    peer.phase = anabranch::session_phase::live;
    peer.totals.transactions_to_receive = 0;
    CHECK(starting.handle(ready).status == 200);
    peer.totals.transactions_to_receive = 1'000'000;
    CHECK(starting.handle(ready).status == 200);
}

TEST_CASE("an instance that drains is not ready, and serves") {
    fixture f;
    f.shop.drain();
    const auto unready = f.call("GET", "/ready");
    CHECK(unready.status == 503);
    CHECK(unready.retry_after == 1);
    CHECK(json::parse(unready.body).at("reasons") == json::array{"draining"});
    f.expect(201, "PUT", "/products/71053", lantern);
}

TEST_CASE("status tells what waits for a peer, and for how long") {
    auto local = anabranch::store::in_memory().value();
    anabranch::peer_status peer;
    api metered{local, local.create_bucket("shop").value(), {}, [&peer] { return std::vector{peer}; }};
    const auto shown = [&] { return json::parse(metered.handle({"GET", "/status", {}}).body).at("peers").at(0); };
    CHECK(shown().at("send_budget_left").is_null());
    CHECK(shown().at("receive_budget_left").is_null());
    CHECK(shown().at("waiting").as_array().empty());
    peer.totals.send_budget_left = -7;
    peer.totals.receive_budget_left = 3'000;
    peer.totals.budget_wait = std::chrono::milliseconds{250};
    peer.waiting.push_back({.bucket = "shop", .priority = -1, .transactions_to_send = 5, .row_bytes_to_receive = 9});
    CHECK(shown().at("send_budget_left") == -7);
    CHECK(shown().at("receive_budget_left") == 3'000);
    CHECK(shown().at("budget_wait_ms") == 250);
    REQUIRE(shown().at("waiting").as_array().size() == 1);
    CHECK(shown().at("waiting").at(0).at("bucket") == "shop");
    CHECK(shown().at("waiting").at(0).at("priority") == -1);
    CHECK(shown().at("waiting").at(0).at("transactions_to_send") == 5);
    CHECK(shown().at("waiting").at(0).at("row_bytes_to_receive") == 9);
}

TEST_CASE("an instance is not ready with fewer peers than it is to have") {
    auto local = anabranch::store::in_memory().value();
    anabranch::peer_status peer;
    api lonely{local, local.create_bucket("shop").value(), {.ready = {.min_connected_peers = 1}}, [&peer] { return std::vector{peer}; }};
    const auto unready = lonely.handle({"GET", "/ready", {}});
    CHECK(unready.status == 503);
    CHECK(json::parse(unready.body).at("reasons") == json::array{"too_few_peers"});
    peer.connected = true;
    CHECK(lonely.handle({"GET", "/ready", {}}).status == 200);
}

namespace {

/// One instance on a disk that fails when it is told to.
struct on_a_disk {
    std::shared_ptr<anabranch::test::simulated_disk> disk = std::make_shared<anabranch::test::simulated_disk>();
    anabranch::store store = anabranch::store::on(anabranch::test::crashable_engine::open(disk).value()).value();
    std::atomic<bool> has_room = true;
    api shop;

    explicit on_a_disk(std::chrono::milliseconds pause)
        : shop(store, store.create_bucket("shop").value(), {.has_room = [this] { return has_room.load(); }, .storage_pause = pause},
               [] { return std::vector<anabranch::peer_status>{}; }) {}

    std::string code(const http_response& response) { return json::value_to<std::string>(json::parse(response.body).at("code")); }
    http_response put() { return shop.handle({"PUT", "/products/71053", lantern}); }
    bool is_ready() {
        const auto response = shop.handle({"GET", "/ready", {}});
        if (response.status == 200) return true;
        CHECK(response.status == 503);
        CHECK(json::parse(response.body).at("reasons") == json::array{"storage"});
        return false;
    }
};

}  // namespace

TEST_CASE("an instance whose disk is full is not ready, for a while after a write was refused") {
    using anabranch::errc;
    for (const auto pause : {std::chrono::hours{1}, std::chrono::hours{0}}) {
        on_a_disk f(pause);
        CHECK(f.is_ready());
        f.disk->fail_write(errc::storage_full);
        const auto refusal = f.put();
        CHECK(refusal.status == 503);
        CHECK(f.code(refusal) == "storage_full");
        CHECK(f.is_ready() == (pause.count() == 0));
        CHECK(f.put().status == 201);  // who comes all the same is served once there is room
    }
}

TEST_CASE("an instance is not ready while the disk has no room, and after it has failed") {
    on_a_disk f(std::chrono::milliseconds{0});
    f.has_room = false;
    CHECK_FALSE(f.is_ready());
    f.has_room = true;
    CHECK(f.is_ready());
    f.disk->fail_write(anabranch::errc::storage_failure);
    const auto refusal = f.put();
    CHECK(refusal.status == 503);
    CHECK(f.code(refusal) == "storage_failure");
    CHECK_FALSE(f.is_ready());
}

TEST_CASE("orders from several threads all count") {
    fixture f;
    f.expect(201, "PUT", "/products/71053", lantern);
    f.expect(200, "POST", "/stock", R"({"items":[{"sku":"71053","add":900},{"sku":"NEW","add":1000}]})");
    constexpr int threads = 4;
    constexpr int each = 50;
    std::vector<std::thread> clients;
    for (int t = 0; t < threads; ++t) {
        clients.emplace_back([&f, t] {
            for (int i = 0; i < each; ++i) {
                json::value placed = json::parse(small_order);
                // Neighbours try the same ids: one of two is placed, the other finds it.
                placed.as_object()["id"] = std::to_string(t / 2) + "-" + std::to_string(i);
                f.call("POST", "/orders", json::serialize(placed));
            }
        });
    }
    for (auto& client : clients) client.join();
    CHECK(f.stock("71053") == 1000 - 8 * each * threads / 2);
    CHECK(f.stock("NEW") == 1000 - each * threads / 2);
    CHECK(f.expect(200, "GET", "/orders?limit=1000").at("orders").as_array().size() == each * threads / 2);
}

TEST_CASE("an order for more than there is is refused, with all its lines") {
    fixture f;
    f.expect(201, "PUT", "/products/71053", lantern);
    f.expect(200, "POST", "/products/71053/stock", R"({"add":-93})");
    f.expect(200, "POST", "/stock", R"({"items":[{"sku":"NEW","add":1}]})");
    const auto before = f.bucket.progress();
    // Two lines of the product, which count together.
    CHECK(f.refuse(409, "POST", "/orders", small_order) == "out_of_stock");
    const auto refusal = f.expect(409, "POST", "/orders", small_order);
    CHECK(refusal.at("sku") == "71053");
    CHECK(refusal.at("asked") == 8);
    CHECK(refusal.at("here") == 7);
    CHECK(refusal.at("elsewhere").as_array().empty());
    CHECK(f.bucket.progress() == before);
    CHECK(f.refuse(404, "GET", "/orders/536365") == "not_found");
    CHECK(f.stock("NEW") == 1);
    CHECK(f.refuse(409, "POST", "/orders", test::order_of("1", "none", 1)) == "out_of_stock");
    CHECK(f.refuse(404, "GET", "/products/none") == "not_found");

    f.expect(200, "POST", "/products/71053/stock", R"({"add":1})");
    f.expect(201, "POST", "/orders", small_order);
    CHECK(f.stock("71053") == 0);
    CHECK(f.stock("NEW") == 0);
    // Placed is placed: the retry does not sell again.
    f.expect(200, "POST", "/orders", small_order);
    // What comes back in an order may be sold in it.
    json::value exchange = json::parse(small_order);
    exchange.as_object()["id"] = "536366";
    exchange.at("lines").at(1).as_object()["quantity"] = -6;
    exchange.at("lines").at(2).as_object()["quantity"] = 0;
    f.expect(201, "POST", "/orders", json::serialize(exchange));
    CHECK(f.stock("71053") == 0);
}

TEST_CASE("a cart for more than there is stays a cart") {
    fixture f;
    f.expect(201, "PUT", "/products/71053", lantern);
    f.expect(200, "POST", "/carts/17850/items", R"({"sku":"71053","quantity":101})");
    const std::string checkout = R"({"id":"900001","country":"Norway","date":""})";
    CHECK(f.refuse(409, "POST", "/carts/17850/checkout", checkout) == "out_of_stock");
    CHECK(f.expect(200, "GET", "/carts/17850").at("items").as_array().size() == 1);
    f.expect(200, "POST", "/products/71053/stock", R"({"add":1})");
    f.expect(201, "POST", "/carts/17850/checkout", checkout);
    CHECK(f.stock("71053") == 0);
}

TEST_CASE("threads that sell the last pieces sell each once") {
    fixture f;
    f.expect(201, "PUT", "/products/71053", lantern);
    std::atomic<int> sold = 0;
    std::vector<std::thread> clients;
    for (int t = 0; t < 4; ++t) {
        clients.emplace_back([&f, &sold, t] {
            for (int i = 0; i < 20; ++i) {
                const auto id = std::to_string(t) + "-" + std::to_string(i);
                sold += f.call("POST", "/orders", test::order_of(id, "71053", 3)).status == 201;
            }
        });
    }
    for (auto& client : clients) client.join();
    CHECK(sold == 33);
    CHECK(f.stock("71053") == 1);
}

TEST_CASE("amounts of stock that cannot be are refused") {
    fixture f;
    f.expect(201, "PUT", "/products/71053", lantern);
    const auto before = f.bucket.progress();
    const auto put = [](const char* stock) {
        return R"({"name":"A","price":"1","stock":)" + std::string(stock) + "}";
    };
    for (const char* stock : {"-1", "1000000001", "18446744073709551616", "-9223372036854775808"}) {
        const auto response = f.call("PUT", "/products/A", put(stock));
        CHECK((response.status == 422 || response.status == 400));
    }
    CHECK(f.refuse(422, "PUT", "/products/A", put("-1")) == "unacceptable");
    CHECK(f.refuse(422, "POST", "/products/71053/stock", R"({"add":-1000000001})") == "unacceptable");
    CHECK(f.refuse(422, "POST", "/products/71053/stock", R"({"add":1000000001})") == "unacceptable");
    const auto refusal = f.expect(409, "POST", "/products/71053/stock", R"({"add":-101})");
    CHECK(refusal.at("code") == "out_of_stock");
    CHECK(refusal.at("asked") == 101);
    CHECK(refusal.at("here") == 100);
    CHECK(f.bucket.progress() == before);

    REQUIRE(f.bucket.commit([](anabranch::transaction& tx) {
        tx.map("product").map("71053").bounded_counter("stock").add(INT64_MAX - 100);
    }));
    CHECK(f.refuse(422, "POST", "/products/71053/stock", R"({"add":1})") == "overflow");
    CHECK(f.refuse(422, "POST", "/orders", test::order_of("C1", "71053", -1)) == "overflow");
    CHECK(f.stock("71053") == INT64_MAX);
}

TEST_CASE("deliveries are one transaction, also of products that nobody has described") {
    fixture f;
    const auto items = [](int count) {
        json::array list;
        for (int i = 0; i < count; ++i) list.push_back({{"sku", "A" + std::to_string(i)}, {"add", i}});
        return json::serialize(json::object{{"items", list}});
    };
    const auto sequence = [&] { return f.bucket.progress().at(0).sequence; };
    const auto before = sequence();
    CHECK(f.expect(200, "POST", "/stock", items(500)).at("items") == 500);
    CHECK(sequence() == before + 1);
    CHECK(f.stock("A499") == 499);
    CHECK(f.expect(200, "GET", "/products/A499").at("name").is_null());
    CHECK(f.refuse(422, "POST", "/stock", items(501)) == "unacceptable");
    CHECK(f.refuse(422, "POST", "/stock", items(0)) == "unacceptable");
    CHECK(f.refuse(422, "POST", "/stock", R"({"items":[{"sku":"A1","add":1},{"sku":"A2","add":-1}]})") ==
          "unacceptable");
    CHECK(f.refuse(400, "POST", "/stock", R"({"items":[7]})") == "bad_field");
    CHECK(f.refuse(400, "POST", "/stock", "{}") == "bad_field");
    CHECK(sequence() == before + 1);
}

TEST_CASE("replicas are named as they are printed, and not otherwise") {
    anabranch::replica_id id;
    for (std::size_t i = 0; i < id.value.size(); ++i) id.value[i] = static_cast<std::uint8_t>(17 * i + 9);
    id.incarnation = UINT64_MAX;
    const auto text = to_string(id);
    CHECK(parse_replica_id(text) == id);
    for (std::size_t n = 0; n < 34; ++n) CHECK_FALSE(parse_replica_id(text.substr(0, n)));
    const auto digits = text.substr(0, 32);
    CHECK(parse_replica_id(digits + ".0"));
    for (const char* end : {"", ".", "1", ".01", ".+1", ".-1", ". 1", ".1 ", ".x", ".18446744073709551616", ":1", ".1.1"}) {
        INFO(end);
        CHECK_FALSE(parse_replica_id(digits + end));
    }
    CHECK_FALSE(parse_replica_id("A" + text.substr(1)));
    CHECK_FALSE(parse_replica_id("-" + text.substr(1)));
    CHECK_FALSE(parse_replica_id("0" + text));
}

TEST_CASE("times are printed as ISO 8601 has them") {
    using anabranch::timestamp;
    CHECK(iso_8601({}) == "1970-01-01T00:00:00.000Z");
    CHECK(iso_8601(timestamp::from(std::chrono::milliseconds{1'709'208'005'007}, 9)) ==
          "2024-02-29T12:00:05.007Z");
}
