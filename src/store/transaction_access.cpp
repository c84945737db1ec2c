#include "store/transaction_access.hpp"

#include <algorithm>

#include "store/scan.hpp"

namespace anabranch::detail {

void access::edit(std::string_view, crdt::row_kind, const row_edit&) {}
void access::clear(std::string_view) {}
void access::reject(error) {}

void transaction_access::reject(error reason) {
    if (status_) status_ = fail(std::move(reason));
}

void transaction_access::cover(std::string_view path, crdt::row& row) const {
    if (std::ranges::any_of(removals_, [&](const std::string& prefix) { return path.starts_with(prefix); })) {
        crdt::cover(row, have_);
    }
}

result<crdt::row> transaction_access::before(std::string_view path, crdt::row_kind kind) {
    auto row = rows_.load(path, kind);
    if (!row) return fail(row.error());
    return checked(path, kind, **row);
}

result<crdt::row> transaction_access::checked(std::string_view path, crdt::row_kind kind, crdt::row row) const {
    if (crdt::kind_of(row) != kind) {
        return fail(errc::corrupt, "the row at path \"" + std::string(path) + "\" is of another kind than its type");
    }
    cover(path, row);
    return row;
}

result<crdt::row> transaction_access::read(std::string_view path, crdt::row_kind kind) {
    if (const auto it = edits_.find(path); it != edits_.end()) return it->second.now();
    // Without keeping the row in memory: a transaction may read a great many.
    auto row = rows_.peek(path);
    if (!row) return fail(row.error());
    return checked(path, kind, *row ? std::move(**row) : crdt::bottom(kind));
}

result<transaction_access::edits::iterator> transaction_access::edit_of(std::string_view path, crdt::row_kind kind) {
    if (const auto it = edits_.find(path); it != edits_.end()) return it;
    auto row = before(path, kind);
    if (!row) return fail(row.error());
    return edits_.try_emplace(std::string(path), std::move(*row)).first;
}

void transaction_access::edit(std::string_view path, crdt::row_kind kind, const row_edit& apply) {
    if (!status_) return;
    if (!store_keys::is_path(path)) {
        return reject({errc::limit_exceeded, "a name, or the nesting of names, is longer than limits.hpp allows"});
    }
    auto it = edit_of(path, kind);
    if (!it) return reject(it.error());
    if (auto applied = apply((*it)->second, {me_, at_, have_, stable_}); !applied) reject(applied.error());
}

void transaction_access::clear(std::string_view prefix) {
    if (!status_) return;
    if (auto done = clear_below(prefix); !done) reject(done.error());
}

result<void> transaction_access::clear_below(std::string_view prefix) {
    // Counters take a reset of what is observed now; whatever else is below is covered by the prefix.
    bool seen = false;
    std::vector<std::string> counters;
    auto scanned = scan(prefix, {}, [&](std::string_view path, const crdt::row& row) {
        if (!crdt::is_live(row)) return scan_step{};
        seen = true;
        if (crdt::kind_of(row) == crdt::row_kind::counter) counters.emplace_back(path);
        return scan_step{};
    });
    if (!scanned) return scanned;
    if (!seen) return {};
    for (const auto& path : counters) {
        if (auto it = edit_of(path, crdt::row_kind::counter); !it) return fail(it.error());
    }
    for (auto it = edits_.lower_bound(prefix); it != edits_.end() && it->first.starts_with(prefix); ++it) {
        it->second.clear(have_);
    }
    std::erase_if(removals_, [&](const std::string& earlier) { return earlier.starts_with(prefix); });
    removals_.emplace_back(prefix);
    return {};
}

result<void> transaction_access::scan(std::string_view prefix, std::string_view from, const row_visitor& visit) {
    if (auto flushed = flush_(); !flushed) return flushed;
    return scan_rows(
        rows_.scan(prefix, from), edits_, prefix, from, [](const crdt::edit& e) -> const crdt::row& { return e.now(); },
        [&](std::string_view path, crdt::row& row) { cover(path, row); }, visit);
}

crdt::changes transaction_access::changes() const {
    crdt::changes c;
    for (const auto& prefix : removals_) c.removals.push_back({prefix, have_});
    for (const auto& [path, e] : edits_) {
        if (e.changed()) c.rows.push_back({path, e.change()});
    }
    return c;
}

}  // namespace anabranch::detail
