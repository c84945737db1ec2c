// A connected socket, plain or TLS: what a connection reads and writes, and what went wrong with it.
#pragma once

#include <boost/asio/buffer.hpp>
#include <memory>
#include <string>

#include "transport/coroutine.hpp"
#include "transport/tls.hpp"

namespace anabranch::transport {

/// One read and one write at a time, on the executor of the socket; cancellable as Asio's operations are.
class byte_stream {
  public:
    virtual ~byte_stream() = default;

    virtual awaitable<transferred> read_some(asio::mutable_buffer into) = 0;
    virtual awaitable<transferred> write_some(asio::const_buffer from) = 0;
    /// The peer reads the end after what has been written; reading goes on.
    virtual void end_writing() = 0;
    /// Now; what is under way fails.
    virtual void close() = 0;

    /// Whether `problem` only says that the peer has written its last byte.
    virtual bool is_end(const error_code& problem) const = 0;
    /// For people, of an error of this stream.
    virtual std::string explain(const error_code& problem) = 0;
    virtual bool is_tls() const = 0;
};

enum class tls_role { client, server };

/// `socket` is connected. With a context: after a TLS handshake that ends within `timeout`; a client demands
/// a certificate for `host`. `where` begins the message of an error.
awaitable<result<std::unique_ptr<byte_stream>>> make_stream(tcp::socket socket,
                                                            std::shared_ptr<asio::ssl::context> tls,
                                                            tls_role role, std::string host,
                                                            std::string where,
                                                            std::chrono::milliseconds timeout);

}  // namespace anabranch::transport
