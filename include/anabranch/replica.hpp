// Keeps a store in sync with its peers over TCP or mutual TLS.
#pragma once

#include <anabranch/environment.hpp>
#include <anabranch/session.hpp>
#include <anabranch/store.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace anabranch {

namespace detail {
struct asio_access;
}

/// PEM files for mutual TLS 1.3: both sides present a certificate signed by the authority, and nobody else's
/// authority counts. The side that connects demands a certificate for the host that it was told to connect
/// to, a name or an address (subject alternative name). Loaded by replica::start().
struct tls_credentials {
    std::filesystem::path certificate;  ///< the certificate, then those of intermediate authorities, if any
    std::filesystem::path private_key;
    std::filesystem::path authority;
};

struct replica_options {
    /// "host:port" to accept peers on; port 0 picks a free one. Empty: accept none. Addresses: "0.0.0.0:7400"
    /// for everybody, "127.0.0.1:7400" for this machine, "[::]:7400" for IPv6.
    std::string listen{};
    /// "host:port" of peers to stay connected to. One side's entry is enough; where both sides have one, one
    /// of the two connections stays.
    std::vector<std::string> peers{};
    /// Without: plain TCP, for trusted networks only.
    std::optional<tls_credentials> tls{};
    /// Budgets are for each peer. Those of peers to connect to go on from session to session, whatever `left` says; who is
    /// connected to begins with that at every session, and hears from the other side what it asks for.
    session_options session{};
    /// A lost or refused connection is tried again after a random time up to a bound that doubles, failure by
    /// failure, from the first to the second. Lower the second where links are cut often and briefly.
    std::chrono::milliseconds backoff_min{100};
    std::chrono::milliseconds backoff_max{30'000};
    /// Looking a name up, connecting, and the TLS handshake take no longer than this, each.
    std::chrono::milliseconds connect_timeout{10'000};
    /// Accepted connections at one time; more are closed at once.
    std::size_t max_connections = 256;
    /// Randomness of the back-off. Tests hand in their own.
    environment env = environment::system();
};

/// What sync_once did.
struct sync_report {
    replica_id peer;
    sync_progress totals;
    /// Times that something arrived after something had been sent: how often the latency of the link was
    /// paid.
    std::uint64_t round_trips = 0;
    /// From the call until everything was durable at both sides.
    std::chrono::microseconds elapsed{};
    /// The held transactions, if any: they remain.
    std::vector<held_transaction> held;
};

struct peer_status {
    std::string endpoint;   ///< as configured, or the remote address of an accepted connection
    bool accepted = false;  ///< the peer connected to this side
    bool connected = false;
    std::optional<replica_id> id;  ///< known once it has been connected
    session_phase phase = session_phase::greeting;
    sync_progress totals;  ///< of the current or last session
    std::vector<bucket_progress> waiting;  ///< its buckets of which something is left, by priority and name
    std::vector<held_transaction> held;
    std::uint64_t sessions = 0;  ///< connections that got as far as a greeting
    std::optional<error>
        last_error;  ///< why the last attempt or session ended; nothing once a session is live
};

/// Listens, connects, reconnects and syncs in the background. Commits are pushed to connected peers at once:
/// a commit costs its sync to disk and half a round trip until it is visible there. Thread-safe.
///
/// One thread serves all peers, a second one syncs the store to disk for all of them; commits of
/// durability::os are synced while peers are connected, and not otherwise. Nothing is written to logs: what
/// goes wrong with a peer is in its peer_status.
class replica {
  public:
    /// Runs on a thread of its own. To run on an executor of yours see <anabranch/asio.hpp>.
    replica(store local, replica_options options);
    /// stop().
    ~replica();
    replica(const replica&) = delete;
    replica& operator=(const replica&) = delete;

    /// Opens the listener and begins to connect. errc::network where the address cannot be listened on (or
    /// the system has no threads or descriptors left), errc::invalid_argument for a malformed one or unusable
    /// credentials; may be tried again then. Nothing where it is running, errc::closed after stop().
    result<void> start();
    /// Closes every connection and waits for the threads, for a sync to disk and for a name look-up under
    /// way. Idempotent. Peers find out at once; what they lacked they get at the next connection.
    void stop();

    /// The port that it listens on; 0 where it does not.
    std::uint16_t port() const;

    /// Adds or removes a peer to stay connected to, while running or before. A peer is known by the text it
    /// was added with; adding it twice is adding it once. errc::invalid_argument, errc::closed after stop().
    result<void> connect(std::string endpoint);
    void disconnect(std::string_view endpoint);

    /// Connects to the peer, exchanges everything either side lacks, and disconnects. Blocks up to
    /// `timeout` without progress (errc::timed_out); what waits for a budget is not taken for that, unless `timeout` is shorter
    /// than the peer's session_options::heartbeat. `watch` is called on the replica's thread, at most every
    /// 20 ms and once at the end; it must neither throw nor block. Needs start() to have been called, not the
    /// peer to be configured; one that is connected in the background stays so. errc::network, cancelled (by
    /// stop()), closed (not running), invalid_argument (also: called from `watch`), or why the session ended.
    result<sync_report> sync_once(const std::string& endpoint,
                                  const std::function<void(const sync_progress&)>& watch = {},
                                  std::chrono::milliseconds timeout = std::chrono::seconds{30});

    /// The configured peers, each once, whichever side connected; then accepted connections of others; among
    /// them, not connected, the last few that were no peers (no or wrong certificate, another protocol,
    /// garbage).
    std::vector<peer_status> peers() const;

  private:
    friend struct detail::asio_access;
    class impl;
    explicit replica(std::unique_ptr<impl> made);
    std::unique_ptr<impl> impl_;
};

}  // namespace anabranch
