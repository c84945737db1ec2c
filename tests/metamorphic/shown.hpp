// All that a bucket shows, as text.
#pragma once

#include <anabranch/store.hpp>
#include <map>
#include <string>

namespace anabranch::test {

/// By where it stands: the names of the maps above, and its own with its type.
using shown_state = std::map<std::string, std::string>;

/// What a multi-value register shows is sorted: its order is of times.
shown_state shown(const bucket& b);

/// The places that differ.
std::map<std::string, std::string> difference(const shown_state& one, const shown_state& other);

}  // namespace anabranch::test
