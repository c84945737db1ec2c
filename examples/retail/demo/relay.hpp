// The link between edge and cloud, as something that can be cut.
#pragma once

#include <cstdint>
#include <memory>

namespace retail {

/// Listens on a port of its own of 127.0.0.1, carries every connection to the target, and counts the bytes
/// both ways. Runs on a thread of its own. Thread-safe.
class relay {
  public:
    /// Throws std::system_error where it cannot listen.
    explicit relay(std::uint16_t target_port);
    ~relay();
    relay(const relay&) = delete;
    relay& operator=(const relay&) = delete;

    std::uint16_t port() const;
    /// Resets all connections, and every new one as soon as it comes.
    void cut();
    void heal();
    std::uint64_t bytes() const;

  private:
    class impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace retail
