// A store in memory with one bucket, a replica on it, and what the tests of this folder ask of them.
// They are members before they have ever met, so that what is tested is the transport.
#pragma once

#include <anabranch/replica.hpp>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace anabranch::test {

/// Whether the condition becomes true before a deadline that no healthy machine misses.
bool eventually(const std::function<bool()>& condition);

/// The bucket that all share, in which the store is a member from then on. It has been let in by a founder
/// whom no test meets, and so have all others: each has one transaction for everybody let in before it.
bucket let_in(store& newcomer);

class node {
  public:
    /// Starts listening on a free port of 127.0.0.1, unless the options name another; with back-off in
    /// milliseconds.
    explicit node(replica_options options = {}, store_options store_settings = {});

    /// Elements of one set in the bucket.
    void add(std::string_view element);
    /// One commit each.
    void add_many(std::string_view prefix, int count);
    bool has(std::string_view element) const;
    std::size_t size() const;
    hash128 digest() const;

    std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }
    /// A new replica on the same store and port, as after a restart of the process.
    void restart();
    void stop() { replica_.reset(); }

    anabranch::replica& replica() { return *replica_; }
    store& local() { return store_; }
    /// Of the configured peer of that endpoint.
    peer_status status(std::string_view endpoint) const;
    bool is_live(std::string_view endpoint) const;

  private:
    replica_options options_;
    store store_;
    bucket bucket_;
    std::uint16_t port_ = 0;
    std::unique_ptr<anabranch::replica> replica_;
};

/// Waits until all hold the same `size` elements, in the same state.
bool converge(std::initializer_list<const node*> nodes, std::size_t size);

/// Options with peers, for brevity.
replica_options peers(std::initializer_list<std::string> endpoints);

}  // namespace anabranch::test
