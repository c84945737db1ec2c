// What the shop's objects look like as JSON. Money is a decimal string ("2.55"), so that it stays exact.
#pragma once

#include <anabranch/replica.hpp>
#include <boost/json.hpp>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "shop.hpp"

namespace retail {

/// A request that cannot be served: thrown while it is being read, and turned into an answer in one place.
struct request_error : std::runtime_error {
    request_error(unsigned http_status, std::string error_code, const std::string& message,
                  unsigned seconds = 0)
        : std::runtime_error(message),
          status(http_status),
          code(std::move(error_code)),
          retry_after(seconds) {}
    unsigned status;
    std::string code;
    unsigned retry_after;           ///< seconds until it may go better; 0: unknown
    boost::json::object details{};  ///< what stands in the answer beside message and code
};

boost::json::object to_json(const product& p);
boost::json::object to_json(const order& o);
boost::json::object to_json(const std::string& customer, const cart& items);
boost::json::array to_json(const anabranch::frontier& frontier);
boost::json::object to_json(const anabranch::peer_status& peer);
boost::json::object to_json(const anabranch::member_status& member);
boost::json::object to_json(const std::string& sku, const stock_level& level);
boost::json::object to_json(const head_contender& contender);
boost::json::object to_json(const anabranch::feed_step& step);
boost::json::object to_json(const anabranch::unconfirmed_request& unconfirmed);
/// Beside an error's message and code.
boost::json::object to_json(const shortage& lacking);

/// The body's one JSON object. Throws request_error, like everything below.
boost::json::object parse_object(std::string_view body);

/// Reads the members of an object; errors name the member with the way to it, as in "lines[3].quantity".
class members {
  public:
    explicit members(const boost::json::object& object, std::string where = {})
        : object_(object), where_(std::move(where)) {}

    bool has(std::string_view name) const { return object_.if_contains(name) != nullptr; }
    std::string id(std::string_view name) const;
    std::string text(std::string_view name) const;
    std::string text_or_empty(std::string_view name) const;
    /// A whole number from min to max.
    std::int64_t number(std::string_view name, std::int64_t min, std::int64_t max) const;
    money amount(std::string_view name) const;
    anabranch::replica_id replica(std::string_view name) const;
    std::vector<std::string> ids(std::string_view name) const;
    const boost::json::array& array(std::string_view name) const;

    std::string path(std::string_view name) const { return where_ + std::string(name); }

  private:
    const boost::json::value& at(std::string_view name) const;
    std::string string(std::string_view name) const;

    const boost::json::object& object_;
    std::string where_;
};

/// An order that has no id gets that one, or one that is made up.
order parse_order(const boost::json::object& object, std::string id_if_none = {});
std::vector<delivery> parse_deliveries(const boost::json::object& object);
product_update parse_product_update(const boost::json::object& object);

/// Throws a request_error with status 422 where `text` is no id.
void require_id(const std::string& text, const std::string& what);

}  // namespace retail
