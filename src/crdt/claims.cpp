// Rows of entries, dots and removals under requests that may still change.
#include <algorithm>
#include <functional>
#include <tuple>

#include "crdt/requests.hpp"
#include "crdt/sorted.hpp"

namespace anabranch::crdt {
namespace {

const dot& id_of(const entries_row::entry& e) { return e.id; }
const dot& id_of(const dot& d) { return d; }
const dot& id_of(const removals_row::add& a) { return a.id; }

auto& items_of(entries_row& r) { return r.entries; }
auto& items_of(dots_row& r) { return r.adds; }
auto& items_of(removals_row& r) { return r.adds; }
const auto& items_of(const entries_row& r) { return r.entries; }
const auto& items_of(const dots_row& r) { return r.adds; }
const auto& items_of(const removals_row& r) { return r.adds; }

template <class Items>
auto find_item(Items& items, const dot& id) {
    const auto it = std::ranges::lower_bound(items, id, {}, [](const auto& item) -> const dot& { return id_of(item); });
    return it != items.end() && id_of(*it) == id ? it : items.end();
}

template <class Items>
void erase_item(Items& items, const dot& id) {
    if (const auto it = find_item(items, id); it != items.end()) items.erase(it);
}

template <class Claims>
auto* find_claim(Claims& all, const dot& id) {
    const auto it = std::ranges::lower_bound(all, id, {}, &claim::id);
    return it != all.end() && it->id == id ? &*it : nullptr;
}

claim& make_claim(claims& all, const dot& id) {
    const auto it = std::ranges::lower_bound(all, id, {}, &claim::id);
    return it != all.end() && it->id == id ? *it : *all.insert(it, claim{id, {}, {}, {}, false});
}

bool covers_any(const version_vector& covers, const dots& of) {
    return std::ranges::any_of(of, [&](const dot& d) { return covers.covers(d); });
}
bool covers_all(const version_vector& covers, const dots& of) {
    return std::ranges::all_of(of, [&](const dot& d) { return covers.covers(d); });
}

/// A write that is there, with what is known of it beyond itself.
struct node {
    dot id;
    const claim* by = nullptr;

