#include "demo/http_client.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <optional>

namespace retail {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {
constexpr auto session_header = "Session-Token";
}

class http_client::impl {
  public:
    impl(const endpoint& server, std::chrono::milliseconds timeout)
        : address_(asio::ip::make_address(server.host), server.port), timeout_(timeout) {}

    http_answer request(std::string_view method, std::string_view target, std::string body,
                        const http_headers& headers) {
        http::request<http::string_body> message{http::string_to_verb({method.data(), method.size()}),
                                                 {target.data(), target.size()},
                                                 11,
                                                 std::move(body)};
        message.set(http::field::host, address_.address().to_string());
        message.set(http::field::content_type, "application/json");
        for (const auto& [name, value] : headers) message.set(name, value);
        message.prepare_payload();
        try {
            if (!stream_) connect();
            http::response_parser<http::string_body> parser;
            parser.body_limit(64 * 1024 * 1024);
            wait([&](auto&& done) { http::async_write(*stream_, message, done); });
            wait([&](auto&& done) { http::async_read(*stream_, buffer_, parser, done); });
            auto response = parser.release();
            if (!response.keep_alive()) stream_.reset();
            return {response.result_int(), std::move(response.body()), std::string(response[session_header]),
                    std::string(response[http::field::retry_after])};
        } catch (const boost::system::system_error& failure) {
            stream_.reset();
            throw no_answer(failure.code().message());
        }
    }

  private:
    void connect() {
        buffer_.clear();
        stream_.emplace(context_);
        wait([&](auto&& done) { stream_->async_connect(address_, done); });
        stream_->socket().set_option(tcp::no_delay(true));
    }

    /// Starts an operation and runs it to its end, for only asynchronous ones can time out.
    template <class Start>
    void wait(Start start) {
        error_code outcome;
        stream_->expires_after(timeout_);
        start([&](error_code failure, std::size_t = 0) { outcome = failure; });
        context_.restart();
        context_.run();
        if (outcome) throw boost::system::system_error(outcome);
    }

    asio::io_context context_{1};
    tcp::endpoint address_;
    std::chrono::milliseconds timeout_;
    std::optional<beast::tcp_stream> stream_;
    beast::flat_buffer buffer_;
};

http_client::http_client(const endpoint& server, std::chrono::milliseconds timeout)
    : impl_(std::make_unique<impl>(server, timeout)) {}
http_client::~http_client() = default;
http_client::http_client(http_client&&) noexcept = default;
http_client& http_client::operator=(http_client&&) noexcept = default;
http_answer http_client::request(std::string_view method, std::string_view target, std::string body,
                                 const std::string& session_token) {
    http_headers headers;
    if (!session_token.empty()) headers.emplace_back(session_header, session_token);
    return impl_->request(method, target, std::move(body), headers);
}
http_answer http_client::request(std::string_view method, std::string_view target, std::string body,
                                 const http_headers& headers) {
    return impl_->request(method, target, std::move(body), headers);
}

std::string percent_encoded(std::string_view text) {
    return boost::urls::encode({text.data(), text.size()}, boost::urls::unreserved_chars);
}

}  // namespace retail
