// Instances of the shop in memory, talked to through their REST resources: no HTTP.
#pragma once

#include <anabranch/replica.hpp>
#include <boost/json.hpp>
#include <memory>
#include <string>
#include <vector>

#include "api.hpp"
#include "support/catch.hpp"

namespace retail::test {

namespace json = boost::json;

/// Waits for nothing, unless it is told to.
inline api_options impatient() {
    return {.shop = {.stock_wait = std::chrono::milliseconds{0}}, .session_wait = std::chrono::milliseconds{0}};
}

/// One instance.
struct instance {
    anabranch::store store;
    anabranch::bucket bucket;
    api shop;

    explicit instance(bool creates, api_options options = impatient(), anabranch::store_options at = {})
        : store(anabranch::store::in_memory(std::move(at)).value()),
          bucket(creates ? store.create_bucket("shop").value() : store.bucket("shop").value()),
          shop(store, bucket, options, [] { return std::vector<anabranch::peer_status>{}; }) {}

    http_response call(const std::string& method, const std::string& target, const std::string& body = {},
                       const std::string& session = {}) {
        return shop.handle({method, target, body, session});
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
    std::int64_t available(const std::string& sku) {
        return expect(200, "GET", "/products/" + sku).at("available").as_int64();
    }
    std::string id() const { return to_string(store.id()); }
};

/// Two instances that meet when they are told to.
struct two_instances {
    instance cloud;
    instance edge;
    anabranch::replica listening{cloud.store, {.listen = "127.0.0.1:0"}};
    anabranch::replica calling{edge.store, {}};

    explicit two_instances(api_options options = impatient(), anabranch::store_options at = {})
        : cloud(true, options, at), edge(false, options, at) {
        REQUIRE(listening.start());
        REQUIRE(calling.start());
        while (!edge.bucket.is_member()) meet();
    }
    /// Both have everything then, and what they have done about it.
    void meet() {
        for (int i = 0; i < 3; ++i) REQUIRE(sync());
    }
    /// Once; also from other threads, in which nothing may be checked.
    bool sync() {
        return calling.sync_once("127.0.0.1:" + std::to_string(listening.port())).has_value();
    }
};

inline std::string order_of(const std::string& id, const std::string& sku, std::int64_t quantity) {
    return json::serialize(json::object{
        {"id", id},
        {"customer", "17850"},
        {"country", "Norway"},
        {"date", "12-01-2010 08:26"},
        {"lines", {{{"sku", sku}, {"quantity", quantity}, {"price", "3.39"}, {"description", ""}}}}});
}

}  // namespace retail::test
