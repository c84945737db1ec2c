// A transaction in progress: its changes over the bucket's rows.
#pragma once

#include <map>

#include "crdt/changes.hpp"
#include "store/access.hpp"
#include "store/row_table.hpp"

namespace anabranch::detail {

/// Lives under the bucket's exclusive lock.
class transaction_access final : public access {
  public:
    /// `flush` writes the table's rows to the engine; called before a scan.
    transaction_access(row_table& rows, const origin_table& origins, const version_vector& have,
                       const version_vector& stable, dot me, timestamp at, std::function<result<void>()> flush)
        : rows_(rows), origins_(origins), have_(have), stable_(stable), me_(me), at_(at), flush_(std::move(flush)) {}

    const origin_table& origins() const override { return origins_; }
    result<crdt::row> read(std::string_view path, crdt::row_kind kind) override;
    result<void> scan(std::string_view prefix, std::string_view from, const row_visitor& visit) override;
    void edit(std::string_view path, crdt::row_kind kind, const row_edit& apply) override;
    void clear(std::string_view prefix) override;
    void reject(error reason) override;

    const result<void>& status() const { return status_; }
    /// After the last call of the above: lets go of what the transaction undid itself. Whether anything is left.
    bool settle();
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

    row_table& rows_;
    const origin_table& origins_;
    const version_vector& have_;
    const version_vector& stable_;
    dot me_;
    timestamp at_;
    std::function<result<void>()> flush_;
    edits edits_;
    std::vector<crdt::prefix_removal> removals_;
    result<void> status_;
};

}  // namespace anabranch::detail
