// Requests with an Idempotency-Key: each counts once, whatever it writes and wherever it runs.
#include <set>

#include "shops.hpp"
#include "uuid.hpp"

using namespace retail;
using retail::test::impatient;
using retail::test::order_of;
using retail::test::two_instances;
namespace json = boost::json;

namespace {

struct keyed_request {
    std::string method;
    std::string target;
    std::string body{};
    std::string key = uuid_v7();
};

enum class copy { primary, mirror };

http_response send(test::instance& at, const keyed_request& r, copy which = copy::primary) {
    http_request whole{r.method, r.target, r.body, {}, {{"Idempotency-Key", r.key}, {"x-principal", "till"}}};
    if (which == copy::mirror) whole.headers.emplace_back("x-mirrored", "1");
    return at.shop.handle(whole);
}

std::string code_of(const http_response& response) { return json::value_to<std::string>(json::parse(response.body).at("code")); }

/// Product 1, of which each instance may sell ten pieces; what these are sold in belongs to no request.
struct stocked : two_instances {
    explicit stocked(api_options options = impatient()) : two_instances(options) {
        cloud.expect(201, "PUT", "/products/1", R"({"name":"LANTERN","price":"3.39","stock":10})");
        meet();
        edge.expect(200, "POST", "/products/1/stock", R"({"add":10})");
        meet();
    }
    json::value unconfirmed(test::instance& at) { return at.expect(200, "GET", "/requests?state=unconfirmed").at("requests"); }
};

}  // namespace

TEST_CASE("whatever a request writes counts once, mirrored and sent again") {
    stocked s;
    for (auto* each : {&s.cloud, &s.edge}) each->expect(200, "PUT", "/products/1/tags/old");
    s.cloud.expect(200, "POST", "/carts/9/items", R"({"sku":"1","quantity":1})");
    s.meet();
    const std::vector<keyed_request> all{
        {"PUT", "/products/2", R"({"name":"TEA","price":"1","stock":5})"},
        {"POST", "/products/1/stock", R"({"add":3})"},
        {"POST", "/products/1/stock", R"({"add":-2})"},
        {"POST", "/stock", R"({"items":[{"sku":"1","add":4},{"sku":"3","add":1}]})"},
        {"PUT", "/products/1/tags/new"},
        {"DELETE", "/products/1/tags/old"},
        {"POST", "/carts/8/items", R"({"sku":"1","quantity":2})"},
        {"DELETE", "/carts/9/items/1"},
        {"POST", "/carts/8/checkout", R"({"id":"checkout","country":"Norway","date":""})"},
        {"POST", "/orders", order_of("order", "1", 2)},
        {"POST", "/orders", order_of("C-order", "1", -2)},
        {"POST", "/carts/7/items", R"({"sku":"1","quantity":1})"},
        {"DELETE", "/carts/7"},
    };
    // Each at both before they meet, twice, and the mirror's first.
    for (const auto& request : all) {
        INFO(request.method << " " << request.target << " " << request.body);
        for (int i = 0; i < 2; ++i) {
            send(s.cloud, request, copy::mirror);
            CHECK(send(s.edge, request).status < 300);
        }
    }
    s.meet();
    for (auto* each : {&s.cloud, &s.edge}) {
        CHECK(each->stock("1") == 20 + 3 - 2 + 4 - 2 - 2 + 2);
        CHECK(each->stock("2") == 5);
        CHECK(each->stock("3") == 1);
        CHECK(each->expect(200, "GET", "/products/1").at("tags") == json::array{"new"});
        CHECK(each->expect(200, "GET", "/orders").at("orders") == json::parse(R"(["C-order","checkout","order"])"));
        CHECK(each->expect(200, "GET", "/orders/checkout").at("lines").at(0).at("quantity") == 2);
        for (const char* cart : {"/carts/7", "/carts/8", "/carts/9"}) CHECK(each->expect(200, "GET", cart).at("items").as_array().empty());
        CHECK(s.unconfirmed(*each).as_array().empty());
    }
    CHECK(s.cloud.bucket.digest().value() == s.edge.bucket.digest().value());
    const auto before = s.edge.bucket.progress();
    for (const auto& request : all) CHECK(send(s.edge, request).status < 300);
    CHECK(s.edge.bucket.progress() == before);
}

