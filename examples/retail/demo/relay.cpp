#include "demo/relay.hpp"

#include <array>
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <set>
#include <thread>

namespace retail {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

struct connection {
    explicit connection(asio::io_context& context) : near(context), far(context) {}
    void reset() {
        error_code ignored;
        near.set_option(asio::socket_base::linger(true, 0), ignored);
        far.set_option(asio::socket_base::linger(true, 0), ignored);
        near.close(ignored);
        far.close(ignored);
    }
    tcp::socket near;
    tcp::socket far;
};

}  // namespace

class relay::impl {
  public:
    explicit impl(std::uint16_t target_port)
        : target_(asio::ip::address_v4::loopback(), target_port),
          acceptor_(context_, {asio::ip::address_v4::loopback(), 0}),
          port_(acceptor_.local_endpoint().port()) {
        asio::co_spawn(context_, accept(), asio::detached);
        thread_ = std::thread([this] { context_.run(); });
    }
    ~impl() {
        context_.stop();
        thread_.join();
    }

    std::uint16_t port() const { return port_; }
    std::uint64_t bytes() const { return bytes_; }

    /// Returns when it is done.
    void set_cut(bool value) {
        std::promise<void> done;
        asio::post(context_, [&] {
            cut_ = value;
            if (cut_) {
                for (const auto& open : connections_) open->reset();
            }
            done.set_value();
        });
        done.get_future().wait();
    }

  private:
    asio::awaitable<void> accept() {
        while (true) {
            const auto link = std::make_shared<connection>(context_);
            error_code failure;
            co_await acceptor_.async_accept(link->near, asio::redirect_error(asio::use_awaitable, failure));
            if (failure || cut_) {
                link->reset();
                continue;
            }
            connections_.insert(link);
            asio::co_spawn(context_, carry(link), asio::detached);
        }
    }

    asio::awaitable<void> carry(std::shared_ptr<connection> link) {
        error_code failure;
        co_await link->far.async_connect(target_, asio::redirect_error(asio::use_awaitable, failure));
        if (failure) link->reset();
        link->near.set_option(tcp::no_delay(true), failure);
        link->far.set_option(tcp::no_delay(true), failure);
        asio::co_spawn(context_, pump(link, link->far, link->near), asio::detached);
        co_await pump(link, link->near, link->far);
        connections_.erase(link);
    }

    asio::awaitable<void> pump(std::shared_ptr<connection> link, tcp::socket& from, tcp::socket& to) {
        std::array<char, 64 * 1024> buffer;
        error_code failure;
        while (!failure) {
            const std::size_t n = co_await from.async_read_some(
                asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, failure));
            if (failure) break;
            bytes_ += n;
            co_await asio::async_write(to, asio::buffer(buffer.data(), n),
                                       asio::redirect_error(asio::use_awaitable, failure));
        }
        link->reset();
    }

    asio::io_context context_{1};
    tcp::endpoint target_;
    tcp::acceptor acceptor_;
    std::uint16_t port_;
    bool cut_ = false;
    std::set<std::shared_ptr<connection>> connections_;
    std::atomic<std::uint64_t> bytes_ = 0;
    std::thread thread_;
};

relay::relay(std::uint16_t target_port) : impl_(std::make_unique<impl>(target_port)) {}
relay::~relay() = default;
std::uint16_t relay::port() const { return impl_->port(); }
void relay::cut() { impl_->set_cut(true); }
void relay::heal() { impl_->set_cut(false); }
std::uint64_t relay::bytes() const { return impl_->bytes(); }

}  // namespace retail
