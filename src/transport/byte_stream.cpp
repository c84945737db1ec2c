#include "transport/byte_stream.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ssl/error.hpp>

namespace anabranch::transport {

using namespace asio::experimental::awaitable_operators;

std::string to_string(const tcp::endpoint& endpoint) {
    const auto address = endpoint.address().to_string();
    return (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" +
           std::to_string(endpoint.port());
}

namespace {

class plain_stream final : public byte_stream {
  public:
    explicit plain_stream(tcp::socket socket) : socket_(std::move(socket)) {}

    awaitable<transferred> read_some(asio::mutable_buffer into) override {
        return socket_.async_read_some(into, as_values);
    }
    awaitable<transferred> write_some(asio::const_buffer from) override {
        return socket_.async_write_some(from, as_values);
    }
    void end_writing() override {
        error_code ignored;
        socket_.shutdown(tcp::socket::shutdown_send, ignored);
    }
    void close() override {
        error_code ignored;
        socket_.close(ignored);
    }
    bool is_end(const error_code& problem) const override { return problem == asio::error::eof; }
    std::string explain(const error_code& problem) override { return problem.message(); }
    bool is_tls() const override { return false; }

  private:
    tcp::socket socket_;
};

/// Ends with TCP's end and without TLS's close_notify: that would have to wait for the reader. A forged end
/// takes nothing from a session, which counts as done only what the peer has acknowledged.
class tls_stream final : public byte_stream {
  public:
    tls_stream(tcp::socket socket, std::shared_ptr<asio::ssl::context> context)
        : context_(std::move(context)), socket_(std::move(socket), *context_) {}

    awaitable<transferred> read_some(asio::mutable_buffer into) override {
        return socket_.async_read_some(into, as_values);
    }
    awaitable<transferred> write_some(asio::const_buffer from) override {
        return socket_.async_write_some(from, as_values);
    }
    void end_writing() override {
        error_code ignored;
        socket_.next_layer().shutdown(tcp::socket::shutdown_send, ignored);
    }
    void close() override {
        error_code ignored;
        socket_.next_layer().close(ignored);
    }
    bool is_end(const error_code& problem) const override {
        return problem == asio::error::eof || problem == asio::ssl::error::stream_truncated;
    }
    std::string explain(const error_code& problem) override { return explain_tls(problem, socket_); }
    bool is_tls() const override { return true; }

    tls_socket& socket() { return socket_; }

  private:
    std::shared_ptr<asio::ssl::context> context_;
    tls_socket socket_;
};

}  // namespace

awaitable<result<std::unique_ptr<byte_stream>>> make_stream(tcp::socket socket,
                                                            std::shared_ptr<asio::ssl::context> tls,
                                                            tls_role role, std::string host,
                                                            std::string where,
                                                            std::chrono::milliseconds timeout) {
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);  // a commit is small and must not wait for the next one
    if (!tls) co_return std::make_unique<plain_stream>(std::move(socket));

    auto stream = std::make_unique<tls_stream>(std::move(socket), std::move(tls));
    if (role == tls_role::client) {
        if (auto demanded = demand_host(stream->socket(), host); !demanded) co_return fail(demanded.error());
    }
    asio::steady_timer deadline(stream->socket().get_executor(), bounded(timeout));
    const auto side =
        role == tls_role::client ? asio::ssl::stream_base::client : asio::ssl::stream_base::server;
    const auto outcome =
        co_await (stream->socket().async_handshake(side, as_values) || deadline.async_wait(as_values));
    if (outcome.index() == 1) co_return fail(errc::timed_out, where + ": no TLS handshake in time");
    if (const auto problem = std::get<0>(std::get<0>(outcome)))
        co_return fail(errc::network, where + ": " + stream->explain(problem));
    co_return std::move(stream);
}

}  // namespace anabranch::transport
