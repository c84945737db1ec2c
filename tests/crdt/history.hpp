// Small histories of one row at several replicas, beside a textbook specification of what the row must show.
#pragma once

#include <anabranch/ids.hpp>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "causality/origin_table.hpp"
#include "crdt/changes.hpp"
#include "crdt/edit.hpp"

namespace anabranch::test {

enum class type { counter, last_writer, multi_value, add_wins, remove_wins, bounded };

crdt::row_kind kind_of(type t);

/// One operation. `put`: add an amount, assign, add an element; `take`: reset, clear the register, remove the
/// element, spend; `clear`: the map above is cleared.
struct operation {
    enum class kind { put, take, clear } what{};
    std::int64_t amount = 0;
    /// Of a bounded counter: how much of which, by the transaction that created it.
    std::vector<std::pair<std::size_t, std::int64_t>> parts{};
};

/// A transaction as it travels: numbers of replicas in it mean nothing outside the payload.
struct sent_transaction {
    std::size_t writer = 0;
    std::uint64_t sequence = 0;
    timestamp at;
    std::vector<operation> operations;
    std::set<std::size_t> past;  ///< the transactions that its writer had
    std::string payload;
    std::vector<replica_id> mentioned;
};

class history {
  public:
    /// (replica, what, how): any numbers are a history, so that failing ones can be shrunk.
    using step = std::tuple<std::uint8_t, std::uint8_t, std::uint16_t>;

    history(type t, std::size_t replicas);

    void run(const step& s);
    void commit(std::size_t replica, const std::vector<operation>& operations, std::uint64_t clock_jump);
    /// Delivers what `from` has and `to` lacks, in a causal order that `order` chooses; at most `limit` of it.
    void deliver(std::size_t from, std::size_t to, std::uint16_t order, std::size_t limit);
    void deliver_all();

    type tested() const { return type_; }
    std::size_t replicas() const { return replicas_.size(); }
    std::size_t transactions() const { return log_.size(); }
    /// What the row shows, and what the specification says that it must.
    std::string shown(std::size_t replica) const;
    std::string demanded(std::size_t replica) const;
    hash128 fingerprint(std::size_t replica) const;
    bool has_leftovers(std::size_t replica) const { return crdt::has_leftovers(replicas_[replica].row); }
    /// Delivers everything that the replica has once more. Did each leave the row as it was?
    bool duplicates_change_nothing(std::size_t replica);
    /// Lets go of what is stable, where all that the replica has is: every member has told of a state with it, and what
    /// the member had told has been delivered, so that whatever comes of it has seen all that.
    bool prune(std::size_t replica);
    /// What a crash does: rows are as they are, and every transaction from the n-th on is applied again.
    void replay(std::size_t replica, std::size_t from);
    /// Two concurrent transactions of others applied to the replica's row in both orders: the same?
    bool commutes(std::size_t replica) const;
    /// What the edits made is what the join makes of their delta.
    bool local_is_remote() const { return local_is_remote_; }

  private:
    struct site {
        replica_id id;
        origin_table origins;
        crdt::row row;
        version_vector have;
        std::set<std::size_t> known;
        std::vector<std::set<std::size_t>> adverts;  // what `known` was, again and again
        std::vector<std::size_t> applied;            // in this order
        timestamp clock;
    };
    struct event {
        std::size_t transaction;
        std::size_t place;
        operation::kind what;
        std::int64_t amount;
    };

    /// A bounded counter from its creation to its removal.
    struct generation {
        bool is_live = false;
        std::int64_t value = 0;
        std::vector<std::int64_t> rights;  ///< by replica
    };
    using generations = std::map<std::size_t, generation>;
    generations generations_of(const std::set<std::size_t>& known) const;
    bool change_rights(site& at, std::size_t who, crdt::edit& e, operation& o, const dot& me);

    void apply(site& to, const sent_transaction& t) const;
    dot dot_of(site& at, const sent_transaction& t) const;
    bool sees(const event& later, const event& earlier) const;

    type type_;
    std::vector<site> replicas_;
    std::vector<sent_transaction> log_;
    bool local_is_remote_ = true;
};

}  // namespace anabranch::test
