#include "json.hpp"

#include "text.hpp"
#include "uuid.hpp"

namespace retail {

namespace json = boost::json;

namespace {

[[noreturn]] void bad_member(const std::string& path, const std::string& reason) {
    throw request_error(400, "bad_field", "member \"" + path + "\" " + reason);
}

[[noreturn]] void unacceptable(const std::string& path, const std::string& reason) {
    throw request_error(422, "unacceptable", path + " " + reason);
}

std::string_view name_of(anabranch::member_stage stage) {
    switch (stage) {
        case anabranch::member_stage::joined:
            return "joined";
        case anabranch::member_stage::retiring:
            return "retiring";
        case anabranch::member_stage::left:
            return "left";
        case anabranch::member_stage::retired:
            return "retired";
    }
    return "unknown";
}

std::string_view name_of(anabranch::session_phase phase) {
    switch (phase) {
        case anabranch::session_phase::greeting:
            return "greeting";
        case anabranch::session_phase::catching_up:
            return "catching_up";
        case anabranch::session_phase::live:
            return "live";
        case anabranch::session_phase::ended:
            return "ended";
    }
    return "unknown";
}

std::string_view name_of(anabranch::standing why) {
    switch (why) {
        case anabranch::standing::only:
            return "only";
        case anabranch::standing::latest:
            return "latest";
        case anabranch::standing::greater_replica:
            return "greater_replica";
        case anabranch::standing::earlier:
            return "earlier";
        case anabranch::standing::lesser_replica:
            return "lesser_replica";
        case anabranch::standing::together:
            return "together";
        case anabranch::standing::summed:
            return "summed";
        case anabranch::standing::unremoved:
            return "unremoved";
        case anabranch::standing::removal:
            return "removal";
    }
    return "unknown";
}

std::string_view name_of(anabranch::change_cause cause) {
    switch (cause) {
        case anabranch::change_cause::local:
            return "local";
        case anabranch::change_cause::remote:
            return "remote";
        case anabranch::change_cause::catch_up:
            return "catch_up";
    }
    return "unknown";
}

std::string_view name_of(anabranch::change_kind what) {
    switch (what) {
        case anabranch::change_kind::written:
            return "written";
        case anabranch::change_kind::removed:
            return "removed";
        case anabranch::change_kind::emptied:
            return "emptied";
        case anabranch::change_kind::rights:
            return "rights";
        case anabranch::change_kind::suppressed:
            return "suppressed";
    }
    return "unknown";
}

std::string_view name_of(anabranch::request_role role) {
    return role == anabranch::request_role::primary ? "primary" : "mirror";
}

std::string_view name_of(anabranch::request_outcome outcome) {
    return outcome == anabranch::request_outcome::committed ? "committed" : "refused";
}

std::string_view name_of(anabranch::winning_reason reason) {
    switch (reason) {
        case anabranch::winning_reason::role:
            return "role";
        case anabranch::winning_reason::outcome:
            return "outcome";
        case anabranch::winning_reason::time:
            return "time";
        case anabranch::winning_reason::replica:
            return "replica";
        case anabranch::winning_reason::sequence:
            return "sequence";
    }
    return "unknown";
}

json::object to_json(const anabranch::field_change& change) {
    json::array path;
    for (const auto& field : change.path) path.emplace_back(field.name);
    json::object object{{"path", std::move(path)}, {"element", nullptr}, {"what", name_of(change.what)}};
    if (change.element) object["element"] = *change.element;
    return object;
}

json::object to_json(const anabranch::request_version& version) {
    json::array changes;
    for (const auto& done : version.changes) changes.push_back(to_json(done.change));
    return {{"replica", to_string(version.transaction.origin)},
            {"sequence", version.transaction.sequence},
            {"time", iso_8601(version.at)},
            {"role", name_of(version.role)},
            {"outcome", name_of(version.outcome)},
            {"result", version.result},
            {"changes", std::move(changes)}};
}

json::object to_json(const anabranch::executed_request& x) {
    return {{"request", anabranch::to_string(x.identity)},
            {"replica", to_string(x.transaction.origin)},
            {"sequence", x.transaction.sequence},
            {"role", name_of(x.role)},
            {"outcome", name_of(x.outcome)},
            {"result", x.result},
            {"unconfirmed", x.is_unconfirmed}};
}

}  // namespace

void require_id(const std::string& text, const std::string& what) {
    if (const auto reason = why_not_id(text); !reason.empty()) unacceptable(what, reason);
}

json::object parse_object(std::string_view body) {
    json::error_code failure;
    json::value value = json::parse({body.data(), body.size()}, failure);
    if (failure) throw request_error(400, "bad_json", "the body is not JSON: " + failure.message());
    if (!value.is_object()) throw request_error(400, "bad_json", "the body is not a JSON object");
    return std::move(value.as_object());
}

const json::value& members::at(std::string_view name) const {
    const json::value* found = object_.if_contains(name);
    if (!found) bad_member(path(name), "is missing");
    return *found;
}

std::string members::string(std::string_view name) const {
    const json::string* text = at(name).if_string();
    if (!text) bad_member(path(name), "is not a string");
    return std::string(text->data(), text->size());
}

std::string members::id(std::string_view name) const {
    std::string text = string(name);
    require_id(text, "member \"" + path(name) + "\"");
    return text;
}

std::string members::text(std::string_view name) const {
    std::string text = string(name);
    if (const auto reason = why_not_text(text); !reason.empty()) {
        unacceptable("member \"" + path(name) + "\"", reason);
    }
    return text;
}

std::string members::text_or_empty(std::string_view name) const {
    return has(name) ? text(name) : std::string{};
}

std::int64_t members::number(std::string_view name, std::int64_t min, std::int64_t max) const {
    const json::value& value = at(name);
    if (!value.is_number()) bad_member(path(name), "is not a number");
    if (value.is_double()) bad_member(path(name), "is not a whole number");
    const std::int64_t* number = value.if_int64();
    if (!number || *number < min || *number > max) {
        unacceptable("member \"" + path(name) + "\"",
                     "is not between " + std::to_string(min) + " and " + std::to_string(max));
    }
    return *number;
}

money members::amount(std::string_view name) const {
    const auto amount = parse_money(string(name));
    if (!amount) bad_member(path(name), "is not an amount like \"2.55\"");
    return *amount;
}

anabranch::replica_id members::replica(std::string_view name) const {
    const auto id = parse_replica_id(string(name));
    if (!id) bad_member(path(name), "is not a replica as /status names them");
    return *id;
}

const json::array& members::array(std::string_view name) const {
    const json::array* items = at(name).if_array();
    if (!items) bad_member(path(name), "is not an array");
    return *items;
}

std::vector<std::string> members::ids(std::string_view name) const {
    std::vector<std::string> texts;
    for (const json::value& item : array(name)) {
        const std::string where = path(name) + "[" + std::to_string(texts.size()) + "]";
        const json::string* text = item.if_string();
        if (!text) bad_member(where, "is not a string");
        texts.emplace_back(text->data(), text->size());
        require_id(texts.back(), "member \"" + where + "\"");
    }
    return texts;
}

std::vector<delivery> parse_deliveries(const json::object& object) {
    const members body(object);
    std::vector<delivery> parsed;
    const json::array& items = body.array("items");
    if (items.empty()) unacceptable("member \"items\"", "is empty");
    if (items.size() > max_deliveries) {
        unacceptable("member \"items\"", "has more than " + std::to_string(max_deliveries) + " items");
    }
    for (const json::value& item : items) {
        const std::string where = "items[" + std::to_string(parsed.size()) + "]";
        if (!item.is_object()) bad_member(where, "is not an object");
        const members fields(item.as_object(), where + ".");
        parsed.push_back({fields.id("sku"), fields.number("add", 0, max_quantity)});
    }
    return parsed;
}

order parse_order(const json::object& object, std::string id_if_none) {
    const members body(object);
    if (id_if_none.empty()) id_if_none = uuid_v7();
    order parsed{body.has("id") ? body.id("id") : std::move(id_if_none),
                 {body.text_or_empty("customer"), body.text("country"), body.text("date")},
                 {}};
    if (!parsed.head.customer.empty()) require_id(parsed.head.customer, "member \"customer\"");
    const json::array& lines = body.array("lines");
    if (lines.empty()) unacceptable("member \"lines\"", "is empty");
    if (lines.size() > max_order_lines) {
        unacceptable("member \"lines\"", "has more than " + std::to_string(max_order_lines) + " items");
    }
    for (const json::value& item : lines) {
        const std::string where = "lines[" + std::to_string(parsed.lines.size()) + "]";
        if (!item.is_object()) bad_member(where, "is not an object");
        const members line(item.as_object(), where + ".");
        parsed.lines.push_back({line.id("sku"), line.number("quantity", -max_quantity, max_quantity),
                                line.amount("price"), line.text_or_empty("description")});
    }
    return parsed;
}

product_update parse_product_update(const json::object& object) {
    const members body(object);
    product_update update{{body.text("name"), body.amount("price")}, 0, {}};
    if (body.has("stock")) update.initial_stock = body.number("stock", 0, max_quantity);
    if (body.has("tags")) update.tags = body.ids("tags");
    return update;
}

json::object to_json(const product& p) {
    json::array tags(p.tags.begin(), p.tags.end());
    json::object object{{"sku", p.sku}, {"name", nullptr}, {"price", nullptr}};
    if (p.head) {
        object["name"] = p.head->name;
        object["price"] = to_string(p.head->price);
    }
    object["stock"] = p.stock;
    object["available"] = p.available;
    object["tags"] = std::move(tags);
    return object;
}

json::object to_json(const order& o) {
    json::array lines;
    for (const auto& line : o.lines) {
        lines.push_back({{"sku", line.sku},
                         {"quantity", line.quantity},
                         {"price", to_string(line.price)},
                         {"description", line.description}});
    }
    return {{"id", o.id},
            {"customer", o.head.customer},
            {"country", o.head.country},
            {"date", o.head.date},
            {"lines", std::move(lines)}};
}

json::object to_json(const std::string& customer, const cart& items) {
    json::array list;
    for (const auto& [sku, quantity] : items) list.push_back({{"sku", sku}, {"quantity", quantity}});
    return {{"customer", customer}, {"items", std::move(list)}};
}

json::array to_json(const anabranch::frontier& frontier) {
    json::array list;
    for (const auto& entry : frontier) {
        list.push_back({{"origin", to_string(entry.origin)},
                        {"sequence", entry.sequence},
                        {"head", anabranch::to_string(entry.head)}});
    }
    return list;
}

json::object to_json(const anabranch::member_status& member) {
    return {{"replica", to_string(member.id)},
            {"stage", name_of(member.stage)},
            {"authority", member.is_authority},
            {"laggard", member.is_laggard},
            {"lag", member.lag},
            {"seconds", static_cast<double>(member.age.count()) / 1000}};
}

json::object to_json(const anabranch::peer_status& peer) {
    json::object object{{"endpoint", peer.endpoint},
                        {"accepted", peer.accepted},
                        {"connected", peer.connected},
                        {"replica", nullptr},
                        {"phase", name_of(peer.phase)},
                        {"transactions_sent", peer.totals.transactions_sent},
                        {"transactions_received", peer.totals.transactions_received},
                        {"transactions_to_send", peer.totals.transactions_to_send},
                        {"transactions_to_receive", peer.totals.transactions_to_receive},
                        {"bytes_sent", peer.totals.bytes_sent},
                        {"bytes_received", peer.totals.bytes_received},
                        {"send_budget_left", nullptr},
                        {"receive_budget_left", nullptr},
                        {"budget_wait_ms", peer.totals.budget_wait.count()},
                        {"sessions", peer.sessions},
                        {"error", nullptr}};
    if (peer.id) object["replica"] = to_string(*peer.id);
    if (peer.last_error) object["error"] = peer.last_error->message;
    const auto& totals = peer.totals;
    if (totals.send_budget_left != INT64_MAX) object["send_budget_left"] = totals.send_budget_left;
    if (totals.receive_budget_left != INT64_MAX) object["receive_budget_left"] = totals.receive_budget_left;
    json::array waiting;
    for (const auto& bucket : peer.waiting) {
        waiting.push_back({{"bucket", bucket.bucket},
                           {"priority", bucket.priority},
                           {"transactions_to_send", bucket.transactions_to_send},
                           {"transactions_to_receive", bucket.transactions_to_receive},
                           {"rows_to_receive", bucket.rows_to_receive},
                           {"row_bytes_to_receive", bucket.row_bytes_to_receive}});
    }
    object["waiting"] = std::move(waiting);
    json::array held;
    for (const auto& transaction : peer.held) {
        held.push_back({{"bucket", transaction.bucket},
                        {"origin", to_string(transaction.id.origin)},
                        {"sequence", transaction.id.sequence}});
    }
    object["held"] = std::move(held);
    return object;
}

json::object to_json(const std::string& sku, const stock_level& level) {
    return {{"sku", sku}, {"stock", level.stock}, {"available", level.available}};
}

json::object to_json(const shortage& lacking) {
    json::array elsewhere;
    for (const auto& other : lacking.elsewhere) {
        elsewhere.push_back({{"replica", to_string(other.replica)}, {"amount", other.amount}});
    }
    return {{"sku", lacking.sku},
            {"asked", lacking.asked},
            {"here", lacking.here},
            {"elsewhere", std::move(elsewhere)}};
}

json::object to_json(const head_contender& contender) {
    json::object object{{"replica", to_string(contender.writer.origin)},
                        {"sequence", contender.writer.sequence},
                        {"time", nullptr},
                        {"name", contender.head.name},
                        {"price", to_string(contender.head.price)},
                        {"shown", contender.is_shown},
                        {"why", name_of(contender.why)}};
    if (contender.at) object["time"] = iso_8601(*contender.at);
    return object;
}

json::object to_json(const anabranch::superseded_request& superseded) {
    return {{"request", anabranch::to_string(superseded.identity)},
            {"reason", name_of(superseded.reason)},
            {"loser", to_json(superseded.loser)},
            {"winner", to_json(superseded.winner)}};
}

json::object to_json(const anabranch::unconfirmed_request& unconfirmed) {
    return {{"request", anabranch::to_string(unconfirmed.identity)},
            {"issued", iso_8601(anabranch::timestamp::from(unconfirmed.issued))},
            {"replica", to_string(unconfirmed.transaction.origin)},
            {"sequence", unconfirmed.transaction.sequence},
            {"result", unconfirmed.result}};
}

json::object to_json(const anabranch::feed_step& step) {
    json::array changes;
    for (const auto& change : step.changes) changes.push_back(to_json(change));
    json::object object{{"cause", name_of(step.cause)},
                        {"replica", to_string(step.transaction.origin)},
                        {"sequence", step.transaction.sequence},
                        {"time", iso_8601(step.at)},
                        {"changes", std::move(changes)}};
    for (const auto& x : step.executions) {
        if (!object.contains("executions")) object["executions"] = json::array{};
        object["executions"].as_array().push_back(to_json(x));
    }
    for (const auto& event : step.superseded) {
        if (!object.contains("superseded")) object["superseded"] = json::array{};
        object["superseded"].as_array().push_back(to_json(event));
    }
    if (step.ranges.empty()) return object;
    json::array ranges;
    for (const auto& range : step.ranges) {
        ranges.push_back(
            {{"replica", to_string(range.origin)}, {"first", range.first}, {"last", range.last}});
    }
    object["ranges"] = std::move(ranges);
    return object;
}

}  // namespace retail
