// What a run found, and how it is told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "judge.hpp"
#include "purchase.hpp"

namespace retail {

/// One fault, from its begin until all replicas hold the same again.
struct episode {
    std::string name;
    std::uint64_t copies = 0;   ///< mirrored, and carried out by the cloud
    std::uint64_t retries = 0;  ///< the gateway's own
    /// Acknowledged orders that the replica which lacked most did not have at the end of the fault.
    std::size_t missed = 0;
    /// From the end of the fault until all digests were equal; negative: they never were.
    double recovery_ms = 0;
};

struct report {
    bool has_identity = true;
    std::vector<episode> episodes;
    std::vector<purchase> purchases;
    findings found;
    std::vector<std::pair<std::string, std::string>> digests;  ///< replica, digest
    // Nothing where the service does not say.
    std::optional<std::uint64_t> superseded;
    std::optional<std::uint64_t> unconfirmed;
};

/// Over all faults that made replicas miss something; nothing where there was none, or they did not recover.
std::optional<double> recovery_ms_per_request(const report& told);
bool holds(const report& told);

std::string to_table(const report& told);
/// One object: acknowledged, missing, doubled, refused_but_present, stock_wrong, superseded, unconfirmed,
/// recovery_ms_per_request, digests.
std::string to_json_text(const report& told);

}  // namespace retail
