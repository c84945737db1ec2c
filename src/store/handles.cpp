// The handles of views.hpp and transaction.hpp: paths, and which operation of a type is which edit of a row.
#include <anabranch/limits.hpp>
#include <anabranch/transaction.hpp>

#include "store/access.hpp"
#include "store/field_kind.hpp"
#include "store/keys.hpp"

namespace anabranch {
namespace {

using crdt::row_kind;
using detail::access;
using detail::scan_step;

result<void> done() { return {}; }

/// A row that is shown as true while something is in it.
result<bool> is_shown(access& source, std::string_view path, row_kind kind) {
    return source.read(path, kind).map([](const crdt::row& row) { return crdt::is_live(row); });
}

/// Flags and sets are rows of dots or of removals, as their path's type says.
row_kind kind_at_end(std::string_view path) {
    return row_kind_of(static_cast<field_type>(path.back())).value_or(row_kind::dots);
}

void set_shown(access& source, std::string_view path, row_kind kind, bool shown) {
    source.edit(path, kind, [&](crdt::edit& e, const detail::writer& w) {
        if (kind == row_kind::dots) {
            shown ? e.insert(w.me) : e.remove();
        } else {
            shown ? e.insert_seeing_removals(w.me, w.have) : e.remove_for_good(w.me);
        }
        return done();
    });
}

/// Visits the names right below `path` that something is shown under, in order, until `visit` says no.
result<void> scan_names(access& source, const std::string& path, const scan_range& range,
                        const std::function<bool(std::string name, char type)>& visit) {
    if (range.limit == 0) return {};
    auto from = store_keys::names_from(range.prefix);
    if (range.after) from = std::max(from, store_keys::names_after(*range.after));
    error broken;
    bool is_broken = false;
    auto scanned = source.scan(path, from, [&](std::string_view at, const crdt::row& row) -> scan_step {
        const auto segment = store_keys::first_segment(at.substr(path.size()));
        if (!segment) {
            broken = {errc::corrupt, "a row stands at an impossible path"};
            is_broken = true;
            return {.stop = true, .seek = {}};
        }
        if (!segment->name.starts_with(range.prefix)) return {.stop = true, .seek = {}};
        if (!crdt::is_live(row)) return {};
        if (!visit(segment->name, segment->type)) return {.stop = true, .seek = {}};
        return {.stop = false, .seek = store_keys::prefix_end(at.substr(0, path.size() + segment->length))};
    });
    if (is_broken) return fail(std::move(broken));
    return scanned;
}

}  // namespace

namespace detail {

std::string handle::child_path(std::string_view name, field_type type) const {
    return store_keys::path_below(path_, name, static_cast<char>(type));
}
std::string handle::element_path(std::string_view element) const {
    return store_keys::path_below(path_, element, store_keys::element_type);
}

result<std::optional<std::string>> register_handle::latest() const {
    return source_->read(path_, row_kind::entries).map([&](const crdt::row& row) -> std::optional<std::string> {
        const auto entries = crdt::latest_first(std::get<crdt::entries_row>(row), source_->origins());
        if (entries.empty()) return std::nullopt;
        return entries.front()->value;
    });
}

result<std::vector<register_candidate>> register_handle::candidates() const {
    return source_->read(path_, row_kind::entries).map([&](const crdt::row& row) {
        std::vector<register_candidate> shown;
        for (const auto* e : crdt::latest_first(std::get<crdt::entries_row>(row), source_->origins())) {
            shown.push_back({e->value, e->at, {source_->origins().id(e->id.writer), e->id.sequence}});
        }
        return shown;
    });
}

void register_handle::assign(std::string value) const {
    if (value.size() > limits::value) {
        return source_->reject({errc::limit_exceeded, "a value of " + std::to_string(value.size()) + " bytes; the limit is " +
                                                          std::to_string(limits::value)});
    }
    source_->edit(path_, row_kind::entries, [&](crdt::edit& e, const detail::writer& w) {
        e.assign(w.me, w.at, std::move(value));
        return done();
    });
}

void register_handle::erase() const {
    source_->edit(path_, row_kind::entries, [](crdt::edit& e, const detail::writer&) {
        e.erase();
        return done();
    });
}

}  // namespace detail

result<std::int64_t> counter_view::value() const {
    auto row = source_->read(path_, row_kind::counter);
    if (!row) return fail(row.error());
    const auto value = crdt::counter_value(std::get<crdt::counter_row>(*row));
    if (!value) return fail(errc::overflow, "the replicas' additions to a counter sum up to more than 64 bits hold");
    return *value;
}

result<std::string> transaction::refuse(std::string answer) {
    if (source_->refuse()) return answer;
    return fail(errc::invalid_argument, "only a request can be refused: commit(request, ...)");
}

void counter_ref::add(std::int64_t amount) const {
    source_->edit(path_, row_kind::counter, [&](crdt::edit& e, const detail::writer& w) -> result<void> {
        if (e.add(w.me, amount, w.stable.at(w.me.writer))) return {};
        return fail(errc::overflow, "adding " + std::to_string(amount) + " to a counter leaves 64 bits");
    });
}

void counter_ref::reset() const {
    source_->edit(path_, row_kind::counter, [](crdt::edit& e, const detail::writer&) {
        e.reset();
        return done();
    });
}

result<bool> flag_view::value() const { return is_shown(*source_, path_, kind_at_end(path_)); }
void flag_ref::enable() const { set_shown(*source_, path_, kind_at_end(path_), true); }
void flag_ref::disable() const { set_shown(*source_, path_, kind_at_end(path_), false); }

result<bool> set_view::contains(std::string_view element) const {
    return is_shown(*source_, element_path(element), kind_at_end(path_));
}
void set_ref::add(std::string_view element) const {
    set_shown(*source_, element_path(element), kind_at_end(path_), true);
}
void set_ref::remove(std::string_view element) const {
    set_shown(*source_, element_path(element), kind_at_end(path_), false);
}

result<std::vector<std::string>> set_view::elements(const scan_range& range) const {
    std::vector<std::string> names;
    auto scanned = scan_names(*source_, path_, range, [&](std::string name, char) {
        names.push_back(std::move(name));
        return names.size() < range.limit;
    });
    if (!scanned) return fail(scanned.error());
    return names;
}

result<std::size_t> set_view::size() const {
    std::size_t n = 0;
    auto scanned = source_->scan(path_, {}, [&](std::string_view, const crdt::row& row) {
        n += crdt::is_live(row);
        return scan_step{};
    });
    if (!scanned) return fail(scanned.error());
    return n;
}

result<bool> map_view::exists() const {
    bool found = false;
    auto scanned = source_->scan(path_, {}, [&](std::string_view, const crdt::row& row) {
        found = crdt::is_live(row);
        return scan_step{.stop = found, .seek = {}};
    });
    if (!scanned) return fail(scanned.error());
    return found;
}

result<std::vector<field>> map_view::fields(const scan_range& range) const {
    std::vector<field> fields;
    auto scanned = scan_names(*source_, path_, range, [&](std::string name, char type) {
        // What a later release has put there is not shown.
        const auto known = static_cast<field_type>(type);
        if (known == field_type::map || row_kind_of(known)) fields.push_back({std::move(name), known});
        return fields.size() < range.limit;
    });
    if (!scanned) return fail(scanned.error());
    return fields;
}

void map_ref::clear() const { source_->clear(path_); }
void map_ref::remove(std::string_view name, field_type type) const { source_->clear(child_path(name, type)); }

}  // namespace anabranch
