#include "crdt/changes.hpp"

#include <algorithm>

namespace anabranch::crdt {

std::uint32_t payload_output::translate(const origin& o) const {
    if (o == own_) return 0;
    const auto it = std::ranges::find(mentioned_, o);
    const auto place = static_cast<std::uint32_t>(it - mentioned_.begin()) + 1;
    if (it == mentioned_.end()) mentioned_.push_back(o);
    return place;
}

changes_output::changes_output(std::string& out, origin own, std::vector<origin>& mentioned)
    : bytes_(out), out_(out, own, mentioned) {}

void changes_output::removals(const std::vector<prefix_removal>& all, std::size_t rows) {
    out_(all);
    out_.varint(rows);
}

void changes_output::row(std::string_view key, const delta& change) {
    out_(key, kind_of(change.change));
    // Its length stands in front: mostly one byte.
    const auto at = bytes_.size();
    bytes_ += '\0';
    out_(change.covers);
    std::visit([&](const auto& alternative) { out_(alternative); }, change.change);
    std::string length;
    codec::output(length).varint(bytes_.size() - at - 1);
    bytes_.replace(at, 1, length);
}

void changes_output::members(const roster& change) {
    // At the end and mostly not there: hardly any transaction is about members.
    if (!change.empty()) out_(change);
}

std::string encode_changes(const changes& c, origin own, std::vector<origin>& mentioned) {
    std::string bytes;
    changes_output out(bytes, own, mentioned);
    out.removals(c.removals, c.rows.size());
    for (const auto& [key, change] : c.rows) out.row(key, change);
    out.members(c.members);
    return bytes;
}

changes_input::changes_input(std::string_view payload, origin own, std::span<const origin> mentioned)
    : in_(payload, own, mentioned) {}

std::vector<prefix_removal> changes_input::removals() {
    std::vector<prefix_removal> all;
    in_(all);
    rows_ = in_.count(3);
    return all;
}

bool changes_input::next(std::string_view& key, delta& change) {
    while (rows_ > 0 && in_.ok()) {
        --rows_;
        place_ = next_place_++;
        row_kind kind{};
        std::string_view nested;
        in_(key, kind, nested);
        if (!in_.ok() || !is_known(kind)) continue;
        change.change = bottom(kind);
        auto body = in_.within(nested);
        body(change.covers);
        std::visit([&](auto& alternative) { body(alternative); }, change.change);
        if (body.complete() && normalise(change.change)) return true;
        in_.fail();
    }
    return false;
}

std::optional<roster> changes_input::members() {
    roster r;
    if (in_.remaining() > 0) {
        in_(r);
        if (r.empty() || !is_sound(r)) return std::nullopt;
    }
    if (!in_.complete() || rows_ > 0) return std::nullopt;
    return r;
}

std::vector<tally> executed::tallies_of(std::size_t place) const {
    std::vector<tally> found;
    std::ranges::copy_if(request.tallies, std::back_inserter(found), [&](const tally& t) { return t.row == places[place]; });
    return found;
}

void encode_execution(std::string& out, const execution& request, origin own, std::vector<origin>& mentioned) {
    payload_output(out, own, mentioned)(request);
}

std::optional<executed> decode_execution(std::string_view payload, origin own, std::span<const origin> mentioned) {
    payload_input head(payload, own, mentioned);
    executed x;
    head(x.request);
    if (!head.ok()) return std::nullopt;
    changes_input in(payload.substr(payload.size() - head.remaining()), own, mentioned);
    x.changed.removals = in.removals();
    std::string_view key;
    for (delta change; in.next(key, change);) {
        change.removes = std::ranges::binary_search(x.request.removals, in.place());
        x.changed.rows.push_back({std::string(key), std::move(change)});
        x.places.push_back(in.place());
    }
    const auto members = in.members();
    if (!members || !members->empty()) return std::nullopt;
    return x;
}

std::optional<changes> decode_changes(std::string_view payload, origin own, std::span<const origin> mentioned) {
    changes_input in(payload, own, mentioned);
    changes c;
    c.removals = in.removals();
    std::string_view key;
    for (delta change; in.next(key, change);) c.rows.push_back({std::string(key), std::move(change)});
    auto members = in.members();
    if (!members) return std::nullopt;
    c.members = std::move(*members);
    return c;
}

bool is_own_work(const delta& change, const dot& transaction) {
    return is_well_formed(change) && adds_only(change.change, [&](const dot& d) { return d == transaction; }) && !change.covers.covers(transaction);
}

bool is_own_work(const prefix_removal& removal, const dot& transaction) { return !removal.covered.covers(transaction); }

bool is_own_work(const changes& c, const dot& transaction) {
    return std::ranges::all_of(c.rows, [&](const row_change& r) { return is_own_work(r.change, transaction); }) &&
           std::ranges::all_of(c.removals, [&](const prefix_removal& r) { return is_own_work(r, transaction); });
}

}  // namespace anabranch::crdt
