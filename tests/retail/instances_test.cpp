// What two instances of the shop have of each other: stock, sessions, conflicts, changes.
#include <atomic>
#include <set>
#include <thread>

#include "shops.hpp"

using namespace retail;
using retail::test::impatient;
using retail::test::order_of;
using retail::test::two_instances;
namespace json = boost::json;

namespace {

std::string described(const std::string& price, int stock = 0) {
    return R"({"name":"LANTERN","price":")" + price + R"(","stock":)" + std::to_string(stock) + "}";
}

/// {"to": ..., "amount": ...}
std::string transfer(const std::string& to, const std::string& amount) {
    return R"({"to":")" + to + R"(","amount":)" + amount + "}";
}

/// A shop whose product 1 has ten pieces, all of which the cloud may sell.
struct stocked : two_instances {
    explicit stocked(api_options options = impatient()) : two_instances(options) {
        cloud.expect(201, "PUT", "/products/1", described("3.39", 10));
        meet();
    }
};

}  // namespace

TEST_CASE("a refusal says who may sell, and when they have met the order is taken") {
    stocked s;
    const auto before = s.edge.bucket.progress();
    const auto refusal = s.edge.expect(409, "POST", "/orders", order_of("A", "1", 3));
    CHECK(refusal.at("code") == "out_of_stock");
    CHECK(refusal.at("sku") == "1");
    CHECK(refusal.at("asked") == 3);
    CHECK(refusal.at("here") == 0);
    CHECK(refusal.at("elsewhere") == json::array{{{"replica", s.cloud.id()}, {"amount", 10}}});
    CHECK(s.edge.bucket.progress() == before);
    s.meet();
    CHECK(s.edge.available("1") == 3);
    s.edge.expect(201, "POST", "/orders", order_of("A", "1", 3));
    s.meet();
    CHECK(s.cloud.stock("1") == 7);
    CHECK(s.cloud.expect(200, "GET", "/products").at("products").at(0).at("stock") == 7);
}

TEST_CASE("an order waits until the others let this instance sell, and lets others go on meanwhile") {
    auto patient = impatient();
    patient.shop.stock_wait = std::chrono::minutes{2};
    stocked s(patient);
    std::atomic<bool> answered = false;
    std::thread connected([&] {
        while (!answered) s.sync();
    });
    const auto response = s.edge.call("POST", "/orders", order_of("A", "1", 3));
    answered = true;
    connected.join();
    CHECK(response.status == 201);

    // Of what nobody has it does not wait, and while one waits another one is served.
    CHECK(s.edge.refuse(409, "POST", "/orders", order_of("B", "1", 11)) == "out_of_stock");
    unsigned status = 0;
    std::thread waiting([&] { status = s.edge.call("POST", "/orders", order_of("C", "1", 7)).status; });
    s.edge.expect(200, "POST", "/stock", R"({"items":[{"sku":"2","add":1}]})");
    s.edge.expect(201, "POST", "/orders", order_of("D", "2", 1));
    s.edge.expect(200, "POST", "/products/1/stock", R"({"add":7})");
    waiting.join();
    CHECK(status == 201);
}

TEST_CASE("two tills, one last item, no connection: one order is refused, and none later") {
    two_instances s;
    s.edge.expect(201, "PUT", "/products/1", described("3.39", 1));
    s.meet();
    CHECK(s.cloud.refuse(409, "POST", "/orders", order_of("A", "1", 1)) == "out_of_stock");
    s.edge.expect(201, "POST", "/orders", order_of("B", "1", 1));
    s.meet();
    for (auto* each : {&s.cloud, &s.edge}) {
        CHECK(each->stock("1") == 0);
        each->expect(200, "GET", "/orders/B");
        each->expect(404, "GET", "/orders/A");
    }
}

