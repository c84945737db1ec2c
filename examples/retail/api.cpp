#include "api.hpp"

#include <anabranch/http.hpp>
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
    caller who;
};

/// What a client has seen, and the token that it is answered with.
struct api::client_session {
    anabranch::session_token seen;
    anabranch::session_token seen_before;
    std::string token;
};

struct api::route {
    std::string_view method;
    std::string_view pattern;
    http_response (api::*handler)(const call&);
    bool is_of_instance = false;  ///< tells about this instance: no session's business
};

const std::vector<api::route>& api::routes() {
    static const std::vector<route> table{
        {"GET", "/products", &api::list_products},
        {"GET", "/products/{sku}", &api::get_product},
        {"PUT", "/products/{sku}", &api::put_product},
        {"GET", "/products/{sku}/conflicts", &api::list_conflicts},
        {"POST", "/products/{sku}/stock", &api::post_stock},
        {"POST", "/products/{sku}/stock/transfer", &api::post_transfer},
        {"POST", "/products/{sku}/stock/request", &api::post_request},
        {"PUT", "/products/{sku}/tags/{tag}", &api::put_tag},
        {"DELETE", "/products/{sku}/tags/{tag}", &api::delete_tag},
        {"POST", "/stock", &api::post_deliveries},
        {"GET", "/carts/{customer}", &api::get_cart},
        {"DELETE", "/carts/{customer}", &api::delete_cart},
        {"POST", "/carts/{customer}/items", &api::post_cart_item},
        {"DELETE", "/carts/{customer}/items/{sku}", &api::delete_cart_item},
        {"POST", "/carts/{customer}/checkout", &api::post_checkout},
        {"GET", "/orders", &api::list_orders},
        {"POST", "/orders", &api::post_order},
        {"GET", "/orders/{id}", &api::get_order},
        {"GET", "/customers/{customer}/orders", &api::list_customer_orders},
        {"GET", "/changes", &api::get_changes, true},
        {"GET", "/requests", &api::list_requests, true},
        {"GET", "/status", &api::get_status, true},
        {"GET", "/digest", &api::get_digest, true},
        {"GET", "/ready", &api::get_ready, true},
    };
    return table;
}

