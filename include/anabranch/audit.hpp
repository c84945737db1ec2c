// Audits: whether replicas that have the same transactions hold the same rows. docs/audit.md
#pragma once

#include <anabranch/ids.hpp>
#include <anabranch/result.hpp>
#include <anabranch/views.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace anabranch {

enum class audit_stage : std::uint8_t {
    open = 1,      ///< replicas differ there
    repaired = 2,  ///< this replica has taken another one's row
    settled = 3,   ///< all that are known to have differed have been found equal since
};

/// A field or element of which replicas that had the same transactions held something else.
struct audit_finding {
    std::vector<field> path;             ///< from the bucket down
    std::optional<std::string> element;  ///< of a set
    /// Fingerprints of what each replica had there when it was last looked at, this one among them, and what others have told of
    /// third ones; zero: it showed nothing there.
    std::map<replica_id, hash128> had;
    std::chrono::milliseconds found{0};  ///< since 1970
    audit_stage stage = audit_stage::open;
    /// Whose row this replica takes, by the operator's choice: bucket::repair().
    std::optional<replica_id> chosen;

    bool operator==(const audit_finding&) const = default;
};

/// The last audit with a peer.
struct audit_report {
    replica_id peer;
    std::chrono::milliseconds at{0};  ///< since 1970
    std::uint64_t left_out = 0;       ///< rows, or what stands below maps, that could not be compared: they had just changed
    std::uint64_t differing = 0;      ///< rows
    bool is_complete = true;          ///< false: more rows differ than are listed
    /// Why the last one could not be done here: errc::corrupt, storage_failure. Since the store was opened.
    std::optional<error> failure;
};

}  // namespace anabranch
