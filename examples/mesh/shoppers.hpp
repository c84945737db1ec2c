// Clients that place orders through the gateway.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "endpoint.hpp"
#include "purchase.hpp"

namespace retail {

struct shopper_options {
    endpoint gateway;
    std::size_t connections = 8;
    double per_second = 15;
    /// Sends Idempotency-Key and Idempotency-Issued, the same ones with every attempt.
    bool has_identity = true;
    /// Then the client gives up waiting, and tries again.
    std::chrono::milliseconds patience{700};
    unsigned attempts = 12;
};

/// Places each order once, on threads of its own, from construction on; tries again what was not answered.
class shoppers {
  public:
    /// `purchases` outlives it, and belongs to it until finish(). They go out in their order.
    shoppers(shopper_options options, std::vector<purchase*> purchases, std::stop_token stop);
    ~shoppers();
    shoppers(const shoppers&) = delete;
    shoppers& operator=(const shoppers&) = delete;

    std::size_t total() const { return purchases_.size(); }
    std::size_t sent() const { return std::min<std::size_t>(next_, purchases_.size()); }
    std::size_t done() const { return done_; }
    bool finished() const { return done_ == purchases_.size() || ended_; }
    /// Waits for the end. Throws interrupted.
    void finish();

  private:
    void work();
    void place(purchase& wanted);

    const shopper_options options_;
    const std::vector<purchase*> purchases_;
    const std::stop_token stop_;
    const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    std::atomic<std::size_t> next_ = 0;
    std::atomic<std::size_t> done_ = 0;
    std::atomic<bool> ended_ = false;
    std::mutex mutex_;
    std::exception_ptr failure_;  // guarded by mutex_
    std::vector<std::thread> threads_;
};

/// Somebody who only reads, so many times a second at most, and no longer than ten seconds.
class crawler {
  public:
    crawler(endpoint gateway, unsigned per_second);

  private:
    std::vector<std::jthread> threads_;
};

}  // namespace retail
