// Stays connected to one peer.
#pragma once

#include <memory>
#include <string>

#include "transport/backoff.hpp"
#include "transport/endpoint.hpp"
#include "transport/peering.hpp"

namespace anabranch::transport {

/// Dials, talks, and begins again after a back-off, until stopped. Does not dial while the same replica is
/// connected to this one from its side.
class connector : public std::enable_shared_from_this<connector> {
  public:
    /// `name`: the endpoint as the user wrote it. Appears on the board at once. Thread-safe.
    connector(std::shared_ptr<peering> peers, endpoint to, std::string name);

    /// On the peering's executor, as stop() is.
    void start();
    void stop();
    /// Thread-safe.
    void leave_board() { peers_->board().remove(key_); }

  private:
    awaitable<void> run();
    awaitable<void> connect_once();
    bool is_stopped() const { return stopped_ || peers_->is_stopped(); }

    std::shared_ptr<peering> peers_;
    endpoint to_;
    std::string name_;
    backoff backoff_;
    status_board::key key_;
    bool stopped_ = false;
    std::shared_ptr<asio::cancellation_signal> running_;
};

}  // namespace anabranch::transport
