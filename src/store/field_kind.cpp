#include "store/field_kind.hpp"

#include "store/keys.hpp"

namespace anabranch {

std::optional<crdt::row_kind> row_kind_of(field_type type) {
    using crdt::row_kind;
    switch (type) {
        case field_type::counter: return row_kind::counter;
        case field_type::last_writer:
        case field_type::multi_value: return row_kind::entries;
        case field_type::enable_wins_flag:
        case field_type::add_wins_set: return row_kind::dots;
        case field_type::disable_wins_flag:
        case field_type::remove_wins_set: return row_kind::removals;
        case field_type::bounded_counter: return row_kind::escrow;
        case field_type::map: break;
    }
    return std::nullopt;
}

std::optional<crdt::row_kind> row_kind_at(std::string_view path) {
    char type = 0;
    while (const auto segment = store_keys::first_segment(path)) {
        if (segment->type != store_keys::element_type) type = segment->type;
        path.remove_prefix(segment->length);
    }
    return row_kind_of(static_cast<field_type>(type));
}

}  // namespace anabranch
