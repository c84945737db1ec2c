// The sync protocol without IO: bytes and time in, bytes out. For event loops of one's own, for carrying
// sync through other protocols, and for deterministic tests. Most services use <anabranch/replica.hpp>.
#pragma once

#include <anabranch/ids.hpp>
#include <anabranch/result.hpp>
#include <anabranch/store.hpp>
#include <anabranch/sync.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace anabranch {

/// One session between the local store and one peer, over any ordered byte stream. Not thread-safe: one
/// call at a time. Calls read and write the store (no call syncs it to disk) and never block otherwise.
///
/// The driver's loop: pass in what arrives; send take_output(); when wants_sync(), call store::sync() (on
/// any thread, once for many sessions) and then poll(); call poll() also after local commits and at next_poll().
class session {
  public:
    session(store local, session_options options, steady_time now);
    session(session&&) noexcept;
    session& operator=(session&&) noexcept;
    ~session();

    /// Bytes from the peer, cut anywhere.
    void receive(std::string_view bytes, steady_time now);
    /// Looks for local progress, new buckets, time-outs, held transactions whose time has come.
    void poll(steady_time now);
    /// The bytes to send next, in order; empties the buffer. While bytes are waiting to be sent do not
    /// call this: the session stops reading from the store when its buffer holds a chunk (back-pressure). May bring next_poll()
    /// nearer.
    std::string take_output();
    /// Something is applied or committed here that only waits for store::sync() to be acknowledged or sent.
    bool wants_sync() const;
    /// When poll() should be called at the latest.
    steady_time next_poll() const;

    session_phase phase() const;
    /// Everything that either side had on disk when they met is on disk at both. Stays true.
    bool caught_up() const;
    /// The same for everything since. With writes going on it is true for moments only.
    bool in_sync() const;
    /// Why the session ended; nothing while it has not.
    const std::optional<error>& failure() const;
    /// Known once the greeting has arrived.
    const std::optional<replica_id>& peer() const;
    const sync_progress& progress() const;
    /// The buckets of which something is left to send or to receive, by priority and name.
    std::vector<bucket_progress> waiting() const;
    std::vector<held_transaction> held() const;

  private:
    class impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace anabranch
