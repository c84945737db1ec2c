// A link that can be cut: a TCP relay to one port, on a thread of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace anabranch::test {

class relay {
  public:
    /// Listens on a free port of 127.0.0.1 and relays to `target`, a "127.0.0.1:port".
    explicit relay(const std::string& target);
    ~relay();
    relay(const relay&) = delete;
    relay& operator=(const relay&) = delete;

    std::string endpoint() const;
    /// Breaks every connection; new ones are broken at once, until heal().
    void cut();
    void heal();
    /// Breaks a connection when it has carried that many bytes, both ways together; for connections to come.
    void cut_after(std::uint64_t bytes);
    /// Relays nothing and breaks nothing: the peers wait.
    void freeze();

    std::uint64_t connections() const;
    std::uint64_t bytes() const;

  private:
    class impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace anabranch::test
