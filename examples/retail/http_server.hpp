// HTTP/1.1 in front of a function from request to response.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "api.hpp"
#include "endpoint.hpp"

namespace retail {

struct http_limits {
    std::size_t body = 1024 * 1024;
    std::size_t header = 16 * 1024;
    std::size_t connections = 512;
    /// For one request to arrive whole, and for one response to leave.
    std::chrono::seconds timeout{30};
    /// From SIGINT or SIGTERM on it serves as before for so long; a second signal ends that.
    std::chrono::milliseconds drain{0};
};

/// Keeps connections alive and answers pipelined requests in their order. `handle` is called from
/// `threads` threads at once.
class http_server {
  public:
    using handler = std::function<http_response(const http_request&)>;

    /// Listens; throws std::system_error where it cannot. `draining` is called once, when that begins.
    http_server(const endpoint& address, std::size_t threads, handler handle, http_limits limits = {},
                std::function<void()> draining = {});
    ~http_server();
    http_server(const http_server&) = delete;
    http_server& operator=(const http_server&) = delete;

    std::uint16_t port() const;

    /// Serves until stop(), or until it has drained. Requests that have arrived by then are answered.
    void run();
    /// From any thread.
    void stop();

  private:
    class impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace retail
