// Mutual TLS 1.3: what is loaded from the credentials' files, and what is demanded of a peer.
#pragma once

#include <anabranch/replica.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <string>

#include "transport/coroutine.hpp"

namespace anabranch::transport {

using tls_socket = asio::ssl::stream<tcp::socket>;

/// For both roles. TLS 1.3 only; each side must present a certificate that the authority signed, and no
/// other authority (the system's included) counts. errc::invalid_argument naming the file that is unusable.
result<std::shared_ptr<asio::ssl::context>> make_tls_context(const tls_credentials& credentials);

/// Demands that the server's certificate is for `host`, a name or an address. Before the handshake.
result<void> demand_host(tls_socket& socket, const std::string& host);

/// What went wrong, in words that say what to look at: which check the peer's certificate failed, or that one
/// side speaks TLS and the other does not.
std::string explain_tls(const error_code& problem, tls_socket& socket);

/// Whether the bytes that a plain connection received are the beginning of a TLS record.
bool looks_like_tls(std::string_view bytes);

}  // namespace anabranch::transport
