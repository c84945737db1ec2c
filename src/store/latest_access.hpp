// A bucket's latest state.
#pragma once

#include "store/access.hpp"
#include "store/part.hpp"
#include "store/row_table.hpp"

namespace anabranch::detail {

/// Lives under the bucket's shared lock. `flush` writes waiting rows to the engine; called before a scan.
class latest_access final : public access {
  public:
    /// `held`: nullptr: all of it.
    latest_access(const row_table& rows, const part* held, const origin_table& origins, origin self, const crdt::succession& heirs,
                  std::function<std::optional<timestamp>(const dot&)> time_of, std::function<result<void>()> flush)
        : rows_(rows), held_(held), origins_(origins), self_(self), heirs_(heirs), time_of_(std::move(time_of)), flush_(std::move(flush)) {}

    const origin_table& origins() const override { return origins_; }
    origin self() const override { return self_; }
    const crdt::succession& heirs() const override { return heirs_; }
    std::optional<timestamp> time_of(const dot& d) const override { return time_of_(d); }
    result<crdt::row> read(std::string_view path, crdt::row_kind kind) override;
    result<void> scan(std::string_view prefix, std::string_view from, const row_visitor& visit) override;

  private:
    const row_table& rows_;
    const part* held_;
    const origin_table& origins_;
    origin self_;
    const crdt::succession& heirs_;
    std::function<std::optional<timestamp>(const dot&)> time_of_;
    std::function<result<void>()> flush_;
};

}  // namespace anabranch::detail
