#include "api.hpp"

#include <boost/json.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <map>
#include <optional>

#include "json.hpp"
#include "text.hpp"

namespace retail {

namespace json = boost::json;
using anabranch::errc;

/// A request that has found its route.
struct api::call {
    std::vector<std::string> path;  ///< what stands in the pattern's {}, decoded; each a valid id
    std::map<std::string, std::string> query;
    std::string_view body;
};

struct api::route {
    std::string_view method;
    std::string_view pattern;
    http_response (api::*handler)(const call&);
};

const std::vector<api::route>& api::routes() {
    static const std::vector<route> table{
        {"GET", "/products", &api::list_products},
        {"GET", "/products/{sku}", &api::get_product},
        {"PUT", "/products/{sku}", &api::put_product},
        {"POST", "/products/{sku}/stock", &api::post_stock},
        {"PUT", "/products/{sku}/tags/{tag}", &api::put_tag},
        {"DELETE", "/products/{sku}/tags/{tag}", &api::delete_tag},
        {"GET", "/carts/{customer}", &api::get_cart},
        {"DELETE", "/carts/{customer}", &api::delete_cart},
        {"POST", "/carts/{customer}/items", &api::post_cart_item},
        {"DELETE", "/carts/{customer}/items/{sku}", &api::delete_cart_item},
        {"POST", "/carts/{customer}/checkout", &api::post_checkout},
        {"GET", "/orders", &api::list_orders},
        {"POST", "/orders", &api::post_order},
        {"GET", "/orders/{id}", &api::get_order},
        {"GET", "/customers/{customer}/orders", &api::list_customer_orders},
        {"GET", "/status", &api::get_status},
        {"GET", "/digest", &api::get_digest},
        {"GET", "/ready", &api::get_ready},
    };
    return table;
}

namespace {

http_response answer(unsigned status, const json::object& body) {
    return {status, json::serialize(body) + "\n"};
}

request_error not_found(const std::string& what) { return {404, "not_found", "there is no " + what}; }

/// The library's errors as HTTP.
request_error as_request_error(const anabranch::error& failure) {
    switch (failure.code) {
        case errc::storage_full:
            return {503, "storage_full", failure.message};
        case errc::storage_failure:
            return {503, "storage_failure", failure.message};
        case errc::closed:
            return {503, "closed", failure.message};
        case errc::not_a_member:  // not yet: this instance has to meet another one first
            return {503, "not_a_member", failure.message, 1};
        case errc::retired:  // for good; another instance can serve it
            return {503, "retired", failure.message};
        case errc::refused:
            return {409, "refused", failure.message};
        case errc::invalid_argument:
            return {422, "unacceptable", failure.message};
        case errc::limit_exceeded:
            return {422, "limit_exceeded", failure.message};
        case errc::overflow:
            return {422, "overflow", failure.message};
        default:
            return {500, "internal", failure.message};
    }
}

/// The value of a result; an error becomes the answer.
template <class T>
T value_of(anabranch::result<T> outcome) {
    if (!outcome) throw as_request_error(outcome.error());
    if constexpr (!std::is_void_v<T>) return std::move(*outcome);
}

/// The segments of "/a/{b}/c" against those of a path; what stands in {} where they match.
std::optional<std::vector<std::string>> match(std::string_view pattern,
                                              const std::vector<std::string>& path) {
    std::vector<std::string> found;
    for (const auto& segment : path) {
        if (pattern.empty()) return {};
        pattern.remove_prefix(1);
        const std::string_view expected = pattern.substr(0, pattern.find('/'));
        pattern.remove_prefix(expected.size());
        if (expected.starts_with('{')) {
            found.push_back(segment);
        } else if (expected != segment) {
            return {};
        }
    }
    if (!pattern.empty()) return {};
    return found;
}

/// ?prefix=&after=&limit= of a listing.
anabranch::scan_range range_of(const std::map<std::string, std::string>& query) {
    anabranch::scan_range range;
    range.limit = 100;
    for (const auto& [name, value] : query) {
        if (name == "prefix" && why_not_text(value).empty()) {
            range.prefix = value;
        } else if (name == "after" && why_not_text(value).empty()) {
            range.after = value;
        } else if (name == "limit" && !value.empty() && value.size() <= 4 &&
                   value.find_first_not_of("0123456789") == std::string::npos && std::stoul(value) >= 1 &&
                   std::stoul(value) <= 1000) {
            range.limit = std::stoul(value);
        } else {
            throw request_error(400, "bad_query",
                                "query parameter \"" + (valid_utf8(name) ? name : "?") +
                                    "\" is unknown or its value unusable (prefix, after, limit 1 to 1000)");
        }
    }
    return range;
}

template <class T>
http_response page_answer(const char* name, page<T> found) {
    json::array items;
    for (auto& item : found.items) {
        if constexpr (std::is_same_v<T, std::string>) {
            items.emplace_back(std::move(item));
        } else {
            items.emplace_back(to_json(item));
        }
    }
    json::object body{{name, std::move(items)}, {"next", nullptr}};
    if (found.next) body["next"] = *found.next;
    return answer(200, body);
}

}  // namespace

http_response error_response(unsigned status, const std::string& code, const std::string& message) {
    return answer(status, {{"error", valid_utf8(message) ? message : code}, {"code", code}});
}

api::api(anabranch::store store, anabranch::bucket bucket, anabranch::durability durability,
         std::function<std::vector<anabranch::peer_status>()> peers)
    : store_(std::move(store)),
      bucket_(bucket),
      shop_(std::move(bucket), durability),
      peers_(std::move(peers)) {}

http_response api::handle(const http_request& request) {
    try {
        return dispatch(request);
    } catch (const request_error& failure) {
        auto response = error_response(failure.status, failure.code, failure.what());
        response.retry_after = failure.retry_after;
        return response;
    } catch (const std::exception& failure) {
        return error_response(500, "internal", failure.what());
    }
}

http_response api::dispatch(const http_request& request) {
    const auto target = boost::urls::parse_origin_form(request.target);
    if (!target) throw request_error(400, "bad_target", "the request's target is not a path");
    std::vector<std::string> path;
    for (const auto& segment : target->segments()) path.emplace_back(segment.begin(), segment.end());

    call found;
    std::string allowed;
    for (const auto& candidate : routes()) {
        auto arguments = match(candidate.pattern, path);
        if (!arguments) continue;
        if (candidate.method != request.method) {
            allowed += (allowed.empty() ? "" : ", ") + std::string(candidate.method);
            continue;
        }
        for (const auto& argument : *arguments) require_id(argument, "a name in the path");
        found.path = std::move(*arguments);
        for (const auto& parameter : target->params()) {
            found.query.insert_or_assign(std::string(parameter.key), std::string(parameter.value));
        }
        found.body = request.body;
        return (this->*candidate.handler)(found);
    }
    if (allowed.empty()) throw not_found("such resource");
    auto refusal = error_response(405, "method_not_allowed", "this resource takes " + allowed);
    refusal.allow = allowed;
    return refusal;
}

http_response api::list_products(const call& c) {
    return page_answer("products", value_of(shop_.list_products(range_of(c.query))));
}

http_response api::get_product(const call& c) {
    const auto found = value_of(shop_.find_product(c.path[0]));
    if (!found) throw not_found("product " + c.path[0]);
    return answer(200, to_json(*found));
}

http_response api::put_product(const call& c) {
    const bool created = value_of(shop_.put_product(c.path[0], parse_product_update(parse_object(c.body))));
    auto response = get_product(c);
    response.status = created ? 201 : 200;
    return response;
}

http_response api::post_stock(const call& c) {
    const auto body = parse_object(c.body);
    const auto stock =
        value_of(shop_.add_stock(c.path[0], members(body).number("add", -max_quantity, max_quantity)));
    if (!stock) throw not_found("product " + c.path[0]);
    return answer(200, {{"sku", c.path[0]}, {"stock", *stock}});
}

http_response api::put_tag(const call& c) {
    if (!value_of(shop_.add_tag(c.path[0], c.path[1]))) throw not_found("product " + c.path[0]);
    return get_product(c);
}

http_response api::delete_tag(const call& c) {
    if (!value_of(shop_.remove_tag(c.path[0], c.path[1]))) throw not_found("product " + c.path[0]);
    return get_product(c);
}

http_response api::get_cart(const call& c) {
    return answer(200, to_json(c.path[0], value_of(shop_.read_cart(c.path[0]))));
}

http_response api::delete_cart(const call& c) {
    value_of(shop_.empty_cart(c.path[0]));
    return get_cart(c);
}

http_response api::post_cart_item(const call& c) {
    const auto body = parse_object(c.body);
    const auto sku = members(body).id("sku");
    const auto quantity = members(body).number("quantity", 1, max_quantity);
    if (!value_of(shop_.add_to_cart(c.path[0], sku, quantity))) throw not_found("product " + sku);
    return get_cart(c);
}

http_response api::delete_cart_item(const call& c) {
    value_of(shop_.remove_from_cart(c.path[0], c.path[1]));
    return get_cart(c);
}

http_response api::order_response(const std::string& id, placement outcome) {
    if (outcome == placement::conflict) {
        throw request_error(409, "order_exists", "another order has the id " + id);
    }
    const auto stored = value_of(shop_.find_order(id));
    if (!stored) throw not_found("order " + id);
    return answer(outcome == placement::placed ? 201 : 200, to_json(*stored));
}

http_response api::post_checkout(const call& c) {
    const auto body = parse_object(c.body);
    const members fields(body);
    const auto id = fields.id("id");
    const order_head head{c.path[0], fields.text("country"), fields.text("date")};
    return order_response(id, value_of(shop_.check_out(c.path[0], id, head)));
}

http_response api::post_order(const call& c) {
    const auto placed = parse_order(parse_object(c.body));
    return order_response(placed.id, value_of(shop_.place(placed)));
}

http_response api::get_order(const call& c) {
    const auto found = value_of(shop_.find_order(c.path[0]));
    if (!found) throw not_found("order " + c.path[0]);
    return answer(200, to_json(*found));
}

http_response api::list_orders(const call& c) {
    return page_answer("orders", value_of(shop_.list_orders(range_of(c.query))));
}

http_response api::list_customer_orders(const call& c) {
    return page_answer("orders", value_of(shop_.list_orders_of(c.path[0], range_of(c.query))));
}

/// Cheap enough to be polled. The digest has a resource of its own because it reads the whole state.
http_response api::get_status(const call&) {
    json::array peers;
    std::uint64_t behind = 0;
    for (const auto& peer : peers_()) {
        behind += peer.totals.transactions_to_receive;
        peers.push_back(to_json(peer));
    }
    json::array members;
    for (const auto& member : bucket_.members()) members.push_back(to_json(member));
    return answer(200, {{"replica", to_string(store_.id())},
                        {"members", std::move(members)},
                        {"progress", to_json(bucket_.progress())},
                        {"durable", to_json(bucket_.durable_progress())},
                        {"behind", behind},
                        {"peers", std::move(peers)}});
}

http_response api::get_digest(const call&) {
    return answer(200, {{"digest", anabranch::to_string(value_of(bucket_.digest()))}});
}

/// For a balancer: reads would do, but writes are refused until this instance has joined the others.
http_response api::get_ready(const call&) {
    value_of(shop_.find_order("-"));
    if (!bucket_.is_member()) {
        throw request_error(503, "not_a_member", "this instance is no member of the shop", 1);
    }
    return answer(200, {{"ready", true}});
}

}  // namespace retail
