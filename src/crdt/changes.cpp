#include "crdt/changes.hpp"

#include <algorithm>

#include "codec/archive.hpp"

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

class payload_input final : public codec::basic_input<payload_input> {
  public:
    payload_input(std::string_view in, origin own, std::span<const origin> mentioned)
        : basic_input(in), own_(own), mentioned_(mentioned) {}
    void translate(origin& o) {
        const auto place = varint();
        if (place > mentioned_.size()) return fail();
        o = place == 0 ? own_ : mentioned_[static_cast<std::size_t>(place - 1)];
    }

  private:
    origin own_;
    std::span<const origin> mentioned_;
};

}  // namespace

std::string encode_changes(const changes& c, origin own, std::vector<origin>& mentioned) {
    std::string bytes;
    payload_output out(bytes, own, mentioned);
    out(c.removals);
    out.varint(c.rows.size());
    std::string nested;
    for (const auto& [key, change] : c.rows) {
        nested.clear();
        payload_output body(nested, own, mentioned);
        body(change.covers);
        std::visit([&](const auto& alternative) { body(alternative); }, change.change);
        out(key, kind_of(change.change), nested);
    }
    // At the end and mostly not there: hardly any transaction is about members.
    if (!c.members.empty()) out(c.members);
    return bytes;
}

std::optional<changes> decode_changes(std::string_view payload, origin own, std::span<const origin> mentioned) {
    changes c;
    payload_input in(payload, own, mentioned);
    in(c.removals);
    for (auto n = in.count(3); n > 0 && in.ok(); --n) {
        row_change r;
        row_kind kind{};
        std::string_view nested;
        in(r.key, kind, nested);
        if (!in.ok()) break;
        if (!is_known(kind)) continue;
        r.change.change = bottom(kind);
        payload_input body(nested, own, mentioned);
        body(r.change.covers);
        std::visit([&](auto& alternative) { body(alternative); }, r.change.change);
        if (!body.complete() || !normalise(r.change.change)) return std::nullopt;
        c.rows.push_back(std::move(r));
    }
    if (in.remaining() > 0) {
        in(c.members);
        if (c.members.empty() || !is_sound(c.members)) return std::nullopt;
    }
    if (!in.complete()) return std::nullopt;
    return c;
}

bool is_own_work(const changes& c, const dot& transaction) {
    const auto own = [&](const dot& d) { return d == transaction; };
    return std::ranges::all_of(c.rows, [&](const row_change& r) { return adds_only(r.change.change, own); }) &&
           std::ranges::none_of(c.rows, [&](const row_change& r) { return r.change.covers.covers(transaction); }) &&
           std::ranges::none_of(c.removals, [&](const prefix_removal& r) { return r.covered.covers(transaction); });
}

}  // namespace anabranch::crdt
