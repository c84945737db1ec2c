// The shop as REST resources: which request does what, and what is answered. No sockets.
#pragma once

#include <anabranch/http.hpp>
#include <anabranch/replica.hpp>
#include <atomic>
#include <boost/json/object.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shop.hpp"

namespace retail {

struct http_request {
    std::string method;
    std::string target;  ///< path and query, percent-encoded
    std::string body;
    std::string session_token{};  ///< the Session-Token header; empty: none
    std::vector<std::pair<std::string, std::string>> headers{};
};

struct http_response {
    unsigned status = 200;
    std::string body;             ///< JSON
    std::string allow{};          ///< the Allow header of a 405
    unsigned retry_after = 0;     ///< seconds, the Retry-After header of a 503 or 425; 0: none
    std::string session_token{};  ///< the Session-Token header; empty: none
};

/// {"error": message, "code": code}, and the details.
http_response error_response(unsigned status, const std::string& code, const std::string& message,
                             const boost::json::object& details = {});

struct api_options {
    shop_options shop{};
    /// What comes with a session token waits so long for this instance to catch up with it.
    std::chrono::milliseconds session_wait{250};
    anabranch::http::readiness_options ready{};
    /// Whether the disk has room for what comes next; nothing: it is not asked. GET /ready asks.
    std::function<bool()> has_room{};
    /// It is not ready for so long after a write was refused for want of space.
    std::chrono::milliseconds storage_pause{1000};
};

/// Thread-safe.
class api {
  public:
    /// `peers` is asked for GET /status and GET /ready.
    api(anabranch::store store, anabranch::bucket bucket, api_options options,
        std::function<std::vector<anabranch::peer_status>()> peers);

    /// Never throws: whatever goes wrong becomes an answer.
    http_response handle(const http_request& request);

    /// From now on it is not ready, and serves as before.
    void drain() { is_draining_ = true; }

  private:
    struct call;
    struct client_session;
    struct route;
    static const std::vector<route>& routes();
    http_response dispatch(const http_request& request, client_session& client);
    static std::optional<anabranch::request> identity_of(const http_request& request);
    void open_session(const std::string& token, client_session& client);
    void note_storage(const std::string& code);
    bool can_write() const;

    http_response list_products(const call& c);
    http_response get_product(const call& c);
    http_response put_product(const call& c);
    http_response list_conflicts(const call& c);
    http_response post_stock(const call& c);
    http_response post_transfer(const call& c);
    http_response post_request(const call& c);
    http_response post_deliveries(const call& c);
    http_response put_tag(const call& c);
    http_response delete_tag(const call& c);
    http_response get_cart(const call& c);
    http_response delete_cart(const call& c);
    http_response post_cart_item(const call& c);
    http_response delete_cart_item(const call& c);
    http_response post_checkout(const call& c);
    http_response list_orders(const call& c);
    http_response post_order(const call& c);
    http_response get_order(const call& c);
    http_response list_customer_orders(const call& c);
    http_response get_status(const call& c);
    http_response get_digest(const call& c);
    http_response get_changes(const call& c);
    http_response list_requests(const call& c);
    http_response get_ready(const call& c);

    http_response order_response(const std::string& id, placement outcome);

    anabranch::store store_;
    anabranch::bucket bucket_;
    shop shop_;
    const api_options options_;
    std::function<std::vector<anabranch::peer_status>()> peers_;
    // What GET /ready tells.
    std::atomic<bool> has_caught_up_ = false;  ///< since the start
    std::atomic<bool> is_draining_ = false;
    std::atomic<bool> is_storage_broken_ = false;  ///< until the store is opened anew
    std::atomic<std::chrono::steady_clock::duration> refused_until_{};  ///< for want of space
};

}  // namespace retail
