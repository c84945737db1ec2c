// "host:port", as people write it in options.
#pragma once

#include <anabranch/result.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace anabranch::transport {

struct endpoint {
    std::string host;  ///< a name or an address; an IPv6 one without its brackets
    std::uint16_t port = 0;
};

/// "host:port", "10.0.0.1:7400", "[::1]:7400". errc::invalid_argument naming the text.
result<endpoint> parse_endpoint(std::string_view text);
/// The same, of something to connect to: port 0 is refused.
result<endpoint> parse_peer(std::string_view text);

}  // namespace anabranch::transport
