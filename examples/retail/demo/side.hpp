// An instance of the shop.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "demo/http_client.hpp"
#include "demo/process.hpp"

namespace retail {

/// The process may be killed and started again, on the same directory. Started and ended by one thread; the
/// ports may be read by any.
class side {
  public:
    /// `command`: the service and its options, but for --http, which is `http`.
    side(std::string name, std::vector<std::string> command, const std::string& http = "127.0.0.1:0")
        : name_(std::move(name)), command_(std::move(command)) {
        command_.insert(command_.end(), {"--http", http});
    }

    /// With these options, too. Waits until it serves. Throws std::runtime_error where it does not.
    void start(const std::vector<std::string>& more = {});
    /// SIGKILL.
    void kill();
    /// SIGTERM. False where it did not end in order.
    bool stop();
    /// While it runs: it takes no step until resume(). From any thread.
    void pause() { process_->pause(); }
    void resume() { process_->resume(); }

    const std::string& name() const { return name_; }
    /// 0 while it is down.
    std::uint16_t http_port() const { return http_port_; }
    std::uint16_t sync_port() const { return sync_port_; }

  private:
    const std::string name_;
    std::vector<std::string> command_;
    std::unique_ptr<process> process_;
    std::atomic<std::uint16_t> http_port_ = 0;
    std::atomic<std::uint16_t> sync_port_ = 0;
};

/// How many transactions of each origin an instance has.
using progress = std::map<std::string, std::uint64_t>;

/// From GET /status. Throws no_answer.
progress read_progress(http_client& client);

/// The transactions in `theirs` that are not in `ours`.
std::uint64_t missing(const progress& ours, const progress& theirs);

}  // namespace retail
