#include "transport/endpoint.hpp"

#include <algorithm>
#include <charconv>

namespace anabranch::transport {

namespace {

tl::unexpected<error> malformed(std::string_view text, const char* why) {
    return fail(errc::invalid_argument, "'" + std::string(text) + "' is not host:port: " + why);
}

bool impossible_in_host(char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == '\x7f' || c == '/' || c == '[' || c == ']' ||
           c == '@';
}

}  // namespace

result<endpoint> parse_endpoint(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return malformed(text, "it has no port");
    auto host = text.substr(0, colon);
    const auto port = text.substr(colon + 1);

    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
        if (host.find(':') == std::string_view::npos)
            return malformed(text, "only an IPv6 address goes in brackets");
    } else if (host.find(':') != std::string_view::npos) {
        return malformed(text, "an IPv6 address goes in brackets");
    }
    if (host.empty()) return malformed(text, "it has no host");
    if (std::any_of(host.begin(), host.end(), impossible_in_host))
        return malformed(text, "that is no host name");

    std::uint16_t number = 0;
    const auto [end, problem] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (port.empty() || problem != std::errc{} || end != port.data() + port.size())
        return malformed(text, "a port is a number from 0 to 65535");
    return endpoint{std::string(host), number};
}

result<endpoint> parse_peer(std::string_view text) {
    auto parsed = parse_endpoint(text);
    if (parsed && parsed->port == 0) return malformed(text, "nobody listens on port 0");
    return parsed;
}

}  // namespace anabranch::transport
