#include "transport/relay.hpp"

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <limits>
#include <memory>
#include <set>
#include <thread>

namespace anabranch::test {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

class relay::impl {
  public:
    explicit impl(const std::string& target)
        : target_(asio::ip::make_address("127.0.0.1"),
                  static_cast<std::uint16_t>(std::stoi(target.substr(target.find(':') + 1)))),
          acceptor_(context_, tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0)),
          port_(acceptor_.local_endpoint().port()) {
        accept();
        thread_ = std::thread([this] { context_.run(); });
    }
    ~impl() {
        context_.stop();
        thread_.join();
    }

    void on_thread(void (impl::*what)()) {
        asio::post(context_, [this, what] { (this->*what)(); });
    }
    void cut() {
        is_cut_ = true;
        for (const auto& link : std::exchange(links_, {})) link->close();
    }
    void heal() { is_cut_ = false; }

    std::uint16_t port() const { return port_; }

    std::atomic<std::uint64_t> limit = std::numeric_limits<std::uint64_t>::max();
    std::atomic<bool> is_frozen = false;
    std::atomic<std::uint64_t> connections = 0;
    std::atomic<std::uint64_t> bytes = 0;

  private:
    struct pair {
        explicit pair(asio::io_context& context) : near_end(context), far_end(context) {}
        void close() {
            error_code ignored;
            near_end.close(ignored);
            far_end.close(ignored);
        }
        tcp::socket near_end;
        tcp::socket far_end;
        std::uint64_t limit = 0;
        std::uint64_t carried = 0;
        std::array<std::array<char, 4096>, 2> buffers{};
    };

    void accept() {
        auto made = std::make_shared<pair>(context_);
        acceptor_.async_accept(made->near_end, [this, made](const error_code& problem) {
            if (!problem) begin(made);
            accept();
        });
    }

    void begin(const std::shared_ptr<pair>& made) {
        ++connections;
        if (is_cut_) return made->close();
        made->limit = limit;
        links_.insert(made);
        made->far_end.async_connect(target_, [this, made](const error_code& problem) {
            if (problem) return made->close();
            carry(made, made->near_end, made->far_end, made->buffers[0]);
            carry(made, made->far_end, made->near_end, made->buffers[1]);
        });
    }

    void carry(const std::shared_ptr<pair>& on, tcp::socket& from, tcp::socket& to,
               std::array<char, 4096>& buffer) {
        from.async_read_some(
            asio::buffer(buffer), [this, on, &from, &to, &buffer](error_code problem, std::size_t n) {
                bytes += n;
                on->carried += n;
                if (is_frozen) return;  // and never goes on
                if (problem == asio::error::eof) {
                    to.shutdown(tcp::socket::shutdown_send, problem);
                    return;
                }
                if (problem || on->carried > on->limit) return on->close();
                asio::async_write(to, asio::buffer(buffer.data(), n),
                                  [this, on, &from, &to, &buffer](const error_code& failed, std::size_t) {
                                      if (failed) return on->close();
                                      carry(on, from, to, buffer);
                                  });
            });
    }

    asio::io_context context_;
    tcp::endpoint target_;
    tcp::acceptor acceptor_;
    std::uint16_t port_;
    bool is_cut_ = false;
    std::set<std::shared_ptr<pair>> links_;
    std::thread thread_;
};

relay::relay(const std::string& target) : impl_(std::make_unique<impl>(target)) {}
relay::~relay() = default;
std::string relay::endpoint() const { return "127.0.0.1:" + std::to_string(impl_->port()); }
void relay::cut() { impl_->on_thread(&impl::cut); }
void relay::heal() { impl_->on_thread(&impl::heal); }
void relay::cut_after(std::uint64_t bytes) { impl_->limit = bytes; }
void relay::freeze() { impl_->is_frozen = true; }
std::uint64_t relay::connections() const { return impl_->connections; }
std::uint64_t relay::bytes() const { return impl_->bytes; }

}  // namespace anabranch::test