TEST_CASE("pieces that come in with a key show at once, and are not sold yet") {
    stocked s;
    const auto in = json::parse(send(s.edge, {"POST", "/products/1/stock", R"({"add":5})"}).body);
    CHECK(in.at("stock") == 25);
    CHECK(in.at("available") == 10);
    s.edge.expect(200, "POST", "/products/1/stock", R"({"add":5})");
    CHECK(s.edge.available("1") == 15);
}

TEST_CASE("the ids that requests make are the same everywhere") {
    stocked s;
    auto order = json::parse(order_of("", "1", 1));
    order.as_object().erase("id");
    const keyed_request placed{"POST", "/orders", json::serialize(order)};
    const auto at_edge = send(s.edge, placed);
    const auto at_cloud = send(s.cloud, placed, copy::mirror);
    CHECK(at_edge.status == 201);
    CHECK(at_edge.body == at_cloud.body);
    CHECK(send(s.edge, placed).status == 200);
    CHECK(send(s.edge, placed).body == at_edge.body);

    s.edge.expect(200, "POST", "/carts/8/items", R"({"sku":"1","quantity":2})");
    const keyed_request checkout{"POST", "/carts/8/checkout", R"({"country":"Norway","date":""})"};
    const auto checked_out = send(s.edge, checkout);
    CHECK(checked_out.status == 201);
    CHECK(send(s.edge, checkout).body == checked_out.body);
    CHECK(s.edge.refuse(400, "POST", "/carts/8/checkout", checkout.body) == "bad_field");
    s.meet();
    for (auto* each : {&s.cloud, &s.edge}) {
        CHECK(each->stock("1") == 17);
        CHECK(each->expect(200, "GET", "/orders").at("orders").as_array().size() == 2);
    }
}

TEST_CASE("a checkout's order is that of the cart which the client's instance had") {
    stocked s;
    s.edge.expect(200, "POST", "/carts/8/items", R"({"sku":"1","quantity":2})");
    s.cloud.expect(200, "POST", "/carts/8/items", R"({"sku":"1","quantity":5})");
    const keyed_request checkout{"POST", "/carts/8/checkout", R"({"id":"A","country":"Norway","date":""})"};
    CHECK(send(s.cloud, checkout, copy::mirror).status == 201);
    CHECK(send(s.edge, checkout).status == 201);
    s.meet();
    for (auto* each : {&s.cloud, &s.edge}) {
        CHECK(each->expect(200, "GET", "/orders/A").at("lines").at(0).at("quantity") == 2);
        CHECK(each->stock("1") == 18);
    }
}

TEST_CASE("who was refused stays so under the same key, also where a mirror had enough") {
    const std::vector<keyed_request> both{{"POST", "/orders", order_of("A", "1", 15)}, {"POST", "/products/1/stock", R"({"add":-15})"}};
    for (const auto& request : both) {
        INFO(request.target);
        stocked s;
        s.edge.expect(200, "POST", "/products/1/stock/transfer", json::serialize(json::object{{"to", s.cloud.id()}, {"amount", 10}}));
        s.meet();
        const auto refusal = send(s.edge, request);
        CHECK(refusal.status == 409);
        CHECK(code_of(refusal) == "out_of_stock");
        CHECK(send(s.cloud, request, copy::mirror).status < 300);
        CHECK(s.cloud.stock("1") == 5);
        s.meet();
        for (auto* each : {&s.cloud, &s.edge}) {
            CHECK(each->stock("1") == 20);
            each->expect(404, "GET", "/orders/A");
            CHECK(send(*each, request).body == refusal.body);
            CHECK(s.unconfirmed(*each).as_array().empty());
        }
    }
}

