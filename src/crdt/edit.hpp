// The data types: what their operations do to rows, and what they read from them.
#pragma once

#include <functional>

#include "crdt/escrow.hpp"
#include "crdt/row.hpp"

namespace anabranch::crdt {

/// One row inside a transaction: as it was before, and what the transaction has done to it so far. All
/// of a transaction's operations have one dot, so a later one replaces the earlier ones' entries.
class edit {
  public:
    /// `before`: the row without anything of this transaction.
    explicit edit(row before) : before_(std::move(before)), change_{{}, bottom(kind_of(before_))} {}
    /// `so_far`: what earlier operations of this transaction did to it.
    edit(row before, delta so_far) : before_(std::move(before)), change_(std::move(so_far)) {}

    /// The transaction is an execution of a request, so that nothing of it is certain yet.
    void belong_to_request(origin me) { execution_by_ = me; }

    /// The row with the transaction's changes.
    row now() const;
    const delta& change() const { return change_; }
    delta take_change() { return std::move(change_); }

    // Counters. False, and nothing done, where the writer's total would leave int64. `forgotten`: up to which of its own
    // transactions the writer may have forgotten what it added and others took: a new total begins after that.
    bool add(const dot& me, std::int64_t amount, std::uint64_t forgotten);
    void reset();

    // Registers.
    void assign(const dot& me, timestamp at, std::string value);
    void erase();

    // Add-wins elements, enable-wins flags.
    void insert(const dot& me);
    void remove();

    // Remove-wins elements, disable-wins flags.
    /// `have`: all that the transaction has seen, as removals that are stable no longer stand in the row.
    void insert_seeing_removals(const dot& me, const version_vector& have);
    void remove_for_good(const dot& me);

    // Bounded counters. False, and nothing done, where the writer has too few rights, or where a sum would leave int64. No
    // amount is below zero.
    bool deposit(const dot& me, std::int64_t amount);
    bool spend(const dot& me, std::int64_t amount, const succession& heirs);
    /// Gives rights of its own to another replica.
    bool transfer(const dot& me, origin to, std::int64_t amount, const succession& heirs);
    /// Upwards it takes rights, downwards it makes some.
    bool move_bound(const dot& me, std::int64_t by, const succession& heirs);
    /// Says how many rights it would like to have. Where there is no counter it says nothing.
    void want(const dot& me, std::int64_t rights);

    /// The transaction removed a prefix above this row.
    void clear(const version_vector& covered);

  private:
    template <class Row>
    Row& as(row& r) {
        return std::get<Row>(r);
    }
    escrow_row::account& account(const dot& birth, const dot& me);
    static void touch(escrow_row::account& mine, const dot& me);
    bool credit(const dot& me, std::int64_t value, std::int64_t bound);
    bool take(const dot& me, std::int64_t amount, const succession& heirs,
              const std::function<bool(escrow_row::account&, std::int64_t)>& from);

    row before_;
    delta change_;
    std::optional<origin> execution_by_;
};

/// The sum over the origins; nothing where it leaves int64.
std::optional<std::int64_t> counter_value(const counter_row& r);

/// The entries as a reader wants them: latest first; of equal timestamps the greater replica, then the
/// greater sequence. The first is the one that a last-writer register shows.
std::vector<const entries_row::entry*> latest_first(const entries_row& r, const origin_table& origins);

}  // namespace anabranch::crdt
