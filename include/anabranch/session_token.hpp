// What a client has seen, for the next instance that it talks to. docs/session-tokens.md
#pragma once

#include <anabranch/ids.hpp>
#include <cstdint>
#include <map>

namespace anabranch {

/// The transactions that one client's session depends on: those that it caused, and those whose effects it was shown.
/// bucket::seal() makes text of it, bucket::unseal() reads it at any instance, and bucket::missing() tells whether that one
/// has caught up. Whoever has a transaction has all that it had seen when it was made: so one's own writes are mostly enough.
///
/// A value; not thread-safe.
class session_token {
  public:
    /// A transaction that the session caused, or whose effect it was shown (transaction::id(), candidate::writer). One that
    /// has changed nothing does not exist: there, add bucket::progress().
    void add(const transaction_id& seen) { add(seen.origin, seen.sequence); }
    /// All that an instance has (bucket::progress()): for sessions that must never see any part of the state go back, what
    /// others removed included. The more is in a token, the longer it takes elsewhere until all of that is there.
    void add(const frontier& seen) {
        for (const auto& entry : seen) add(entry.origin, entry.sequence);
    }
    void add(const session_token& other) {
        for (const auto& [origin, sequence] : other.seen_) raise(origin, sequence);
    }

    bool empty() const { return seen_.empty(); }
    /// Sequences by replica, which stands for itself by 64 bits of a hash: enough to tell apart those of one bucket.
    const std::map<std::uint64_t, std::uint64_t>& seen() const { return seen_; }
    static std::uint64_t short_name(const replica_id& id);
    void raise(std::uint64_t short_name_of_origin, std::uint64_t sequence) {
        auto& known = seen_[short_name_of_origin];
        known = known < sequence ? sequence : known;
    }

    bool operator==(const session_token&) const = default;

  private:
    void add(const replica_id& origin, std::uint64_t sequence) {
        if (sequence > 0) raise(short_name(origin), sequence);
    }

    std::map<std::uint64_t, std::uint64_t> seen_;
};

}  // namespace anabranch