TEST_CASE("other refusals are answered again as they were") {
    stocked s;
    const keyed_request empty{"POST", "/carts/8/checkout", R"({"id":"A","country":"Norway","date":""})"};
    const auto is_empty = send(s.edge, empty);
    CHECK(is_empty.status == 409);
    CHECK(code_of(is_empty) == "refused");
    const keyed_request item{"POST", "/carts/8/items", R"({"sku":"none","quantity":1})"};
    CHECK(send(s.edge, item).status == 404);
    s.edge.expect(201, "POST", "/orders", order_of("B", "1", 1));
    const keyed_request other{"POST", "/orders", order_of("B", "1", 2)};
    const auto conflict = send(s.edge, other);
    CHECK(conflict.status == 409);
    CHECK(code_of(conflict) == "order_exists");

    s.edge.expect(201, "PUT", "/products/none", R"({"name":"TEA","price":"1"})");
    s.edge.expect(200, "POST", "/carts/8/items", R"({"sku":"1","quantity":1})");
    CHECK(send(s.edge, empty).body == is_empty.body);
    CHECK(send(s.edge, item).status == 404);
    CHECK(send(s.edge, other).body == conflict.body);
    // The same order under a key of its own is there already, and no other.
    CHECK(send(s.edge, {"POST", "/orders", order_of("B", "1", 1)}).status < 300);
    CHECK(s.edge.stock("1") == 19);
}

TEST_CASE("a refusal that waited for stock in vain is remembered") {
    auto patient = impatient();
    patient.shop.stock_wait = std::chrono::milliseconds{20};
    stocked s(patient);
    const keyed_request order{"POST", "/orders", order_of("A", "1", 15)};
    CHECK(send(s.edge, order).status == 409);
    const auto before = s.edge.bucket.progress();
    s.meet();  // the cloud gives what edge has asked for
    s.meet();
    CHECK(s.edge.available("1") >= 15);
    CHECK(send(s.edge, order).status == 409);
    CHECK(s.edge.bucket.find({.tenant = "default", .principal = "till", .key = order.key}).value().has_value());
    CHECK(before != anabranch::frontier{});
}

TEST_CASE("keys that are none, or another request's, are refused") {
    stocked s;
    const auto before = s.edge.bucket.progress();
    for (const auto& key : {std::string("a,b"), std::string("\"open"), std::string(1025, 'x'), std::string("without-time")}) {
        const auto refusal = send(s.edge, {"PUT", "/products/1/tags/new", {}, key});
        CHECK(refusal.status == 400);
        CHECK(code_of(refusal) == "invalid_argument");
    }
    CHECK(s.edge.bucket.progress() == before);
    CHECK(send(s.edge, {"GET", "/products/1", {}, "a,b"}).status == 200);  // reads have no identity
    const keyed_request order{"POST", "/orders", order_of("A", "1", 1)};
    CHECK(send(s.edge, order).status == 201);
    const auto conflict = send(s.edge, {"POST", "/orders", order_of("A", "1", 2), order.key});
    CHECK(conflict.status == 422);
    CHECK(code_of(conflict) == "request_conflict");
    CHECK(s.edge.stock("1") == 19);
}

TEST_CASE("what only a mirror has executed is listed until a primary copy comes") {
    stocked s;
    const keyed_request order{"POST", "/orders", order_of("A", "1", 1)};
    CHECK(send(s.cloud, order, copy::mirror).status == 201);
    for (auto* each : {&s.cloud, &s.edge}) {
        const auto listed = s.unconfirmed(*each).as_array();
        REQUIRE(listed.size() == 1);
        CHECK(listed[0].at("result") == "A");
        CHECK(listed[0].at("request").as_string().size() == 32);
        CHECK(listed[0].at("issued").as_string().ends_with("Z"));
        CHECK(listed[0].at("replica").as_string() == s.cloud.id());
        CHECK(listed[0].at("sequence").to_number<int>() > 0);
        s.meet();
    }
    send(s.cloud, {"PUT", "/products/1/tags/new"}, copy::mirror);
    CHECK(s.unconfirmed(s.cloud).as_array().size() == 2);
    CHECK(s.cloud.expect(200, "GET", "/requests?state=unconfirmed&limit=1").at("requests").as_array().size() == 1);
    CHECK(send(s.edge, order).status == 200);
    CHECK(s.unconfirmed(s.edge).as_array().empty());
    s.meet();
    CHECK(s.unconfirmed(s.cloud).as_array().size() == 1);
    CHECK(s.edge.stock("1") == 19);

    for (const char* query : {"", "?state=lost", "?state=unconfirmed&limit=0", "?state=unconfirmed&unknown=x"}) {
        CHECK(s.cloud.refuse(400, "GET", std::string("/requests") + query) == "bad_query");
    }
}