TEST_CASE("what one instance may sell is given to another, by call and on request") {
    stocked s;
    const std::string resource = "/products/1/stock/transfer";
    CHECK(s.cloud.expect(200, "POST", resource, transfer(s.edge.id(), "4")) ==
          json::object{{"sku", "1"}, {"stock", 10}, {"available", 6}});
    s.meet();
    CHECK(s.edge.available("1") == 4);
    CHECK(s.edge.expect(200, "POST", "/products/1/stock/request", R"({"rights":5})").at("available") == 4);
    s.meet();
    CHECK(s.edge.available("1") == 5);
    CHECK(s.cloud.available("1") == 5);

    const auto refusal = s.cloud.expect(409, "POST", resource, transfer(s.edge.id(), "6"));
    CHECK(refusal.at("code") == "out_of_stock");
    CHECK(refusal.at("here") == 5);
    CHECK(refusal.at("elsewhere") == json::array{{{"replica", s.edge.id()}, {"amount", 5}}});
    CHECK(s.cloud.refuse(422, "POST", resource, transfer(std::string(32, '0') + ".1", "1")) ==
          "unknown_replica");
    for (const auto& to : {std::string{}, std::string("edge"), s.edge.id() + " ", s.edge.id().substr(1)}) {
        CHECK(s.cloud.refuse(400, "POST", resource, transfer(to, "1")) == "bad_field");
    }
    for (const char* amount : {"0", "-1", "1000000001"}) {
        CHECK(s.cloud.refuse(422, "POST", resource, transfer(s.edge.id(), amount)) == "unacceptable");
    }
    CHECK(s.cloud.refuse(422, "POST", "/products/1/stock/request", R"({"rights":-1})") == "unacceptable");
    CHECK(s.cloud.refuse(404, "POST", "/products/2/stock/request", R"({"rights":1})") == "not_found");
    CHECK(s.cloud.refuse(404, "POST", "/products/2/stock/transfer", transfer(s.edge.id(), "1")) ==
          "not_found");
    CHECK(s.cloud.available("1") == 5);
}

TEST_CASE("a session is not answered by an instance that is behind it") {
    stocked s;
    const auto written = s.edge.call("PUT", "/products/2", described("1"));
    const auto token = written.session_token;
    REQUIRE_FALSE(token.empty());
    CHECK(s.edge.call("GET", "/products/2", {}, token).session_token == token);
    CHECK(s.edge.call("GET", "/products/2").session_token.empty());
    for (const auto& [method, body] : {std::pair("GET", std::string{}), std::pair("PUT", described("2"))}) {
        const auto behind = s.cloud.call(method, "/products/2", body, token);
        CHECK(behind.status == 425);
        CHECK(behind.retry_after == 1);
        CHECK(json::parse(behind.body).at("code") == "behind");
        CHECK(json::parse(behind.body).at("missing") == 1);
    }
    CHECK(s.cloud.call("GET", "/products/2").status == 404);
    s.meet();
    CHECK(s.cloud.call("GET", "/products/2", {}, token).status == 200);
    // What the session does next joins what it has done.
    const auto next = s.cloud.call("PUT", "/products/3", described("1"), token).session_token;
    CHECK(next != token);
    CHECK(s.edge.call("GET", "/products", {}, next).status == 425);
    CHECK(s.edge.call("GET", "/products", {}, token).status == 200);
}

TEST_CASE("a write that finds its work done depends on what it has found") {
    stocked s;
    s.cloud.expect(201, "POST", "/orders", order_of("A", "1", 1));
    s.cloud.expect(200, "PUT", "/products/1/tags/light");
    const std::pair<const char*, std::string> repeated[] = {
        {"/orders", order_of("A", "1", 1)},
        {"/orders", order_of("A", "1", 2)},
        {"/products/1", described("3.39")}};
    for (const auto& [target, body] : repeated) {
        INFO(target << " " << body);
        const auto before = s.cloud.bucket.progress();
        const std::string method = std::string(target) == "/orders" ? "POST" : "PUT";
        const auto token = s.cloud.call(method, target, body).session_token;
        REQUIRE(s.cloud.bucket.progress() == before);
        // Of what is there, and of nothing that nobody has written.
        CHECK(s.cloud.call("GET", "/products", {}, token).status == 200);
        CHECK(s.edge.call("GET", "/products", {}, token).status == 425);
    }
    // A refusal shows nothing that its session would depend on.
    const auto token = s.edge.call("PUT", "/products/2", described("1")).session_token;
    CHECK(s.edge.call("POST", "/orders", order_of("B", "2", 1), token).session_token == token);
}

TEST_CASE("a session waits for what it has seen") {
    auto patient = impatient();
    patient.session_wait = std::chrono::minutes{2};
    stocked s(patient);
    const auto token = s.edge.call("PUT", "/products/2", described("1")).session_token;
    std::thread meeting([&] { s.sync(); });
    CHECK(s.cloud.call("GET", "/products/2", {}, token).status == 200);
    meeting.join();
}

TEST_CASE("tokens that are none are refused, where they count") {
    stocked s;
    REQUIRE(s.cloud.store.create_bucket("other"));
    anabranch::session_token foreign;
    foreign.add(s.cloud.bucket.progress());
    const auto own = s.cloud.bucket.seal(foreign).value();
    const auto feed = std::string(s.cloud.expect(200, "GET", "/changes").at("token").as_string());
    for (const auto& token : {std::string("x"), own + "A", own.substr(1), feed,
                              s.cloud.store.bucket("other")->seal(foreign).value()}) {
        const auto refusal = s.cloud.call("GET", "/products/1", {}, token);
        CHECK(refusal.status == 400);
        CHECK(json::parse(refusal.body).at("code") == "invalid_token");
        CHECK(refusal.session_token.empty());
        for (const char* resource : {"/ready", "/status", "/digest", "/changes"}) {
            CHECK(s.cloud.call("GET", resource, {}, token).status == 200);
        }
    }
    CHECK(s.cloud.call("GET", "/products/1", {}, own).status == 200);
}

