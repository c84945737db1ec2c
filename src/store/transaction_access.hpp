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
    /// What the transaction did. Nothing of what it undid itself is in it.
    crdt::changes changes() const;
    /// The rows that it touched, as they are after it, for `put(path, row)`.
    template <class Put>
    void take_rows(Put put) {
        for (auto& [path, e] : edits_) {
            if (e.changed()) put(path, e.take());
        }
    }

  private:
    using edits = std::map<std::string, crdt::edit, std::less<>>;

    /// The bucket's row, without what this transaction has removed.
    result<crdt::row> before(std::string_view path, crdt::row_kind kind);
    result<crdt::row> checked(std::string_view path, crdt::row_kind kind, crdt::row row) const;
    /// What a removal in this transaction left of a row that was read from the bucket.
    void cover(std::string_view path, crdt::row& row) const;
    result<edits::iterator> edit_of(std::string_view path, crdt::row_kind kind);
    result<void> clear_below(std::string_view prefix);

    row_table& rows_;
    const origin_table& origins_;
    const version_vector& have_;
    const version_vector& stable_;
    dot me_;
    timestamp at_;
    std::function<result<void>()> flush_;
    edits edits_;
    std::vector<std::string> removals_;
    result<void> status_;
};

}  // namespace anabranch::detail
