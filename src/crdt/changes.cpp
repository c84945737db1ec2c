#include "crdt/changes.hpp"

#include <algorithm>

namespace anabranch::crdt {

namespace {

/// Appends what `write()` appends, and its length in front: mostly one byte.
template <class Write>
void append_nested(std::string& bytes, const Write& write) {
    const auto at = bytes.size();
    bytes += '\0';
    write();
    std::string length;
    codec::output(length).varint(bytes.size() - at - 1);
    bytes.replace(at, 1, length);
}

/// The identity first.
template <class Execution, class Own, class Common>
void archive_request(Execution& x, Own& own, Common& common) {
    common(x.identity, x.issued, x.content);
    own(x.role, x.outcome, x.confirms, x.result, x.tallies, x.removals);
}

}  // namespace

std::string_view payload_input::bytes() {
    if (apart_ == nullptr) return basic_input::bytes();
    const auto read = apart_->bytes();
    if (!apart_->ok()) fail();
    return read;
}

void payload_input::translate(dot& d) {
    translate(d.writer);
    d.sequence = varint();
    if (d.writer == own_.id.writer) d.sequence = own_.id.sequence - d.sequence;
}

void payload_input::translate(timestamp& t) { t.value = own_.at.value - varint(); }

void payload_output::bytes(std::string_view v) {
    if (apart_ == nullptr) return basic_output::bytes(v);
    codec::output(*apart_).bytes(v);
}

std::uint32_t payload_output::translate(const origin& o) const {
    if (o == own_.id.writer) return 0;
    const auto it = std::ranges::find(mentioned_, o);
    const auto place = static_cast<std::uint32_t>(it - mentioned_.begin()) + 1;
    if (it == mentioned_.end()) mentioned_.push_back(o);
    return place;
}

payload_output::placed_dot payload_output::translate(const dot& d) const {
    return {translate(d.writer), d.writer == own_.id.writer ? own_.id.sequence - d.sequence : d.sequence};
}

changes_output::changes_output(std::string& out, const stamp& own, std::vector<origin>& mentioned, std::string* apart)
    : bytes_(out), apart_(apart), out_(out, own, mentioned, apart) {}

void changes_output::removals(const std::vector<prefix_removal>& all, std::size_t rows) {
    out_(all);
    out_.varint(rows);
}

void changes_output::row(std::string_view key, const delta& change) {
    out_(key, kind_of(change.change));
    // Who does not know the kind can step over it.
    const auto write = [&] {
        append_nested(bytes_, [&] {
            out_(change.covers);
            std::visit([&](const auto& alternative) { out_(alternative); }, change.change);
        });
    };
    if (apart_ == nullptr) return write();
    append_nested(*apart_, write);
}

void changes_output::members(const roster& change) {
    // At the end and mostly not there: hardly any transaction is about members.
    if (!change.empty()) out_(change);
}

std::string encode_changes(const changes& c, const stamp& own, std::vector<origin>& mentioned) {
    std::string bytes;
    changes_output out(bytes, own, mentioned);
    out.removals(c.removals, c.rows.size());
    for (const auto& [key, change] : c.rows) out.row(key, change);
    out.members(c.members);
    return bytes;
}

changes_input::changes_input(std::string_view payload, const stamp& own, std::span<const origin> mentioned, const known_kinds& kinds,
                             std::optional<std::string_view> apart)
    : apart_(apart), in_(payload, own, mentioned, apart_ ? &*apart_ : nullptr), own_(own), kinds_(kinds) {}

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
        in_(key, kind);
        const auto nested = in_.raw(in_.count());
        codec::input nested_apart(apart_ ? apart_->bytes() : std::string_view{});
        if (apart_ && !apart_->ok()) in_.fail();
        if (kind == row_kind{} || kind > greatest_kind) in_.fail();
        if (!in_.ok()) continue;
        if (!kinds_.holds(kind)) {
            unknown_.push_back({std::string(key), kind});
            continue;
        }
        change.change = bottom(kind);
        auto body = in_.within(nested, apart_ ? &nested_apart : nullptr);
        body(change.covers);
        std::visit([&](auto& alternative) { body(alternative); }, change.change);
        const bool is_sound = body.complete() && nested_apart.complete() && normalise(change.change);
        if (kinds_.has_judged(kind)) {
            if (is_sound) return true;
            in_.fail();
        } else if (is_sound && is_own_work(change, own_.id) && kinds_.is_at_home(key, kind)) {
            return true;
        }
    }
    return false;
}

std::optional<roster> changes_input::members() {
    roster r;
    if (in_.remaining() > 0) {
        in_(r);
        if (r.empty() || !is_sound(r)) return std::nullopt;
    }
    if (!in_.complete() || rows_ > 0 || (apart_ && !apart_->complete())) return std::nullopt;
    return r;
}

std::uint64_t changes_input::unknown_kinds() const {
    std::uint64_t all = 0;
    for (const auto& u : unknown_) all |= bit_of(u.kind);
    return all;
}

std::vector<tally> executed::tallies_of(std::size_t place) const {
    std::vector<tally> found;
    std::ranges::copy_if(request.tallies, std::back_inserter(found), [&](const tally& t) { return t.row == places[place]; });
    return found;
}

execution_bytes encode_execution(const execution& request, const changes& changed, const stamp& own, std::vector<origin>& mentioned) {
    execution_bytes to;
    codec::output common(to.common);
    payload_output head(to.payload, own, mentioned, &to.common);
    archive_request(request, head, common);
    changes_output out(to.payload, own, mentioned, &to.common);
    out.removals(changed.removals, changed.rows.size());
    for (const auto& [key, change] : changed.rows) out.row(key, change);
    return to;
}

std::optional<executed> decode_execution(std::string_view payload, std::string_view common, const stamp& own, std::span<const origin> mentioned,
                                         const known_kinds& kinds) {
    codec::input apart(common);
    payload_input head(payload, own, mentioned, &apart);
    executed x;
    archive_request(x.request, head, apart);
    if (!head.ok() || !apart.ok()) return std::nullopt;
    changes_input in(head.rest(), own, mentioned, kinds, apart.rest());
    x.changed.removals = in.removals();
    std::string_view key;
    for (delta change; in.next(key, change);) {
        change.removes = std::ranges::binary_search(x.request.removals, in.place());
        x.changed.rows.push_back({std::string(key), std::move(change)});
        x.places.push_back(in.place());
    }
    const auto members = in.members();
    if (!members || !members->empty()) return std::nullopt;
    x.unknown = in.unknown();
    return x;
}

std::optional<hash128> identity_in(std::string_view common) {
    codec::input in(common);
    hash128 identity{};
    in(identity);
    return in.ok() ? std::optional(identity) : std::nullopt;
}

std::optional<changes> decode_changes(std::string_view payload, const stamp& own, std::span<const origin> mentioned, const known_kinds& kinds) {
    changes_input in(payload, own, mentioned, kinds);
    changes c;
    c.removals = in.removals();
    std::string_view key;
    for (delta change; in.next(key, change);) c.rows.push_back({std::string(key), std::move(change)});
    auto members = in.members();
    if (!members) return std::nullopt;
    c.members = std::move(*members);
    c.unknown = in.unknown_kinds();
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
