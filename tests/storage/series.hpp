// A series of batches, of which any prefix can be told.
#pragma once

#include <optional>
#include <string>

#include "storage/engines.hpp"

namespace anabranch::test {

inline std::string name(int i) { return std::to_string(1000000 + i); }

/// Batch `i` of a series: one change in every space.
inline batch numbered(int i, std::size_t size) {
    batch b;
    b.put(space::log, name(i), std::string(size, 'l'));
    b.put(space::rows, name(i), std::string(size, 'r'));
    b.put(space::meta, "newest", name(i));
    return b;
}

/// How many batches of the series are there. Fails unless they are a prefix, each of them whole.
inline int count_prefix(const storage::engine& e) {
    const auto log = everything(e, space::log);
    const auto rows = everything(e, space::rows);
    const int count = static_cast<int>(log.size());
    REQUIRE(rows.size() == log.size());
    int wrong = 0;
    for (int i = 0; i < count; ++i) {
        const auto at = static_cast<std::size_t>(i);
        wrong += log[at].first == name(i) && rows[at].first == name(i) ? 0 : 1;
    }
    CHECK(wrong == 0);
    CHECK(get(e, space::meta, "newest") == (count == 0 ? std::nullopt : std::optional(name(count - 1))));
    return count;
}

}  // namespace anabranch::test
