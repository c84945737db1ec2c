// How far a bucket's rows are known to reflect its log.
#pragma once

#include "causality/version_vector.hpp"

namespace anabranch::detail {

/// The rows reflect at least these records. Written with them; everything after it is applied again on open.
struct watermark {
    version_vector applied;
    timestamp clock;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(applied, clock.value);
    }
};

}  // namespace anabranch::detail