TEST_CASE("a session that depends on what was lost is told so") {
    stocked s;
    const auto token = s.edge.call("PUT", "/products/2", described("1")).session_token;
    REQUIRE(s.cloud.bucket.retire(s.edge.store.id()));
    for (int i = 0; i < 3; ++i) REQUIRE(s.cloud.store.sync());
    const auto lost = s.cloud.call("GET", "/products/1", {}, token);
    CHECK(lost.status == 409);
    CHECK(json::parse(lost.body).at("code") == "session_lost");
}

TEST_CASE("who described a product apart is listed, with what is shown and why") {
    stocked s;
    CHECK(s.cloud.refuse(404, "GET", "/products/2/conflicts") == "not_found");
    const auto one = s.cloud.expect(200, "GET", "/products/1/conflicts").at("contenders").as_array();
    REQUIRE(one.size() == 1);
    CHECK(one[0].at("why") == "only");
    s.cloud.expect(200, "PUT", "/products/1", described("3.00"));
    s.edge.expect(200, "PUT", "/products/1", described("4.00"));
    s.meet();
    const auto at_cloud = s.cloud.expect(200, "GET", "/products/1/conflicts");
    CHECK(at_cloud == s.edge.expect(200, "GET", "/products/1/conflicts"));
    const auto& both = at_cloud.at("contenders").as_array();
    REQUIRE(both.size() == 2);
    CHECK(both[0].at("shown") == true);
    CHECK(both[1].at("shown") == false);
    CHECK(std::set<std::string>{json::value_to<std::string>(both[0].at("price")),
                                json::value_to<std::string>(both[1].at("price"))} ==
          std::set<std::string>{"3.00", "4.00"});
    CHECK(both[0].at("price") == s.cloud.expect(200, "GET", "/products/1").at("price"));
    for (const auto& contender : both) {
        const bool is_edge = contender.at("price") == "4.00";
        CHECK(contender.at("replica").as_string() == (is_edge ? s.edge.id() : s.cloud.id()));
        CHECK(contender.at("sequence").to_number<int>() > 0);
        CHECK(contender.at("time").as_string().ends_with("Z"));
        CHECK(contender.at("name") == "LANTERN");
        const std::set<std::string> words{"latest", "greater_replica", "earlier", "lesser_replica"};
        CHECK(words.contains(json::value_to<std::string>(contender.at("why"))));
    }
    s.cloud.expect(200, "PUT", "/products/1", described("5.00"));
    CHECK(s.cloud.expect(200, "GET", "/products/1/conflicts").at("contenders").as_array().size() == 1);
}

TEST_CASE("orders that were answered otherwise elsewhere are listed, and told of as changes") {
    stocked s;
    const auto start = s.cloud.expect(200, "GET", "/changes").at("token");
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
    const auto place = [&](test::instance& at, const std::string& key, bool is_mirrored) {
        http_request request{"POST", "/orders", order_of(key, "1", 1)};
        request.headers = {{"idempotency-key", key}, {"idempotency-issued", std::to_string(now.count())}};
        if (is_mirrored) request.headers.emplace_back("x-mirrored", "1");
        return at.shop.handle(request).status;
    };
    CHECK(place(s.cloud, "A", false) == 201);
    CHECK(place(s.cloud, "B", true) == 201);
    CHECK(place(s.edge, "A", true) == 409);  // it may sell none
    s.meet();
    for (auto* each : {&s.cloud, &s.edge}) {
        const auto listed = each->expect(200, "GET", "/requests?state=superseded").at("requests").as_array();
        REQUIRE(listed.size() == 1);
        CHECK(listed[0].at("reason") == "role");
        CHECK(listed[0].at("winner").at("result") == "A");
        CHECK(listed[0].at("winner").at("replica").as_string() == s.cloud.id());
        CHECK(listed[0].at("winner").at("changes").as_array().size() == 4);
        CHECK(listed[0].at("loser").at("outcome") == "refused");
        CHECK(listed[0].at("loser").at("role") == "mirror");
        const auto unconfirmed = each->expect(200, "GET", "/requests?state=unconfirmed").at("requests").as_array();
        REQUIRE(unconfirmed.size() == 1);
        CHECK(unconfirmed[0].at("result") == "B");
    }
    // In the order of their times, which two clocks make.
    const auto steps = s.cloud.expect(200, "GET", "/changes?after=" + json::value_to<std::string>(start)).at("steps").as_array();
    std::size_t executions = 0;
    std::size_t superseded = 0;
    for (const auto& step : steps) {
        if (step.as_object().contains("superseded")) superseded += step.at("superseded").as_array().size();
        if (!step.as_object().contains("executions")) continue;
        for (const auto& x : step.at("executions").as_array()) {
            ++executions;
            if (x.at("result") == "A") CHECK(x.at("unconfirmed") == false);
            if (x.at("result") == "B") CHECK(x.at("unconfirmed") == true);
        }
    }
    CHECK(executions == 3);
    CHECK(superseded == 1);
    for (const char* query : {"", "?state=", "?state=fixed", "?state=superseded&limit=0", "?state=superseded&from=1"}) {
        CHECK(s.cloud.refuse(400, "GET", std::string("/requests") + query) == "bad_query");
    }
    CHECK(s.cloud.expect(200, "GET", "/requests?state=unconfirmed&limit=1").at("requests").as_array().size() == 1);
}

