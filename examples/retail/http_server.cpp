#include "http_server.hpp"

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

namespace retail {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

struct connection {
    explicit connection(tcp::socket socket) : stream(std::move(socket)) {}
    beast::tcp_stream stream;  // its executor is a strand
    bool waiting = false;      // for a request to begin
};

constexpr auto session_header = "Session-Token";

using http_message = http::response<http::string_body>;

http_message to_message(http_response response, unsigned version, bool keep_alive) {
    http_message message{static_cast<http::status>(response.status), version, std::move(response.body)};
    message.set(http::field::content_type, "application/json");
    if (!response.allow.empty()) message.set(http::field::allow, response.allow);
    if (response.retry_after > 0) {
        message.set(http::field::retry_after, std::to_string(response.retry_after));
    }
    if (!response.session_token.empty()) message.set(session_header, response.session_token);
    message.keep_alive(keep_alive);
    message.prepare_payload();
    return message;
}

/// What is answered to bytes that are no request; nothing where nobody is there to read it.
std::optional<http_response> answer_to(const error_code& failure) {
    if (failure == http::error::body_limit) {
        return error_response(413, "too_large", "the body is larger than this service takes");
    }
    if (failure == http::error::header_limit || failure == http::error::buffer_overflow) {
        return error_response(431, "header_too_large",
                              "the request's header is larger than this service takes");
    }
    const bool malformed = failure.category() == http::make_error_code(http::error::bad_method).category() &&
                           failure != http::error::end_of_stream && failure != http::error::partial_message;
    if (malformed) return error_response(400, "bad_request", "not an HTTP request: " + failure.message());
    return {};
}

}  // namespace

class http_server::impl {
  public:
    impl(const endpoint& address, std::size_t threads, handler handle, http_limits limits,
         std::function<void()> draining)
        : threads_(threads),
          handle_(std::move(handle)),
          limits_(limits),
          draining_(std::move(draining)),
          context_(static_cast<int>(threads)),
          acceptor_(asio::make_strand(context_)),
          signals_(acceptor_.get_executor(), SIGINT, SIGTERM),
          grace_(acceptor_.get_executor()) {
        const auto found = tcp::resolver(context_).resolve(address.host, std::to_string(address.port));
        const tcp::endpoint local = *found.begin();
        acceptor_.open(local.protocol());
        acceptor_.set_option(tcp::acceptor::reuse_address(true));
        acceptor_.bind(local);
        acceptor_.listen();
        port_ = acceptor_.local_endpoint().port();
        signals_.async_wait([this](error_code failure, int) {
            if (!failure) begin_drain();
        });
        asio::co_spawn(acceptor_.get_executor(), accept(), asio::detached);
    }

    std::uint16_t port() const { return port_; }

    void run() {
        std::vector<std::jthread> others;
        for (std::size_t i = 1; i < threads_; ++i) others.emplace_back([this] { context_.run(); });
        context_.run();
    }

    void stop() {
        asio::post(acceptor_.get_executor(), [this] { close(); });
    }

