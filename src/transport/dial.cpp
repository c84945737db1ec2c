#include "transport/dial.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace anabranch::transport {

using namespace asio::experimental::awaitable_operators;

namespace {

std::string name_of(const endpoint& to) {
    const bool is_v6 = to.host.find(':') != std::string::npos;
    return (is_v6 ? "[" + to.host + "]" : to.host) + ":" + std::to_string(to.port);
}

awaitable<bool> is_cancelled() {
    const auto state = co_await asio::this_coro::cancellation_state;
    co_return state.cancelled() != asio::cancellation_type::none;
}

/// A name look-up blocks a thread of Asio's and cannot be taken back. It is left behind when its time is up,
/// so what it uses lives on its own.
struct look_up {
    explicit look_up(const asio::any_io_executor& executor) : resolver(executor), finished(executor) {}
    tcp::resolver resolver;
    asio::steady_timer finished;
    bool is_finished = false;
    error_code problem;
    std::vector<tcp::endpoint> addresses;
};

awaitable<result<std::vector<tcp::endpoint>>> addresses_of(const endpoint& to,
                                                           std::chrono::milliseconds timeout) {
    error_code not_an_address;
    const auto address = asio::ip::make_address(to.host, not_an_address);
    if (!not_an_address) co_return std::vector{tcp::endpoint(address, to.port)};

    auto query = std::make_shared<look_up>(co_await asio::this_coro::executor);
    query->finished.expires_after(timeout);
    auto finish = [query](const error_code& problem, const tcp::resolver::results_type& results) {
        query->is_finished = true;
        query->problem = problem;
        for (const auto& entry : results) query->addresses.push_back(entry.endpoint());
        query->finished.cancel();
    };
    // RFC 6761, 6.3: this name is the loopback address also where nothing says so. Without a host that is what is found.
    const std::string_view host = to.host == "localhost" ? std::string_view{} : std::string_view{to.host};
    try {
        query->resolver.async_resolve(host, std::to_string(to.port), tcp::resolver::numeric_service,
                                      std::move(finish));
    } catch (const std::runtime_error& exhausted) {  // the first look-up starts Asio's thread
        co_return fail(errc::network, name_of(to) + ": " + exhausted.what());
    }
    co_await query->finished.async_wait(as_values);
    if (!query->is_finished)
        co_return fail(errc::timed_out, name_of(to) + ": the name could not be looked up in time");
    if (query->problem) co_return fail(errc::network, name_of(to) + ": " + query->problem.message());
    co_return std::move(query->addresses);
}

}  // namespace

awaitable<result<std::unique_ptr<byte_stream>>> dial(endpoint to, std::shared_ptr<asio::ssl::context> tls,
                                                     std::chrono::milliseconds timeout) {
    timeout = bounded(timeout);
    const auto name = name_of(to);
    auto addresses = co_await addresses_of(to, timeout);
    if (co_await is_cancelled()) co_return fail(errc::cancelled, name + ": stopped");
    if (!addresses) co_return fail(std::move(addresses.error()));

    const auto executor = co_await asio::this_coro::executor;
    auto last = error{errc::network, name + ": the name has no address"};
    const auto deadline = steady_clock::now() + timeout;
    auto untried = static_cast<int>(addresses->size());
    for (const auto& address : *addresses) {
        // An address that does not answer must leave time for the others.
        const auto now = steady_clock::now();
        asio::steady_timer turn(executor,
                                now + std::max(deadline - now, steady_clock::duration{0}) / untried--);
        tcp::socket socket(executor);
        const auto outcome =
            co_await (socket.async_connect(address, as_values) || turn.async_wait(as_values));
        if (co_await is_cancelled()) co_return fail(errc::cancelled, name + ": stopped");

        auto where = to_string(address) == name ? name : name + " (" + to_string(address) + ")";
        if (outcome.index() == 1) {
            last = {errc::timed_out, where + ": no connection in time"};
        } else if (const auto problem = std::get<0>(std::get<0>(outcome))) {
            last = {errc::network, where + ": " + problem.message()};
        } else {
            auto stream = co_await make_stream(std::move(socket), tls, tls_role::client, to.host,
                                               std::move(where), timeout);
            if (co_await is_cancelled()) co_return fail(errc::cancelled, name + ": stopped");
            co_return stream;
        }
    }
    co_return fail(std::move(last));
}

}  // namespace anabranch::transport
