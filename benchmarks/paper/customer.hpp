// Sends one request after the other to one service.
#pragma once

#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "demo/side.hpp"
#include "demo/traffic.hpp"

namespace bench::paper {

class customer {
  public:
    /// `next(i)` is the i-th request; it is sent when the last is answered, and `pause` after that was sent. While the
    /// service is down it waits for it.
    customer(const retail::side& service, std::function<retail::client_request(std::uint64_t i)> next,
             std::chrono::duration<double> pause = {});
    /// Ends after the request under way. Throws where the service refused one.
    void stop();

    // After stop().
    /// Of the answered requests, in milliseconds.
    const std::vector<double>& latencies() const { return latencies_; }
    /// Requests that may or may not have been carried out.
    std::uint64_t unanswered() const { return unanswered_; }

  private:
    void work(const std::stop_token& ended);

    const retail::side& service_;
    const std::function<retail::client_request(std::uint64_t)> next_;
    const std::chrono::duration<double> pause_;
    std::vector<double> latencies_;
    std::uint64_t unanswered_ = 0;
    std::exception_ptr failure_;
    std::jthread thread_;
};

}  // namespace bench::paper
