// Mixed operations on a number of keys, none of which grows: what a store holds of them is what they show, and whatever
// it has not let go of.
#pragma once

#include <anabranch/store.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "retail_reconnect/workload.hpp"

namespace bench::disk {

inline constexpr const char* bucket_name = "b";

/// What one key shows.
struct shown {
    std::int64_t count = 0;
    std::optional<std::string> text;
    std::vector<std::string> candidates;
    std::vector<std::string> add_wins;
    std::vector<std::string> remove_wins;
    bool flag = false;
    bool operator==(const shown&) const = default;
};

/// Draws and commits operations, each a transaction of its own.
class worker {
  public:
    worker(std::uint64_t seed, std::uint32_t keys) : random_(seed), keys_(keys) {}
    void commit_one(anabranch::bucket& at);

  private:
    void change(const anabranch::map_ref& key);

    retail::splitmix64 random_;
    std::uint32_t keys_;
};

std::vector<shown> read_all(const anabranch::bucket& from, std::uint32_t keys);
/// The same state, as two write it who have only what is shown: a key a transaction, in turns.
void write_all(anabranch::bucket& one, anabranch::bucket& other, const std::vector<shown>& all);

}  // namespace bench::disk
