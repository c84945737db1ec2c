// What the shop accepts as text.
#pragma once

#include <anabranch/ids.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace retail {

/// Bytes of a product's, order's or customer's id, and of a tag.
inline constexpr std::size_t max_id_bytes = 64;
/// Bytes of a name, a description, a country or a date.
inline constexpr std::size_t max_text_bytes = 256;

bool valid_utf8(std::string_view text);

/// Why `text` cannot be an id; empty where it can: 1 to max_id_bytes of UTF-8 without control characters.
std::string why_not_id(std::string_view text);

/// Takes what anabranch::to_string() makes of a replica's id, and nothing else: 32 hexadecimal digits in
/// lower case, a dot, the incarnation without leading zeros.
std::optional<anabranch::replica_id> parse_replica_id(std::string_view text);

/// "2026-11-24T12:30:05.250Z"
std::string iso_8601(anabranch::timestamp at);

/// Why `text` cannot be a name or a description; empty where it can.
std::string why_not_text(std::string_view text);

}  // namespace retail
