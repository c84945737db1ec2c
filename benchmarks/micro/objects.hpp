// What the benchmarks of single operations work on.
#pragma once

#include <anabranch/store.hpp>
#include <cstdint>
#include <string>

#include "measure/measurement.hpp"

namespace bench::micro {

/// One replica in memory with one bucket.
struct replica {
    anabranch::store store = expect(anabranch::store::in_memory());
    anabranch::bucket bucket = expect(store.create_bucket("b"));
};

inline std::string element(std::int64_t i) { return "element/" + std::to_string(i); }

/// A set of that many elements, added some at a time.
inline void fill_set(anabranch::bucket& bucket, std::int64_t elements) {
    constexpr std::int64_t at_a_time = 1'000;
    for (std::int64_t first = 0; first < elements; first += at_a_time) {
        expect(bucket.commit([&](anabranch::transaction& tx) {
            const auto set = tx.add_wins_set("set");
            for (auto i = first; i < std::min(first + at_a_time, elements); ++i) set.add(element(i));
        }));
    }
}

}  // namespace bench::micro