namespace {

http_response answer(unsigned status, const json::object& body) {
    return {status, json::serialize(body) + "\n"};
}

request_error not_found(const std::string& what) { return {404, "not_found", "there is no " + what}; }

/// The library's errors as HTTP: as the adapter has them, but for what means something else in a shop.
request_error as_request_error(const anabranch::error& failure) {
    if (failure.code == errc::insufficient_rights) return {409, "out_of_stock", failure.message};
    if (failure.code == errc::invalid_argument) return {422, "unacceptable", failure.message};
    if (failure.code == errc::behind_cut) return {410, "behind_cut", "read anew: " + failure.message};
    const auto found = anabranch::http::answer_to(failure);
    return {found.status, found.code, found.text, static_cast<unsigned>(found.retry_after.count())};
}

request_error as_request_error(const shortage& lacking) {
    auto problem = as_request_error(static_cast<const anabranch::error&>(lacking));
    if (lacking.code == errc::insufficient_rights) problem.details = to_json(lacking);
    return problem;
}

/// The value of a result; an error becomes the answer.
template <class T, class Error>
T value_of(tl::expected<T, Error> outcome) {
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

/// The id of what a request makes, wherever it runs; empty where it has no identity.
std::string id_of(const caller& who) { return who.identity ? who.identity->id() : std::string{}; }

http_response stock_answer(const std::string& sku, const std::optional<stock_level>& level) {
    if (!level) throw not_found("product " + sku);
    return answer(200, to_json(sku, *level));
}

}  // namespace

http_response error_response(unsigned status, const std::string& code, const std::string& message,
                             const json::object& details) {
    json::object body{{"error", valid_utf8(message) ? message : code}, {"code", code}};
    body.insert(details.begin(), details.end());
    return answer(status, body);
}

api::api(anabranch::store store, anabranch::bucket bucket, api_options options,
         std::function<std::vector<anabranch::peer_status>()> peers)
    : store_(std::move(store)),
      bucket_(bucket),
      shop_(std::move(bucket), options.shop),
      options_(std::move(options)),
      peers_(std::move(peers)) {}

http_response api::handle(const http_request& request) {
    client_session client;
    http_response response;
    try {
        response = dispatch(request, client);
    } catch (const request_error& failure) {
        response = error_response(failure.status, failure.code, failure.what(), failure.details);
        response.retry_after = failure.retry_after;
        note_storage(failure.code);
    } catch (const std::exception& failure) {
        response = error_response(500, "internal", failure.what());
    }
    // Also beside an error: what a write has found counts, too.
    if (client.seen != client.seen_before) {
        if (auto token = bucket_.seal(client.seen)) client.token = std::move(*token);
    }
    response.session_token = std::move(client.token);
    return response;
}

void api::note_storage(const std::string& code) {
    if (code == "storage_failure") is_storage_broken_ = true;
    if (code == "storage_full") refused_until_ = (std::chrono::steady_clock::now() + options_.storage_pause).time_since_epoch();
}

/// A disk that is full takes writes again when there is room. But who is not ready gets none that would tell.
bool api::can_write() const {
    if (is_storage_broken_ || std::chrono::steady_clock::now().time_since_epoch() < refused_until_.load()) return false;
    return !options_.has_room || options_.has_room();
}

/// Reads the token that came with a request, and waits for what it has seen.
void api::open_session(const std::string& token, client_session& client) {
    client.seen = client.seen_before = value_of(bucket_.unseal(token));
    client.token = token;
    const auto missing = bucket_.wait_for(client.seen, options_.session_wait);
    if (!missing && missing.error().code == errc::retired) {
        throw request_error(409, "session_lost", missing.error().message);
    }
    if (value_of(missing) == 0) return;
    const auto found = anabranch::http::answer_to_early_session(*missing);
    request_error behind(found.status, found.code, found.text, static_cast<unsigned>(found.retry_after.count()));
    behind.details["missing"] = *missing;
    throw behind;
}

/// With a key a write counts once, wherever else the mesh sends it (docs/http.md).
std::optional<anabranch::request> api::identity_of(const http_request& request) {
    if (request.method == "GET") return {};
    std::vector<std::pair<std::string_view, std::string_view>> headers(request.headers.begin(), request.headers.end());
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
    auto identity = anabranch::http::read_request(anabranch::http::lookup_in(headers), {request.method, request.target, request.body}, now,
                                                  {.allow_anonymous = true});
    if (identity) return std::move(*identity);
    const auto found = anabranch::http::answer_to(identity.error());
    throw request_error(found.status, found.code, found.text);
}

http_response api::dispatch(const http_request& request, client_session& client) {
    const auto target = boost::urls::parse_origin_form(request.target);
    if (!target) throw request_error(400, "bad_target", "the request's target is not a path");
    std::vector<std::string> path;
    for (const auto& segment : target->segments()) path.emplace_back(segment.begin(), segment.end());

    std::string allowed;
    for (const auto& candidate : routes()) {
        auto arguments = match(candidate.pattern, path);
        if (!arguments) continue;
        if (candidate.method != request.method) {
            allowed += (allowed.empty() ? "" : ", ") + std::string(candidate.method);
            continue;
        }
        for (const auto& argument : *arguments) require_id(argument, "a name in the path");
        if (!candidate.is_of_instance && !request.session_token.empty()) {
            open_session(request.session_token, client);
        }
        call found{std::move(*arguments), {}, request.body, {client.seen, identity_of(request)}};
        for (const auto& parameter : target->params()) {
            found.query.insert_or_assign(std::string(parameter.key), std::string(parameter.value));
        }
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
    const auto update = parse_product_update(parse_object(c.body));
    const bool created = value_of(shop_.put_product(c.path[0], update, c.who));
    auto response = get_product(c);
    response.status = created ? 201 : 200;
    return response;
}

http_response api::list_conflicts(const call& c) {
    const auto found = value_of(shop_.list_contenders(c.path[0]));
    if (!found) throw not_found("product " + c.path[0]);
    json::array contenders;
    for (const auto& contender : *found) contenders.push_back(to_json(contender));
    return answer(200, {{"sku", c.path[0]}, {"contenders", std::move(contenders)}});
}

http_response api::post_stock(const call& c) {
    const auto body = parse_object(c.body);
    const auto pieces = members(body).number("add", -max_quantity, max_quantity);
    return stock_answer(c.path[0], value_of(shop_.add_stock(c.path[0], pieces, c.who)));
}

http_response api::post_transfer(const call& c) {
    const auto body = parse_object(c.body);
    const auto to = members(body).replica("to");
    const auto pieces = members(body).number("amount", 1, max_quantity);
    const auto given = shop_.transfer_stock(c.path[0], to, pieces, c.who);
    if (!given && given.error().code == errc::not_a_member && bucket_.is_member()) {  // the other is none
        throw request_error(422, "unknown_replica", given.error().message);
    }
    return stock_answer(c.path[0], value_of(given));
}

http_response api::post_request(const call& c) {
    const auto body = parse_object(c.body);
    const auto pieces = members(body).number("rights", 0, max_quantity);
    return stock_answer(c.path[0], value_of(shop_.request_stock(c.path[0], pieces, c.who)));
}

http_response api::post_deliveries(const call& c) {
    const auto deliveries = parse_deliveries(parse_object(c.body));
    value_of(shop_.deliver(deliveries, c.who));
    return answer(200, {{"items", deliveries.size()}});
}

http_response api::put_tag(const call& c) {
    if (!value_of(shop_.add_tag(c.path[0], c.path[1], c.who))) throw not_found("product " + c.path[0]);
    return get_product(c);
}

http_response api::delete_tag(const call& c) {
    if (!value_of(shop_.remove_tag(c.path[0], c.path[1], c.who))) throw not_found("product " + c.path[0]);
    return get_product(c);
}

http_response api::get_cart(const call& c) {
    return answer(200, to_json(c.path[0], value_of(shop_.read_cart(c.path[0]))));
}

http_response api::delete_cart(const call& c) {
    value_of(shop_.empty_cart(c.path[0], c.who));
    return get_cart(c);
}

http_response api::post_cart_item(const call& c) {
    const auto body = parse_object(c.body);
    const auto sku = members(body).id("sku");
    const auto quantity = members(body).number("quantity", 1, max_quantity);
    if (!value_of(shop_.add_to_cart(c.path[0], sku, quantity, c.who))) throw not_found("product " + sku);
    return get_cart(c);
}

http_response api::delete_cart_item(const call& c) {
    value_of(shop_.remove_from_cart(c.path[0], c.path[1], c.who));
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
    const auto id = fields.has("id") || !c.who.identity ? fields.id("id") : id_of(c.who);
    const order_head head{c.path[0], fields.text("country"), fields.text("date")};
    return order_response(id, value_of(shop_.check_out(c.path[0], id, head, c.who)));
}

http_response api::post_order(const call& c) {
    const auto placed = parse_order(parse_object(c.body), id_of(c.who));
    return order_response(placed.id, value_of(shop_.place(placed, c.who)));
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

/// Without a token it only makes one, of this moment: who wants the state first reads it after that.
http_response api::get_changes(const call& c) {
    const auto range = range_of(c.query);
    std::vector<anabranch::field> below;
    if (!range.prefix.empty()) below.push_back({range.prefix, anabranch::field_type::map});
    auto changes = value_of(range.after ? bucket_.resume(*range.after, below) : bucket_.watch(below));
    const auto batch = range.after ? value_of(changes.pull(range.limit)) : anabranch::feed_batch{};
    json::array steps;
    for (const auto& step : batch.steps) steps.push_back(to_json(step));
    return answer(200, {{"steps", std::move(steps)},
                        {"token", value_of(changes.token())},
                        {"more", batch.more}});
}

/// Of clients, that somebody may want to look after: ?state=superseded or unconfirmed.
http_response api::list_requests(const call& c) {
    auto query = c.query;
    const auto state = query.extract("state");
    const auto range = range_of(query);
    json::array requests;
    if (!state.empty() && state.mapped() == "superseded") {
        for (const auto& r : value_of(bucket_.superseded(range.limit))) requests.push_back(to_json(r));
    } else if (!state.empty() && state.mapped() == "unconfirmed") {
        for (const auto& r : value_of(bucket_.unconfirmed(range.limit))) requests.push_back(to_json(r));
    } else {
        throw request_error(400, "bad_query", "the query parameter \"state\" is to be superseded or unconfirmed");
    }
    return answer(200, {{"requests", std::move(requests)}});
}

/// For a balancer: the disk can be read, and the adapter finds nothing amiss.
http_response api::get_ready(const call&) {
    value_of(shop_.find_order("-"));
    const auto found = anabranch::http::check_readiness(
        bucket_, peers_(), {.is_draining = is_draining_, .can_write = can_write(), .has_caught_up = has_caught_up_}, options_.ready);
    if (found.has_caught_up) has_caught_up_ = true;
    http_response response{found.status, found.body};
    response.retry_after = static_cast<unsigned>(found.retry_after.count());
    return response;
}

}  // namespace retail
