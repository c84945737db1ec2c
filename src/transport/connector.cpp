#include "transport/connector.hpp"

#include "transport/dial.hpp"

namespace anabranch::transport {

namespace {

peer_status unconnected(const std::string& name) {
    peer_status status;
    status.endpoint = name;
    return status;
}

}  // namespace

connector::connector(std::shared_ptr<peering> peers, endpoint to, std::string name)
    : peers_(std::move(peers)),
      to_(std::move(to)),
      name_(std::move(name)),
      backoff_(peers_->options().backoff_min, peers_->options().backoff_max, peers_->options().env.random),
      key_(peers_->board().add(unconnected(name_))) {}

void connector::start() {
    if (!is_stopped()) running_ = peers_->spawn(run());
}

void connector::stop() {
    stopped_ = true;
    if (running_) running_->emit(asio::cancellation_type::terminal);
}

awaitable<void> connector::run() {
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto self = shared_from_this();
    asio::steady_timer pause(peers_->executor());
    while (!is_stopped()) {
        co_await connect_once();
        if (is_stopped()) break;
        pause.expires_after(backoff_.next());
        co_await pause.async_wait(as_values);
        std::optional<replica_id> known;
        peers_->board().update(key_, [&](const peer_status& status) { known = status.id; });
        if (known && !is_stopped()) co_await peers_->while_connected_to(*known);
    }
}

awaitable<void> connector::connect_once() {
    auto stream = co_await dial(to_, peers_->tls(), peers_->options().connect_timeout);
    if (is_stopped()) co_return;
    if (!stream) {
        peers_->board().update(key_,
                               [&](peer_status& status) { status.last_error = std::move(stream.error()); });
        co_return;
    }
    const bool has_been_live =
        co_await peers_->talk(std::move(*stream), name_, peering::direction::dialled, key_);
    if (has_been_live) backoff_.reset();
}

}  // namespace anabranch::transport
