// One session over one stream: reads, writes, timers.
#pragma once

#include <anabranch/session.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "transport/byte_stream.hpp"

namespace anabranch::transport {

/// What a connection tells its owner, from inside its own calls.
struct connection_events {
    /// The session waits for store::sync(), then for poll().
    std::function<void()> sync_wanted;
    /// Something about the session may have changed.
    std::function<void()> changed;
};

/// Drives a session over a stream. All calls on the stream's executor.
///
/// Reading never waits for writing, so two sides that send at once cannot block each other. What a peer that
/// does not read costs stays bounded all the same: no more output is taken before the last is written, and
/// the session stops reading from the store meanwhile.
class connection : public std::enable_shared_from_this<connection> {
  public:
    /// `name` of the peer, for messages.
    connection(asio::any_io_executor executor, std::unique_ptr<byte_stream> stream, store local,
               const session_options& options, std::string name, connection_events events);

    /// Until both directions have ended. Once.
    awaitable<void> run();

    /// The store has made progress.
    void poll();
    /// Sends what the session has ready, then the end, and waits a moment for the peer to do the same.
    void finish();
    /// Ends at once, for that reason.
    void close(error why);

    const anabranch::session& session() const { return session_; }
    /// Why it ended, where it was not in good order.
    std::optional<error> failure() const;
    bool has_been_live() const { return has_been_live_; }
    /// Times something arrived after something had been sent.
    std::uint64_t round_trips() const { return round_trips_; }

  private:
    awaitable<void> read_loop();
    awaitable<void> write_loop();
    awaitable<void> timer_loop();

    bool is_ending() const { return finishing_ || session_.phase() == session_phase::ended; }
    steady_clock::time_point next_deadline() const;
    bool is_overdue(steady_clock::time_point now);
    void take(std::string_view bytes);
    void lost(const error_code& problem);
    void changed();
    void close();

    std::unique_ptr<byte_stream> stream_;
    session_options options_;
    std::string name_;
    connection_events events_;
    anabranch::session session_;
    asio::steady_timer output_;    ///< cancelled when the session may have output
    asio::steady_timer deadline_;  ///< the next thing that time alone makes happen
    bool closed_ = false;
    bool finishing_ = false;
    bool has_been_live_ = false;
    bool answer_due_ = false;
    bool is_writing_ = false;
    std::uint64_t round_trips_ = 0;
    steady_clock::time_point last_written_{};
    std::optional<steady_clock::time_point> ending_since_;
    std::optional<error> failure_;
};

}  // namespace anabranch::transport
