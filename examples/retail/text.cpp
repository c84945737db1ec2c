#include "text.hpp"

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>

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

std::optional<anabranch::replica_id> parse_replica_id(std::string_view text) {
    anabranch::replica_id id;
    const std::size_t digits = 2 * id.value.size();
    if (text.size() <= digits) return {};
    for (std::size_t i = 0; i < id.value.size(); ++i) {
        std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, id.value[i], 16);
    }
    std::from_chars(text.data() + digits + 1, text.data() + text.size(), id.incarnation);
    // Whatever is no digit, too long or spelt otherwise does not come out again as it went in.
    if (to_string(id) != text) return {};
    return id;
}

std::string iso_8601(anabranch::timestamp at) {
    using namespace std::chrono;
    const sys_time<milliseconds> time{at.wall()};
    const auto day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss clock{time - day};
    char text[64];
    std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", int{date.year()},
                  unsigned{date.month()}, unsigned{date.day()}, static_cast<int>(clock.hours().count()),
                  static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
                  static_cast<int>(clock.subseconds().count()));
    return text;
}

}  // namespace retail