  private:
    asio::awaitable<void> accept() {
        while (acceptor_.is_open()) {
            tcp::socket socket(asio::make_strand(context_));
            error_code failure;
            co_await acceptor_.async_accept(socket, asio::redirect_error(asio::use_awaitable, failure));
            if (failure == asio::error::operation_aborted) co_return;
            if (failure) {  // out of file descriptors, say: leave it alone for a moment
                asio::steady_timer pause(acceptor_.get_executor(), std::chrono::milliseconds(100));
                co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, failure));
                continue;
            }
            if (open_ >= limits_.connections) continue;  // closes it
            ++open_;
            socket.set_option(tcp::no_delay(true), failure);
            const auto executor = socket.get_executor();
            auto accepted = std::make_shared<connection>(std::move(socket));
            {
                const std::lock_guard lock(mutex_);
                connections_.push_back(accepted);
            }
            asio::co_spawn(executor, serve(*accepted), [this, accepted](std::exception_ptr) {
                const std::lock_guard lock(mutex_);
                connections_.remove(accepted);
                --open_;
            });
        }
    }

    asio::awaitable<void> serve(connection& peer) {
        beast::flat_buffer buffer(limits_.header + limits_.body);
        for (bool keep_alive = true; keep_alive;) {
            http::request_parser<http::string_body> parser;
            parser.body_limit(limits_.body);
            parser.header_limit(static_cast<std::uint32_t>(limits_.header));
            error_code failure;
            peer.stream.expires_after(limits_.timeout);
            peer.waiting = buffer.size() == 0;
            if (peer.waiting && stopping_) co_return;
            co_await http::async_read(peer.stream, buffer, parser,
                                      asio::redirect_error(asio::use_awaitable, failure));
            peer.waiting = false;

            http_message message;
            if (failure) {
                auto refusal = answer_to(failure);
                if (!refusal) co_return;
                keep_alive = false;
                message = to_message(std::move(*refusal), 11, false);
            } else {
                const auto request = parser.release();
                keep_alive = request.keep_alive() && !stopping_;
                const bool head = request.method() == http::verb::head;  // a GET whose body stays here
                const std::string method = head ? "GET" : std::string(request.method_string());
                http_request received{method, std::string(request.target()), request.body(),
                                      std::string(request[session_header])};
                for (const auto& field : request) received.headers.emplace_back(field.name_string(), field.value());
                auto response = handle_(received);
                message = to_message(std::move(response), request.version(), keep_alive);
                if (head) message.body().clear();
            }
            peer.stream.expires_after(limits_.timeout);
            co_await http::async_write(peer.stream, message,
                                       asio::redirect_error(asio::use_awaitable, failure));
            if (failure) co_return;
        }
        co_await drain(peer);
    }

    /// Reads what the client is still sending, for a moment: closing at once would reset the connection
    /// and could take the response from it.
    asio::awaitable<void> drain(connection& peer) {
        error_code failure;
        peer.stream.socket().shutdown(tcp::socket::shutdown_send, failure);
        peer.stream.expires_after(std::chrono::seconds(2));
        std::vector<char> ignored(64 * 1024);
        for (std::size_t left = 4 * limits_.body; !failure;) {
            const std::size_t n = co_await peer.stream.async_read_some(
                asio::buffer(ignored), asio::redirect_error(asio::use_awaitable, failure));
            if (n > left) co_return;
            left -= n;
        }
    }

    /// On the acceptor's strand, like close(). Whoever sends requests here is told first.
    void begin_drain() {
        if (draining_) draining_();
        if (limits_.drain.count() == 0) return close();
        grace_.expires_after(limits_.drain);
        grace_.async_wait([this](error_code failure) {
            if (!failure) close();
        });
        signals_.async_wait([this](error_code failure, int) {
            if (!failure) close();
        });
    }

    /// Idle connections go at once, the others after their answer.
    void close() {
        if (stopping_.exchange(true)) return;
        error_code ignored;
        acceptor_.close(ignored);
        signals_.cancel(ignored);
        const std::lock_guard lock(mutex_);
        for (const auto& peer : connections_) {
            asio::post(peer->stream.get_executor(), [peer] {
                if (peer->waiting) peer->stream.cancel();
            });
        }
        grace_timer();
    }

    /// Whoever has not finished a few seconds later is cut off.
    void grace_timer() {
        grace_.expires_after(std::chrono::milliseconds(50));
        grace_.async_wait([this](error_code failure) {
            if (failure) return;
            if (open_ == 0 || ++grace_rounds_ > 60) {
                context_.stop();
            } else {
                grace_timer();
            }
        });
    }

    const std::size_t threads_;
    const handler handle_;
    const http_limits limits_;
    const std::function<void()> draining_;
    asio::io_context context_;
    tcp::acceptor acceptor_;
    asio::signal_set signals_;
    asio::steady_timer grace_;
    int grace_rounds_ = 0;
    std::uint16_t port_ = 0;
    std::atomic<bool> stopping_ = false;
    std::atomic<std::size_t> open_ = 0;
    std::mutex mutex_;
    std::list<std::shared_ptr<connection>> connections_;
};

http_server::http_server(const endpoint& address, std::size_t threads, handler handle, http_limits limits,
                         std::function<void()> draining)
    : impl_(std::make_unique<impl>(address, threads, std::move(handle), limits, std::move(draining))) {}
http_server::~http_server() = default;
std::uint16_t http_server::port() const { return impl_->port(); }
void http_server::run() { impl_->run(); }
void http_server::stop() { impl_->stop(); }

}  // namespace retail
