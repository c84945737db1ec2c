#include "transport/listener.hpp"

namespace anabranch::transport {

namespace {

error_code listen_on(tcp::acceptor& acceptor, const tcp::endpoint& address) {
    error_code problem;
    acceptor.open(address.protocol(), problem);
    // A restarted service gets its port back while connections of the one before it are still being
    // forgotten.
    if (!problem) acceptor.set_option(tcp::acceptor::reuse_address(true), problem);
    if (!problem) acceptor.bind(address, problem);
    if (!problem) acceptor.listen(tcp::acceptor::max_listen_connections, problem);
    return problem;
}

}  // namespace

result<std::shared_ptr<listener>> listener::open(std::shared_ptr<peering> peers, const endpoint& at) {
    const auto text = (at.host.find(':') == std::string::npos ? at.host : "[" + at.host + "]") + ":" +
                      std::to_string(at.port);
    error_code problem;
    tcp::resolver resolver(peers->executor());
    const auto flags = tcp::resolver::passive | tcp::resolver::numeric_service;
    const auto addresses = resolver.resolve(at.host, std::to_string(at.port), flags, problem);
    for (const auto& address : addresses) {
        tcp::acceptor acceptor(peers->executor());
        problem = listen_on(acceptor, address.endpoint());
        if (!problem) return std::make_shared<listener>(std::move(peers), std::move(acceptor));
    }
    return fail(errc::network, "cannot listen on " + text + ": " + problem.message());
}

listener::listener(std::shared_ptr<peering> peers, tcp::acceptor acceptor)
    : peers_(std::move(peers)), acceptor_(std::move(acceptor)) {
    error_code ignored;
    port_ = acceptor_.local_endpoint(ignored).port();
}

awaitable<void> listener::run() {
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto self = shared_from_this();
    asio::steady_timer pause(peers_->executor());
    while (!peers_->is_stopped()) {
        auto [problem, socket] = co_await acceptor_.async_accept(as_values);
        if (peers_->is_stopped()) break;
        if (problem) {
            // Out of descriptors or memory: they come back when connections end. A peer that gave up
            // meanwhile is no reason to wait, but neither is waiting harmful.
            pause.expires_after(std::chrono::milliseconds(100));
            co_await pause.async_wait(as_values);
        } else if (open_connections_ < peers_->options().max_connections) {
            ++open_connections_;
            peers_->spawn(serve(std::move(socket)));
        }
    }
    error_code ignored;
    acceptor_.close(ignored);
}

awaitable<void> listener::serve(tcp::socket socket) {
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto self = shared_from_this();
    error_code ignored;
    const auto name = to_string(socket.remote_endpoint(ignored));
    peer_status status;
    status.endpoint = name;
    status.accepted = true;
    auto& board = peers_->board();
    const auto key = board.add(std::move(status));

    auto stream = co_await make_stream(std::move(socket), peers_->tls(), tls_role::server, {}, name,
                                       peers_->options().connect_timeout);
    if (stream) {
        co_await peers_->talk(std::move(*stream), name, peering::direction::accepted, key);
    } else {
        board.update(key, [&](peer_status& failed) { failed.last_error = std::move(stream.error()); });
    }
    board.retire(key);
    --open_connections_;
}

}  // namespace anabranch::transport
