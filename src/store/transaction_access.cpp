#include "store/transaction_access.hpp"

#include <algorithm>

#include "store/scan.hpp"

namespace anabranch::detail {

void access::edit(std::string_view, crdt::row_kind, const row_edit&) {}
void access::clear(std::string_view) {}
void access::reject(error) {}
const result<void>& access::status() const {
    static const result<void> good;
    return good;
}
bool access::refuse() { return false; }
result<origin> access::find_member(const replica_id&) const { return fail(errc::closed, "no transaction"); }
std::optional<std::int64_t> access::note_spending(std::string_view, std::int64_t) { return std::nullopt; }
void access::note_refusal(std::string_view, std::int64_t) {}
void access::note_request(std::string_view, std::int64_t) {}

void transaction_access::reject(error reason) {
    if (status_) status_ = fail(std::move(reason));
}

std::optional<std::int64_t> transaction_access::note_spending(std::string_view path, std::int64_t amount) {
    if (!in_.demands.is_automatic()) return std::nullopt;
    auto& d = demand_of(path);
    if (__builtin_add_overflow(d.spent, amount, &d.spent)) d.spent = INT64_MAX;
    std::int64_t lately = 0;
    if (__builtin_add_overflow(in_.demands.lately(path, in_.now()), d.spent, &lately)) lately = INT64_MAX;
    // As it will be once this is committed.
    const auto reserve = d.reserved.value_or(in_.demands.reserve(path));
    return std::max(lately, reserve - std::min(reserve, d.spent));
}

void transaction_access::note_refusal(std::string_view path, std::int64_t amount) {
    auto& d = demand_of(path);
    d.refused = std::max(d.refused, amount);
}

void transaction_access::note_request(std::string_view path, std::int64_t rights) { demand_of(path).reserved = rights; }

transaction_access::demand& transaction_access::demand_of(std::string_view path) {
    const auto it = demands_.find(path);
    return it != demands_.end() ? it->second : demands_.try_emplace(std::string(path)).first->second;
}

void transaction_access::cover(std::string_view path, crdt::row& row) const {
    if (std::ranges::any_of(removals_, [&](const auto& removal) { return path.starts_with(removal.prefix); })) {
        crdt::cover(row, in_.have);
    }
}

result<crdt::row> transaction_access::before(std::string_view path, crdt::row_kind kind) const {
    // Without keeping it in memory: a transaction may read a great many.
    auto row = in_.rows.peek(path);
    if (!row) return fail(row.error());
    return checked(path, kind, std::move(*row));
}

result<crdt::row> transaction_access::checked(std::string_view path, crdt::row_kind kind, std::optional<crdt::row> row) const {
    if (!row) return crdt::bottom(kind);
    if (crdt::kind_of(*row) != kind) {
        return fail(errc::corrupt, "the row at path \"" + std::string(path) + "\" is of another kind than its type");
    }
    cover(path, *row);
    return std::move(*row);
}

result<crdt::row> transaction_access::now(std::string_view path, const crdt::delta& change) const {
    auto row = before(path, crdt::kind_of(change.change));
    if (row) crdt::preview(*row, change, me_.writer);
    return row;
}

result<crdt::row> transaction_access::read(std::string_view path, crdt::row_kind kind) {
    if (const auto it = edits_.find(path); it != edits_.end()) return now(path, it->second);
    return before(path, kind);
}

template <class Apply>
result<void> transaction_access::change(std::string_view path, crdt::row_kind kind, const Apply& apply) {
    auto it = edits_.find(path);
    const auto kept = in_.rows.load(path);
    if (!kept) return fail(kept.error());
    auto row = checked(path, kind, row_table::decode(**kept));
    if (!row) return fail(row.error());
    auto e = it == edits_.end() ? crdt::edit(std::move(*row)) : crdt::edit(std::move(*row), std::move(it->second));
    if (is_request_) e.belong_to_request(me_.writer);
    auto applied = apply(e);
    if (it == edits_.end()) it = edits_.try_emplace(std::string(path)).first;
    it->second = e.take_change();
    return applied;
}

void transaction_access::edit(std::string_view path, crdt::row_kind kind, const row_edit& apply) {
    if (!status_) return;
    if (!store_keys::is_path(path)) {
        return reject({errc::limit_exceeded, "a name, or the nesting of names, is longer than limits.hpp allows"});
    }
    if (in_.has_unread_records && kind == crdt::row_kind::escrow) {
        return reject({errc::unsupported_protocol, "the bucket holds records that this build does not know: a bounded counter may have other rights than it shows"});
    }
    auto applied = change(path, kind, [&](crdt::edit& e) { return apply(e, {me_, at_, in_.have, in_.stable, in_.heirs}); });
    if (!applied) reject(applied.error());
}

void transaction_access::clear(std::string_view prefix) {
    if (!status_) return;
    if (auto done = clear_below(prefix); !done) reject(done.error());
}

result<void> transaction_access::clear_below(std::string_view prefix) {
    // Counters take a reset of what is observed now; whatever else is below is covered by the prefix.
    bool seen = false;
    std::vector<std::pair<std::string, crdt::row_kind>> counters;
    auto scanned = scan(prefix, {}, [&](std::string_view path, const crdt::row& row) {
        // What a request has removed may come back, and then it has been seen here.
        if (!crdt::is_live(row) && !crdt::is_in_doubt(row)) return scan_step{};
        seen = true;
        const auto kind = crdt::kind_of(row);
        if (kind == crdt::row_kind::counter || kind == crdt::row_kind::escrow) counters.emplace_back(path, kind);
        return scan_step{};
    });
    if (!scanned) return scanned;
    if (!seen && !is_request_ && !in_.has_unread) return {};
    const auto take_away = [&](crdt::edit& e) {
        e.clear(in_.have);
        return result<void>{};
    };
    for (const auto& [path, kind] : counters) {
        if (auto done = change(path, kind, take_away); !done) return done;
    }
    for (auto it = edits_.lower_bound(prefix); it != edits_.end() && it->first.starts_with(prefix); ++it) {
        if (auto done = change(it->first, crdt::kind_of(it->second.change), take_away); !done) return done;
    }
    std::erase_if(removals_, [&](const auto& earlier) { return earlier.prefix.starts_with(prefix); });
    removals_.push_back({std::string(prefix), in_.have});
    return {};
}

result<void> transaction_access::scan(std::string_view prefix, std::string_view from, const row_visitor& visit) {
    if (auto flushed = in_.flush(); !flushed) return flushed;
    return scan_rows(
        in_.rows.scan(prefix, from), edits_, prefix, from, [&](std::string_view path, const crdt::delta& d) { return now(path, d); },
        [&](std::string_view path, crdt::row& row) { cover(path, row); }, visit);
}

bool transaction_access::settle() {
    // Of a request it matters also where nothing was there to be removed: another execution may have removed something.
    std::erase_if(edits_, [&](const auto& entry) {
        const auto kind = crdt::kind_of(entry.second.change);
        const bool is_counter = kind == crdt::row_kind::counter || kind == crdt::row_kind::escrow;
        const bool is_removal = is_request_ && (entry.second.removes || !is_counter);
        return entry.second.empty() && !is_removal;
    });
    return !edits_.empty() || !removals_.empty();
}

result<std::vector<crdt::tally>> transaction_access::tallies() const {
    std::vector<crdt::tally> all;
    std::uint32_t place = 0;
    for (const auto& [path, change] : edits_) {
        const auto kind = crdt::kind_of(change.change);
        if (kind == crdt::row_kind::counter || kind == crdt::row_kind::escrow) {
            auto row = in_.rows.peek(path);
            if (!row) return fail(row.error());
            const auto found = crdt::tallies_of(row->value_or(crdt::bottom(kind)), change, me_, place);
            all.insert(all.end(), found.begin(), found.end());
        }
        ++place;
    }
    return all;
}

std::string transaction_access::encode(std::vector<origin>& mentioned) const {
    std::string payload;
    payload.reserve(128);  // most transactions are small
    crdt::changes_output out(payload, {me_, at_}, mentioned);
    out.removals(removals_, edits_.size());
    for (const auto& [path, change] : edits_) out.row(path, change);
    return payload;
}

}  // namespace anabranch::detail
