// Requests to both sides, over several connections each, until every one is answered.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "demo/side.hpp"

namespace retail {

/// Thrown where the user ended the demo.
struct interrupted : std::exception {
    const char* what() const noexcept override { return "interrupted"; }
};

struct client_request {
    std::string method;
    std::string target;
    std::string body;
};

/// Sends on threads of its own, from construction on. A request without an answer is sent again, also to a
/// process that was started in place of the one that died: every request has to be safe to repeat.
class traffic {
  public:
    using steady_clock = std::chrono::steady_clock;

    /// The requests of each side go out in their order, spread evenly over `spread`.
    traffic(std::array<side*, 2> sides, std::array<std::vector<client_request>, 2> requests,
            std::size_t connections, std::chrono::duration<double> spread, std::stop_token stop);
    ~traffic();
    traffic(const traffic&) = delete;
    traffic& operator=(const traffic&) = delete;

    std::size_t total() const { return requests_[0].size() + requests_[1].size(); }
    std::size_t answered() const { return answered_[0] + answered_[1]; }
    std::size_t answered_by(std::size_t which) const { return answered_[which]; }
    /// Times that a request remained without an answer, and of these how often it had been carried out all
    /// the same.
    std::size_t unanswered() const { return unanswered_; }
    std::size_t found_done() const { return found_done_; }

    bool finished() const { return answered() == total() || failed_; }
    /// Waits for the end; throws what went wrong: std::runtime_error for an answer that refuses a request
    /// or none for a minute, interrupted.
    void finish();

  private:
    void work(std::size_t which);
    void send_until_answered(std::unique_ptr<http_client>& client, const side& to,
                             const client_request& request);

    const std::array<side*, 2> sides_;
    const std::array<std::vector<client_request>, 2> requests_;
    const std::chrono::duration<double> spread_;
    const std::stop_token stop_;
    const steady_clock::time_point begin_ = steady_clock::now();

    std::array<std::atomic<std::size_t>, 2> next_{};
    std::array<std::atomic<std::size_t>, 2> answered_{};
    std::atomic<std::size_t> unanswered_ = 0;
    std::atomic<std::size_t> found_done_ = 0;
    std::atomic<bool> failed_ = false;
    std::mutex mutex_;
    std::exception_ptr failure_;  // guarded by mutex_
    std::vector<std::thread> threads_;
};

}  // namespace retail
