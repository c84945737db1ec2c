// Chunks: runs of records of several origins in an order in which they can be applied.
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

    std::vector<range> ranges;
    std::vector<entry> entries;

    bool empty() const { return entries.empty(); }
    bool operator==(const chunk&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(ranges, entries);
    }
};

/// Each range holds as many entries as it says, every entry has a range, each origin has one, timestamps do not go back.
bool is_sound(const chunk& c);

/// What became of a chunk.
struct applied {
    struct held_record {
        transaction_id id;
        timestamp at;
    };
    std::uint64_t transactions = 0;  ///< that were new
    /// The first record that is too far in the future; neither it nor anything after it was taken.
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
