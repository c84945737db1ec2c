// "host:port".
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace retail {

struct endpoint {
    std::string host;
    std::uint16_t port = 0;
};

/// "127.0.0.1:8080", "localhost:0", "[::1]:8080". Nothing where it is not of that form.
inline std::optional<endpoint> parse_endpoint(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return {};
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const std::string_view digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (host.empty() || failure != std::errc{} || end != digits.data() + digits.size()) return {};
    return endpoint{std::string(host), port};
}

}  // namespace retail
