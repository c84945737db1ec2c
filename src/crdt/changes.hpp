// What a transaction does to the rows of a bucket, and how that is written in a log record's payload.
#pragma once

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

/// The removals happen first. Each key stands once.
struct changes {
    std::vector<prefix_removal> removals;
    std::vector<row_change> rows;
    /// What is joined into the bucket's roster.
    roster members;

    bool empty() const { return removals.empty() && rows.empty() && members.empty(); }
    bool operator==(const changes&) const = default;
};

/// Replicas as a payload names them.
class payload_input final : public codec::basic_input<payload_input> {
  public:
    payload_input(std::string_view in, origin own, std::span<const origin> mentioned)
        : basic_input(in), own_(own), mentioned_(mentioned) {}
    void translate(origin& o) {
        const auto place = varint();
        if (place > mentioned_.size()) return fail();
        o = place == 0 ? own_ : mentioned_[static_cast<std::size_t>(place - 1)];
    }
    /// The same replicas, other bytes.
    payload_input within(std::string_view in) const { return {in, own_, mentioned_}; }

  private:
    origin own_;
    std::span<const origin> mentioned_;
};

class payload_output final : public codec::basic_output<payload_output> {
  public:
    payload_output(std::string& out, origin own, std::vector<origin>& mentioned)
        : basic_output(out), own_(own), mentioned_(mentioned) {}
    std::uint32_t translate(const origin& o) const;

  private:
    origin own_;
    std::vector<origin>& mentioned_;
};

/// Writes a payload piece by piece: removals, that many rows by ascending keys, members where there are any.
/// It refers to replicas by their place in the record's list of them: 0 is the record's own origin, n is
/// `mentioned[n - 1]`. Writing fills the list.
class changes_output {
  public:
    changes_output(std::string& out, origin own, std::vector<origin>& mentioned);

    void removals(const std::vector<prefix_removal>& all, std::size_t rows);
    void row(std::string_view key, const delta& change);
    void members(const roster& change);

  private:
    std::string& bytes_;
    payload_output out_;
};
std::string encode_changes(const changes& c, origin own, std::vector<origin>& mentioned);

/// Reads a payload row by row, for whoever needs them only for a moment. Changes of row kinds that this version does not
/// know are left out; the record still holds them.
class changes_input {
  public:
    changes_input(std::string_view payload, origin own, std::span<const origin> mentioned);

    /// In this order: all removals, rows until there is none, members.
    std::vector<prefix_removal> removals();
    /// False where there is no more, or the bytes are malformed. `key` is a part of the payload.
    bool next(std::string_view& key, delta& change);
    /// Of the row that next() has returned, among all in the payload.
    std::uint32_t place() const { return place_; }
    /// Nothing where any of the payload is malformed.
    std::optional<roster> members();

  private:
    payload_input in_;
    std::size_t rows_ = 0;
    std::uint32_t place_ = 0;
    std::uint32_t next_place_ = 0;
};

/// The payload of a record that is an execution: what makes it one, then its changes, which say nothing about members.
struct executed {
    execution request;
    changes changed;
    std::vector<std::uint32_t> places;  ///< of the changed rows, as tallies name them

    /// What it has added to the totals of the row at that place of `changed.rows`.
    std::vector<tally> tallies_of(std::size_t place) const;
};
void encode_execution(std::string& out, const execution& request, origin own, std::vector<origin>& mentioned);
std::optional<executed> decode_execution(std::string_view payload, origin own, std::span<const origin> mentioned);

/// All of it. Nothing where the bytes are malformed.
std::optional<changes> decode_changes(std::string_view payload, origin own, std::span<const origin> mentioned);

/// What may be demanded of a transaction with that dot: it adds nothing in the name of another.
bool is_own_work(const delta& change, const dot& transaction);
bool is_own_work(const prefix_removal& removal, const dot& transaction);
bool is_own_work(const changes& c, const dot& transaction);

}  // namespace anabranch::crdt
