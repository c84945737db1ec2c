// A transaction in progress: its changes over the bucket's rows.
#pragma once

#include <map>

#include "crdt/changes.hpp"
#include "store/access.hpp"
#include "store/rebalancing.hpp"
#include "store/row_table.hpp"

namespace anabranch::detail {

/// Lives under the bucket's exclusive lock.
class transaction_access final : public access {
  public:
    /// What the bucket lends it.
    struct surroundings {
        row_table& rows;
        const origin_table& origins;
        const version_vector& have;
        const version_vector& stable;
        const crdt::succession& heirs;
        const rebalancing& demands;
        const std::function<std::chrono::milliseconds()>& now;
        std::function<result<origin>(const replica_id&)> find_member;
        std::function<std::optional<timestamp>(const dot&)> time_of;
        /// Writes the table's rows to the engine; called before a scan.
        std::function<result<void>()> flush;
        /// There may be rows that cannot be read.
        bool has_unread = false;
        /// There are records that cannot be read.
        bool has_unread_records = false;
    };
    transaction_access(surroundings in, dot me, timestamp at, bool is_request = false)
        : in_(std::move(in)), me_(me), at_(at), is_request_(is_request) {}

    const origin_table& origins() const override { return in_.origins; }
    origin self() const override { return me_.writer; }
    const crdt::succession& heirs() const override { return in_.heirs; }
    std::optional<timestamp> time_of(const dot& d) const override { return d == me_ ? at_ : in_.time_of(d); }
    result<crdt::row> read(std::string_view path, crdt::row_kind kind) override;
    result<void> scan(std::string_view prefix, std::string_view from, const row_visitor& visit) override;
    void edit(std::string_view path, crdt::row_kind kind, const row_edit& apply) override;
    void clear(std::string_view prefix) override;
    void reject(error reason) override;
    const result<void>& status() const override { return status_; }
    bool refuse() override {
        is_refused_ = is_request_;
        return is_request_;
    }
    bool is_refused() const { return is_refused_; }
    result<origin> find_member(const replica_id& id) const override { return in_.find_member(id); }
    std::optional<std::int64_t> note_spending(std::string_view path, std::int64_t amount) override;
    void note_refusal(std::string_view path, std::int64_t amount) override;
    void note_request(std::string_view path, std::int64_t rights) override;

    /// Rights of a counter that the closure wanted.
    struct demand {
        std::int64_t spent = 0;
        std::int64_t refused = 0;  ///< at most at once
        std::optional<std::int64_t> reserved;
    };
    using demands_by_path = std::map<std::string, demand, std::less<>>;
    const demands_by_path& demands() const { return demands_; }
    /// After the last call of the above: lets go of what the transaction undid itself. Whether anything is left.
    bool settle();
    /// What it has added to running totals.
    result<std::vector<crdt::tally>> tallies() const;
    std::string encode(std::vector<origin>& mentioned) const;
    const std::vector<crdt::prefix_removal>& removals() const { return removals_; }
    /// What it has done to each row, by path.
    const std::map<std::string, crdt::delta, std::less<>>& rows() const { return edits_; }

  private:
    /// What it has done to a row so far. The row as it was before stands in the table, which nobody else changes meanwhile.
    using edits = std::map<std::string, crdt::delta, std::less<>>;

    /// The bucket's row, without what this transaction has removed.
    result<crdt::row> before(std::string_view path, crdt::row_kind kind) const;
    result<crdt::row> checked(std::string_view path, crdt::row_kind kind, std::optional<crdt::row> row) const;
    result<crdt::row> now(std::string_view path, const crdt::delta& change) const;
    /// What a removal in this transaction left of a row that was read from the bucket.
    void cover(std::string_view path, crdt::row& row) const;
    /// Runs `apply(edit)` on the row.
    template <class Apply>
    result<void> change(std::string_view path, crdt::row_kind kind, const Apply& apply);
    result<void> clear_below(std::string_view prefix);
    demand& demand_of(std::string_view path);

    surroundings in_;
    dot me_;
    timestamp at_;
    bool is_request_;
    bool is_refused_ = false;
    demands_by_path demands_;
    edits edits_;
    std::vector<crdt::prefix_removal> removals_;
    result<void> status_;
};

}  // namespace anabranch::detail
