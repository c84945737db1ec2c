// Issue times as clients write them.
#include <anabranch/http.hpp>

#include <algorithm>
#include <charconv>

namespace anabranch::http {
namespace {

using namespace std::chrono;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// A number all of whose characters are digits of that base; nothing otherwise.
std::optional<std::int64_t> parse_number(std::string_view text, int base = 10) {
    std::int64_t value = 0;
    // from_chars takes a minus sign.
    if (text.empty() || text.front() == '-') return {};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (failure != std::errc{} || end != text.data() + text.size()) return {};
    return value;
}

/// Takes a text from its beginning; once something is not as expected everything else is not, either.
class reader {
  public:
    explicit reader(std::string_view text) : rest_(text) {}

    int digits(std::size_t count) {
        const auto value = parse_number(rest_.substr(0, count));
        if (rest_.size() < count || !value) return fail();
        rest_.remove_prefix(count);
        return static_cast<int>(*value);
    }
    /// One of the characters; zero where it is none of them.
    char any_of(std::string_view expected) {
        if (rest_.empty() || expected.find(rest_.front()) == expected.npos) {
            fail();
            return 0;
        }
        const char found = rest_.front();
        rest_.remove_prefix(1);
        return found;
    }
    /// ".123": as many digits as there are, at least one.
    milliseconds fraction() {
        if (!rest_.starts_with('.')) return {};
        rest_.remove_prefix(1);
        const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_digit);
        auto shown = std::string(rest_.begin(), end);
        if (shown.empty()) fail();
        rest_.remove_prefix(shown.size());
        shown.resize(3, '0');
        return milliseconds{parse_number(shown).value_or(0)};
    }
    bool is_done() const { return !failed_ && rest_.empty(); }

  private:
    int fail() {
        failed_ = true;
        rest_ = {};
        return 0;
    }

    std::string_view rest_;
    bool failed_ = false;
};

std::optional<milliseconds> parse_rfc3339(std::string_view text) {
    reader in(text);
    const year y{in.digits(4)};
    in.any_of("-");
    const month m{static_cast<unsigned>(in.digits(2))};
    in.any_of("-");
    const day d{static_cast<unsigned>(in.digits(2))};
    in.any_of("Tt");
    const int hour = in.digits(2);
    in.any_of(":");
    const int minute = in.digits(2);
    in.any_of(":");
    const int second = in.digits(2);  // 60 in a leap second
    const auto fraction = in.fraction();
    const char zone = in.any_of("Zz+-");
    int offset_hour = 0;
    int offset_minute = 0;
    if (zone == '+' || zone == '-') {
        offset_hour = in.digits(2);
        in.any_of(":");
        offset_minute = in.digits(2);
    }
    const year_month_day date{y, m, d};
    if (!in.is_done() || !date.ok() || hour > 23 || minute > 59 || second > 60) return {};
    if (offset_hour > 23 || offset_minute > 59) return {};

    const auto offset = hours{offset_hour} + minutes{offset_minute};
    const auto local = sys_days{date}.time_since_epoch() + hours{hour} + minutes{minute} + seconds{second} + fraction;
    const milliseconds utc = zone == '-' ? local + offset : local - offset;
    if (utc < milliseconds{0}) return {};
    return utc;
}

}  // namespace

std::optional<milliseconds> time_of_uuid7(std::string_view text) {
    constexpr std::string_view form = "xxxxxxxx-xxxx-7xxx-vxxx-xxxxxxxxxxxx";
    constexpr std::string_view hexadecimal = "0123456789abcdefABCDEF";
    if (text.size() != form.size()) return {};
    for (std::size_t i = 0; i < form.size(); ++i) {
        const std::string_view allowed = form[i] == 'x'   ? hexadecimal
                                         : form[i] == 'v' ? "89abAB"
                                                          : form.substr(i, 1);
        if (allowed.find(text[i]) == allowed.npos) return {};
    }
    const auto value = parse_number(std::string(text.substr(0, 8)).append(text.substr(9, 4)), 16);
    return value ? std::optional(milliseconds{*value}) : std::nullopt;
}

std::optional<milliseconds> parse_time(std::string_view text) {
    constexpr std::int64_t end = std::int64_t{1} << 48;  // of a timestamp (ids.hpp), some 8,900 years away
    if (const auto number = parse_number(text)) return *number < end ? std::optional(milliseconds{*number}) : std::nullopt;
    return parse_rfc3339(text);
}

}  // namespace anabranch::http
