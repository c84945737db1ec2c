#include "store/step_writer.hpp"

#include <algorithm>

#include "store/keys.hpp"

namespace anabranch::detail {
namespace {

/// What became of one row.
change_kind kind_of_change(const crdt::row& change, const std::function<bool(const dot&)>& is_new) {
    struct visitor {
        const std::function<bool(const dot&)>& is_new;
        static change_kind written_if(bool is_written) { return is_written ? change_kind::written : change_kind::removed; }
        change_kind operator()(const crdt::counter_row& r) const { return written_if(!r.totals.empty()); }
        change_kind operator()(const crdt::entries_row& r) const { return written_if(!r.entries.empty()); }
        change_kind operator()(const crdt::dots_row& r) const { return written_if(!r.adds.empty()); }
        change_kind operator()(const crdt::removals_row& r) const { return written_if(!r.adds.empty()); }
        change_kind operator()(const crdt::escrow_row& r) const {
            const auto any = [&](auto predicate) {
                return std::ranges::any_of(r.generations, [&](const auto& g) { return std::ranges::any_of(g.accounts, predicate); });
            };
            if (any([&](const auto& a) { return is_new({a.writer, a.touched}); })) return change_kind::written;
            return any([](const auto&) { return true; }) ? change_kind::rights : change_kind::removed;
        }
    };
    return std::visit(visitor{is_new}, change);
}

/// Of something in it, of it, or of something that it is in.
bool is_about(const crdt::prefix_removal& r, std::string_view below) { return r.prefix.starts_with(below) || below.starts_with(r.prefix); }

template <class Kinds>
void note(Kinds& all, std::string_view path, change_kind what) {
    const auto [it, is_first] = all.try_emplace(std::string(path), what);
    if (!is_first) it->second = std::min(it->second, what);
}

}  // namespace

field_change change_at(std::string_view path, change_kind what) {
    field_change c{{}, {}, what};
    while (const auto s = store_keys::first_segment(path)) {
        path.remove_prefix(s->length);
        if (s->type == store_keys::element_type) {
            c.element = s->name;
        } else {
            c.path.push_back({s->name, static_cast<field_type>(s->type)});
        }
    }
    return c;
}

bool is_about(const crdt::changes& changed, std::string_view below) {
    return std::ranges::any_of(changed.removals, [&](const auto& r) { return is_about(r, below); }) ||
           std::ranges::any_of(changed.rows, [&](const auto& r) { return r.key.starts_with(below); });
}

void step_writer::removal(const crdt::prefix_removal& r, change_kind what) {
    if (is_about(r, below_)) note(removals_, r.prefix, what);
}

void step_writer::row(std::string_view path, const crdt::row& change, const std::function<bool(const dot&)>& is_new) {
    if (!path.starts_with(below_)) return;
    note(rows_, path, kind_of_change(change, is_new));
}

void step_writer::execution(const crdt::changes& changed, const dot& me) {
    for (const auto& r : changed.removals) removal(r);
    for (const auto& r : changed.rows) row(r.key, r.change.change, [&](const dot& d) { return d == me; });
}

void step_writer::suppressed(const crdt::changes& changed, const dot& me) {
    for (const auto& r : changed.removals) removal(r, change_kind::suppressed);
    for (const auto& r : changed.rows) {
        // Rights that it moved stay where they are.
        const bool counts_on = kind_of_change(r.change.change, [&](const dot& d) { return d == me; }) == change_kind::rights;
        if (r.key.starts_with(below_) && !counts_on) note(rows_, r.key, change_kind::suppressed);
    }
}

void step_writer::finish() {
    // A field that was emptied as one is named as a field is.
    std::erase_if(removals_, [&](const auto& r) { return r.second == change_kind::suppressed && rows_.contains(r.first); });
    for (const auto* all : {&removals_, &rows_}) {
        for (const auto& [path, what] : *all) step_.changes.push_back(change_at(path, what));
    }
}

}  // namespace anabranch::detail
