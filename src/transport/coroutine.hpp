// What the sources of this folder use of Boost.Asio, and how: coroutines that return errors as values.
#pragma once

#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <string>
#include <tuple>

namespace anabranch::transport {

namespace asio = boost::asio;
using asio::awaitable;
using asio::ip::tcp;
using boost::system::error_code;
using steady_clock = std::chrono::steady_clock;

/// `auto [ec, ...] = co_await operation(..., as_values);`
inline constexpr auto as_values = asio::as_tuple(asio::use_awaitable);

/// What a read or write did: why it failed, and how many bytes.
using transferred = std::tuple<error_code, std::size_t>;

/// "10.0.0.1:7400", "[::1]:7400".
std::string to_string(const tcp::endpoint& endpoint);

/// A time from an option, cut to what can be added to any point in time: who asks for the greatest means no
/// limit.
inline std::chrono::milliseconds bounded(std::chrono::milliseconds time) {
    return std::clamp(time, std::chrono::milliseconds{0},
                      std::chrono::milliseconds{std::chrono::hours{24 * 365}});
}

/// The time that sessions are told.
inline std::chrono::milliseconds now_of_session() {
    return std::chrono::floor<std::chrono::milliseconds>(steady_clock::now().time_since_epoch());
}

/// From here on only cancel() ends waits for the timer, however many there are.
inline void never(asio::steady_timer& timer) { timer.expires_at(steady_clock::time_point::max()); }

}  // namespace anabranch::transport