TEST_CASE("changes are listed from a token on") {
    stocked s;
    const auto changes = [](test::instance& at, const std::string& query) {
        return at.expect(200, "GET", "/changes?" + query);
    };
    const auto token_of = [](const json::value& page) {
        return json::value_to<std::string>(page.at("token"));
    };
    const auto start = s.cloud.expect(200, "GET", "/changes");
    CHECK(start.at("steps").as_array().empty());
    CHECK(start.at("more") == false);
    const auto begin = "after=" + token_of(start);

    s.cloud.expect(200, "POST", "/products/1/stock", R"({"add":1})");
    s.cloud.expect(200, "PUT", "/products/1/tags/light");
    s.cloud.expect(201, "POST", "/orders", order_of("A", "1", 1));
    s.meet();  // what the edge has seen comes before what it does
    s.edge.expect(200, "PUT", "/products/1", described("4.00"));
    s.meet();
    const auto all = changes(s.cloud, begin).at("steps").as_array();
    REQUIRE(all.size() == 4);
    CHECK(all[0].at("cause") == "local");
    CHECK(all[0].at("replica").as_string() == s.cloud.id());
    CHECK(all[0].at("sequence").to_number<int>() > 0);
    CHECK(all[0].at("time").as_string().ends_with("Z"));
    CHECK_FALSE(all[0].as_object().contains("ranges"));
    CHECK(all[0].at("changes") ==
          json::parse(R"([{"path":["product","1","stock"],"element":null,"what":"written"}])"));
    CHECK(all[1].at("changes") ==
          json::parse(R"([{"path":["product","1","tags"],"element":"light","what":"written"}])"));
    CHECK(all[2].at("changes").as_array().size() == 4);
    CHECK(all[3].at("cause") == "remote");
    CHECK(all[3].at("replica").as_string() == s.edge.id());

    // Below a map, and page by page: of an order only what it did to products.
    std::size_t steps = 0;
    std::string after = begin;
    for (bool more = true; more;) {
        const auto page = changes(s.cloud, after + "&prefix=product&limit=1");
        for (const auto& step : page.at("steps").as_array()) {
            for (const auto& change : step.at("changes").as_array()) {
                CHECK(change.at("path").at(0) == "product");
            }
        }
        steps += page.at("steps").as_array().size();
        more = page.at("more").as_bool();
        after = "after=" + token_of(page);
    }
    CHECK(steps == 4);
    CHECK(changes(s.cloud, after).at("steps").as_array().empty());
    CHECK(changes(s.cloud, begin + "&prefix=order").at("steps").as_array().size() == 1);

    CHECK(s.cloud.refuse(400, "GET", "/changes?after=nonsense") == "invalid_token");
    CHECK(s.cloud.refuse(400, "GET", "/changes?after=") == "invalid_token");
    CHECK(s.edge.refuse(400, "GET", "/changes?" + begin) == "invalid_token");
    CHECK(s.cloud.refuse(400, "GET", "/changes?limit=0") == "bad_query");
}

TEST_CASE("who is too slow for the log is told to read anew") {
    two_instances s(impatient(), {.log_retain_bytes = 0});
    const auto token = json::value_to<std::string>(s.cloud.expect(200, "GET", "/changes").at("token"));
    s.cloud.expect(201, "PUT", "/products/1", described("1"));
    s.meet();
    const auto gone = s.cloud.expect(410, "GET", "/changes?after=" + token);
    CHECK(gone.at("code") == "behind_cut");
    CHECK(gone.at("error").as_string().find("read anew") != std::string::npos);
}
