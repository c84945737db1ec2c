// What audits of a bucket have found, and when they were. docs/audit.md
#pragma once

#include <anabranch/audit.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/roster.hpp"

namespace anabranch::detail {

/// What an audit is about.
struct audit_scope {
    struct range {
        std::string from;
        std::string to;  ///< exclusive; empty: to the end

        bool holds(std::string_view path) const { return path >= from && (to.empty() || path < to); }
        template <class Archive>
        void serialize(Archive& archive) {
            archive(from, to);
        }
    };
    std::vector<range> ranges;  ///< ascending, none empty
    bool is_whole = false;      ///< all rows
    std::uint64_t call = 0;     ///< which of bucket::audit() it answers

    bool holds(std::string_view path) const {
        for (const auto& r : ranges) {
            if (r.holds(path)) return true;
        }
        return false;
    }
};

/// What a replica has at a path, as somebody who has compared it found.
struct sighting {
    hash128 fingerprint{};  ///< zero: nothing
    /// Milliseconds since 1970, or later than all that was known of it there: the latest counts, whoever tells it.
    std::uint64_t at = 0;

    bool operator==(const sighting&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(fingerprint, at);
    }
};
using sightings = std::map<replica_id, sighting>;

/// Not thread-safe.
class audit_book {
  public:
    /// Rows that differ, and what is known of each: no more are listed.
    static constexpr std::size_t most_findings = 1000;

    struct entry {
        sightings had;
        std::uint64_t found = 0;  ///< milliseconds since 1970
        audit_stage stage = audit_stage::open;
        std::optional<replica_id> chosen;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(had, found, stage, chosen);
        }
    };
    struct peer {
        std::uint64_t whole_at = 0;  ///< when all rows were last compared with it, or it was met
        std::uint64_t tried_at = 0;
        std::uint64_t last_at = 0;   ///< when the last audit ended; 0: there was none
        std::uint64_t left_out = 0;
        std::uint64_t differing = 0;
        bool is_complete = true;
        // Not kept:
        std::uint64_t answered = 0;  ///< the last call that it has been audited for
        std::optional<error> failure;

        template <class Archive>
        void serialize(Archive& archive) {
            archive(whole_at, tried_at, last_at, left_out, differing, is_complete);
        }
    };
    /// An audit that has ended.
    struct outcome {
        replica_id with;
        replica_id self;
        std::uint64_t now = 0;
        const audit_scope& scope;
        std::uint64_t left_out = 0;
        bool is_complete = true;
        std::map<std::string, std::pair<hash128, hash128>> differing;  ///< by path: what is here, what is there
        std::map<std::string, hash128> equal;                          ///< of those that are listed: what is here, and there
    };

    /// What is to be audited with that peer now; nothing: nothing. Once every `interval` all rows, in between what has been found; 0:
    /// only what has been asked for.
    std::optional<audit_scope> due(const replica_id& with, std::uint64_t now, std::chrono::milliseconds interval);
    bool has_met(const replica_id& with) const { return peers_.contains(with); }
    /// One has begun.
    void begun(const replica_id& with, std::uint64_t now) { peers_[with].tried_at = now; }
    /// Everybody is to be asked for that prefix.
    void call(std::string below);

    void note(const outcome& of);
    /// It could not be done, for something that is wrong here.
    void failed(const replica_id& with, std::uint64_t now, const error& why);
    /// What another one knows of a row that differs somewhere.
    void hear(const std::string& path, const sightings& told, std::uint64_t now);
    /// All that is known of that row.
    sightings known(const std::string& path) const;
    /// Of all rows that are listed.
    std::vector<std::string> paths() const;
    /// Of those that are open.
    std::vector<std::string> open() const;
    bool has_open() const;

    /// Rows that are to be taken from that replica: what more than half of all members have, and it, and this one has not; or what an
    /// operator has chosen.
    std::vector<std::string> to_take(const replica_id& from, const replica_id& self, const crdt::roster& members) const;
    /// An operator takes what that one has, wherever it differs. False where nothing does.
    bool choose(const replica_id& from, const replica_id& self);
    /// They have been taken; that is what is here now.
    void repaired(const std::string& path, const replica_id& self, const hash128& now_here, std::uint64_t now);
    void dismiss() { entries_.clear(); }

    std::vector<audit_finding> findings() const;
    std::vector<audit_report> reports() const;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(entries_, peers_);
    }

  private:
    entry* find_or_add(const std::string& path, std::uint64_t now);
    static void see(entry& e, const replica_id& who, const hash128& fingerprint, std::uint64_t now);
    static void settle(entry& e);

    std::map<std::string, entry> entries_;  // by path
    std::map<replica_id, peer> peers_;
    std::uint64_t calls_ = 0;
    std::string called_below_;
};

}  // namespace anabranch::detail
