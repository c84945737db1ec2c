// Bytes as text for headers, URLs and files.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace anabranch {

/// base64url without padding (RFC 4648, section 5).
std::string to_base64url(std::string_view bytes);
/// Nothing where the text is not exactly what to_base64url() makes of some bytes.
std::optional<std::string> from_base64url(std::string_view text);

}  // namespace anabranch
