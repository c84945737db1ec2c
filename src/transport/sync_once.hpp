// One exchange with one peer, on a connection of its own.
#pragma once

#include <functional>
#include <string>

#include "transport/endpoint.hpp"
#include "transport/peering.hpp"

namespace anabranch::transport {

struct sync_once_request {
    endpoint to;
    std::string name;  ///< the endpoint as the user wrote it
    std::function<void(const sync_progress&)> watch;
    std::chrono::milliseconds timeout{};
    std::function<void(result<sync_report>)> done;
};

/// replica::sync_once(); for peering::spawn().
awaitable<void> sync_once(std::shared_ptr<peering> peers, sync_once_request request);

}  // namespace anabranch::transport
