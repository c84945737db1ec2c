// Items that stand sorted by whose they are, or by dot, one each.
#pragma once

#include <algorithm>
#include <functional>

#include "causality/version_vector.hpp"

namespace anabranch::crdt {

/// nullptr where there is none.
template <class Items>
auto* find_writer(Items& items, origin writer) {
    const auto of = [](const auto& item) { return item.writer; };
    const auto it = std::ranges::lower_bound(items, writer, {}, of);
    return it != items.end() && it->writer == writer ? &*it : nullptr;
}

/// Keeps, of two items of one writer, the one with the greater sequence. One that `have` covers and is not here was forgotten.
template <class Items>
void join_newest(Items& items, const Items& more, const version_vector& have) {
    for (const auto& other : more) {
        const auto it = std::ranges::lower_bound(items, other.writer, {}, [](const auto& item) { return item.writer; });
        if (it == items.end() || it->writer != other.writer) {
            if (!have.covers(dot{other.writer, other.sequence})) items.insert(it, other);
        } else if (it->sequence < other.sequence) {
            *it = other;
        }
    }
}

template <class Items, class Projection>
void insert_by_dot(Items& items, const typename Items::value_type& item, Projection id) {
    const auto it = std::ranges::lower_bound(items, std::invoke(id, item), {}, id);
    if (it == items.end() || std::invoke(id, *it) != std::invoke(id, item)) items.insert(it, item);
}

}  // namespace anabranch::crdt
