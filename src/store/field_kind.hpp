// Which kind of row a field's type is kept in.
#pragma once

#include <anabranch/views.hpp>

#include "crdt/row.hpp"

namespace anabranch {

/// Nothing for maps, which have no row of their own, and for types that this version does not know.
std::optional<crdt::row_kind> row_kind_of(field_type type);
/// Of the row at a well-formed path: by its type, or by its set's.
std::optional<crdt::row_kind> row_kind_at(std::string_view path);

}  // namespace anabranch
