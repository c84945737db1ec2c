#include "text.hpp"

#include <cstdint>

namespace retail {

bool valid_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const auto first = static_cast<unsigned char>(text[i++]);
        if (first < 0x80) continue;
        const int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (first < 0xc2 || first > 0xf4) return false;
        std::uint32_t code = first & (0x3fu >> more);
        for (int k = 0; k < more; ++k) {
            if (i == text.size()) return false;
            const auto next = static_cast<unsigned char>(text[i++]);
            if ((next & 0xc0) != 0x80) return false;
            code = code << 6 | (next & 0x3fu);
        }
        const bool overlong = (more == 2 && code < 0x800) || (more == 3 && code < 0x10000);
        const bool surrogate = code >= 0xd800 && code <= 0xdfff;
        if (overlong || surrogate || code > 0x10ffff) return false;
    }
    return true;
}

std::string why_not_id(std::string_view text) {
    if (text.empty()) return "is empty";
    if (text.size() > max_id_bytes) return "is longer than " + std::to_string(max_id_bytes) + " bytes";
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "holds a control character";
    }
    return valid_utf8(text) ? "" : "is not UTF-8";
}

std::string why_not_text(std::string_view text) {
    if (text.size() > max_text_bytes) return "is longer than " + std::to_string(max_text_bytes) + " bytes";
    return valid_utf8(text) ? "" : "is not UTF-8";
}

}  // namespace retail
