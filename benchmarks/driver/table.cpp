#include "driver/table.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace bench {

namespace {

/// Characters of UTF-8 text.
std::size_t width_of(const std::string& text) {
    return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string formatted(const char* format, int digits, double number) {
    char text[64];
    std::snprintf(text, sizeof text, format, digits, number);
    return text;
}

}  // namespace

std::string table::to_text() const {
    std::vector<std::size_t> widths(rows_[0].size());
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], width_of(row.at(i)));
    }
    std::string text;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
        std::string line = " ";
        for (std::size_t i = 0; i < widths.size(); ++i) {
            const std::string padding(widths[i] - width_of(rows_[r][i]), ' ');
            line += i == 0 ? " " + rows_[r][i] + padding : "  " + padding + rows_[r][i];
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
        if (r > 0) continue;
        std::size_t total = 1;
        for (const auto width : widths) total += width + 2;
        text += "  " + std::string(total - 3, '-') + "\n";
    }
    return text;
}

std::string grouped(std::uint64_t number) {
    std::string digits = std::to_string(number);
    for (auto i = static_cast<std::ptrdiff_t>(digits.size()) - 3; i > 0; i -= 3) {
        digits.insert(static_cast<std::size_t>(i), 1, ',');
    }
    return digits;
}

std::string significant(double number) {
    if (number == 0) return "0";
    if (number < 0) return "-" + significant(-number);
    const int magnitude = static_cast<int>(std::floor(std::log10(std::abs(number))));
    if (magnitude >= 3) {
        const double unit = std::pow(10, magnitude - 2);
        return grouped(static_cast<std::uint64_t>(std::llround(number / unit) * std::llround(unit)));
    }
    if (magnitude < -6) return formatted("%.*g", 3, number);
    return formatted("%.*f", std::max(0, 2 - magnitude), number);
}

std::string significant(const std::optional<double>& number) { return number ? significant(*number) : "-"; }

std::string whole(const std::optional<double>& number) {
    return number ? grouped(static_cast<std::uint64_t>(std::llround(*number))) : "-";
}

std::string ratio(const std::optional<double>& of, const std::optional<double>& to) {
    if (!of || !to || *to == 0) return "-";
    const double times = *of / *to;
    return formatted("%.*f", times < 0.01 ? 4 : times < 10 ? 2 : 1, times) + "×";
}

}  // namespace bench
