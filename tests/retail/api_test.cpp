// The shop through its REST resources, on a store in memory: no sockets.
#include "api.hpp"

#include <boost/json.hpp>
#include <thread>

#include "json.hpp"
#include "support/catch.hpp"

using namespace retail;
namespace json = boost::json;

namespace {

struct fixture {
    anabranch::store store = anabranch::store::in_memory().value();
    anabranch::bucket bucket = store.create_bucket("shop").value();
    api shop{store, bucket, anabranch::durability::os, [] { return std::vector<anabranch::peer_status>{}; }};

    http_response call(const std::string& method, const std::string& target, const std::string& body = {}) {
        return shop.handle({method, target, body});
    }
    /// The answer's body, of a request that has to be answered with `status`.
    json::value expect(unsigned status, const std::string& method, const std::string& target,
                       const std::string& body = {}) {
        const auto response = call(method, target, body);
        INFO(method << " " << target << " " << body << " -> " << response.status << " " << response.body);
        CHECK(response.status == status);
        return json::parse(response.body);
    }
    /// The error's code.
    std::string refuse(unsigned status, const std::string& method, const std::string& target,
                       const std::string& body = {}) {
        const auto answer = expect(status, method, target, body);
        CHECK_FALSE(answer.at("error").as_string().empty());
        return std::string(answer.at("code").as_string());
    }
    std::int64_t stock(const std::string& sku) {
        return expect(200, "GET", "/products/" + sku).at("stock").as_int64();
    }
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
            R"({"sku":"71053","name":"WHITE METAL LANTERN","price":"3.39","stock":100,"tags":["light","metal"]})"));
    // Putting it again changes name, price and tags; the initial stock was that, initial.
    CHECK(
        f.expect(200, "PUT", "/products/71053",
                 R"({"name":"LANTERN","price":"3.5","stock":7,"tags":["metal","new"]})") ==
        json::parse(R"({"sku":"71053","name":"LANTERN","price":"3.50","stock":100,"tags":["metal","new"]})"));
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
    const auto placed = f.expect(201, "POST", "/orders", small_order);
    CHECK(f.stock("71053") == 92);
    CHECK(f.stock("NEW") == -1);
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
    CHECK(f.expect(201, "PUT", "/products/NEW", lantern).at("stock") == 99);

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
    CHECK(message("{}").find("\"id\"") != std::string::npos);
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
    api waiting{local, bucket, anabranch::durability::os,
                [] { return std::vector<anabranch::peer_status>{}; }};
    for (const auto& [method, target] : {std::pair("PUT", "/products/71053"), std::pair("GET", "/ready")}) {
        const auto refusal = waiting.handle({method, target, lantern});
        CHECK(refusal.status == 503);
        CHECK(refusal.retry_after == 1);
        CHECK(json::parse(refusal.body).at("code") == "not_a_member");
    }
    CHECK(waiting.handle({"GET", "/products", {}}).status == 200);
    CHECK(f.call("PUT", "/products/71053", lantern).retry_after == 0);
}

TEST_CASE("orders from several threads all count") {
    fixture f;
    f.expect(201, "PUT", "/products/71053", lantern);
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
    CHECK(f.stock("71053") == 100 - 8 * each * threads / 2);
    CHECK(f.expect(200, "GET", "/orders?limit=1000").at("orders").as_array().size() == each * threads / 2);
}
