// Connections between replicas: ordered byte streams, with a session at each end as a driver would run it.
#pragma once

#include <anabranch/session.hpp>
#include <array>
#include <optional>
#include <string>

#include "simulation/history.hpp"
#include "sync/message.hpp"

namespace anabranch::simulation {

/// Two replicas that may reach each other.
struct link {
    std::array<std::size_t, 2> ends;
    bool is_cut = false;
};

/// What may still be sent by a budget, as far as can be told from outside.
struct meter {
    byte_budget by;
    double left = 0;
    std::int64_t at = 0;
};

/// One end of a connection. Bytes leave it for `wire`, and arrive at the other end piece by piece.
struct endpoint {
    std::size_t replica = 0;
    session_options options;
    std::optional<session> machine;
    std::string wire;
    bool is_writing = false;         ///< the driver has one write under way and takes no more output
    bool is_poll_due = false;        ///< something has changed here of which the session has not heard
    sync::message_reader inspector;  ///< reads along what is sent
    std::uint64_t seen_holds = 0;
    std::optional<hash128> greeted_state;
    std::int64_t told = 0;  ///< the time, last
    std::optional<meter> own_meter;
    std::optional<meter> asked_meter;  ///< once the session has heard what its peer asks for
    // When the session began
    std::array<bool, most_buckets> was_admitted{};  ///< the other end knew this one as a member
};

struct connection {
    std::size_t over = 0;  ///< a link
    std::array<endpoint, 2> ends;
    bool is_broken = false;
    bool is_outdated = false;  ///< one side has lost what does not count, since it told of it
};

}  // namespace anabranch::simulation
