#include "store/latest_access.hpp"

#include <functional>

#include "store/bucket_state.hpp"
#include "store/scan.hpp"
#include "store/snapshot_access.hpp"

namespace anabranch::detail {
namespace {

/// Rows and scans that are not in it have not been read; nothing would mean that there is nothing.
result<void> check_held(const part* held, std::string_view path) {
    if (held == nullptr || held->holds(path)) return {};
    return fail(errc::not_held, "what is at " + store_keys::readable(path) + " is not held here");
}

result<crdt::row> read_row(const row_table& rows, std::string_view path, crdt::row_kind kind,
                           const row_snapshot* at) {
    auto row = rows.peek(path, at);
    if (!row) return fail(row.error());
    if (!*row) return crdt::bottom(kind);
    if (crdt::kind_of(**row) != kind) {
        return fail(errc::corrupt, "the row at path \"" + std::string(path) + "\" is of another kind than its type");
    }
    return std::move(**row);
}

result<void> scan_with(const row_table& rows, const row_table::rows& waiting, std::string_view prefix,
                       std::string_view from, const row_visitor& visit, const row_snapshot* at) {
    return scan_rows(rows.scan(prefix, from, at), waiting, prefix, from, [](std::string_view, const crdt::row& row) { return row; },
                     [](std::string_view, crdt::row&) {}, visit);
}

}  // namespace

result<crdt::row> latest_access::read(std::string_view path, crdt::row_kind kind) {
    if (auto here = check_held(held_, path); !here) return fail(here.error());
    return read_row(rows_, path, kind, nullptr);
}

result<void> latest_access::scan(std::string_view prefix, std::string_view from, const row_visitor& visit) {
    if (auto here = check_held(held_, prefix); !here) return here;
    // Reads go on where nothing can be written.
    const auto waiting = flush_() ? row_table::rows{} : rows_.waiting(prefix);
    return scan_with(rows_, waiting, prefix, from, visit, nullptr);
}

std::optional<timestamp> snapshot_access::time_of(const dot& d) const { return bucket_->time_of(d); }

result<crdt::row> snapshot_access::read(std::string_view path, crdt::row_kind kind) {
    if (auto here = check_held(held_.get(), path); !here) return fail(here.error());
    if (const auto it = waiting_.find(path); it != waiting_.end()) {
        return crdt::is_bottom(it->second) ? crdt::bottom(kind) : it->second;
    }
    return read_row(rows_, path, kind, &at_);
}

result<void> snapshot_access::scan(std::string_view prefix, std::string_view from, const row_visitor& visit) {
    if (auto here = check_held(held_.get(), prefix); !here) return here;
    return scan_with(rows_, waiting_, prefix, from, visit, &at_);
}

}  // namespace anabranch::detail
