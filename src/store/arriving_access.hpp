// What has come of a bucket's state while it is still on its way. docs/reconciliation.md
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "causality/version_vector.hpp"
#include "store/snapshot_access.hpp"

namespace anabranch::detail {

/// All rows up to a path have come, and none behind it: to ask for those is errc::not_held.
class arriving_access final : public access {
  public:
    arriving_access(std::unique_ptr<snapshot_access> rows, std::string upto, std::uint64_t count, std::optional<std::uint64_t> to_come,
                    version_vector reflects)
        : rows_(std::move(rows)), upto_(std::move(upto)), count_(count), to_come_(to_come), reflects_(std::move(reflects)) {}

    const origin_table& origins() const override { return rows_->origins(); }
    origin self() const override { return rows_->self(); }
    const crdt::succession& heirs() const override { return rows_->heirs(); }
    std::optional<timestamp> time_of(const dot& d) const override { return rows_->time_of(d); }
    result<crdt::row> read(std::string_view path, crdt::row_kind kind) override;
    result<void> scan(std::string_view prefix, std::string_view from, const row_visitor& visit) override;

    /// The row at that path has come, if there is one; or all that stand below it.
    bool has(std::string_view path) const { return path <= upto_; }
    bool has_below(std::string_view prefix) const;
    std::uint64_t count() const { return count_; }
    std::optional<std::uint64_t> to_come() const { return to_come_; }
    /// What the rows reflect; after a break, those that had come before it may still be older.
    const version_vector& reflects() const { return reflects_; }

  private:
    std::unique_ptr<snapshot_access> rows_;
    std::string upto_;
    std::uint64_t count_;
    std::optional<std::uint64_t> to_come_;
    version_vector reflects_;
};

}  // namespace anabranch::detail
