// The products of the workload in a bucket.
#pragma once

#include <anabranch/store.hpp>
#include <span>
#include <vector>

#include "retail_reconnect/workload.hpp"

namespace bench::retail {

inline constexpr const char* bucket_name = "retail";

/// All products in one transaction.
void populate(anabranch::bucket& bucket, const std::vector<product>& products);

/// Each in a transaction of its own, as the workload has it.
void commit_each(anabranch::bucket& bucket, std::span<const operation> operations,
                 anabranch::durability wait_for = anabranch::durability::os);

/// One, as a client's request.
void commit_request(anabranch::bucket& bucket, const anabranch::request& r, const operation& op);

product read_one(const anabranch::bucket& bucket, std::size_t i);
std::vector<product> read_all(const anabranch::bucket& bucket);

}  // namespace bench::retail
