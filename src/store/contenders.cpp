// The conflict view: what stands in a field, and which of it is shown.
#include <anabranch/views.hpp>
#include <algorithm>
#include <map>

#include "crdt/requests.hpp"
#include "store/access.hpp"
#include "store/field_kind.hpp"
#include "store/keys.hpp"

namespace anabranch {
namespace {

using detail::access;

class lister {
  public:
    lister(access& source, field_type type) : source_(source), type_(type) {}

    void operator()(const crdt::counter_row& r) {
        for (const auto& total : r.totals) {
            if (const auto counts = crdt::counting(r, total)) add({total.writer, total.sequence}).amount = *counts;
        }
        explain(standing::summed);
    }
    void operator()(const crdt::escrow_row& r) {
        std::map<origin, std::pair<std::uint64_t, std::int64_t>> parts;
        for (const auto& g : r.generations) {
            if (!crdt::is_live(r, g)) continue;
            for (const auto& a : g.accounts) {
                if (a.touched == 0) continue;  // it has only moved rights, or asked for some
                auto& [touched, sum] = parts[a.writer];
                touched = std::max(touched, a.touched);
                sum += a.value - crdt::doubt_of(r, g.birth, a.writer).off.value;
            }
        }
        for (const auto& [writer, part] : parts) add({writer, part.first}).amount = part.second;
        explain(standing::summed);
    }
    void operator()(const crdt::entries_row& r) {
        for (const auto* e : crdt::latest_first(r, source_.origins())) {
            auto& c = add(e->id, e->at);
            c.value = e->value;
        }
        explain(standing::together);
        if (type_ != field_type::last_writer || all.size() < 2) return;
        for (auto& c : all) {
            const bool is_as_late = c.at == all.front().at;
            c.is_shown = false;
            c.why = is_as_late ? standing::lesser_replica : standing::earlier;
        }
        all.front().is_shown = true;
        all.front().why = all[1].at == all.front().at ? standing::greater_replica : standing::latest;
    }
    void operator()(const crdt::dots_row& r) {
        for (const auto& d : crdt::shown(r)) add(d);
        explain(standing::unremoved);
    }
    void operator()(const crdt::removals_row& r) {
        const auto adds = crdt::shown(r);
        for (const auto* a : adds) add(a->id);
        explain(standing::unremoved);
        const auto removal = [&](const dot& d) {
            auto& c = add(d);
            c.is_shown = adds.empty();
            c.why = standing::removal;
        };
        for (const auto& [writer, sequence] : r.removals) removal({writer, sequence});
        for (const auto& c : r.doubt.get()) {
            if (!c.removals.empty()) removal(c.id);
        }
    }

    std::vector<contender> all;

  private:
    contender& add(const dot& d) { return add(d, source_.time_of(d)); }
    contender& add(const dot& d, std::optional<timestamp> at) {
        return all.emplace_back(contender{{source_.origins().id(d.writer), d.sequence}, at, {}, 0, true, standing::only});
    }
    void explain(standing why) {
        if (all.size() < 2) return;
        for (auto& c : all) c.why = why;
    }

    access& source_;
    field_type type_;
};

result<std::vector<contender>> list(access& source, std::string_view path, field_type type) {
    const auto kind = row_kind_of(type);
    if (!kind) return fail(errc::invalid_argument, "a map has no contenders of its own: its fields have");
    return source.read(path, *kind).map([&](const crdt::row& row) {
        lister found(source, type);
        std::visit(found, row);
        return std::move(found.all);
    });
}

}  // namespace

result<std::vector<contender>> map_view::contenders(std::string_view name, field_type type) const {
    if (type == field_type::add_wins_set || type == field_type::remove_wins_set) {
        return fail(errc::invalid_argument, "a set has no contenders of its own: its elements have");
    }
    return list(*source_, child_path(name, type), type);
}

result<std::vector<contender>> set_view::contenders(std::string_view element) const {
    return list(*source_, element_path(element), static_cast<field_type>(path_.back()));
}

}  // namespace anabranch
