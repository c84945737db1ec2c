#include "store/latest_access.hpp"

#include "store/snapshot_access.hpp"

namespace anabranch::detail {
namespace {

result<crdt::row> read_row(const row_table& rows, std::string_view path, crdt::row_kind kind,
                           const storage::snapshot* at) {
    auto row = rows.peek(path, at);
    if (!row) return fail(row.error());
    if (!*row) return crdt::bottom(kind);
    if (crdt::kind_of(**row) != kind) {
        return fail(errc::corrupt, "the row at path \"" + std::string(path) + "\" is of another kind than its type");
    }
    return std::move(**row);
}

}  // namespace

result<void> visit_rows(row_cursor cursor, const row_visitor& visit) {
    while (cursor.valid()) {
        auto row = cursor.row();
        if (!row) return fail(row.error());
        const auto step = visit(cursor.path(), *row);
        if (step.stop) return {};
        if (step.seek) {
            cursor.seek(*step.seek);
        } else {
            cursor.next();
        }
    }
    return cursor.status();
}

result<crdt::row> latest_access::read(std::string_view path, crdt::row_kind kind) {
    return read_row(rows_, path, kind, nullptr);
}

result<void> latest_access::scan(std::string_view prefix, std::string_view from, const row_visitor& visit) {
    if (auto flushed = flush_(); !flushed) return flushed;
    return visit_rows(rows_.scan(prefix, from), visit);
}

result<crdt::row> snapshot_access::read(std::string_view path, crdt::row_kind kind) {
    return read_row(rows_, path, kind, at_.get());
}

result<void> snapshot_access::scan(std::string_view prefix, std::string_view from, const row_visitor& visit) {
    return visit_rows(rows_.scan(prefix, from, at_.get()), visit);
}

}  // namespace anabranch::detail
