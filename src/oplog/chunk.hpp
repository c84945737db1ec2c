// Chunks: runs of records of several origins in an order in which they can be applied, or folds of them.
#pragma once

#include <anabranch/limits.hpp>
#include <anabranch/result.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "oplog/record.hpp"

namespace anabranch::oplog {

/// Records merged by (timestamp, origin). Whoever has all that came before the chunk may apply any prefix of it: a
/// hybrid logical clock respects causality, so nothing stands before what it depends on.
struct chunk {
    /// The records first..last of one origin, and the chain's head after the last.
    struct range {
        replica_id origin;
        std::uint64_t first = 0;
        std::uint64_t last = 0;
        hash128 head{};

        bool operator==(const range&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(origin, first, last, head);
        }
    };
    struct entry {
        std::uint32_t range = 0;  ///< its place in `ranges`; sequences count up within one
        std::string body;

        bool operator==(const entry&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(range, body);
        }
    };

    /// A record of the ranges that is not a part of the fold: executions of requests stay what they are.
    struct aside {
        std::uint32_t range = 0;
        std::uint64_t sequence = 0;
        std::string body;

        bool operator==(const aside&) const = default;
        template <class Archive>
        void serialize(Archive& archive) {
            archive(range, sequence, body);
        }
    };
    /// All that the ranges' transactions do, joined: applied whole or not at all.
    struct fold {
        /// Of all the transactions in it, those included of which it keeps only what they cover. Whoever gets it has or
        /// gets everything of that time.
        timestamp least;
        timestamp greatest;
        std::vector<timestamp> ends;  ///< of each range's last
        std::string body;             ///< opaque here, as a record's payload is
        std::vector<aside> asides{};  ///< merged as records are

        bool operator==(const fold&) const = default;
        /// Later times as their distance from the least.
        template <class Archive>
        void serialize(Archive& archive) {
            if constexpr (Archive::is_loading) {
                archive(least, greatest, ends, body, asides);
                greatest.value += least.value;
                for (auto& end : ends) end.value += least.value;
            } else {
                auto later = ends;
                for (auto& end : later) end.value -= least.value;
                archive(least, timestamp{greatest.value - least.value}, later, body, asides);
            }
        }
    };

    std::vector<range> ranges;
    std::vector<entry> entries;
    std::optional<fold> folded;  ///< instead of entries
    std::vector<replica_id> twins{};  ///< whose records abbreviated ones refer to; those in a log are whole

    bool empty() const { return ranges.empty(); }
    /// How many it holds.
    std::uint64_t transactions() const;
    bool operator==(const chunk&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(ranges, entries, folded, twins);
    }
};

/// Each origin has one range. Records: each range holds as many entries as it says, every entry has a range, timestamps do not
/// go back. Folds: there are no entries, nothing ends before it begins, and what stands aside of it
/// is of its ranges, each once.
bool is_sound(const chunk& c);

/// How much to read of a log at once.
struct portion {
    std::size_t record_bytes = SIZE_MAX;
    std::size_t fold_bytes = SIZE_MAX;
    /// More transactions than this come folded.
    std::uint64_t fold_above = UINT64_MAX;
};

/// The last transaction of a fold's ranges.
transaction_id last_of(const chunk& c);

/// What became of a chunk.
struct applied {
    struct held_record {
        transaction_id id;
        timestamp at;
        /// A fold from here on: only what is earlier may be taken before it.
        std::optional<timestamp> fold_from{};
    };
    std::uint64_t transactions = 0;  ///< that were new
    /// The first record that is too far in the future, or a fold's last: neither it nor anything after it was taken, of a
    /// fold nothing.
    std::optional<held_record> held;
};

/// One origin's records, upwards.
class record_stream {
  public:
    virtual ~record_stream() = default;
    virtual bool valid() const = 0;
    virtual const replica_id& origin() const = 0;
    virtual std::uint64_t sequence() const = 0;
    virtual std::string_view body() const = 0;
    virtual const hash128& head() const = 0;
    virtual void next() = 0;
    virtual result<void> status() const = 0;
};

/// Several origins' records as one stream by (timestamp, origin).
class merged_stream {
  public:
    explicit merged_stream(std::vector<std::unique_ptr<record_stream>> streams);

    /// The stream whose record is next; nullptr at the end.
    record_stream* top() const { return top_ == nullptr ? nullptr : top_->stream.get(); }
    timestamp at() const { return top_->at; }
    void next();
    /// The first error of any stream. An error ends the merge: later records might depend on what is missing.
    result<void> status() const;

  private:
    struct source {
        std::unique_ptr<record_stream> stream;
        timestamp at;
    };
    void choose();

    std::vector<source> sources_;
    source* top_ = nullptr;
};

/// The next records below `ceiling`, at least one if there is one, until their bodies exceed `max_bytes`.
result<chunk> collect(merged_stream& stream, timestamp ceiling, std::size_t max_bytes);

}  // namespace anabranch::oplog
