// Accepts peers.
#pragma once

#include <memory>

#include "transport/endpoint.hpp"
#include "transport/peering.hpp"

namespace anabranch::transport {

/// Accepts connections and has each talk, up to replica_options::max_connections at one time.
class listener : public std::enable_shared_from_this<listener> {
  public:
    /// Listens, on a port that is free where the given one is 0. Looks names up, and blocks meanwhile.
    /// errc::network.
    static result<std::shared_ptr<listener>> open(std::shared_ptr<peering> peers, const endpoint& at);

    listener(std::shared_ptr<peering> peers, tcp::acceptor acceptor);
    std::uint16_t port() const { return port_; }

    /// Until the peering is stopped.
    awaitable<void> run();

  private:
    awaitable<void> serve(tcp::socket socket);

    std::shared_ptr<peering> peers_;
    tcp::acceptor acceptor_;
    std::uint16_t port_ = 0;
    std::size_t open_connections_ = 0;
};

}  // namespace anabranch::transport
