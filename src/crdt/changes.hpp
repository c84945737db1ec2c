// What a transaction does to the rows of a bucket, and how that is written in a log record's payload.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/archive.hpp"
#include "crdt/requests.hpp"
#include "crdt/roster.hpp"
#include "crdt/row.hpp"

namespace anabranch::crdt {

/// Everything below a prefix that the transaction had seen is taken away: one record however much there
/// was. The counters below it stand among the transaction's row changes, with the totals that it observed.
struct prefix_removal {
    std::string prefix;
    version_vector covered;

    bool operator==(const prefix_removal&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(prefix, covered);
    }
};

struct row_change {
    std::string key;
    delta change;

    bool operator==(const row_change&) const = default;
};

/// Of one origin, the transactions first..last.
struct dot_range {
    origin writer{};
    std::uint64_t first = 0;
    std::uint64_t last = 0;

    bool holds(std::uint64_t sequence) const { return first <= sequence && sequence <= last; }
    bool operator==(const dot_range&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(writer, first, last);
    }
};

/// Rows of a fold that whoever has folded it again could not read: they go along as they came, and whoever knows their kinds takes
/// them from it.
struct carried_fold {
    std::vector<dot_range> ranges;
    std::uint64_t least = 0;   ///< timestamp
    std::uint64_t kinds = 0;   ///< whose rows count, as bits
    std::string body;          ///< as in a fold, not compressed; but for its rows it is empty

    bool operator==(const carried_fold&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(ranges, least, kinds, body);
    }
};

/// The removals happen first. Each key stands once.
struct changes {
    std::vector<prefix_removal> removals;
    std::vector<row_change> rows;
    /// What is joined into the bucket's roster.
    roster members;
    /// Of kinds that are not known here.
    std::vector<carried_fold> carried{};
    /// Kinds of rows that are left out because they are not known here, as bits.
    std::uint64_t unknown = 0;

    bool empty() const { return removals.empty() && rows.empty() && members.empty(); }
    bool operator==(const changes&) const = default;
};

/// Whose transaction a payload is, and from when: it says of its own dot and time only that they are its own.
struct stamp {
    dot id;
    timestamp at;
};

/// Replicas, dots and times as a payload names them.
class payload_input final : public codec::basic_input<payload_input> {
  public:
    /// `apart`: from where strings are read, if not from among the rest.
    payload_input(std::string_view in, const stamp& own, std::span<const origin> mentioned, codec::input* apart = nullptr)
        : basic_input(in), own_(own), mentioned_(mentioned), apart_(apart) {}
    void translate(origin& o) {
        const auto place = varint();
        if (place > mentioned_.size()) return fail();
        o = place == 0 ? own_.id.writer : mentioned_[static_cast<std::size_t>(place - 1)];
    }
    void translate(dot& d);
    void translate(timestamp& t);
    std::string_view bytes();
    /// The same replicas, other bytes.
    payload_input within(std::string_view in, codec::input* apart) const { return {in, own_, mentioned_, apart}; }

  private:
    stamp own_;
    std::span<const origin> mentioned_;
    codec::input* apart_;
};

class payload_output final : public codec::basic_output<payload_output> {
  public:
    /// `apart`: where strings are written, if not among the rest.
    payload_output(std::string& out, const stamp& own, std::vector<origin>& mentioned, std::string* apart = nullptr)
        : basic_output(out), own_(own), mentioned_(mentioned), apart_(apart) {}
    std::uint32_t translate(const origin& o) const;
    struct placed_dot {
        std::uint32_t place = 0;     ///< of its origin
        std::uint64_t sequence = 0;  ///< of the own origin's, how many before the own one: mostly none

        template <class Archive>
        void serialize(Archive& archive) {
            archive(place, sequence);
        }
    };
    placed_dot translate(const dot& d) const;
    std::uint64_t translate(const timestamp& t) const { return own_.at.value - t.value; }
    void bytes(std::string_view v);

  private:
    stamp own_;
    std::vector<origin>& mentioned_;
    std::string* apart_;
};

/// Writes a payload piece by piece: removals, that many rows by ascending keys, members where there are any.
/// It refers to replicas by their place in the record's list of them: 0 is the record's own origin, n is
/// `mentioned[n - 1]`. Writing fills the list.
class changes_output {
  public:
    changes_output(std::string& out, const stamp& own, std::vector<origin>& mentioned, std::string* apart = nullptr);

    void removals(const std::vector<prefix_removal>& all, std::size_t rows);
    void row(std::string_view key, const delta& change);
    void members(const roster& change);

  private:
    std::string& bytes_;
    std::string* apart_;
    payload_output out_;
};
std::string encode_changes(const changes& c, const stamp& own, std::vector<origin>& mentioned);

/// What a payload does to a row of a kind that is not known here.
struct unknown_change {
    std::string key;
    row_kind kind{};
};

/// Reads a payload row by row, for whoever needs them only for a moment. Changes of row kinds that are not known are left out;
/// the record still holds them.
class changes_input {
  public:
    changes_input(std::string_view payload, const stamp& own, std::span<const origin> mentioned, const known_kinds& kinds = {},
                  std::optional<std::string_view> apart = std::nullopt);
    changes_input(const changes_input&) = delete;
    changes_input& operator=(const changes_input&) = delete;

    /// In this order: all removals, rows until there is none, members.
    std::vector<prefix_removal> removals();
    /// False where there is no more, or the bytes are malformed. `key` is a part of the payload.
    bool next(std::string_view& key, delta& change);
    /// Of the row that next() has returned, among all in the payload.
    std::uint32_t place() const { return place_; }
    /// Nothing where any of the payload is malformed.
    std::optional<roster> members();
    /// What has been left out.
    const std::vector<unknown_change>& unknown() const { return unknown_; }
    /// Its kinds, as bits.
    std::uint64_t unknown_kinds() const;

  private:
    std::optional<codec::input> apart_;
    payload_input in_;
    stamp own_;
    known_kinds kinds_;
    std::vector<unknown_change> unknown_;
    std::size_t rows_ = 0;
    std::uint32_t place_ = 0;
    std::uint32_t next_place_ = 0;
};

/// A record that is an execution: what makes it one, then its changes, which say nothing about members.
struct executed {
    execution request;
    changes changed;
    std::vector<std::uint32_t> places;  ///< of the changed rows, as tallies name them
    std::vector<unknown_change> unknown{};

    /// What it has added to the totals of the row at that place of `changed.rows`.
    std::vector<tally> tallies_of(std::size_t place) const;
};
/// What the request says, paths and values stand apart: other executions of it mostly have the same (oplog::record::common).
struct execution_bytes {
    std::string payload;
    std::string common;
};
execution_bytes encode_execution(const execution& request, const changes& changed, const stamp& own, std::vector<origin>& mentioned);
std::optional<executed> decode_execution(std::string_view payload, std::string_view common, const stamp& own, std::span<const origin> mentioned,
                                         const known_kinds& kinds = {});
/// Whose execution a common part belongs to; nothing where it is none.
std::optional<hash128> identity_in(std::string_view common);

/// All of it. Nothing where the bytes are malformed.
std::optional<changes> decode_changes(std::string_view payload, const stamp& own, std::span<const origin> mentioned, const known_kinds& kinds = {});

/// What may be demanded of a transaction with that dot: it adds nothing in the name of another.
bool is_own_work(const delta& change, const dot& transaction);
bool is_own_work(const prefix_removal& removal, const dot& transaction);
bool is_own_work(const changes& c, const dot& transaction);

}  // namespace anabranch::crdt
