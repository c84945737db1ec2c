// Two sessions over a link without delay, on a virtual clock, polled when they ask for it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "sync/fake_replica.hpp"
#include "sync/session.hpp"

namespace anabranch::test {

class metered_link {
  public:
    struct sent {
        steady_time at;
        std::size_t from = 0;  ///< 0 or 1
        std::size_t bytes = 0;
        sync::message what;
    };

    /// Transactions that do not compress, on disk at once.
    void commit(std::size_t side, const std::string& bucket, std::size_t count, std::size_t bytes);
    void connect(const session_options& first, const session_options& second);

    /// All that is due now, until neither side has anything to say.
    void settle();
    /// Time goes on for so long; stops where they are in sync, if told so.
    void run(std::chrono::milliseconds longest, bool until_in_sync = false);
    /// The sides are as one: nothing is left to send, and neither has failed.
    bool in_sync() const;

    fake_replica& replica(std::size_t side) { return *replicas_[side]; }
    sync::session& session(std::size_t side) { return *sessions_[side]; }
    /// Takes what a side has to send, and brings it to the other one.
    std::size_t deliver(std::size_t from);
    void poll(std::size_t side);

    steady_time now() const { return now_; }
    void pass(std::chrono::milliseconds time) { now_ += time; }
    const std::vector<sent>& log() const { return log_; }

  private:
    std::array<std::unique_ptr<fake_replica>, 2> replicas_{std::make_unique<fake_replica>(std::uint8_t{'a'}), std::make_unique<fake_replica>(std::uint8_t{'b'})};
    std::array<std::unique_ptr<sync::session>, 2> sessions_;
    std::array<sync::message_reader, 2> said_;
    std::vector<sent> log_;
    steady_time now_{1'000'000};
    std::uint64_t time_ = 0;
    std::mt19937 noise_{1};
};

/// What budgets hold back: records and pieces of states.
bool is_bulk(const sync::message& m);
/// The most by which what one side has sent was ever above a steady stream of that rate. Of no stretch of time does more than that, and
/// what the rate allows in it, pass.
double greatest_burst(std::span<const metered_link::sent> log, std::size_t from, double bytes_per_second);
/// The longest time in which that side has sent nothing, until `end`.
std::chrono::milliseconds longest_silence(std::span<const metered_link::sent> log, std::size_t from, steady_time end);

}  // namespace anabranch::test
