#include "crdt/changes.hpp"

#include <algorithm>

namespace anabranch::crdt {
namespace {

class payload_output final : public codec::basic_output<payload_output> {
  public:
    payload_output(std::string& out, origin own, std::vector<origin>& mentioned)
        : basic_output(out), own_(own), mentioned_(mentioned) {}
    std::uint32_t translate(const origin& o) const {
        if (o == own_) return 0;
        const auto it = std::ranges::find(mentioned_, o);
        const auto place = static_cast<std::uint32_t>(it - mentioned_.begin()) + 1;
        if (it == mentioned_.end()) mentioned_.push_back(o);
        return place;
    }

  private:
    origin own_;
    std::vector<origin>& mentioned_;
};

}  // namespace

std::string encode_changes(const changes& c, origin own, std::vector<origin>& mentioned) {
    std::string bytes;
    payload_output out(bytes, own, mentioned);
    out(c.removals);
    out.varint(c.rows.size());
    for (const auto& [key, change] : c.rows) {
        out(key, kind_of(change.change));
        // Its length stands in front: mostly one byte.
        const auto at = bytes.size();
        bytes += '\0';
        out(change.covers);
        std::visit([&](const auto& alternative) { out(alternative); }, change.change);
        std::string length;
        codec::output(length).varint(bytes.size() - at - 1);
        bytes.replace(at, 1, length);
    }
    // At the end and mostly not there: hardly any transaction is about members.
    if (!c.members.empty()) out(c.members);
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

bool is_own_work(const changes& c, const dot& transaction) {
    const auto own = [&](const dot& d) { return d == transaction; };
    return std::ranges::all_of(c.rows, [&](const row_change& r) { return adds_only(r.change.change, own); }) &&
           std::ranges::none_of(c.rows, [&](const row_change& r) { return r.change.covers.covers(transaction); }) &&
           std::ranges::none_of(c.removals, [&](const prefix_removal& r) { return r.covered.covers(transaction); });
}

}  // namespace anabranch::crdt
