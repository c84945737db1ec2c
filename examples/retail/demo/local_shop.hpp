// An instance of the shop in this process: the service without HTTP.
#pragma once

#include <anabranch/replica.hpp>
#include <anabranch/store.hpp>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "shop.hpp"

namespace retail {

/// Throws std::runtime_error where there is an error instead.
template <class T, class Error>
T value_of(tl::expected<T, Error> found, const std::string& what) {
    if (!found) throw std::runtime_error(what + ": " + found.error().message);
    if constexpr (!std::is_void_v<T>) return std::move(*found);
}

struct local_shop {
    /// Throws std::runtime_error. `founds`: the shop; else it joins when it meets a member.
    local_shop(std::string called, const std::filesystem::path& directory, bool founds,
               const anabranch::store_options& at, const anabranch::replica_options& sync)
        : name(std::move(called)),
          store(value_of(anabranch::store::open(directory / name, at), name)),
          bucket(value_of(founds ? store.create_bucket("shop") : store.bucket("shop"), name)),
          shop(bucket, {.stock_wait = std::chrono::milliseconds{0}}),
          replica(store, sync) {
        value_of(replica.start(), name);
    }

    const std::string name;
    anabranch::store store;
    anabranch::bucket bucket;
    retail::shop shop;
    anabranch::replica replica;
};

}  // namespace retail
