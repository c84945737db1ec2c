// A bucket's state at one moment.
#pragma once

#include <memory>

#include "store/access.hpp"
#include "store/part.hpp"
#include "store/row_table.hpp"

namespace anabranch::detail {

class bucket_state;

class snapshot_access final : public access {
  public:
    snapshot_access(std::shared_ptr<const bucket_state> bucket, const origin_table& origins, origin self, crdt::succession heirs,
                    const row_table& rows, row_snapshot at, row_table::rows waiting, std::shared_ptr<const part> held)
        : bucket_(std::move(bucket)),
          origins_(origins),
          self_(self),
          heirs_(std::move(heirs)),
          rows_(rows),
          at_(std::move(at)),
          waiting_(std::move(waiting)),
          held_(std::move(held)) {}

    const origin_table& origins() const override { return origins_; }
    origin self() const override { return self_; }
    const crdt::succession& heirs() const override { return heirs_; }
    std::optional<timestamp> time_of(const dot& d) const override;
    result<crdt::row> read(std::string_view path, crdt::row_kind kind) override;
    result<void> scan(std::string_view prefix, std::string_view from, const row_visitor& visit) override;

  private:
    std::shared_ptr<const bucket_state> bucket_;  // keeps the store open
    const origin_table& origins_;
    const origin self_;
    const crdt::succession heirs_;
    const row_table& rows_;
    row_snapshot at_;
    row_table::rows waiting_;  // rows that could not be written to the engine before
    std::shared_ptr<const part> held_;  // nullptr: all of it
};

}  // namespace anabranch::detail