    bool is_in(const version_vector& covers) const { return by == nullptr ? covers.covers(id) : covers_any(covers, by->writes); }
};

template <class Row>
std::vector<node> nodes_of(const Row& r) {
    const auto& all = r.doubt.get();
    std::vector<node> nodes;
    for (const auto& item : items_of(r)) nodes.push_back({id_of(item), find_claim(all, id_of(item))});
    return nodes;
}

/// Takes what `covers` covers out of `nodes`, and whatever that covers.
void hide(std::vector<node>& nodes, version_vector covers) {
    for (bool more = true; more;) {
        const auto hidden = std::stable_partition(nodes.begin(), nodes.end(), [&](const node& n) { return !n.is_in(covers); });
        more = false;
        for (auto it = hidden; it != nodes.end(); ++it) {
            if (it->by == nullptr || covers.covers(it->by->covers)) continue;
            covers.join(it->by->covers);
            more = true;
        }
        nodes.erase(hidden, nodes.end());
    }
}

version_vector covers_of(const std::vector<node>& nodes) {
    version_vector covers;
    for (const auto& n : nodes) {
        if (n.by != nullptr) covers.join(n.by->covers);
    }
    return covers;
}

/// What nobody overwrote or removed who counts or whose own write is gone.
std::vector<node> not_gone(std::vector<node> nodes, const claims& all) {
    version_vector covers;
    for (const auto& c : all) {
        if (std::ranges::find(nodes, c.id, &node::id) == nodes.end()) covers.join(c.covers);
    }
    hide(nodes, covers);
    return nodes;
}

/// Of what is not gone, what nobody else has seen; those that have seen each other in a circle stand in one group.
std::vector<std::vector<node>> tops(std::vector<node> rest) {
    std::vector<std::vector<node>> found;
    const auto covered = covers_of(rest);
    std::vector<node> free;
    std::ranges::copy_if(rest, std::back_inserter(free), [&](const node& n) { return !n.is_in(covered); });
    for (const auto& n : free) found.push_back({n});
    std::erase_if(rest, [&](const node& n) { return !n.is_in(covered); });
    hide(rest, covers_of(free));
    // What is left is in circles, or below one.
    const auto reach = [&](std::size_t from) {
        std::vector<bool> seen(rest.size());
        std::vector<std::size_t> todo{from};
        while (!todo.empty()) {
            const auto* by = rest[todo.back()].by;
            todo.pop_back();
            for (std::size_t i = 0; by != nullptr && i < rest.size(); ++i) {
                if (seen[i] || !rest[i].is_in(by->covers)) continue;
                seen[i] = true;
                todo.push_back(i);
            }
        }
        return seen;
    };
    std::vector<std::vector<bool>> reached;
    for (std::size_t i = 0; i < rest.size(); ++i) reached.push_back(reach(i));
    std::vector<bool> done(rest.size());
    for (std::size_t i = 0; i < rest.size(); ++i) {
        if (done[i]) continue;
        std::vector<node> circle;
        bool is_top = true;
        for (std::size_t j = 0; j < rest.size(); ++j) {
            if (!reached[j][i] && j != i) continue;
            is_top = is_top && (j == i || reached[i][j]);
            if (j == i || reached[i][j]) circle.push_back(rest[j]);
        }
        if (!is_top) continue;
        for (std::size_t j = 0; j < rest.size(); ++j) done[j] = done[j] || j == i || (reached[i][j] && reached[j][i]);
        found.push_back(std::move(circle));
    }
    return found;
}

template <class Row>
std::vector<std::vector<node>> tops_of(const Row& r) {
    return tops(not_gone(nodes_of(r), r.doubt.get()));
}

auto latest(const entries_row::entry& e, const origin_table& origins) { return std::tuple(e.at, origins.id(e.id.writer), e.id.sequence); }

const entries_row::entry& greatest_of(const entries_row& r, const std::vector<node>& circle, const origin_table& origins) {
    const entries_row::entry* greatest = nullptr;
    for (const auto& n : circle) {
        const auto& e = *find_item(r.entries, n.id);
        if (greatest == nullptr || latest(*greatest, origins) < latest(e, origins)) greatest = &e;
    }
    return *greatest;
}

bool has_seen_removals(const removals_row::add& a, const removals_row& r) {
    return a.seen.covers(r.removals) && std::ranges::all_of(r.doubt.get(), [&](const claim& c) {
               return c.removals.empty() || covers_any(a.seen, c.removals);
           });
}

void entangle(const claim& c, open_requests& open) {
    for (const auto* all : {&c.writes, &c.removals}) {
        for (const auto& d : *all) open.entangle(d);
    }
    open.entangle(c.id);
}

template <class Row>
void take_away_from(Row& r, const version_vector& covers, open_requests* open) {
    if (covers.empty()) return;
    auto& items = items_of(r);
    if (!r.doubt.empty()) {
        for (auto& c : r.doubt.edit()) {
            if (c.is_gone || !covers_any(covers, c.writes)) continue;
            c.is_gone = true;
            erase_item(items, c.id);
        }
    }
    const auto goes = [&](const auto& item) { return covers.covers(id_of(item)); };
    for (const auto& item : items) {
        const auto id = id_of(item);
        if (!goes(item) || open == nullptr || !open->executions.contains(id)) continue;
        // Whichever execution of it comes still: it is gone.
        auto& c = make_claim(r.doubt.edit(), id);
        c.writes = {id};
        c.is_gone = true;
        open->entangle(id);
    }
    items.erase(std::remove_if(items.begin(), items.end(), goes), items.end());
}

template <class Row>
version_vector seen_in_row(const Row& r) {
    version_vector seen;
    for (const auto& item : items_of(r)) seen.join(id_of(item));
    for (const auto& c : r.doubt.get()) {
        seen.join(c.id);
        for (const auto& w : c.writes) seen.join(w);
    }
    return seen;
}

// --- an execution has come -------------------------------------------------------------------------------

template <class Row>
void regroup_row(Row& r, const row_group& after, open_requests& open) {
    auto& items = items_of(r);
    const auto is_one_of = [&](const dot& d) { return std::ranges::find(after.parts, d, &part::id) != after.parts.end(); };
    claim next;
    auto& all = r.doubt.edit();
    for (const auto& c : all) {
        if (!is_one_of(c.id) && !std::ranges::any_of(c.writes, is_one_of)) continue;
        // On opening, the row may be ahead of the log: it knows of more executions than have come again so far.
        if (!std::ranges::all_of(c.writes, is_one_of)) return;
        next.is_gone = next.is_gone || c.is_gone;
    }
    std::erase_if(all, [&](const claim& c) { return is_one_of(c.id) || std::ranges::any_of(c.writes, is_one_of); });
    items.erase(std::remove_if(items.begin(), items.end(), [&](const auto& item) { return is_one_of(id_of(item)); }), items.end());

    next.id = after.content != nullptr ? after.content->id : after.parts.front().id;
    for (const auto& p : after.parts) {
        const auto& change = std::get<Row>(p.change.change);
        if (!items_of(change).empty()) next.writes.push_back(p.id);
        if (after.content != nullptr) next.covers.join(p.change.covers);
    }
    std::ranges::sort(next.writes);
    bool is_written = false;
    if (after.content != nullptr) {
        const auto& content = std::get<Row>(after.content->change.change);
        is_written = !items_of(content).empty();
        if constexpr (std::same_as<Row, removals_row>) {
            if (!content.removals.empty()) {
                for (const auto& p : after.parts) {
                    if (!std::get<Row>(p.change.change).removals.empty()) next.removals.push_back(p.id);
                }
            }
            std::ranges::sort(next.removals);
            // A removal of the element alone covers nothing: additions have to have seen it.
            if (!is_written && !after.content->change.removes) next.covers = {};
        }
        if (is_written && !next.is_gone) {
            auto item = items_of(content).front();
            if constexpr (std::same_as<Row, removals_row>) {
                for (const auto& p : after.parts) {
                    for (const auto& add : std::get<Row>(p.change.change).adds) item.seen.join(add.seen);
                }
            }
            insert_by_dot(items, item, [](const auto& i) -> const dot& { return id_of(i); });
        }
    }
    if (next.is_gone || !next.covers.empty() || !next.removals.empty() || next.writes.size() > 1 || (!is_written && !next.writes.empty())) {
        entangle(next, open);
        for (const auto& item : items) {
            const auto& id = id_of(item);
            const auto* c = find_claim(all, id);
            const bool concerns = !next.removals.empty() || node{id, c}.is_in(next.covers);
            if (!concerns || id == next.id) continue;
            open.entangle(id);
            if (c != nullptr) entangle(*c, open);
        }
        make_claim(all, next.id) = next;
    }
    if constexpr (std::same_as<Row, removals_row>) {
        // Those that it has not seen are kept with what has not been seen.
        for (const auto& a : r.adds) {
            if (!has_seen_removals(a, r)) open.entangle(a.id);
        }
    }
}

// --- a request is fixed ----------------------------------------------------------------------------------

bool is_open(const claim& c, const open_requests& open) {
    const auto any = [&](const dots& of) { return std::ranges::any_of(of, [&](const dot& d) { return open.executions.contains(d); }); };
    return open.executions.contains(c.id) || any(c.writes) || any(c.removals);
}

bool is_open(const node& n, const open_requests& open) { return n.by == nullptr ? open.executions.contains(n.id) : is_open(*n.by, open); }

/// Others may still turn out to have been seen by it, or to have seen it.
bool is_in_doubt(const removals_row& r, const dot& add, const open_requests& open) {
    return open.executions.contains(add) || find_claim(r.doubt.get(), add) != nullptr;
}

/// What did not see a fixed removal goes for good; the removal is kept while something may still turn out to have seen it, or
/// is not let go yet.
void settle_removals(removals_row& r, open_requests& open) {
    for (auto& c : r.doubt.edit()) {
        if (c.removals.empty() || is_open(c, open)) continue;
        bool waits = false;
        const auto goes = [&](const removals_row::add& a) {
            if (covers_any(a.seen, c.removals)) return false;
            const bool stays = is_in_doubt(r, a.id, open);
            waits = waits || stays;
            return !stays;
        };
        r.adds.erase(std::remove_if(r.adds.begin(), r.adds.end(), goes), r.adds.end());
        if (!waits) c.removals.clear();
    }
}

/// What closed claims that show nothing have taken away is gone for good. One of them; false where there is none.
template <class Row>
bool settle_gone(Row& r, open_requests& open) {
    for (const auto& c : r.doubt.get()) {
        if (is_open(c, open) || !c.removals.empty() || find_item(items_of(r), c.id) != items_of(r).end()) continue;
        const auto done = c;
        std::erase(r.doubt.edit(), done);
        take_away_from(r, done.covers, &open);
        return true;
    }
    return false;
}

/// What it has seen, and what that has seen.
version_vector reached_from(const node& from, const std::vector<node>& all) {
    auto reached = from.by == nullptr ? version_vector{} : from.by->covers;
    for (bool more = true; more;) {
        more = false;
        for (const auto& n : all) {
            if (n.by == nullptr || !n.is_in(reached) || reached.covers(n.by->covers)) continue;
            reached.join(n.by->covers);
            more = true;
        }
    }
    return reached;
}

bool reaches_open(const version_vector& reached, const std::vector<node>& all, const open_requests& open) {
    return std::ranges::any_of(all, [&](const node& n) { return is_open(n, open) && n.is_in(reached); });
}

template <class Row>
bool settle_hidden(Row& r, const origin_table& origins, open_requests& open) {
    const auto all = nodes_of(r);
    std::vector<node> closed;
    std::ranges::copy_if(all, std::back_inserter(closed), [&](const node& n) { return !is_open(n, open); });
    const bool is_any_open = std::ranges::any_of(r.doubt.get(), [&](const claim& c) { return is_open(c, open); });
    dots stay;
    for (const auto& circle : tops(closed)) {
        if constexpr (std::same_as<Row, entries_row>) {
            stay.push_back(greatest_of(r, circle, origins).id);
        } else {
            for (const auto& n : circle) stay.push_back(n.id);
        }
    }
    bool any = false;
    for (const auto& n : closed) {
        if (std::ranges::find(stay, n.id) != stay.end()) continue;
        const auto reached = reached_from(n, all);
        // It may still be a part of a circle, through what is open.
        if (reaches_open(reached, all, open)) continue;
        // What takes this one away, of a circle, takes all of it: who has seen it may turn out to be what counts of the open ones.
        const bool is_in_circle = std::ranges::any_of(closed, [&](const node& m) { return std::ranges::find(stay, m.id) != stay.end() && m.is_in(reached); });
        if (is_any_open && is_in_circle) continue;
        erase_item(items_of(r), n.id);
        any = true;
    }
    if (!any) return false;
    std::erase_if(r.doubt.edit(), [&](claim& c) {
        if (is_open(c, open) || std::ranges::find(closed, c.id, &node::id) == closed.end() || find_item(items_of(r), c.id) != items_of(r).end()) {
            return false;
        }
        // What it removes of the element is another matter.
        c.writes.clear();
        c.covers = {};
        return c.removals.empty();
    });
    return true;
}

/// Additions that did not see a removal show nothing, and yet hide what they have seen, unless that has seen them, too. So they
/// go after what they hide, and not while circles may come or go. The removals that they did not see are fixed.
void settle_unseeing(removals_row& r, open_requests& open) {
    const auto all = nodes_of(r);
    const bool is_any_open = std::ranges::any_of(r.doubt.get(), [&](const claim& c) { return is_open(c, open); });
    const auto has_seen_fixed = [&](const removals_row::add& a) {
        return a.seen.covers(r.removals) && std::ranges::all_of(r.doubt.get(), [&](const claim& c) {
                   return c.removals.empty() || is_open(c, open) || covers_any(a.seen, c.removals);
               });
    };
    std::vector<dot> done;
    for (const auto& n : all) {
        if (n.by == nullptr || is_open(n, open) || has_seen_fixed(*find_item(r.adds, n.id))) continue;
        const auto reached = reached_from(n, all);
        const bool is_in_circle = n.is_in(reached);
        if (reaches_open(reached, all, open) || (is_any_open && is_in_circle)) continue;
        done.push_back(n.id);
    }
    for (const auto& id : done) {
        erase_item(r.adds, id);
        auto& c = *find_claim(r.doubt.edit(), id);
        c.writes.clear();
        c.covers = {};
    }
    std::erase_if(r.doubt.edit(), [&](const claim& c) { return c.removals.empty() && std::ranges::find(done, c.id) != done.end(); });
}

template <class Row>
void settle_row(Row& r, const origin_table& origins, open_requests& open) {
    if constexpr (std::same_as<Row, removals_row>) {
        drop_unseeing(r, &open);
        if (!r.doubt.empty()) settle_removals(r, open);
    }
    if (r.doubt.empty()) return;
    while (settle_gone(r, open)) {}
    settle_hidden(r, origins, open);
    if constexpr (std::same_as<Row, removals_row>) {
        settle_unseeing(r, open);
        settle_removals(r, open);
    }
    // Claims that say nothing any more.
    const auto nodes = nodes_of(r);
    auto& all = r.doubt.edit();
    const auto before = all;
    std::erase_if(all, [&](const claim& c) {
        if (is_open(c, open) || !c.removals.empty() || find_item(items_of(r), c.id) == items_of(r).end()) return false;
        const bool covers = std::ranges::any_of(nodes, [&](const node& n) { return n.id != c.id && n.is_in(c.covers); }) ||
                            std::ranges::any_of(before, [&](const claim& other) { return other.id != c.id && covers_any(c.covers, other.writes); });
        const bool needs_aliases = std::ranges::any_of(before, [&](const claim& other) {
            return other.id != c.id && covers_any(other.covers, c.writes) && !covers_all(other.covers, c.writes);
        });
        return !covers && !needs_aliases;
    });
    if (all.empty()) r.doubt.clear();
}

}  // namespace

const contestant& winner(const std::vector<contestant>& all, const origin_table& origins) {
    return *std::ranges::min_element(all, {}, [&](const contestant& c) {
        return std::tuple(c.role, c.outcome, c.at, origins.id(c.id.writer), c.id.sequence);
    });
}

std::vector<const entries_row::entry*> shown(const entries_row& r, const origin_table& origins) {
    std::vector<const entries_row::entry*> all;
    if (r.doubt.empty()) {
        for (const auto& e : r.entries) all.push_back(&e);
    } else {
        for (const auto& circle : tops_of(r)) all.push_back(&greatest_of(r, circle, origins));
    }
    return all;
}

bool is_shown(const entries_row& r) { return !not_gone(nodes_of(r), r.doubt.get()).empty(); }
bool is_shown(const dots_row& r) { return !not_gone(nodes_of(r), r.doubt.get()).empty(); }

std::vector<dot> shown(const dots_row& r) {
    if (r.doubt.empty()) return {r.adds.begin(), r.adds.end()};
    std::vector<dot> all;
    for (const auto& circle : tops_of(r)) {
        for (const auto& n : circle) all.push_back(n.id);
    }
    std::ranges::sort(all);
    return all;
}

std::vector<const removals_row::add*> shown(const removals_row& r) {
    std::vector<const removals_row::add*> all;
    if (r.doubt.empty()) {
        for (const auto& a : r.adds) all.push_back(&a);
    } else {
        for (const auto& circle : tops_of(r)) {
            for (const auto& n : circle) all.push_back(&*find_item(r.adds, n.id));
        }
    }
    std::erase_if(all, [&](const auto* a) { return !has_seen_removals(*a, r); });
    std::ranges::sort(all, {}, [](const auto* a) { return a->id; });
    return all;
}

void take_away(entries_row& r, const version_vector& covers, open_requests* open) { take_away_from(r, covers, open); }
void take_away(dots_row& r, const version_vector& covers, open_requests* open) { take_away_from(r, covers, open); }
void take_away(removals_row& r, const version_vector& covers, open_requests* open) { take_away_from(r, covers, open); }

void drop_unseeing(removals_row& r, open_requests* open) {
    const auto goes = [&](const removals_row::add& a) {
        if (a.seen.covers(r.removals)) return false;
        if (open == nullptr || !is_in_doubt(r, a.id, *open)) return true;
        open->entangle(a.id);
        return false;
    };
    r.adds.erase(std::remove_if(r.adds.begin(), r.adds.end(), goes), r.adds.end());
}

version_vector seen_in(const entries_row& r) { return seen_in_row(r); }
version_vector seen_in(const dots_row& r) { return seen_in_row(r); }
version_vector seen_in(const removals_row& r) { return seen_in_row(r); }

void regroup(entries_row& r, const row_group& after, open_requests& open) { regroup_row(r, after, open); }
void regroup(dots_row& r, const row_group& after, open_requests& open) { regroup_row(r, after, open); }
void regroup(removals_row& r, const row_group& after, open_requests& open) { regroup_row(r, after, open); }
void settle(entries_row& r, const origin_table& origins, open_requests& open) { settle_row(r, origins, open); }
void settle(dots_row& r, const origin_table& origins, open_requests& open) { settle_row(r, origins, open); }
void settle(removals_row& r, const origin_table& origins, open_requests& open) { settle_row(r, origins, open); }

}  // namespace anabranch::crdt
