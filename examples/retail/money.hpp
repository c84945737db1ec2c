// Exact amounts of money.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace retail {

/// An amount in hundredths of a penny. Four decimals, because the prices of real orders have up to three.
struct money {
    std::int64_t value = 0;

    auto operator<=>(const money&) const = default;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(value);
    }
};

/// Greatest amount that parse_money takes, either way: 10,000,000,000.
inline constexpr money max_money{100'000'000'000'000};

/// "2.55", "-11062.06", "15": a sign, digits, and up to four decimals (more only where they are zeros).
/// Nothing where it is anything else, or beyond max_money.
std::optional<money> parse_money(std::string_view text);

/// At least two decimals, at most four: "2.55", "15.00", "0.125".
std::string to_string(money amount);

}  // namespace retail
