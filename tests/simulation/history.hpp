// Everything that was ever committed in one bucket, as it was asked for: what the oracle judges by.
#pragma once

#include <anabranch/ids.hpp>
#include <anabranch/request.hpp>
#include <array>
#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "simulation/schema.hpp"

namespace anabranch::simulation {

/// With copies that are made of some.
inline constexpr std::size_t most_replicas = 8;
inline constexpr std::size_t most_buckets = 2;

/// A set of transactions that holds all of each origin up to a sequence.
using cut = std::array<std::uint64_t, most_replicas>;

bool covers(const cut& a, const cut& b);
cut joined(const cut& a, const cut& b);
std::string to_string(const cut& c);

enum class action : std::uint8_t {
    add,     ///< to a counter
    reset,   ///< of a counter
    assign,  ///< of a register
    erase,   ///< of a register
    insert,  ///< of a set's element; of a flag: enable
    remove,  ///< of a set's element; of a flag: disable
    clear,   ///< of a node and everything below it
    deposit,     ///< of rights of a bounded counter
    spend,       ///< of some
    move_bound,  ///< of a bounded counter: up takes rights, down makes some
    transfer,    ///< of rights to another replica
    request,     ///< of rights
};

/// A transaction by its place: the one that created a bounded counter, or one that executed a request.
struct birth_dot {
    std::size_t origin = 0;
    std::uint64_t sequence = 0;

    auto operator<=>(const birth_dot&) const = default;
};

struct operation {
    action what;
    int target;  ///< a leaf; for clear a node
    std::int64_t amount = 0;
    std::string value{};
    std::size_t to = 0;  ///< of a transfer
    /// Of bounded counters: which of them it is about, and how much of it.
    struct part {
        birth_dot of;
        std::int64_t amount = 0;
    };
    std::vector<part> parts{};
};

/// What a transaction has that executes a request.
struct request_execution {
    std::size_t request = 0;  ///< its number in the history
    request_role role = request_role::primary;
    request_outcome outcome = request_outcome::committed;  ///< refused: there are no operations
    /// The execution that it confirms, which is its content; it has no operations of its own.
    std::optional<birth_dot> confirms{};
    std::string answer{};  ///< what the client is told
};

struct transaction_record {
    std::size_t origin = 0;
    std::uint64_t sequence = 0;
    timestamp at;
    cut context{};  ///< what its replica had when it began
    std::vector<operation> operations;
    hash128 head{};  ///< of its origin's hash chain
    std::optional<request_execution> execution{};
};

/// An operation and the transaction that it stands in.
struct placed {
    const transaction_record* in;
    std::size_t place;

    const operation& op() const { return in->operations[place]; }
    /// `earlier` had happened where and when this was done.
    bool sees(const placed& earlier) const {
        if (in == earlier.in) return earlier.place < place;
        return in->context[earlier.in->origin] >= earlier.in->sequence;
    }
};

class history {
  public:
    explicit history(const schema& fields) : fields_(fields), of_leaf_(fields.leaves.size()) {}

    const transaction_record& append(transaction_record transaction);
    /// A replica wrote one on its own account, for the bucket's members: it does nothing to any field but move rights.
    const transaction_record& append_duty(std::size_t origin, const cut& context, timestamp at, hash128 head,
                                          std::vector<operation> operations);
    /// Takes the transactions of an origin after `last` back: they never happened.
    void retire(std::size_t origin, std::uint64_t last);

    /// nullptr where there is none.
    const transaction_record* find(std::size_t origin, std::uint64_t sequence) const;
    cut everything() const;
    const schema& fields() const { return fields_; }

    /// All operations on a leaf, removals of what is above it included, of the transactions in `of` and of
    /// `pending`.
    std::vector<placed> operations_on(std::size_t leaf, const cut& of,
                                      const transaction_record* pending) const;
    /// The executions of a request in `of`, and `pending` where that is one.
    std::vector<const transaction_record*> executions_of(std::size_t request, const cut& of,
                                                         const transaction_record* pending = nullptr) const;
    /// Bits of the leaves that the transaction's operations are about.
    std::uint64_t touched_by(const transaction_record& t) const;

  private:
    const schema& fields_;
    std::array<std::deque<transaction_record>, most_replicas> by_origin_;
    std::vector<std::vector<placed>> of_leaf_;
    std::map<std::size_t, std::vector<const transaction_record*>> of_request_;
};

}  // namespace anabranch::simulation
