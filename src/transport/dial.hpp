// From a peer's name to a connected stream.
#pragma once

#include <memory>

#include "transport/byte_stream.hpp"
#include "transport/endpoint.hpp"

namespace anabranch::transport {

/// Looks the host up, tries its addresses in turn, and does the TLS handshake where there is a context. Each
/// of the three takes no longer than `timeout`. errc::network or timed_out naming the peer, errc::cancelled.
awaitable<result<std::unique_ptr<byte_stream>>> dial(endpoint to, std::shared_ptr<asio::ssl::context> tls,
                                                     std::chrono::milliseconds timeout);

}  // namespace anabranch::transport
