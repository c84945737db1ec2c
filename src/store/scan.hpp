// Walking rows in order, some of which stand elsewhere than in the storage engine.
#pragma once

#include "store/access.hpp"
#include "store/row_table.hpp"

namespace anabranch::detail {

/// Visits the cursor's rows and those of `over` (an ordered map from paths) from prefix + `from` on, in order; where both have a
/// path, that of `over`. `row_of(path, value)` is the row of a value of `over`, `adjust(path, row)` changes a stored one before it is shown.
template <class Over, class RowOf, class Adjust>
result<void> scan_rows(row_cursor cursor, const Over& over, std::string_view prefix, std::string_view from, RowOf row_of,
                       Adjust adjust, const row_visitor& visit) {
    auto it = over.lower_bound(std::string(prefix) + std::string(from));
    while (true) {
        const bool is_over = it != over.end() && it->first.starts_with(prefix);
        if (!is_over && !cursor.valid()) break;
        scan_step step;
        if (is_over && (!cursor.valid() || it->first <= cursor.path())) {
            if (cursor.valid() && it->first == cursor.path()) cursor.next();
            const result<crdt::row> row = row_of(it->first, it->second);
            if (!row) return fail(row.error());
            step = visit(it->first, *row);
            ++it;
        } else {
            auto row = cursor.row();
            if (!row) return fail(row.error());
            adjust(cursor.path(), *row);
            step = visit(cursor.path(), *row);
            if (!step.seek) cursor.next();
        }
        if (step.stop) return {};
        if (step.seek) {
            cursor.seek(*step.seek);
            it = over.lower_bound(*step.seek);
        }
    }
    return cursor.status();
}

}  // namespace anabranch::detail
