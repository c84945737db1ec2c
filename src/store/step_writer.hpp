// What a step of the change feed does below a path.
#pragma once

#include <anabranch/feed.hpp>
#include <functional>
#include <map>

#include "crdt/changes.hpp"

namespace anabranch::detail {

field_change change_at(std::string_view path, change_kind what);

/// Does something to what is below a path, or removes something that the path lies in.
bool is_about(const crdt::changes& changed, std::string_view below);

/// Collects it. Of several things that happen to one field it says the first of change_kind.
class step_writer {
  public:
    step_writer(feed_step& step, std::string_view below) : step_(step), below_(below) {}

    void removal(const crdt::prefix_removal& r, change_kind what = change_kind::emptied);
    void row(std::string_view path, const crdt::row& change, const std::function<bool(const dot&)>& is_new);
    /// It happens, or begins to count.
    void execution(const crdt::changes& changed, const dot& me);
    /// It ceases to count.
    void suppressed(const crdt::changes& changed, const dot& me);
    void finish();

  private:
    using kinds = std::map<std::string, change_kind, std::less<>>;

    feed_step& step_;
    std::string_view below_;
    kinds removals_;
    kinds rows_;
};

}  // namespace anabranch::detail
