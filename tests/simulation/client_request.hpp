// A request as a client makes it, and as the mesh brings it to replicas.
#pragma once

#include <anabranch/request.hpp>
#include <vector>

namespace anabranch::simulation {

/// On its way. It arrives when it is due, or later; those of one request in any order.
struct request_copy {
    std::size_t replica = 0;
    request_role role = request_role::primary;
    std::int64_t due = 0;
    std::uint32_t attempt = 1;
};

struct client_request {
    std::size_t bucket = 0;
    request identity;
    std::uint64_t program = 0;  ///< what it does follows from this, and from what it finds
    std::vector<request_copy> copies;
    bool is_fixed = false;  ///< as some replica says: from then on there is no further execution
};

}  // namespace anabranch::simulation
