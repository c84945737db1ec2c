#include "money.hpp"

#include <algorithm>

namespace retail {

namespace {
constexpr std::size_t decimals = 4;

bool all_digits(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}
}  // namespace

std::optional<money> parse_money(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);

    const std::size_t point = std::min(text.find('.'), text.size());
    const std::string_view whole = text.substr(0, point);
    const bool has_point = point < text.size();
    std::string_view fraction = has_point ? text.substr(point + 1) : std::string_view{};
    if (whole.empty() || (has_point && fraction.empty())) return {};
    if (!all_digits(whole) || !all_digits(fraction)) return {};
    while (fraction.size() > decimals && fraction.ends_with('0')) fraction.remove_suffix(1);
    if (fraction.size() > decimals) return {};

    std::int64_t value = 0;
    for (std::size_t i = 0; i < whole.size() + decimals; ++i) {
        const std::size_t k = i - whole.size();
        const char digit = i < whole.size() ? whole[i] : k < fraction.size() ? fraction[k] : '0';
        value = value * 10 + (digit - '0');
        if (value > max_money.value) return {};
    }
    return money{negative ? -value : value};
}

std::string to_string(money amount) {
    const bool negative = amount.value < 0;
    std::string digits = std::to_string(negative ? -amount.value : amount.value);
    if (digits.size() <= decimals) digits.insert(0, decimals + 1 - digits.size(), '0');
    digits.insert(digits.size() - decimals, 1, '.');
    for (int i = 0; i < 2 && digits.ends_with('0'); ++i) digits.pop_back();
    return negative ? "-" + digits : digits;
}

}  // namespace retail
