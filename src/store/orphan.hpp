// A transaction that does not count any more, as it is kept aside: what it did, in no need of the log or the rows that it was in.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crdt/deeds.hpp"

namespace anabranch::detail {

struct orphan {
    /// Of an execution.
    struct request_part {
        hash128 identity{};
        std::uint64_t issued = 0;  ///< milliseconds since 1970
        request_role role = request_role::primary;
        request_outcome outcome = request_outcome::committed;
        hash128 content{};
        std::string result;
        std::optional<transaction_id> confirms;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(identity, issued, role, outcome, content, result, confirms);
        }
    };
    timestamp at;
    std::optional<request_part> request;
    std::vector<crdt::deed> deeds;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(at, request, deeds);
    }
};

}  // namespace anabranch::detail
